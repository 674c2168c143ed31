//! Calls that are kept and carried out later.

use std::future::Future;

use smp_core::agent::Call;
use smp_core::wire::agent::AgentError;

use super::{Agent, done};

impl Agent {
    /// Keeps a call and carries it out as soon as that can be done, also after a restart: [`Call::Invite`], [`Call::CreateAddress`],
    /// [`Call::CreateWithLink`], [`Call::SetLink`], [`Call::DeleteLink`], [`Call::OpenLink`], [`Call::Join`], [`Call::Rejoin`],
    /// [`Call::Accept`], [`Call::Allow`], [`Call::Switch`], [`Call::SwitchFrom`], [`Call::CreateForLink`], [`Call::SetLinkSigned`], and
    /// [`Call::With`] of those that make queues. While a failure may pass it is tried again. Calls of a connection that
    /// were kept are carried out in their order.
    ///
    /// [`Event::Finished`](smp_core::agent::Event::Finished) tells with the same `correlation` how it ended; after a crash at that
    /// moment it does a second time.
    ///
    /// # Errors
    /// `CMD PROHIBITED` for any other call; [`AgentError::NoUser`]; `CONN NOT_FOUND` or `CONN DUPLICATE` when there is no such
    /// connection, or there is one already.
    pub fn run_durably(
        &self,
        correlation: &str,
        call: Call,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::Durable { correlation: correlation.into(), call: Box::new(call) }))
    }
}
