//! Why a connection failed.

#[cfg(feature = "tls")]
use super::tls::TlsFault;
use super::web_socket::WebSocketFault;
use crate::wire::error::{HandshakeError, TransportError};

/// Why a connection failed. It is over; an alert for the peer may wait in its output.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportFault {
    /// TLS failed. [`TlsFault::Identity`] says that the server is not the one that was asked for.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The client broke the rules of WebSocket.
    #[error(transparent)]
    WebSocket(#[from] WebSocketFault),
    /// The SMP handshake failed: the peer's hello is malformed, or of another session, identity or version, or not
    /// signed by its certificate.
    #[error(transparent)]
    Smp(TransportError),
    /// The server did not accept the service, and said why.
    #[error("the server refused the service: {0}")]
    ServiceRefused(TransportError),
    /// The handshake was not over in time.
    #[error("the handshake took too long")]
    Timeout,
    /// The peer sent a block while it had to wait.
    #[error("a block that was not expected")]
    Unexpected,
    /// The caller sent a block that is too large or before the handshake was over.
    #[error("a block was sent that cannot be")]
    Misuse,
    /// The connection was closed before.
    #[error("the connection is closed")]
    Closed,
}

impl TransportFault {
    pub(super) const PARSE: Self = Self::Smp(TransportError::Handshake(HandshakeError::Parse));
    pub(super) const BAD_AUTH: Self = Self::Smp(TransportError::Handshake(HandshakeError::BadAuth));
    pub(super) const IDENTITY: Self = Self::Smp(TransportError::Handshake(HandshakeError::Identity));

    /// True if the server is not the one that the client was looking for, or the other way round.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        #[cfg(feature = "tls")]
        if *self == Self::Tls(TlsFault::Identity) {
            return true;
        }
        *self == Self::IDENTITY
    }
}
