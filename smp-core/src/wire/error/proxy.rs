//! The errors of a proxy and of its connections to relays.

use super::super::codec::{DecodeError, Decoded, Reader};
use super::super::version::Version;
use super::{BLOCK, ErrorText, ErrorType, LARGE_MSG, NESTING_MAX, SESSION, put_argument};

/// Why a proxy did not forward a command.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProxyError {
    /// The relay answered with an error.
    #[error("relay: {0}")]
    Protocol(ErrorType),
    /// The relay could not be used.
    #[error("relay connection: {0}")]
    Broker(BrokerErrorType),
    /// The proxy's password is wrong or missing.
    #[error("password")]
    BasicAuth,
    /// There is no such session with a relay (any more).
    #[error("no session")]
    NoSession,
}

impl ProxyError {
    /// Reads an error.
    ///
    /// # Errors
    /// For an unknown word or malformed arguments.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Self::decode_nested(reader, NESTING_MAX)
    }

    pub(super) fn decode_nested(reader: &mut Reader<'_>, depth: u8) -> Decoded<Self> {
        Ok(match reader.word() {
            PROTOCOL => Self::Protocol(reader.after_space(|r| ErrorType::decode_nested(r, depth))?),
            BROKER => Self::Broker(reader.after_space(BrokerErrorType::decode)?),
            BASIC_AUTH => Self::BasicAuth,
            NO_SESSION => Self::NoSession,
            _ => return Err(DecodeError),
        })
    }

    /// Writes the error as a peer of `version` understands it.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        match self {
            Self::Protocol(error) => put_argument(out, PROTOCOL, |out| error.encode(version, out)),
            Self::Broker(error) => put_argument(out, BROKER, |out| error.encode(out)),
            Self::BasicAuth => out.extend_from_slice(BASIC_AUTH),
            Self::NoSession => out.extend_from_slice(NO_SESSION),
        }
    }
}

/// How the connection to a server failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BrokerErrorType {
    /// Its answer could not be read.
    #[error("response: {0}")]
    Response(ErrorText),
    /// Its answer does not fit the command.
    #[error("unexpected response: {0}")]
    Unexpected(ErrorText),
    /// The transport refused it.
    #[error("transport: {0}")]
    Transport(TransportError),
    /// The network failed. Only the word is sent, a detail is read.
    #[error("network: {0}")]
    Network(NetworkError),
    /// No answer in time.
    #[error("timeout")]
    Timeout,
    /// None of its addresses may be used.
    #[error("host")]
    Host,
    /// It does not know the service.
    #[error("no service")]
    NoService,
}

impl BrokerErrorType {
    /// Reads an error.
    ///
    /// # Errors
    /// For an unknown word or malformed arguments.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(match reader.word() {
            RESPONSE => Self::Response(reader.after_space(ErrorText::decode)?),
            UNEXPECTED => Self::Unexpected(reader.after_space(ErrorText::decode)?),
            TRANSPORT => Self::Transport(reader.after_space(TransportError::decode)?),
            NETWORK if reader.is_empty() => Self::Network(NetworkError::Failed),
            NETWORK => Self::Network(reader.after_space(NetworkError::decode)?),
            TIMEOUT => Self::Timeout,
            HOST => Self::Host,
            NO_SERVICE => Self::NoService,
            _ => return Err(DecodeError),
        })
    }

    /// Writes the error.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Response(text) => put_argument(out, RESPONSE, |out| text.encode(out)),
            Self::Unexpected(text) => put_argument(out, UNEXPECTED, |out| text.encode(out)),
            Self::Transport(error) => put_argument(out, TRANSPORT, |out| error.encode(out)),
            Self::Network(_) => out.extend_from_slice(NETWORK),
            Self::Timeout => out.extend_from_slice(TIMEOUT),
            Self::Host => out.extend_from_slice(HOST),
            Self::NoService => out.extend_from_slice(NO_SERVICE),
        }
    }
}

/// How a network failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NetworkError {
    /// No connection.
    #[error("connect: {0}")]
    Connect(ErrorText),
    /// TLS failed.
    #[error("TLS: {0}")]
    Tls(ErrorText),
    /// The fingerprint of the server's certificate is not that of its address.
    #[error("unknown certificate authority")]
    UnknownCa,
    /// Anything else.
    #[error("failed")]
    Failed,
    /// No connection in time.
    #[error("timeout")]
    Timeout,
    /// Subscribing failed.
    #[error("subscribe: {0}")]
    Subscribe(ErrorText),
}

impl NetworkError {
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(match reader.word() {
            b"CONNECT" => Self::Connect(reader.after_space(ErrorText::decode)?),
            b"TLS" => Self::Tls(reader.after_space(ErrorText::decode)?),
            b"UNKNOWNCA" => Self::UnknownCa,
            b"FAILED" => Self::Failed,
            b"TIMEOUT" => Self::Timeout,
            b"SUBSCRIBE" => Self::Subscribe(reader.after_space(ErrorText::decode)?),
            _ => return Err(DecodeError),
        })
    }
}

/// Why a connection was refused below the level of commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TransportError {
    /// A block could not be read.
    #[error("malformed block")]
    Block,
    /// There is no common version.
    #[error("version")]
    Version,
    /// Something does not fit into a block.
    #[error("message too large")]
    LargeMessage,
    /// The session id is not the connection's.
    #[error("wrong session")]
    Session,
    /// The server has no key to make authenticators with.
    #[error("no server key")]
    NoServerAuth,
    /// The handshake failed.
    #[error("handshake: {0}")]
    Handshake(HandshakeError),
}

impl TransportError {
    /// Reads an error.
    ///
    /// # Errors
    /// For an unknown word or malformed arguments.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(match reader.word() {
            BLOCK => Self::Block,
            VERSION => Self::Version,
            LARGE_MSG => Self::LargeMessage,
            SESSION => Self::Session,
            NO_AUTH => Self::NoServerAuth,
            HANDSHAKE => Self::Handshake(reader.after_space(HandshakeError::decode)?),
            _ => return Err(DecodeError),
        })
    }

    /// Writes the error.
    pub fn encode(self, out: &mut Vec<u8>) {
        match self {
            Self::Block => out.extend_from_slice(BLOCK),
            Self::Version => out.extend_from_slice(VERSION),
            Self::LargeMessage => out.extend_from_slice(LARGE_MSG),
            Self::Session => out.extend_from_slice(SESSION),
            Self::NoServerAuth => out.extend_from_slice(NO_AUTH),
            Self::Handshake(error) => put_argument(out, HANDSHAKE, |out| out.extend_from_slice(error.word())),
        }
    }
}

/// How a handshake failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HandshakeError {
    /// A hello could not be read.
    #[error("malformed")]
    Parse,
    /// The key hash is not that of the server.
    #[error("identity")]
    Identity,
    /// A session key is not signed by the certificate.
    #[error("signature")]
    BadAuth,
    /// The service is not accepted.
    #[error("service")]
    BadService,
}

impl HandshakeError {
    const ALL: [Self; 4] = [Self::Parse, Self::Identity, Self::BadAuth, Self::BadService];

    const fn word(self) -> &'static [u8] {
        match self {
            Self::Parse => b"PARSE",
            Self::Identity => b"IDENTITY",
            Self::BadAuth => b"BAD_AUTH",
            Self::BadService => b"BAD_SERVICE",
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let word = reader.word();
        Self::ALL.into_iter().find(|error| error.word() == word).ok_or(DecodeError)
    }
}

const PROTOCOL: &[u8] = b"PROTOCOL";
const BROKER: &[u8] = b"BROKER";
const BASIC_AUTH: &[u8] = b"BASIC_AUTH";
const NO_SESSION: &[u8] = b"NO_SESSION";
const RESPONSE: &[u8] = b"RESPONSE";
const UNEXPECTED: &[u8] = b"UNEXPECTED";
const TRANSPORT: &[u8] = b"TRANSPORT";
const NETWORK: &[u8] = b"NETWORK";
const TIMEOUT: &[u8] = b"TIMEOUT";
const HOST: &[u8] = b"HOST";
const NO_SERVICE: &[u8] = b"NO_SERVICE";
const VERSION: &[u8] = b"VERSION";
const NO_AUTH: &[u8] = b"NO_AUTH";
const HANDSHAKE: &[u8] = b"HANDSHAKE";
