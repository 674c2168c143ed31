//! Local users.
//!
//! The store keeps which users there are; their servers are settings, given when the agent is started or by
//! [`Call::SetServers`], and kept by the app. A user of the settings who is not there is made; one who is being deleted is
//! not made again. Numbers of users whom a call makes are given here, and never again: the store keeps the last one.

use std::collections::BTreeSet;

use super::actor::Work;
use super::delete::Deletion;
use super::servers::{ServerRole, choose};
use super::store::{AgentOp, AgentQuery, Batch, BatchId, ConnectionState, Found, StoreFailure, User};
use super::{
    Agent, AgentOutput, Alarm, Call, CallId, ConnectionId, Event, QueueOptions, Reader, Reply, Shared,
    UserId, UserServer,
};
use crate::wire::ServerAddress;
use crate::wire::agent::AgentError;

/// What is known of a user.
#[derive(Default)]
pub(super) struct KnownUser {
    pub(super) servers: Vec<UserServer>,
    pub(super) is_deleted: bool,
}

/// Users who are being deleted.
pub(super) struct UserDeletion {
    how: Deletion,
    /// Connections that are left; none before they are known.
    left: BTreeSet<ConnectionId>,
    /// The call that is told at the end.
    call: Option<CallId>,
}

/// Whose a batch is.
pub(super) enum Writer {
    Start,
    CleanUp,
    Statistics,
    /// Counting begins anew.
    StatisticsReset(CallId),
    /// A notice of a server.
    Notice,
    Connection(ConnectionId),
    /// Credentials of a service.
    Service(UserId, Box<ServerAddress>),
    /// What is kept of services beside them.
    Associations,
    /// The services of a user are switched off, for a call.
    ServiceOff(CallId),
    /// A user is made.
    UserMade(CallId, UserId, Vec<UserServer>),
    /// It is kept that a user is being deleted.
    UserMarked(CallId, UserId),
    /// A user is forgotten.
    UserGone(UserId),
}

impl Shared {
    /// One of a user's servers for a new queue of a connection that uses these already.
    pub(super) fn choose_server(
        &mut self,
        user: UserId,
        role: ServerRole,
        used: &[ServerAddress],
    ) -> Result<UserServer, AgentError> {
        let known = self.users.get(&user).filter(|user| !user.is_deleted).ok_or(AgentError::NoUser)?;
        choose(&known.servers, role, used, &mut self.entropy).cloned().ok_or(AgentError::NoUser)
    }

    /// A server of a user.
    pub(super) fn server_at(&self, user: UserId, address: &ServerAddress) -> Option<UserServer> {
        let known = self.users.get(&user).filter(|user| !user.is_deleted)?;
        known.servers.iter().find(|server| server.address == *address).cloned()
    }

    /// All servers of a user.
    pub(super) fn servers_of(&self, user: UserId) -> Result<Vec<ServerAddress>, AgentError> {
        let known = self.users.get(&user).filter(|user| !user.is_deleted && !user.servers.is_empty());
        let known = known.ok_or(AgentError::NoUser)?;
        Ok(known.servers.iter().map(|server| server.address.clone()).collect())
    }

    /// Whether there is such a user, who is not being deleted.
    pub(super) fn has_user(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|user| !user.is_deleted)
    }
}

impl Agent {
    /// A call that is about no connection is carried out; others are given back.
    pub(super) fn call_about_users(&mut self, id: CallId, call: Call) -> Option<Call> {
        let (options, call) = match call {
            Call::With(options, call) if matches!(*call, Call::PrepareLink { .. }) => (options, *call),
            call => (QueueOptions::default(), call),
        };
        match call {
            Call::CreateUser { servers } => self.create_user(id, servers),
            Call::SetServers { user, servers } => {
                let known = self.shared.users.get_mut(&user).filter(|user| !user.is_deleted);
                let result = known.map(|known| known.servers = servers).ok_or(AgentError::NoUser);
                self.reply(id, result.map(|()| Reply::Done));
            }
            Call::DeleteUser { user, keep_queues } => self.delete_user(id, user, keep_queues),
            Call::Users => {
                let users = self.shared.users.iter().filter(|(_, user)| !user.is_deleted);
                let users = users.map(|(id, _)| *id).collect();
                self.reply(id, Ok(Reply::Users(users)));
            }
            Call::SetUserService { user, is_enabled } => self.set_user_service(id, user, is_enabled),
            Call::ResubscribeService(user) => self.resubscribe_service(id, user),
            Call::Connections(of) => self.list_connections(id, of),
            Call::PrepareLink { user, identity } => self.prepare_link(id, user, *identity, options),
            Call::Resolve { user, name } => self.resolve(id, user, name),
            Call::Statistics => self.tell_statistics(id),
            Call::ResetStatistics => self.reset_statistics(id),
            call => return Some(call),
        }
        None
    }

    fn create_user(&mut self, call: CallId, servers: Vec<UserServer>) {
        let last = self.shared.users.keys().next_back().map_or(0, |id| id.0).max(self.last_user);
        self.last_user = last + 1;
        let id = UserId(self.last_user);
        let ops = vec![AgentOp::PutUser(User { id, is_deleted: false })];
        self.write(Writer::UserMade(call, id, servers), ops);
    }

    fn delete_user(&mut self, call: CallId, user: UserId, keep_queues: bool) {
        let Some(known) = self.shared.users.get_mut(&user).filter(|user| !user.is_deleted) else {
            return self.reply(call, Err(AgentError::NoUser));
        };
        known.is_deleted = true;
        if keep_queues {
            // Until it is done nothing is kept of it: after a crash the user is there, with what is left.
            return self.empty_user(user, Deletion::AtOnce, Some(call));
        }
        let ops = vec![AgentOp::PutUser(User { id: user, is_deleted: true })];
        self.write(Writer::UserMarked(call, user), ops);
    }

    /// Those who were being deleted when the agent stopped.
    pub(super) fn resume_users(&mut self) {
        let deleted = self.shared.users.iter().filter(|(_, user)| user.is_deleted);
        let deleted: Vec<_> = deleted.map(|(id, _)| *id).collect();
        deleted.into_iter().for_each(|user| self.empty_user(user, Deletion::WithQueues, None));
    }

    fn empty_user(&mut self, user: UserId, how: Deletion, call: Option<CallId>) {
        self.deletions.insert(user, UserDeletion { how, left: BTreeSet::new(), call });
        self.read(Reader::User(user), AgentQuery::Connections);
    }

    /// All connections are known: those of a user are deleted.
    pub(super) fn user_found(&mut self, user: UserId, result: Result<Found, StoreFailure>) {
        let Some(deletion) = self.deletions.get_mut(&user) else { return };
        let Ok(Found::States(states)) = result else { return self.empty_later(user) };
        let of_user = |(_, state): &&(ConnectionId, ConnectionState)| state.user == user;
        let connections: Vec<_> = states.iter().filter(of_user).collect();
        deletion.left = connections.iter().map(|(id, _)| *id).collect();
        let how = deletion.how;
        for (id, state) in connections {
            if state.deleted_at.is_none() || how == Deletion::AtOnce {
                self.work(*id, Work::Delete(how));
            }
        }
        self.forget_user_if_empty(user);
    }

    /// A connection is gone.
    pub(super) fn user_has_lost(&mut self, connection: ConnectionId) {
        let users: Vec<_> = self.deletions.keys().copied().collect();
        for user in users {
            let deletion = self.deletions.get_mut(&user);
            if deletion.is_some_and(|deletion| deletion.left.remove(&connection)) {
                self.forget_user_if_empty(user);
            }
        }
    }

    fn forget_user_if_empty(&mut self, user: UserId) {
        if self.deletions.get(&user).is_some_and(|deletion| deletion.left.is_empty()) {
            if self.actors.values().any(|actor| actor.is_of(user)) {
                return self.empty_later(user);
            }
            let forget = self.forget_statistics(user);
            let ops = [AgentOp::DeleteUser(user)].into_iter().chain(forget).collect();
            self.write(Writer::UserGone(user), ops);
        }
    }

    /// What the store has done for a user, or has not.
    pub(super) fn user_written(&mut self, writer: Writer, result: Result<(), StoreFailure>) {
        match (writer, result) {
            (Writer::UserMade(call, id, servers), Ok(())) => {
                self.shared.users.insert(id, KnownUser { servers, is_deleted: false });
                self.reply(call, Ok(Reply::User(id)));
            }
            (Writer::UserMade(call, ..), Err(failure)) => self.reply(call, Err(failure.into())),
            (Writer::UserMarked(call, user), Ok(())) => {
                self.reply(call, Ok(Reply::Done));
                self.empty_user(user, Deletion::WithQueues, None);
            }
            (Writer::UserMarked(call, user), Err(failure)) => {
                self.shared.users.entry(user).or_default().is_deleted = false;
                self.reply(call, Err(failure.into()));
            }
            (Writer::UserGone(user), Ok(())) => {
                self.services.forget_user(user);
                self.shared.users.remove(&user);
                let call = self.deletions.remove(&user).and_then(|deletion| deletion.call);
                call.into_iter().for_each(|call| self.reply(call, Ok(Reply::Done)));
                self.outputs.push_back(AgentOutput::Event(Event::UserDeleted(user)));
            }
            // There may be a connection that was being made.
            (Writer::UserGone(user), Err(StoreFailure)) => self.empty_later(user),
            (Writer::Service(user, server), result) => self.service_kept(user, *server, result),
            (Writer::ServiceOff(call), result) => {
                self.reply(call, result.map(|()| Reply::Done).map_err(AgentError::from));
            }
            (Writer::Statistics, result) => self.statistics_kept(result),
            (Writer::StatisticsReset(call), result) => self.statistics_reset(call, result),
            (
                Writer::Start
                | Writer::CleanUp
                | Writer::Notice
                | Writer::Connection(_)
                | Writer::Associations,
                _,
            ) => {}
        }
    }

    fn empty_later(&mut self, user: UserId) {
        let at = self.shared.now.mono + self.shared.config.limits.retry_min;
        self.alarms.insert((at, Alarm::User(user)));
    }

    /// Hands a batch to the store.
    pub(super) fn write(&mut self, writer: Writer, ops: Vec<AgentOp>) {
        let id = BatchId(self.number());
        self.batches.insert(id, writer);
        self.outputs.push_back(AgentOutput::Store(Batch { id, ops }));
    }
}
