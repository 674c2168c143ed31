//! Names.

use std::future::Future;

use smp_core::agent::{Call, Reply, UserId};
use smp_core::wire::agent::AgentError;
use smp_core::wire::{Name, NameRecord};

use super::{Agent, other_reply};

impl Agent {
    /// Asks what is registered under a name: one of the user's servers that resolve names
    /// ([`ServerRoles::names`](smp_core::agent::ServerRoles::names)), or when it cannot answer another one, until all were asked.
    /// That there is no such name is an answer. With [private routing](super::super::AgentBuilder::private_routing) in the mode
    /// `Always` the server does not see our address. Nothing is kept. `resolveSimplexName`.
    ///
    /// # Errors
    /// [`AgentError::NoNameServers`] when none of the user's servers has the role; `SMP NAME NOT_FOUND` when nothing is
    /// registered; [`AgentError::NoUser`]; the error of the server that was asked last.
    pub fn resolve_name(
        &self,
        user: UserId,
        name: Name,
    ) -> impl Future<Output = Result<NameRecord, AgentError>> + Send + use<> {
        let called = self.call(Call::Resolve { user, name });
        async move {
            match called.await? {
                Reply::Name(record) => Ok(*record),
                _ => Err(other_reply()),
            }
        }
    }
}
