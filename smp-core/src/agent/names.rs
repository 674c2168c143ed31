//! Names: a server with a resolver is asked what is registered under one, through a proxy if the settings say so. RSLV.

use super::effect::{Doing, to_error};
use super::servers::{ServerRole, choose};
use super::{Agent, CallId, Reply, UserId, UserServer};
use crate::client::{Answer, Request, RequestError};
use crate::wire::agent::AgentError;
use crate::wire::error::{ErrorType, NameError};
use crate::wire::{Name, ServerAddress};

/// A name that a server is asked for.
pub(super) struct Resolving {
    call: CallId,
    user: UserId,
    name: Name,
    /// Servers that were asked, the current one last.
    asked: Vec<ServerAddress>,
}

impl Agent {
    /// Asks one of a user's servers that resolve names, and when it cannot answer the next one.
    pub(super) fn resolve(&mut self, call: CallId, user: UserId, name: Name) {
        self.resolve_by_next(Resolving { call, user, name, asked: Vec::new() }, AgentError::NoNameServers);
    }

    /// The call fails with this error if all servers were asked. Others than those with the role are never.
    fn resolve_by_next(&mut self, mut resolving: Resolving, error: AgentError) {
        let Some(known) = self.shared.users.get(&resolving.user).filter(|user| !user.is_deleted) else {
            return self.reply(resolving.call, Err(AgentError::NoUser));
        };
        let may = |server: &&UserServer| {
            server.is_enabled && server.roles.names && !resolving.asked.contains(&server.address)
        };
        let left: Vec<_> = known.servers.iter().filter(may).cloned().collect();
        let Some(next) = choose(&left, ServerRole::Names, &resolving.asked, &mut self.shared.entropy) else {
            return self.reply(resolving.call, Err(error));
        };
        let (user, server) = (resolving.user, next.address.clone());
        let request = Request::resolve(resolving.name.clone());
        resolving.asked.push(server.clone());
        self.route(user, server, request, Doing::Resolve(Box::new(resolving)));
    }

    /// A server has resolved a name, or has not. That there is no such name is an answer.
    pub(super) fn resolved(&mut self, resolving: Resolving, answer: Result<Answer, RequestError>) {
        let not_found = ErrorType::Name(NameError::NotFound);
        let error = match answer {
            Ok(Answer::Name(record)) => return self.reply(resolving.call, Ok(Reply::Name(record))),
            Ok(_) => RequestError::Unexpected,
            Err(error) => error,
        };
        let is_answer = matches!(
            &error,
            RequestError::Server(error) | RequestError::Relay(error) if *error == not_found
        );
        let Some(server) = resolving.asked.last().cloned() else { return };
        let error = to_error(server, error);
        match is_answer {
            true => self.reply(resolving.call, Err(error)),
            false => self.resolve_by_next(resolving, error),
        }
    }
}
