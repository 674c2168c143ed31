//! The messages that open a connection, each the padded content of one unencrypted block inside TLS.
//!
//! ```text
//! server  versions, session id, [highest version >= 7: certificate chain and signed X25519 key]
//! client  version, key hash, [>= 7: X25519 key or nothing], [>= 14: proxy], [>= 16: service or none]
//! server  only to a service: R and the service's id, or E and the error
//! ```
//!
//! Later versions may append to these messages, so here, and nowhere else, bytes that are left over are
//! ignored.

use core::fmt;

use bytes::Bytes;

use super::chain::CertChainPubKey;
use super::codec::{DecodeError, Decoded, Reader, put_bool, put_optional, put_short};
use super::error::TransportError;
use super::id::{EntityId, SessionId};
use super::key::DhPublicKey;
use super::version::{Version, VersionRange};

/// What a server says first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerHello {
    /// The versions that the server speaks on this connection.
    pub versions: VersionRange,
    /// The channel binding of the TLS connection, which the client compares with its own.
    pub session_id: SessionId,
    /// The server's certificates and its X25519 key for this connection; there if and only if the highest
    /// version is at least [`Version::AUTH_COMMANDS`].
    pub auth: Option<CertChainPubKey>,
}

impl ServerHello {
    /// Reads the content of a block.
    ///
    /// # Errors
    /// When bytes are missing or a part is malformed.
    pub fn decode(content: &Bytes) -> Decoded<Self> {
        let reader = &mut Reader::new(content);
        let versions = VersionRange::decode(reader)?;
        let session_id = SessionId::decode(reader)?;
        let has_key = versions.max() >= Version::AUTH_COMMANDS;
        let auth = if has_key { Some(CertChainPubKey::decode(reader)?) } else { None };
        Ok(Self { versions, session_id, auth })
    }

    /// Writes the content of the block.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.versions.encode(out);
        self.session_id.encode(out);
        if let Some(auth) = &self.auth {
            auth.encode(out);
        }
    }
}

/// What a client answers.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// The version that both are to speak from now on.
    pub version: Version,
    /// SHA-256 of the identity certificate that the client expects the server to have.
    pub key_hash: [u8; 32],
    /// The client's key for block encryption; from [`Version::AUTH_COMMANDS`].
    pub session_key: Option<DhPublicKey>,
    /// True when the client is a server that forwards for others, whose blocks are encrypted by them already;
    /// told from [`Version::PROXY_SERVER`].
    pub proxy_server: bool,
    /// The service that the client is; from [`Version::SERVICES`].
    pub service: Option<ServiceHello>,
}

/// What a client says that is a service: a program that serves many users over one connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceHello {
    /// What it does.
    pub role: ServiceRole,
    /// The certificates that it used in TLS and its Ed25519 key for this connection.
    pub auth: CertChainPubKey,
}

/// What a service does; one letter on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ServiceRole {
    /// `M`: receives messages.
    Messaging,
    /// `N`: receives notifications.
    Notifier,
    /// `P`: forwards commands to other servers.
    Proxy,
}

impl ClientHello {
    /// True when both sides encrypt each block after the handshake.
    #[must_use]
    pub fn encrypts_blocks(&self) -> bool {
        self.version >= Version::ENCRYPTED_BLOCKS && !self.proxy_server && self.session_key.is_some()
    }

    /// Reads the content of a block.
    ///
    /// A client without a key leaves it out with nothing in its place, so whatever follows that is not a key
    /// is read as the next part.
    ///
    /// # Errors
    /// When bytes are missing or a part is malformed.
    pub fn decode(content: &Bytes) -> Decoded<Self> {
        let reader = &mut Reader::new(content);
        let version = Version::decode(reader)?;
        let key_hash = reader.short()?.try_into().map_err(|_| DecodeError)?;
        let session_key =
            if version >= Version::AUTH_COMMANDS { decode_key_or_nothing(reader) } else { None };
        let proxy_server = version >= Version::PROXY_SERVER && reader.bool()?;
        let service =
            if version >= Version::SERVICES { reader.optional(ServiceHello::decode)? } else { None };
        Ok(Self { version, key_hash, session_key, proxy_server, service })
    }

    /// Writes the content of the block, without the parts that the version does not have.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.version.encode(out);
        put_short(out, &self.key_hash);
        if self.version >= Version::AUTH_COMMANDS {
            self.session_key.iter().for_each(|key| key.encode(out));
        }
        if self.version >= Version::PROXY_SERVER {
            put_bool(out, self.proxy_server);
        }
        if self.version >= Version::SERVICES {
            put_optional(out, self.service.as_ref(), |out, service| service.encode(out));
        }
    }
}

/// Without the key hash, which names the server.
impl fmt::Debug for ClientHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHello")
            .field("version", &self.version)
            .field("session_key", &self.session_key)
            .field("proxy_server", &self.proxy_server)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

fn decode_key_or_nothing(reader: &mut Reader<'_>) -> Option<DhPublicKey> {
    let mut ahead = *reader;
    let key = DhPublicKey::decode(&mut ahead).ok()?;
    *reader = ahead;
    Some(key)
}

impl ServiceHello {
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { role: ServiceRole::decode(reader)?, auth: CertChainPubKey::decode(reader)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.role.encode(out);
        self.auth.encode(out);
    }
}

impl ServiceRole {
    /// Reads a role.
    ///
    /// # Errors
    /// For an unknown letter.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match reader.u8()? {
            b'M' => Ok(Self::Messaging),
            b'N' => Ok(Self::Notifier),
            b'P' => Ok(Self::Proxy),
            _ => Err(DecodeError),
        }
    }

    /// Writes the role.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Messaging => b'M',
            Self::Notifier => b'N',
            Self::Proxy => b'P',
        });
    }
}

/// What a server says last to a client that is a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServiceResponse {
    /// The id under which the server knows the service.
    Accepted(EntityId),
    /// Why the connection will be closed.
    Refused(TransportError),
}

impl ServiceResponse {
    /// Reads the content of a block.
    ///
    /// # Errors
    /// When bytes are missing or a part is malformed.
    pub fn decode(content: &Bytes) -> Decoded<Self> {
        let reader = &mut Reader::new(content);
        match reader.u8()? {
            b'R' => EntityId::decode(reader).map(Self::Accepted),
            b'E' => TransportError::decode(reader).map(Self::Refused),
            _ => Err(DecodeError),
        }
    }

    /// Writes the content of the block.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Accepted(service_id) => {
                out.push(b'R');
                service_id.encode(out);
            }
            Self::Refused(error) => {
                out.push(b'E');
                error.encode(out);
            }
        }
    }
}

#[cfg(test)]
mod tests;
