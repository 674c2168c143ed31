//! How many queues a connection is made with.
//!
//! [`QueueOptions`](super::QueueOptions) say it, else the settings; it is kept with the connection, so that a call that is repeated, also after a
//! restart, makes as many. Each is on another server of the user's. The first must be made, of the others those count that can be:
//! who was told of some is not told of more later.
//!
//! ```text
//!   invitation, address, replies     NEW of the first, NEW of each beside it; then others are told
//!   with a short link                NEW of each beside the first; then NEW of the first, with the data of the link, which tells of
//!                                    all that there is room for. If its server cannot be used, one beside it gives up its place
//!   request to an address            as replies; sent to one queue of the address after another until one takes it
//! ```
//!
//! A link that was prepared names one queue: it was known before there were others.
//!
//! The number is not restored when a server loses a queue: its owner may have it back tomorrow, and only the app knows what another
//! one is worth. [`Call::SwitchFrom`](super::Call::SwitchFrom) puts one in its place.

use std::sync::Arc;

use super::effect::{Doing, Effect};
use super::queues::QueuePurpose;
use super::servers::ServerRole;
use super::step::Step;
use super::store::{Task, TaskKind};
use super::{LinkContent, UserServer};
use crate::client::Request;
use crate::wire::ServerAddress;
use crate::wire::agent::AgentError;

impl Step<'_> {
    /// Keeps how many queues a call that makes a connection wants. One that goes on with what is there changes nothing.
    pub(super) fn keep_queues_wanted(&mut self) {
        let Some(queues) = self.queues else { return };
        if let Some(connection) = self.connection.as_mut().filter(|connection| connection.receive.is_empty())
        {
            connection.state.receive_queues = queues.max(1).into();
        }
    }

    /// From how many queues the connection is to receive. No list has more than 255.
    fn queues_wanted(&self) -> usize {
        let kept = self.connection.as_ref().map(|connection| connection.state.receive_queues);
        let wanted = self.queues.map(|queues| queues.max(1).into()).or_else(|| kept.filter(|kept| *kept > 0));
        let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok());
        wanted.unwrap_or(self.shared.config.limits.receive_queues).clamp(1, 255)
    }

    /// Others are told of the queues that there are: no more are made.
    pub(super) fn does_with_these(&mut self) {
        let queues = self.connection.as_ref().map_or(0, |connection| connection.receive.len());
        self.does_with(u32::try_from(queues).unwrap_or(u32::MAX));
    }

    /// Others are told of so many.
    pub(super) fn does_with(&mut self, queues: u32) {
        self.connection.iter_mut().for_each(|connection| connection.state.receive_queues = queues);
    }

    /// Leaves all queues beside the first: nobody was told of them.
    pub(super) fn retire_spares(&mut self) {
        let queues = self.connection.iter().flat_map(|connection| &connection.receive);
        let spares: Vec<_> = queues.skip(1).map(|queue| queue.number).collect();
        spares.into_iter().for_each(|spare| self.retire(spare));
    }

    /// NEW of one more queue, if the connection is to have one and there is a server without one. False if not.
    pub(super) fn create_spare(&mut self, purpose: QueuePurpose) -> bool {
        let Some(server) = self.server_for_spare() else { return false };
        let is_asked = self.request_queue(&server, purpose, None).is_ok();
        self.running.task.is_under_way |= is_asked;
        is_asked
    }

    /// Makes a queue with a link. As the link tells of those beside it, these are made before.
    pub(super) fn create_with_spares(
        &mut self,
        purpose: QueuePurpose,
        content: LinkContent,
    ) -> Result<(), AgentError> {
        let content = Arc::new(content);
        self.running.link = Some(Arc::clone(&content));
        if self.create_spare(purpose) {
            return Ok(());
        }
        self.create_linked_queue(purpose, Some(&content)).inspect_err(|_| self.running.link = None)
    }

    /// The queues beside it were made.
    pub(super) fn create_with_link_last(&mut self, purpose: QueuePurpose, content: &LinkContent) {
        if let Err(error) = self.create_linked_queue(purpose, Some(content)) {
            while self.spare_forgotten().is_some() {}
            self.not_created(purpose, error);
        }
    }

    /// The queue with the link was not made. The server of one that was made beside it can be used, and gets it instead; false if
    /// there is none.
    pub(super) fn link_instead_of_spare(&mut self, purpose: QueuePurpose) -> bool {
        let Some(content) = self.running.link.clone() else { return false };
        while let Some(server) = self.spare_forgotten() {
            let user = self.connection.as_ref().map(|connection| connection.state.user);
            let server = user.and_then(|user| self.shared.server_at(user, &server));
            if server.is_some_and(|server| self.request_queue(&server, purpose, Some(&content)).is_ok()) {
                self.running.task.is_under_way = true;
                return true;
            }
        }
        false
    }

    /// DEL of the last queue of a connection that nobody knows, nor does the store; tried once. Says on which server it was.
    fn spare_forgotten(&mut self) -> Option<ServerAddress> {
        let connection = self.connection.as_mut()?;
        let (user, queue) = (connection.state.user, connection.receive.pop()?);
        self.effects.push(Effect::Unwatch(user, queue.server.clone(), queue.recipient_id.clone()));
        let request = Request::delete(queue.recipient_id.clone(), queue.key);
        self.request(queue.server.clone(), request, Doing::Delete(self.id, queue.recipient_id));
        Some(queue.server)
    }

    /// One on a server that has a queue already would fail with it.
    fn server_for_spare(&mut self) -> Option<UserServer> {
        let connection = self.connection.as_ref()?;
        // One place is for the queue with the link, which is made last.
        let is_last = self.running.link.is_some();
        if connection.receive.len() + usize::from(is_last) >= self.queues_wanted() {
            return None;
        }
        let used: Vec<_> = connection.receive.iter().map(|queue| queue.server.clone()).collect();
        let user = connection.state.user;
        let server = self.shared.choose_server(user, ServerRole::Storage, &used).ok()?;
        (server.is_enabled && server.roles.storage && !used.contains(&server.address)).then_some(server)
    }

    /// An invitation does not reach the queue of an address: the next one is tried first. False if all of them were, one after another.
    pub(super) fn invites_elsewhere(&mut self) -> bool {
        let is_invite = |task: &Task| matches!(task.kind, TaskKind::Invite { .. });
        let Some(tasks) = self.tasks_mut() else { return false };
        let queues = tasks.iter().filter(|task| is_invite(task)).count();
        let Some(place) = tasks.iter().position(is_invite).filter(|_| queues > 1) else { return false };
        let task = tasks.remove(place);
        tasks.push(task);
        self.running.invited = (self.running.invited + 1) % queues;
        self.running.invited != 0
    }
}
