//! Calls.

mod contacts;
mod delete;
mod durable;
mod fetch;
mod names;
mod prepared;
mod server_test;
mod services;
mod sessions;
mod short_links;
mod state;
mod statistics;
mod users;
mod waiting;

use std::future::{Future, poll_fn};
use std::sync::Arc;

use bytes::Bytes;
use smp_core::agent::{
    Call, ConfirmationId, ConnectionId, InitialKeys, LocalMessageId, QueueOptions, Reply, UserId,
};
use smp_core::wire::ConnectionRequest;
use smp_core::wire::agent::AgentError;
use smp_core::wire::command::MessageFlags;

mod ratchet;
mod receipts;
mod redundancy;
mod rotation;

pub(super) use self::server_test::{Tester, tester};
pub use self::short_links::Linked;
use super::AgentBuilder;
use super::shared::{Called, Shared};
use crate::Runtime;

/// An agent: connections between people, over any number of servers. Clones are handles of the same one.
///
/// Each method begins what it is for when it is called; its future waits for the reply. **Dropping the future cancels
/// nothing**: an agent does not begin anything that it would not finish. Calls about one connection take effect in the order
/// in which they were made. All futures end, with [`AgentError::Inactive`] when the agent stops before.
///
/// The agent stops when the last handle and the [`Events`](super::Events) are dropped, and by [`Self::stop`]. Everything that
/// is not done then is done after it is started again from the same store; a call that had no reply may have taken effect.
#[derive(Clone)]
pub struct Agent(Arc<Owner>, QueueOptions);

/// Lets go of the agent with the last handle.
struct Owner(Arc<Shared>, Tester);

impl Agent {
    /// An agent that keeps everything in `store`, where no other agent may be at work.
    pub fn builder<R: Runtime, S>(runtime: R, store: S) -> AgentBuilder<R, S> {
        AgentBuilder::new(runtime, store)
    }

    pub(super) fn new(shared: Arc<Shared>, tester: Tester) -> Self {
        Self(Arc::new(Owner(shared, tester)), QueueOptions::default())
    }

    /// Makes an invitation for one person, which is to reach that person on some other way. When it is used,
    /// [`Event::Confirmation`](smp_core::agent::Event::Confirmation) tells.
    ///
    /// `pq` says whether post-quantum encryption is wanted: with a key for it in the invitation, which makes that longer (`true`), or without
    /// ([`InitialKeys::Later`]). It is used if whoever joins wants it too; [`Self::send_with_pq`] can switch it on later.
    ///
    /// # Errors
    /// [`AgentError::NoUser`] when no servers are known for the user; an error of the server that was chosen.
    pub fn invite<Keys: Into<InitialKeys>>(
        &self,
        user: UserId,
        pq: Keys,
    ) -> impl Future<Output = Result<(ConnectionId, ConnectionRequest), AgentError>> + Send + use<Keys> {
        let called = self.call(Call::Invite { user, pq: pq.into() });
        async move {
            match called.await? {
                Reply::Invitation(connection, request) => Ok((connection, *request)),
                _ => Err(other_reply()),
            }
        }
    }

    /// Uses an invitation, or a contact address ([`Self::create_address`]). `info` is what the other side is told of us, `pq` whether post-quantum encryption is wanted, which both sides have to.
    ///
    /// The app chooses the name of the new connection ([`new_connection_id`](super::new_connection_id)) and keeps it before it
    /// calls, so that it can go on with [`Self::rejoin`] after an error that may pass, and after a crash.
    ///
    /// To the owner of an address goes an invitation of ours. When he has accepted,
    /// [`Event::Confirmation`](smp_core::agent::Event::Confirmation) tells, and he must be [allowed](Self::allow); when he has
    /// not, nothing does.
    ///
    /// # Errors
    /// `CMD LARGE` when `info` is too long; `CONN DUPLICATE` when there is a connection of this name; `AGENT A_VERSION` when nothing fits; `CONN NOT_AVAILABLE`
    /// when somebody else used the invitation, or it is gone; errors of servers.
    pub fn join(
        &self,
        connection: ConnectionId,
        user: UserId,
        request: ConnectionRequest,
        info: Bytes,
        pq: bool,
    ) -> impl Future<Output = Result<Joined, AgentError>> + Send + use<> {
        joined(self.call(Call::Join { connection, user, request: Box::new(request), info, pq }))
    }

    /// Goes on with a [`Self::join`] that failed, or that was not finished when the agent stopped.
    ///
    /// # Errors
    /// As [`Self::join`]; `CONN NOT_FOUND` when it failed before anything was kept.
    pub fn rejoin(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<Joined, AgentError>> + Send + use<> {
        joined(self.call(Call::Rejoin(connection)))
    }

    /// Lets somebody connect who used an invitation; `info` is what he is told of us.
    /// [`Event::Connected`](smp_core::agent::Event::Connected) tells when that is done.
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such confirmation, or somebody was let in already; `CMD PROHIBITED` when somebody else
    /// is the only one who can be.
    pub fn allow(
        &self,
        connection: ConnectionId,
        confirmation: ConfirmationId,
        info: Bytes,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::Allow { connection, confirmation, info }))
    }

    /// Sends a message: it is kept when this is done, and goes out as soon as it can.
    /// [`Event::Sent`](smp_core::agent::Event::Sent) tells when it is with the server of the other side.
    ///
    /// # Errors
    /// `CMD LARGE` when it is too long, `CMD PROHIBITED` while messages cannot be sent.
    pub fn send(
        &self,
        connection: ConnectionId,
        body: Bytes,
        flags: MessageFlags,
    ) -> impl Future<Output = Result<LocalMessageId, AgentError>> + Send + use<> {
        let called = self.call(Call::Send { connection, body, flags });
        async move {
            match called.await? {
                Reply::Accepted(id) => Ok(id),
                _ => Err(other_reply()),
            }
        }
    }

    /// The app has a message and need not get it again; the next one may come.
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such message.
    pub fn acknowledge(
        &self,
        connection: ConnectionId,
        message: LocalMessageId,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::Acknowledge(connection, message)))
    }

    /// Stops the agent, whoever has other handles, and waits until all of its tasks, its thread and its sessions are gone and
    /// its store is let go of.
    pub async fn stop(&self) {
        self.0.0.stop();
        self.stopped().await;
    }

    /// Waits until the agent has stopped and its store is let go of.
    pub async fn stopped(&self) {
        poll_fn(|cx| self.0.0.poll_stopped(cx)).await;
    }

    fn call(&self, call: Call) -> Called {
        self.0.0.call(fetch::with(self.1, call))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

/// An invitation was used. The other side has still to allow it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Joined {
    /// The connection.
    pub connection: ConnectionId,
    /// Messages may be sent at once: the other side will be able to read them.
    pub can_send: bool,
}

async fn joined(called: Called) -> Result<Joined, AgentError> {
    match called.await? {
        Reply::Joined { connection, can_send } => Ok(Joined { connection, can_send }),
        _ => Err(other_reply()),
    }
}

async fn done(called: Called) -> Result<(), AgentError> {
    done_one(called.await)
}

fn done_one(outcome: Result<Reply, AgentError>) -> Result<(), AgentError> {
    match outcome? {
        Reply::Done => Ok(()),
        _ => Err(other_reply()),
    }
}

/// Only a defect of the machine leads here.
fn other_reply() -> AgentError {
    AgentError::Internal("the reply to another call".to_owned())
}
