//! Why there is no session, in the words that agents tell their users.

use smp_core::client::CloseReason;
use smp_core::transport::TransportFault;
use smp_core::wire::error::{BrokerErrorType, ErrorText, NetworkError};

use super::{ConnectError, Disconnect};

impl From<ConnectError> for BrokerErrorType {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::OnionOnly | ConnectError::NoHost | ConnectError::PrivateAddress => Self::Host,
            ConnectError::Io(kind) => network(NetworkError::Connect, kind),
            ConnectError::Socks(kind) => network(NetworkError::Connect, format_args!("SOCKS: {kind}")),
            ConnectError::Timeout => Self::Network(NetworkError::Timeout),
            ConnectError::Handshake(how) => how.into(),
            ConnectError::Config(error) => network(NetworkError::Tls, error),
            ConnectError::NoEntropy => Self::Network(NetworkError::Failed),
        }
    }
}

impl From<Disconnect> for BrokerErrorType {
    fn from(how: Disconnect) -> Self {
        match how {
            Disconnect::Closed(CloseReason::Transport(fault)) => of_transport(fault),
            Disconnect::Closed(CloseReason::Stalled | CloseReason::Unresponsive) => Self::Timeout,
            Disconnect::Io(kind) => network(NetworkError::Connect, kind),
            Disconnect::Closed(_) | Disconnect::Cut => Self::Network(NetworkError::Failed),
        }
    }
}

fn of_transport(fault: TransportFault) -> BrokerErrorType {
    match fault {
        fault if fault.is_identity() => BrokerErrorType::Network(NetworkError::UnknownCa),
        TransportFault::Tls(fault) => network(NetworkError::Tls, fault),
        TransportFault::Smp(error) | TransportFault::ServiceRefused(error) => {
            BrokerErrorType::Transport(error)
        }
        TransportFault::Timeout => BrokerErrorType::Network(NetworkError::Timeout),
        _ => BrokerErrorType::Network(NetworkError::Failed),
    }
}

fn network(kind: impl FnOnce(ErrorText) -> NetworkError, detail: impl ToString) -> BrokerErrorType {
    BrokerErrorType::Network(kind(ErrorText::new(detail.to_string())))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use smp_core::transport::tls::TlsFault;
    use smp_core::wire::error::TransportError;

    use super::*;

    fn closed(reason: CloseReason) -> Disconnect {
        Disconnect::Closed(reason)
    }

    fn shaken(fault: TransportFault) -> ConnectError {
        ConnectError::Handshake(closed(CloseReason::Transport(fault)))
    }

    #[test]
    fn each_failure_has_its_word() {
        let words = |error: BrokerErrorType| {
            let mut out = error.to_string();
            out.truncate(40);
            out
        };
        for (error, expected) in [
            (ConnectError::OnionOnly, "host"),
            (ConnectError::NoHost, "host"),
            (ConnectError::PrivateAddress, "host"),
            (ConnectError::Io(ErrorKind::ConnectionRefused), "network: connect: connection refused"),
            (ConnectError::Socks(ErrorKind::TimedOut), "network: connect: SOCKS: timed out"),
            (ConnectError::Timeout, "network: timeout"),
            (ConnectError::NoEntropy, "network: failed"),
            (shaken(TransportFault::Tls(TlsFault::Identity)), "network: unknown certificate authority"),
            (shaken(TransportFault::Smp(TransportError::Version)), "transport: version"),
            (shaken(TransportFault::Timeout), "network: timeout"),
            (ConnectError::Handshake(closed(CloseReason::Unresponsive)), "timeout"),
            (ConnectError::Handshake(closed(CloseReason::ServerClosed)), "network: failed"),
            (ConnectError::Handshake(Disconnect::Cut), "network: failed"),
            (
                ConnectError::Handshake(Disconnect::Io(ErrorKind::ConnectionReset)),
                "network: connect: connection reset",
            ),
        ] {
            assert_eq!(words(error.clone().into()), expected, "{error}");
        }
    }
}
