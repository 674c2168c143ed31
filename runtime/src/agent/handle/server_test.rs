//! Whether a server works.

use std::future::Future;
use std::pin::Pin;

use smp_core::agent::UserServer;

use super::Agent;
use crate::Runtime;
use crate::client::{Connector, ServerTestFailure};

/// Tests servers in the way in which the agent reaches them.
pub(in crate::agent) type Tester = Box<dyn Fn(UserServer) -> Testing + Send + Sync>;

type Testing = Pin<Box<dyn Future<Output = Result<(), ServerTestFailure>> + Send>>;

impl Agent {
    /// Tests a server, which need not be one of a user's: a session of its own is made, and in it a queue, which is secured and
    /// deleted. Begins when the future is polled, and ends with it; the agent is not concerned.
    ///
    /// # Errors
    /// Tells the step that failed, and why.
    pub fn test_server(
        &self,
        server: UserServer,
    ) -> impl Future<Output = Result<(), ServerTestFailure>> + Send + use<> {
        (self.0.1)(server)
    }
}

/// With the settings of the agent's own sessions.
pub(in crate::agent) fn tester<R: Runtime>(connector: Connector<R>) -> Tester {
    Box::new(move |server| {
        let connector = connector.clone();
        Box::pin(async move { connector.test(&server.address, server.password).await })
    })
}
