//! Why a TLS connection failed.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// Why a TLS connection failed. The connection is over; the alert for the peer waits in its output.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// The server is not the one that the address names: its identity certificate has another fingerprint.
    #[error("the server's identity is not the expected one")]
    Identity,
    /// The peer's certificates are expired, malformed or no chain.
    #[error("the certificates of the peer: {0}")]
    Certificate(String),
    /// The peer offers application protocols of which we know none.
    #[error("no common application protocol")]
    Alpn,
    /// The peer ended the connection with this alert (RFC 8446 section 6).
    #[error("the peer sent TLS alert {0}")]
    Alert(u8),
    /// The peer broke the protocol, or has no suite, group or version in common with us.
    #[error("TLS: {0}")]
    Protocol(String),
    /// A record or handshake message larger than any that SMP needs.
    #[error("TLS message too large")]
    TooLarge,
    /// The handshake ended without the Finished message that names the session.
    #[error("TLS did not give a session identifier")]
    NoSessionId,
}

impl TlsFault {
    /// The alert by which a client tells a server that its identity is not the expected one.
    pub const UNKNOWN_CA: Self = Self::Alert(48);

    /// Not `From`: what TLS is made of is no part of the interface.
    pub(super) fn of(error: Error) -> Self {
        match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => Self::Identity,
            Error::InvalidCertificate(error) => Self::Certificate(error.to_string()),
            Error::NoApplicationProtocol => Self::Alpn,
            Error::AlertReceived(AlertDescription::NoApplicationProtocol) => Self::Alpn,
            Error::AlertReceived(alert) => Self::Alert(alert.into()),
            Error::PeerSentOversizedRecord | Error::InvalidMessage(InvalidMessage::MessageTooLarge) => {
                Self::TooLarge
            }
            other => Self::Protocol(other.to_string()),
        }
    }
}
