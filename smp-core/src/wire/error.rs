//! The errors that servers answer with: words of text, `ERR CMD SYNTAX`, arguments after one space.
//!
//! A decoder of these types reads an error that ends the message; an unknown word makes the message
//! unreadable.

mod blocking;
mod proxy;

pub use blocking::{BlockingInfo, BlockingReason, Notice};
pub use proxy::{BrokerErrorType, HandshakeError, NetworkError, ProxyError, TransportError};

use super::codec::{DecodeError, Decoded, Reader, put_after_space, put_short};
use super::version::Version;

/// What a server answers instead of a result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ErrorType {
    /// A block or a transmission could not be read.
    #[error("malformed block")]
    Block,
    /// The session id of a transmission is not the connection's (before version 7).
    #[error("wrong session")]
    Session,
    /// The command is malformed or not allowed.
    #[error("command: {0}")]
    Command(#[from] CommandError),
    /// A proxy could not forward.
    #[error("proxy: {0}")]
    Proxy(Box<ProxyError>),
    /// No such queue, or no right to do this with it; on purpose the same for both.
    #[error("not authorised")]
    Auth,
    /// The queue was blocked by the operator. Sent as [`Self::Auth`] before version 12.
    #[error("blocked: {0}")]
    Blocked(BlockingInfo),
    /// The signature or the role of a service is wrong.
    #[error("service")]
    Service,
    /// Decryption failed.
    #[error("cryptography")]
    Crypto,
    /// The queue is full.
    #[error("queue is full")]
    Quota,
    /// The store failed.
    #[error("store: {0}")]
    Store(String),
    /// What was asked for has expired.
    #[error("expired")]
    Expired,
    /// There is no such message to acknowledge.
    #[error("no message")]
    NoMessage,
    /// The message is longer than the version allows.
    #[error("message too large")]
    LargeMessage,
    /// The server failed.
    #[error("internal")]
    Internal,
    /// An id is taken. Servers keep this to themselves, but clients read it.
    #[error("duplicate")]
    Duplicate,
    /// A name was not resolved (version 20).
    #[error("name: {0}")]
    Name(NameError),
}

impl ErrorType {
    /// Reads an error.
    ///
    /// # Errors
    /// For an unknown word or malformed arguments.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Self::decode_nested(reader, NESTING_MAX)
    }

    fn decode_nested(reader: &mut Reader<'_>, depth: u8) -> Decoded<Self> {
        let depth = depth.checked_sub(1).ok_or(DecodeError)?;
        Ok(match reader.word() {
            BLOCK => Self::Block,
            SESSION => Self::Session,
            CMD => Self::Command(reader.after_space(CommandError::decode)?),
            PROXY => Self::Proxy(Box::new(reader.after_space(|r| ProxyError::decode_nested(r, depth))?)),
            AUTH => Self::Auth,
            BLOCKED => Self::Blocked(reader.after_space(BlockingInfo::decode)?),
            SERVICE => Self::Service,
            CRYPTO => Self::Crypto,
            QUOTA => Self::Quota,
            STORE => Self::Store(reader.after_space(text)?),
            EXPIRED => Self::Expired,
            NO_MSG => Self::NoMessage,
            LARGE_MSG => Self::LargeMessage,
            INTERNAL => Self::Internal,
            DUPLICATE => Self::Duplicate,
            NAME => Self::Name(reader.after_space(NameError::decode)?),
            _ => return Err(DecodeError),
        })
    }

    /// Writes the error as a peer of `version` understands it.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        match self {
            Self::Block => out.extend_from_slice(BLOCK),
            Self::Session => out.extend_from_slice(SESSION),
            Self::Command(error) => put_argument(out, CMD, |out| error.encode(out)),
            Self::Proxy(error) => put_argument(out, PROXY, |out| error.encode(version, out)),
            Self::Auth => out.extend_from_slice(AUTH),
            Self::Blocked(_) if version < Version::BLOCKED => out.extend_from_slice(AUTH),
            Self::Blocked(info) => put_argument(out, BLOCKED, |out| info.encode(version, out)),
            Self::Service => out.extend_from_slice(SERVICE),
            Self::Crypto => out.extend_from_slice(CRYPTO),
            Self::Quota => out.extend_from_slice(QUOTA),
            Self::Store(text) => put_argument(out, STORE, |out| out.extend_from_slice(text.as_bytes())),
            Self::Expired => out.extend_from_slice(EXPIRED),
            Self::NoMessage => out.extend_from_slice(NO_MSG),
            Self::LargeMessage => out.extend_from_slice(LARGE_MSG),
            Self::Internal => out.extend_from_slice(INTERNAL),
            Self::Duplicate => out.extend_from_slice(DUPLICATE),
            Self::Name(error) => put_argument(out, NAME, |out| error.encode(out)),
        }
    }
}

/// What is wrong with a command, or with the message of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandError {
    /// No such command.
    #[error("unknown command")]
    Unknown,
    /// Malformed or surplus parameters.
    #[error("syntax")]
    Syntax,
    /// Not allowed here or now.
    #[error("prohibited")]
    Prohibited,
    /// Needs an authorisation and an entity id.
    #[error("no authorisation")]
    NoAuth,
    /// Must have no authorisation or no entity id.
    #[error("must not be authorised")]
    HasAuth,
    /// Needs an entity id.
    #[error("no entity id")]
    NoEntity,
}

impl CommandError {
    const ALL: [Self; 6] =
        [Self::Unknown, Self::Syntax, Self::Prohibited, Self::NoAuth, Self::HasAuth, Self::NoEntity];

    const fn word(self) -> &'static [u8] {
        match self {
            Self::Unknown => b"UNKNOWN",
            Self::Syntax => b"SYNTAX",
            Self::Prohibited => b"PROHIBITED",
            Self::NoAuth => b"NO_AUTH",
            Self::HasAuth => b"HAS_AUTH",
            Self::NoEntity => b"NO_ENTITY",
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match reader.word() {
            // The name of this error in older servers.
            b"NO_QUEUE" => Ok(Self::NoEntity),
            word => Self::ALL.into_iter().find(|error| error.word() == word).ok_or(DecodeError),
        }
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.word());
    }
}

/// Why a name was not resolved.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// The server does not resolve names.
    #[error("no resolver")]
    NoResolver,
    /// The name is not registered.
    #[error("not found")]
    NotFound,
    /// The resolver failed.
    #[error("resolver: {0}")]
    Resolver(String),
}

impl NameError {
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(match reader.word() {
            NO_RESOLVER => Self::NoResolver,
            NOT_FOUND => Self::NotFound,
            RESOLVER => Self::Resolver(reader.after_space(text)?),
            _ => return Err(DecodeError),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::NoResolver => out.extend_from_slice(NO_RESOLVER),
            Self::NotFound => out.extend_from_slice(NOT_FOUND),
            Self::Resolver(text) => put_argument(out, RESOLVER, |out| out.extend_from_slice(text.as_bytes())),
        }
    }
}

/// Text in the arguments of an error: at most 255 bytes, sent as a short string.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ErrorText(String);

impl ErrorText {
    /// The text, cut to 255 bytes at the end of a character.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        while text.len() > 255 {
            text.pop();
        }
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        reader.short().map(|bytes| Self::new(String::from_utf8_lossy(bytes)))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_short(out, self.0.as_bytes());
    }
}

impl core::fmt::Display for ErrorText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// How deep errors may be nested through `PROXY PROTOCOL`: a proxy that asks a proxy is already one too many,
/// and the bytes of a peer must not decide how deep we recurse.
const NESTING_MAX: u8 = 4;

const BLOCK: &[u8] = b"BLOCK";
const SESSION: &[u8] = b"SESSION";
const CMD: &[u8] = b"CMD";
const PROXY: &[u8] = b"PROXY";
const AUTH: &[u8] = b"AUTH";
const BLOCKED: &[u8] = b"BLOCKED";
const SERVICE: &[u8] = b"SERVICE";
const CRYPTO: &[u8] = b"CRYPTO";
const QUOTA: &[u8] = b"QUOTA";
const STORE: &[u8] = b"STORE";
const EXPIRED: &[u8] = b"EXPIRED";
const NO_MSG: &[u8] = b"NO_MSG";
const LARGE_MSG: &[u8] = b"LARGE_MSG";
const INTERNAL: &[u8] = b"INTERNAL";
const DUPLICATE: &[u8] = b"DUPLICATE_";
const NAME: &[u8] = b"NAME";
const NO_RESOLVER: &[u8] = b"NO_RESOLVER";
const NOT_FOUND: &[u8] = b"NOT_FOUND";
const RESOLVER: &[u8] = b"RESOLVER";

fn put_argument(out: &mut Vec<u8>, word: &[u8], put: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(word);
    put_after_space(out, put);
}

/// The rest as text. It is only shown to people, so bytes that are not UTF-8 do not matter.
fn text(reader: &mut Reader<'_>) -> Decoded<String> {
    Ok(String::from_utf8_lossy(&reader.tail()).into_owned())
}

#[cfg(test)]
mod tests;
