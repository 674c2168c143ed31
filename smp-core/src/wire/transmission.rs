//! Transmissions: a command or a message with what joins it to its queue, its answer and its connection.
//!
//! ```text
//! client:     authorization, [from version 16, if it is not empty: optional service signature], rest
//! server:     0 (an empty authorization), rest
//! rest:       [before version 7: session id], correlation id, entity id, command or message up to the end
//! authorised: session id, correlation id, entity id, command
//! ```
//!
//! Authorization, signature and ids are short strings. Commands and messages have their own codecs.

use core::fmt;

use bytes::Bytes;

use super::codec::{Decoded, Reader, put_optional, put_short};
use super::error::ErrorType;
use super::id::{CorrelationId, EntityId, SessionId};
use super::key::AuthPublicKey;
use super::version::Version;

/// A transmission of a client, with its command still as bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientTransmission {
    /// Proves the right to the command.
    pub authorization: Authorization,
    /// The second signature of a service, from version 16.
    pub service_signature: Option<ServiceSignature>,
    /// Joins the command and its answer.
    pub correlation_id: CorrelationId,
    /// What the command is about.
    pub entity_id: EntityId,
    /// For [`super::Command::decode`].
    pub command: Bytes,
}

opaque_debug!(ClientTransmission);

impl ClientTransmission {
    /// Reads one item of a batch that a client of `version` sent in the session.
    ///
    /// # Errors
    /// Which error to answer with, and under which correlation id.
    pub fn decode(version: Version, session: &SessionId, item: &Bytes) -> Result<Self, TransmissionError> {
        let raw = RawTransmission::decode(version, item).map_err(|_| TransmissionError::Malformed)?;
        if raw.session_id.is_some_and(|id| id != *session) {
            return Err(TransmissionError::Session(raw.correlation_id));
        }
        let Some(authorization) = Authorization::from_bytes(raw.authorization) else {
            return Err(TransmissionError::Authorization(raw.correlation_id));
        };
        Ok(Self {
            authorization,
            service_signature: raw.service_signature,
            correlation_id: raw.correlation_id,
            entity_id: raw.entity_id,
            command: raw.content,
        })
    }

    /// Writes the transmission as a client of `version` sends it in the session.
    pub fn encode(&self, version: Version, session: &SessionId, out: &mut Vec<u8>) {
        put_short(out, self.authorization.as_bytes());
        if version >= Version::SERVICES && self.authorization != Authorization::None {
            let signature = self.service_signature.as_ref();
            put_optional(out, signature, |out, signature| put_short(out, &signature.0));
        }
        put_rest(out, version, session, &self.correlation_id, &self.entity_id, &self.command);
    }

    /// What the authorization must authorise, in this session.
    #[must_use]
    pub fn authorized_bytes(&self, session: &SessionId) -> Vec<u8> {
        authorized_bytes(session, &self.correlation_id, &self.entity_id, &self.command)
    }
}

/// A transmission of a server, with its message still as bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerTransmission {
    /// That of the command; empty for an event.
    pub correlation_id: CorrelationId,
    /// What the message is about.
    pub entity_id: EntityId,
    /// For [`super::BrokerMessage::decode`].
    pub message: Bytes,
}

opaque_debug!(ServerTransmission);

impl ServerTransmission {
    /// Reads one item of a batch that a server sent to a client of `version` in the session.
    ///
    /// # Errors
    /// When it is malformed, authorised, or of another session.
    pub fn decode(version: Version, session: &SessionId, item: &Bytes) -> Result<Self, TransmissionError> {
        let raw = RawTransmission::decode(version, item).map_err(|_| TransmissionError::Malformed)?;
        if raw.session_id.is_some_and(|id| id != *session) {
            return Err(TransmissionError::Session(raw.correlation_id));
        }
        if !raw.authorization.is_empty() {
            return Err(TransmissionError::Authorization(raw.correlation_id));
        }
        Ok(Self { correlation_id: raw.correlation_id, entity_id: raw.entity_id, message: raw.content })
    }

    /// Writes the transmission as a server sends it to a client of `version` in the session.
    pub fn encode(&self, version: Version, session: &SessionId, out: &mut Vec<u8>) {
        put_short(out, b"");
        put_rest(out, version, session, &self.correlation_id, &self.entity_id, &self.message);
    }
}

/// The bytes that a signature or an authenticator of a command is made over: short strings of the session,
/// correlation and entity ids, then the command. The session id is among them also where it is not sent.
#[must_use]
pub fn authorized_bytes(
    session: &SessionId,
    correlation_id: &CorrelationId,
    entity_id: &EntityId,
    command: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + command.len());
    session.encode(&mut out);
    put_rest(&mut out, Version::AUTH_COMMANDS, session, correlation_id, entity_id, command);
    out
}

/// Proves the right to a command. The number of bytes tells which it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// 0 bytes.
    None,
    /// 64 bytes: a signature (RFC 8032).
    Ed25519([u8; 64]),
    /// 114 bytes: a signature (RFC 8032).
    Ed448(Box<[u8; 114]>),
    /// 80 bytes: the SHA-512 of the authorised bytes in a crypto box, which the server could have made as
    /// well and so can show to nobody as proof.
    Authenticator([u8; 80]),
}

impl Authorization {
    /// The authorization of these bytes, if their number is that of one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.len() {
            0 => Some(Self::None),
            64 => bytes.try_into().ok().map(Self::Ed25519),
            80 => bytes.try_into().ok().map(Self::Authenticator),
            114 => bytes.try_into().ok().map(|bytes| Self::Ed448(Box::new(bytes))),
            _ => None,
        }
    }

    /// The bytes as they are sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Ed25519(bytes) => bytes,
            Self::Ed448(bytes) => &bytes[..],
            Self::Authenticator(bytes) => bytes,
        }
    }

    /// True if this is how the owner of `key` authorises.
    #[must_use]
    pub const fn is_of(&self, key: &AuthPublicKey) -> bool {
        matches!(
            (self, key),
            (Self::Ed25519(_), AuthPublicKey::Ed25519(_))
                | (Self::Ed448(_), AuthPublicKey::Ed448(_))
                | (Self::Authenticator(_), AuthPublicKey::X25519(_))
        )
    }

    /// True unless there is none.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }
}

/// Only the kind.
impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Ed25519(_) => "Ed25519",
            Self::Ed448(_) => "Ed448",
            Self::Authenticator(_) => "Authenticator",
        })
    }
}

/// An Ed25519 signature by the session key of a service, over the authorised bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServiceSignature(pub [u8; 64]);

opaque_debug!(ServiceSignature);

/// Why a transmission is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransmissionError {
    /// It cannot be read: BLOCK, without a correlation id.
    #[error("malformed transmission")]
    Malformed,
    /// Its authorization has a size that none has: BLOCK.
    #[error("authorization of unknown kind")]
    Authorization(CorrelationId),
    /// Its session id is another's: SESSION.
    #[error("wrong session")]
    Session(CorrelationId),
}

impl TransmissionError {
    /// What a server answers, without an entity id.
    #[must_use]
    pub fn into_answer(self) -> (CorrelationId, ErrorType) {
        match self {
            Self::Malformed => (CorrelationId::empty(), ErrorType::Block),
            Self::Authorization(id) => (id, ErrorType::Block),
            Self::Session(id) => (id, ErrorType::Session),
        }
    }
}

struct RawTransmission<'a> {
    authorization: &'a [u8],
    service_signature: Option<ServiceSignature>,
    session_id: Option<SessionId>,
    correlation_id: CorrelationId,
    entity_id: EntityId,
    content: Bytes,
}

impl<'a> RawTransmission<'a> {
    fn decode(version: Version, item: &'a Bytes) -> Decoded<Self> {
        let mut reader = Reader::new(item);
        let authorization = reader.short()?;
        let has_service_signature = version >= Version::SERVICES && !authorization.is_empty();
        Ok(Self {
            authorization,
            service_signature: if has_service_signature {
                reader.optional(|r| r.tag(&[64]).and_then(|()| r.array().map(ServiceSignature)))?
            } else {
                None
            },
            session_id: if version < Version::AUTH_COMMANDS {
                Some(SessionId::decode(&mut reader)?)
            } else {
                None
            },
            correlation_id: CorrelationId::decode(&mut reader)?,
            entity_id: EntityId::decode(&mut reader)?,
            content: reader.tail(),
        })
    }
}

fn put_rest(
    out: &mut Vec<u8>,
    version: Version,
    session: &SessionId,
    correlation_id: &CorrelationId,
    entity_id: &EntityId,
    content: &[u8],
) {
    if version < Version::AUTH_COMMANDS {
        session.encode(out);
    }
    correlation_id.encode(out);
    entity_id.encode(out);
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests;
