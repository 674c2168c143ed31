//! Contact addresses.

use std::future::Future;

use bytes::Bytes;
use smp_core::agent::{Call, ConnectionId, ContactRequest, InvitationId, Reply, UserId};
use smp_core::wire::ConnectionRequest;
use smp_core::wire::agent::AgentError;

use super::{Agent, Joined, done, joined, other_reply};

impl Agent {
    /// Makes a contact address, which anybody can [use](Self::join) who has it, any number of times.
    /// [`Event::Request`](smp_core::agent::Event::Request) tells who does.
    ///
    /// # Errors
    /// As [`Self::invite`].
    pub fn create_address(
        &self,
        user: UserId,
    ) -> impl Future<Output = Result<(ConnectionId, ConnectionRequest), AgentError>> + Send + use<> {
        let called = self.call(Call::CreateAddress { user });
        async move {
            match called.await? {
                Reply::Invitation(connection, request) => Ok((connection, *request)),
                _ => Err(other_reply()),
            }
        }
    }

    /// Connects to somebody who asked at a contact address. `info` is what he is told of us, `pq` whether post-quantum
    /// encryption is wanted. He has still to allow it.
    ///
    /// As with [`Self::join`] the app chooses the name of the new connection and keeps it before it calls. After an error that
    /// may pass, or a crash, the call may be repeated with the same names, or [`Self::rejoin`] goes on.
    ///
    /// # Errors
    /// As [`Self::join`]; `CONN NOT_FOUND` when there is no such request, and no connection of this name. A request that cannot
    /// be used at all, `AGENT A_VERSION` and the like, stays until it is [rejected](Self::reject).
    pub fn accept(
        &self,
        connection: ConnectionId,
        user: UserId,
        invitation: InvitationId,
        info: Bytes,
        pq: bool,
    ) -> impl Future<Output = Result<Joined, AgentError>> + Send + use<> {
        joined(self.call(Call::Accept { connection, user, invitation, info, pq }))
    }

    /// Forgets a request to a contact address. Whoever asked is told nothing.
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such request to this address.
    pub fn reject(
        &self,
        address: ConnectionId,
        invitation: InvitationId,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::Reject(address, invitation)))
    }

    /// All requests to a contact address that were neither accepted nor rejected, oldest first: after a start, and after
    /// [`Event::Missed`](smp_core::agent::Event::Missed), they are not told again, unless the app [wants](Self::tell_again) that.
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such connection, `CMD PROHIBITED` when it is no address.
    pub fn requests(
        &self,
        address: ConnectionId,
    ) -> impl Future<Output = Result<Vec<ContactRequest>, AgentError>> + Send + use<> {
        let called = self.call(Call::Requests(address));
        async move {
            match called.await? {
                Reply::Requests(requests) => Ok(requests),
                _ => Err(other_reply()),
            }
        }
    }
}
