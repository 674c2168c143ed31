//! How the queues are made that a call makes.

use super::Call;
use super::step::{PROHIBITED, Step};
use crate::wire::agent::AgentError;
use crate::wire::command::SubscriptionMode;

/// How queues are made, in [`Call::With`]. By default as without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueOptions {
    /// They are not subscribed: their messages come when the app asks, with [`Call::Fetch`], or when it subscribes them, with
    /// [`Call::Resubscribe`]. After the agent is started again they are as all others, subscribed, unless it receives
    /// [on demand](super::AgentConfig::on_demand). Not for users whose sessions are those of a service: servers refuse that there.
    /// ONLY_CREATE.
    pub only_create: bool,
    /// A contact address is refused, with [`AgentError::Notice`], on a server that blocked a queue of ours and gave notice
    /// that it takes no new address for some time.
    pub check_notices: bool,
}

impl Call {
    /// The call itself, without how queues are made.
    pub(super) fn bare(&self) -> &Self {
        match self {
            Self::With(_, call) => call,
            call => call,
        }
    }

    /// Whether it makes queues, so that [`QueueOptions`] mean something for it.
    #[must_use]
    pub const fn makes_queues(&self) -> bool {
        matches!(
            self,
            Self::Invite { .. }
                | Self::CreateAddress { .. }
                | Self::CreateWithLink { .. }
                | Self::CreateForLink { .. }
                | Self::Join { .. }
                | Self::Rejoin(_)
                | Self::Accept { .. }
        )
    }
}

impl Step<'_> {
    /// The call itself; how its queues are made is noted, unless another call is making some.
    pub(super) fn with_options<'a>(&mut self, call: &'a Call) -> Result<&'a Call, AgentError> {
        let bare = call.bare();
        let options = match call {
            Call::With(..) if !bare.makes_queues() => return Err(PROHIBITED),
            Call::With(options, _) => *options,
            _ => QueueOptions::default(),
        };
        if bare.makes_queues() && !self.is_called_for() {
            self.running.options = options;
        }
        Ok(bare)
    }

    /// Whether the server is to subscribe a queue that is made. One that takes the place of another is, unless the agent
    /// receives on demand: whoever sends is told of it by messages, which somebody has to take.
    pub(super) fn subscription_mode(&self, takes_place: bool) -> SubscriptionMode {
        let is_left = self.shared.config.on_demand || (self.running.options.only_create && !takes_place);
        if is_left { SubscriptionMode::OnlyCreate } else { SubscriptionMode::Subscribe }
    }
}
