//! What an operator may want to count of a proxy.

use crate::wire::error::{BrokerErrorType, ErrorType, ProxyError, TransportError};

/// A request of a client to the proxy was answered. `own` tells whether the relay belongs to the operator of this server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProxyEvent {
    /// A session with a relay was asked for.
    Relay {
        /// The relay is the operator's.
        own: bool,
        /// What came of it.
        outcome: ProxyOutcome,
    },
    /// A command was to be forwarded.
    Forward {
        /// The relay is the operator's.
        own: bool,
        /// What came of it.
        outcome: ProxyOutcome,
    },
}

/// What came of a request to the proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyOutcome {
    /// It was done, be the relay's answer an error.
    Done,
    /// The relay could not be reached, or did not answer.
    Unreachable,
    /// There is no common version.
    Incompatible,
    /// Anything else.
    Failed,
}

impl ProxyOutcome {
    pub(super) fn of<T>(result: &Result<T, ErrorType>) -> Self {
        let Err(error) = result else { return Self::Done };
        let ErrorType::Proxy(error) = error else { return Self::Failed };
        match &**error {
            ProxyError::Broker(
                BrokerErrorType::Network(_) | BrokerErrorType::Timeout | BrokerErrorType::Host,
            ) => Self::Unreachable,
            ProxyError::Broker(BrokerErrorType::Transport(TransportError::Version)) => Self::Incompatible,
            ProxyError::NoSession => Self::Unreachable,
            // The relay did its part: it answered.
            ProxyError::Protocol(_) => Self::Done,
            _ => Self::Failed,
        }
    }
}
