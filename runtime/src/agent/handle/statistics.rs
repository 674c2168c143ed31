//! What was done at servers.

use std::future::Future;

use smp_core::agent::{AgentStatistics, Call, Reply};
use smp_core::wire::agent::AgentError;

use super::{Agent, done, other_reply};

impl Agent {
    /// What was done at servers for each user, and how things are there now. The numbers are kept: a minute after something was
    /// counted, when the agent is suspended and when it stops; a crash loses those of the last minute. `getAgentServersSummary`;
    /// of [`AgentStatistics::total`], `getAgentSubsTotal`.
    ///
    /// # Errors
    /// None but that the agent has stopped, or takes no calls.
    pub fn statistics(&self) -> impl Future<Output = Result<AgentStatistics, AgentError>> + Send + use<> {
        let called = self.call(Call::Statistics);
        async move {
            match called.await? {
                Reply::Statistics(statistics) => Ok(*statistics),
                _ => Err(other_reply()),
            }
        }
    }

    /// Begins to count anew. `resetAgentServersStats`.
    ///
    /// # Errors
    /// When the store fails: then nothing of before is told any more, but the agent may find it again when it is started.
    pub fn reset_statistics(&self) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::ResetStatistics))
    }
}
