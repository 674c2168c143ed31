//! How the queues are made that a call makes.

use super::step::{PROHIBITED, Step};
use super::{Call, CallId};
use crate::wire::agent::AgentError;
use crate::wire::command::SubscriptionMode;

/// How queues are made, in [`Call::With`]. By default as without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueOptions {
    /// From how many queues a connection or an address that is made is to receive, one at least, each on a server of its own, as far
    /// as the user has so many that can be used; else from [`AgentLimits::receive_queues`](super::AgentLimits::receive_queues).
    /// A call that goes on with what there is does not change it, and a link that was prepared names one.
    pub queues: Option<u8>,
    /// They are not subscribed: their messages come when the app asks, with [`Call::Fetch`], or when it subscribes them, with
    /// [`Call::Resubscribe`]. After the agent is started again they are as all others, subscribed, unless it receives
    /// [on demand](super::AgentConfig::on_demand). Not for users whose sessions are those of a service: servers refuse that there.
    /// ONLY_CREATE.
    pub only_create: bool,
    /// A contact address is refused, with [`AgentError::Notice`], on a server that blocked a queue of ours and gave notice
    /// that it takes no new address for some time: also when it is only [prepared](Call::PrepareLink).
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

    /// Whether it makes queues, or prepares one, so that [`QueueOptions`] mean something for it.
    #[must_use]
    pub const fn makes_queues(&self) -> bool {
        matches!(
            self,
            Self::Invite { .. }
                | Self::CreateAddress { .. }
                | Self::CreateWithLink { .. }
                | Self::PrepareLink { .. }
                | Self::CreateForLink { .. }
                | Self::Join { .. }
                | Self::Rejoin(_)
                | Self::Accept { .. }
        )
    }
}

impl Step<'_> {
    /// A call, with how its queues are made; that is noted, unless another call is making some.
    pub(super) fn call(&mut self, id: CallId, call: &Call) -> Result<(), AgentError> {
        let bare = call.bare();
        let options = match call {
            Call::With(..) if !bare.makes_queues() => return Err(PROHIBITED),
            Call::With(options, _) => *options,
            _ => QueueOptions::default(),
        };
        if bare.makes_queues() && !self.is_called_for() {
            self.running.options = options;
        }
        let makes_anew = bare.maker().is_some() && !matches!(bare, Call::CreateForLink { .. });
        self.queues = options.queues.filter(|_| makes_anew);
        self.bare_call(id, bare)?;
        self.keep_queues_wanted();
        Ok(())
    }

    /// Whether the server is to subscribe a queue that is made. One that takes the place of another is, unless the agent
    /// receives on demand: whoever sends is told of it by messages, which somebody has to take.
    pub(super) fn subscription_mode(&self, takes_place: bool) -> SubscriptionMode {
        let is_left = self.shared.config.on_demand || (self.running.options.only_create && !takes_place);
        if is_left { SubscriptionMode::OnlyCreate } else { SubscriptionMode::Subscribe }
    }
}
