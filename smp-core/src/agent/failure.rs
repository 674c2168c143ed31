//! What a failed request means: whether it may succeed later, and how the app is told.

use crate::client::{Rejection, RequestError};
use crate::wire::ServerAddress;
use crate::wire::agent::AgentError;
use crate::wire::error::{BrokerErrorType, ErrorType, NetworkError, ProxyError, TransportError};

/// Whether the same request may succeed later.
pub(super) fn is_temporary(error: &RequestError) -> bool {
    match error {
        RequestError::Timeout | RequestError::NotSent | RequestError::OutcomeUnknown => true,
        RequestError::Server(error) | RequestError::Relay(error) => is_temporary_answer(error),
        RequestError::Unreachable(error) => is_temporary_failure(error),
        RequestError::AtProxy(_, error) => is_temporary(error),
        // The proxy asked another server than it was told to; another proxy may be chosen.
        RequestError::BadRelay(_) => true,
        RequestError::Sealed | RequestError::Unexpected | RequestError::Malformed => false,
        RequestError::Rejected(rejection) => match rejection {
            // The session ended or holds much already.
            Rejection::Closed | Rejection::TooManyCommands | Rejection::TooManyBytes => true,
            // An earlier attempt has no answer yet.
            Rejection::CorrelationIdInUse => true,
            Rejection::IdInUse
            | Rejection::Credentials(_)
            | Rejection::NeedsVersion(_)
            | Rejection::NotForProxy
            | Rejection::LargeMessage { .. }
            | Rejection::LargeCommand
            | Rejection::CannotAuthorise => false,
        },
    }
}

const fn is_temporary_answer(error: &ErrorType) -> bool {
    match error {
        ErrorType::Quota | ErrorType::Store(_) | ErrorType::Internal => true,
        ErrorType::Proxy(error) => is_temporary_at_proxy(error),
        ErrorType::Block
        | ErrorType::Session
        | ErrorType::Command(_)
        | ErrorType::Auth
        | ErrorType::Blocked(_)
        | ErrorType::Service
        | ErrorType::Crypto
        | ErrorType::Expired
        | ErrorType::NoMessage
        | ErrorType::LargeMessage
        | ErrorType::Duplicate
        | ErrorType::Name(_) => false,
    }
}

const fn is_temporary_at_proxy(error: &ProxyError) -> bool {
    match error {
        ProxyError::NoSession => true,
        ProxyError::Broker(error) => is_temporary_failure(error),
        ProxyError::Protocol(error) => is_temporary_answer(error),
        ProxyError::BasicAuth => false,
    }
}

/// Whether what failed like this may succeed later.
pub(super) const fn is_temporary_error(error: &AgentError) -> bool {
    match error {
        AgentError::Smp { error, .. } => is_temporary_answer(error),
        AgentError::Broker { error, .. } => is_temporary_failure(error),
        AgentError::Proxy { error, .. } => is_temporary_at_proxy(error),
        _ => false,
    }
}

/// Whether a server that could not be used may be later.
pub(super) const fn is_temporary_failure(error: &BrokerErrorType) -> bool {
    match error {
        BrokerErrorType::Network(_) | BrokerErrorType::Timeout => true,
        error => is_host_failure(error),
    }
}

/// Whether a server cannot be used by who tried, while others may be able to: its address is of no use there, or the two speak no
/// common version.
const fn is_host_failure(error: &BrokerErrorType) -> bool {
    match error {
        BrokerErrorType::Host | BrokerErrorType::Transport(TransportError::Version) => true,
        BrokerErrorType::Transport(
            TransportError::Block
            | TransportError::LargeMessage
            | TransportError::Session
            | TransportError::NoServerAuth
            | TransportError::Handshake(_),
        )
        | BrokerErrorType::Network(_)
        | BrokerErrorType::Timeout
        | BrokerErrorType::Response(_)
        | BrokerErrorType::Unexpected(_)
        | BrokerErrorType::NoService => false,
    }
}

/// Whether a proxy is of no use for a destination, which may be asked without it: the proxy cannot be used, or it cannot use the
/// destination.
pub(super) fn is_useless_proxy(error: &RequestError) -> bool {
    match error {
        RequestError::Unreachable(error) => is_host_failure(error),
        // One of the three does not know the commands.
        RequestError::Rejected(Rejection::NeedsVersion(_)) => true,
        RequestError::Server(ErrorType::Proxy(error)) => {
            matches!(&**error, ProxyError::Broker(error) if is_host_failure(error))
        }
        _ => false,
    }
}

/// Whether the queue is gone, or is not for us.
pub(super) const fn is_refused(error: &RequestError) -> bool {
    matches!(error, RequestError::Server(ErrorType::Auth) | RequestError::Relay(ErrorType::Auth))
}

/// Whether nothing was asked, because the session, or that of the proxy, is of a version that does not have the command.
pub(super) fn is_not_known(error: &RequestError) -> bool {
    match error {
        RequestError::AtProxy(_, error) => is_not_known(error),
        error => matches!(error, RequestError::Rejected(Rejection::NeedsVersion(_))),
    }
}

/// The words of an agent for what went wrong with a request to a server.
pub(super) fn to_error(server: ServerAddress, error: RequestError) -> AgentError {
    let server = Box::new(server);
    let broker = |error| AgentError::Broker { server: server.clone(), error };
    match error {
        RequestError::AtProxy(proxy, error) => match *error {
            RequestError::Server(ErrorType::Proxy(error)) => {
                AgentError::Proxy { proxy, relay: server, error: *error }
            }
            error => to_error(*proxy, error),
        },
        RequestError::Server(error) | RequestError::Relay(error) => AgentError::Smp { server, error },
        RequestError::Unreachable(error) => broker(error),
        RequestError::Timeout | RequestError::Rejected(Rejection::CorrelationIdInUse) => {
            broker(BrokerErrorType::Timeout)
        }
        RequestError::NotSent
        | RequestError::OutcomeUnknown
        | RequestError::Rejected(Rejection::Closed | Rejection::TooManyCommands | Rejection::TooManyBytes) => {
            broker(BrokerErrorType::Network(NetworkError::Failed))
        }
        RequestError::Malformed | RequestError::Sealed => {
            broker(BrokerErrorType::Response(Default::default()))
        }
        RequestError::Unexpected | RequestError::BadRelay(_) | RequestError::Rejected(_) => {
            broker(BrokerErrorType::Unexpected(Default::default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::TransportFault;
    use crate::wire::Version;
    use crate::wire::error::{BlockingInfo, BlockingReason, CommandError, HandshakeError, NameError};

    fn server(name: &str) -> ServerAddress {
        ServerAddress::new(vec![name.parse().unwrap()], None, [1; 32]).unwrap()
    }

    fn proxy(error: ProxyError) -> ErrorType {
        ErrorType::Proxy(Box::new(error))
    }

    /// The failure, whether the request is tried again, and whether a proxy with it is of no use.
    fn table() -> Vec<(RequestError, bool, bool)> {
        let (auth, version) = (ErrorType::Auth, TransportError::Version);
        let handshake = TransportError::Handshake(HandshakeError::Identity);
        let blocking = BlockingInfo { reason: BlockingReason::Spam, notice: None };
        let broker = |error| proxy(ProxyError::Broker(error));
        let mut rows = vec![
            (RequestError::Timeout, true, false),
            (RequestError::NotSent, true, false),
            (RequestError::OutcomeUnknown, true, false),
            (RequestError::BadRelay(TransportFault::Timeout), true, false),
            (RequestError::Sealed, false, false),
            (RequestError::Unexpected, false, false),
            (RequestError::Malformed, false, false),
            (RequestError::Rejected(Rejection::Closed), true, false),
            (RequestError::Rejected(Rejection::TooManyCommands), true, false),
            (RequestError::Rejected(Rejection::TooManyBytes), true, false),
            (RequestError::Rejected(Rejection::IdInUse), false, false),
            (RequestError::Rejected(Rejection::CorrelationIdInUse), true, false),
            (RequestError::Rejected(Rejection::Credentials(CommandError::NoAuth)), false, false),
            (RequestError::Rejected(Rejection::NeedsVersion(Version(8))), false, true),
            (RequestError::Rejected(Rejection::NotForProxy), false, false),
            (RequestError::Rejected(Rejection::LargeMessage { limit: 1 }), false, false),
            (RequestError::Rejected(Rejection::LargeCommand), false, false),
            (RequestError::Rejected(Rejection::CannotAuthorise), false, false),
        ];
        let failures = [
            (BrokerErrorType::Network(NetworkError::UnknownCa), true, false),
            (BrokerErrorType::Timeout, true, false),
            (BrokerErrorType::Host, true, true),
            (BrokerErrorType::Transport(version), true, true),
            (BrokerErrorType::Transport(TransportError::Block), false, false),
            (BrokerErrorType::Transport(TransportError::LargeMessage), false, false),
            (BrokerErrorType::Transport(TransportError::Session), false, false),
            (BrokerErrorType::Transport(TransportError::NoServerAuth), false, false),
            (BrokerErrorType::Transport(handshake), false, false),
            (BrokerErrorType::Response(Default::default()), false, false),
            (BrokerErrorType::Unexpected(Default::default()), false, false),
            (BrokerErrorType::NoService, false, false),
        ];
        for (error, again, useless) in failures {
            rows.push((RequestError::Unreachable(error.clone()), again, useless));
            rows.push((RequestError::Server(broker(error)), again, useless));
        }
        for (error, again) in [
            (ErrorType::Quota, true),
            (ErrorType::Store("full".into()), true),
            (ErrorType::Internal, true),
            (ErrorType::Block, false),
            (ErrorType::Session, false),
            (ErrorType::Command(CommandError::Syntax), false),
            (auth.clone(), false),
            (ErrorType::Blocked(blocking), false),
            (ErrorType::Service, false),
            (ErrorType::Crypto, false),
            (ErrorType::Expired, false),
            (ErrorType::NoMessage, false),
            (ErrorType::LargeMessage, false),
            (ErrorType::Duplicate, false),
            (ErrorType::Name(NameError::NotFound), false),
            (proxy(ProxyError::NoSession), true),
            (proxy(ProxyError::BasicAuth), false),
            (proxy(ProxyError::Protocol(ErrorType::Internal)), true),
            (proxy(ProxyError::Protocol(auth)), false),
        ] {
            rows.push((RequestError::Relay(error.clone()), again, false));
            rows.push((RequestError::Server(error), again, false));
        }
        rows
    }

    #[test]
    fn each_failure_is_tried_again_or_not() {
        for (error, again, useless) in table() {
            assert_eq!((is_temporary(&error), is_useless_proxy(&error)), (again, useless), "{error:?}");
            let at_proxy = RequestError::AtProxy(Box::new(server("proxy.example")), Box::new(error));
            assert_eq!(is_temporary(&at_proxy), again, "{at_proxy:?}");
        }
    }

    #[test]
    fn who_failed_is_told() {
        let words = |error| {
            let error = to_error(server("theirs.example"), error).to_string();
            error.split(' ').map(|word| word.split('@').next_back().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let at_proxy = |error| RequestError::AtProxy(Box::new(server("proxy.example")), Box::new(error));
        let host = || BrokerErrorType::Host;
        for (error, expected) in [
            (RequestError::Server(ErrorType::Auth), "SMP theirs.example AUTH"),
            (RequestError::Relay(ErrorType::Auth), "SMP theirs.example AUTH"),
            (RequestError::Unreachable(host()), "BROKER theirs.example HOST"),
            (RequestError::Timeout, "BROKER theirs.example TIMEOUT"),
            (RequestError::Rejected(Rejection::CorrelationIdInUse), "BROKER theirs.example TIMEOUT"),
            (at_proxy(RequestError::Timeout), "BROKER proxy.example TIMEOUT"),
            (at_proxy(RequestError::Unreachable(host())), "BROKER proxy.example HOST"),
            (at_proxy(RequestError::Server(ErrorType::Internal)), "SMP proxy.example INTERNAL"),
            (
                at_proxy(RequestError::Server(proxy(ProxyError::NoSession))),
                "PROXY proxy.example theirs.example NO_SESSION",
            ),
            (
                at_proxy(RequestError::Server(proxy(ProxyError::Broker(host())))),
                "PROXY proxy.example theirs.example BROKER HOST",
            ),
        ] {
            assert_eq!(words(error).join(" "), expected);
        }
    }
}
