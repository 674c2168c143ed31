//! Addresses of queues: what a recipient gives to a sender, as bytes and as text.
//!
//! Versions here are client versions, 1 to 4: 2 brought several hosts, 3 senders who secure the queue, 4 the
//! mode.

use core::fmt;
use core::str::FromStr;

use super::address::{Scheme, ServerAddress, ServerUri, UriError, join_hosts, parse_hosts};
use super::codec::{Decoded, Reader};
use super::id::EntityId;
use super::key::DhPublicKey;
use super::queue_mode::QueueMode;
use super::text::{Query, from_base64url, to_base64url};
use super::version::{Version, VersionRange};

/// Where a queue is and how to send to it.
#[derive(Clone, PartialEq, Eq)]
pub struct QueueAddress {
    /// The server that holds the queue.
    pub server: ServerAddress,
    /// The queue's id for its sender.
    pub sender_id: EntityId,
    /// The recipient's key for the end-to-end encryption of this queue.
    pub dh_key: DhPublicKey,
    /// What the queue is for, when the address tells.
    pub mode: Option<QueueMode>,
}

impl QueueAddress {
    /// True when the address tells that its holder may secure the queue.
    #[must_use]
    pub fn sender_can_secure(&self) -> bool {
        self.mode.is_some_and(QueueMode::sender_can_secure)
    }

    fn decode_after_server(server: ServerAddress, reader: &mut Reader<'_>) -> Decoded<Self> {
        let sender_id = EntityId::decode(reader)?;
        let dh_key = DhPublicKey::decode(reader)?;
        Ok(Self { server, sender_id, dh_key, mode: decode_trailing_mode(reader) })
    }

    fn encode_after_server(&self, out: &mut Vec<u8>) {
        self.sender_id.encode(out);
        self.dh_key.encode(out);
    }
}

/// Says nothing of the queue itself.
impl fmt::Debug for QueueAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueAddress").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// A queue for a sender whose client version is not known yet.
///
/// ```text
/// bytes  range, server, sender id, key, mode
/// text   smp://<key hash>@<hosts>[:<port>]/<sender id>#/?v=1-4&dh=<key>[&q=m|c][&k=s][&srv=<hosts>]
/// ```
///
/// A text that clients of version 1 may read has one host before the `/` and the others in `srv`. `k=s` tells
/// clients below version 4, which do not know `q`, that they may secure the queue. `Display` shows the
/// address: it is for the people who are to use it, never for a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueUri {
    /// The client versions that the recipient speaks.
    pub versions: VersionRange,
    /// The queue.
    pub address: QueueAddress,
}

/// A queue for a sender whose client version is known.
///
/// On the wire: version, server (with one host and no count in version 1), sender id, key, mode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueInfo {
    /// The client version that both sides agreed on.
    pub version: Version,
    /// The queue.
    pub address: QueueAddress,
}

impl QueueUri {
    /// Reads a queue; an address in a list is followed by other bytes, so the mode may be ambiguous, see
    /// [`QueueInfo::decode`].
    ///
    /// # Errors
    /// When bytes are missing or a part is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let versions = VersionRange::decode(reader)?;
        let server = ServerAddress::decode(reader)?;
        Ok(Self { versions, address: QueueAddress::decode_after_server(server, reader)? })
    }

    /// Writes the queue. A mode that the lowest version has no word for is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.versions.encode(out);
        self.address.server.encode(out);
        self.address.encode_after_server(out);
        let can_secure = self.address.sender_can_secure();
        if self.versions.min() >= MODES {
            self.address.mode.into_iter().for_each(|mode| mode.encode(out));
        } else if can_secure && self.versions.max() >= SENDER_SECURES {
            out.push(b'T');
        } else if self.versions.min() >= SENDER_SECURES {
            out.push(b'F');
        }
    }

    /// The queue for a sender who speaks `versions`, at the highest version that both speak.
    #[must_use]
    pub fn agree(&self, versions: VersionRange) -> Option<QueueInfo> {
        let version = self.versions.intersect(versions)?.max();
        Some(QueueInfo { version, address: self.address.clone() })
    }
}

impl QueueInfo {
    /// Reads a queue.
    ///
    /// The mode is optional and nothing tells whether it is there but its letter. A caller that has other
    /// bytes after the queue must know that they cannot start with one of `M C T F`, or takes the same risk
    /// as every other implementation of the protocol.
    ///
    /// # Errors
    /// When bytes are missing or a part is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let version = Version::decode(reader)?;
        let server = if version >= SEVERAL_HOSTS {
            ServerAddress::decode(reader)?
        } else {
            ServerAddress::decode_single_host(reader)?.with_known_onion()
        };
        Ok(Self { version, address: QueueAddress::decode_after_server(server, reader)? })
    }

    /// Writes the queue. A mode that the version has no word for is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.version.encode(out);
        if self.version >= SEVERAL_HOSTS {
            self.address.server.encode(out);
        } else {
            self.address.server.encode_single_host(out);
        }
        self.address.encode_after_server(out);
        if self.version >= MODES {
            self.address.mode.into_iter().for_each(|mode| mode.encode(out));
        } else if self.version >= SENDER_SECURES && self.address.sender_can_secure() {
            out.push(b'T');
        }
    }
}

/// The mode in either of its two forms, if the next byte is one; else nothing is consumed.
fn decode_trailing_mode(reader: &mut Reader<'_>) -> Option<QueueMode> {
    let mut ahead = *reader;
    let mode = match ahead.u8().ok()? {
        b'M' | b'T' => QueueMode::Messaging,
        b'C' | b'F' => QueueMode::Contact,
        _ => return None,
    };
    *reader = ahead;
    Some(mode)
}

/// Reads parameters in any order, ignores unknown ones, and reads the form of the first release, `#<key>`
/// without parameters, as version 1.
impl FromStr for QueueUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (place, fragment) = text.split_once('#').ok_or(UriError::DhKey)?;
        // The first two slashes are those of `smp://`.
        let (slash, _) = place.match_indices('/').nth(2).ok_or(UriError::SenderId)?;
        let (server, sender_id) = place.split_at(slash);
        let server: ServerAddress = server.parse()?;
        let sender_id = parse_sender_id(sender_id)?;
        let Some((key, query)) = fragment.split_once('?') else {
            let dh_key = parse_dh_key(fragment)?;
            let address = QueueAddress { server: server.with_known_onion(), sender_id, dh_key, mode: None };
            return Ok(Self { versions: VersionRange::only(Version(1)), address });
        };
        let query = Query::parse(query).map_err(|_| UriError::Query)?;
        let versions: VersionRange =
            query.value("v").and_then(|text| text.parse().ok()).ok_or(UriError::Versions)?;
        let dh_key = match key.strip_suffix('/').unwrap_or(key) {
            "" => parse_dh_key(query.value("dh").ok_or(UriError::DhKey)?)?,
            key => parse_dh_key(key)?,
        };
        let server = with_more_hosts(server, &query)?;
        let server = if versions.max() < SEVERAL_HOSTS { server.with_known_onion() } else { server };
        Ok(Self { versions, address: QueueAddress { server, sender_id, dh_key, mode: parse_mode(&query)? } })
    }
}

/// `/<sender id>`, optionally with one more `/`.
fn parse_sender_id(text: &str) -> Result<EntityId, UriError> {
    let text = text.strip_prefix('/').ok_or(UriError::SenderId)?;
    let bytes = from_base64url(text.strip_suffix('/').unwrap_or(text)).map_err(|_| UriError::SenderId)?;
    if bytes.is_empty() {
        Err(UriError::SenderId)
    } else {
        EntityId::new(&bytes).map_err(|_| UriError::SenderId)
    }
}

fn parse_dh_key(text: &str) -> Result<DhPublicKey, UriError> {
    from_base64url(text).and_then(|der| DhPublicKey::from_der(&der)).map_err(|_| UriError::DhKey)
}

fn parse_mode(query: &Query) -> Result<Option<QueueMode>, UriError> {
    match query.value("q") {
        Some("m") => Ok(Some(QueueMode::Messaging)),
        Some("c") => Ok(Some(QueueMode::Contact)),
        Some(_) => Err(UriError::Mode),
        None => Ok((query.value("k") == Some("s")).then_some(QueueMode::Messaging)),
    }
}

/// `server` with the hosts of the parameter `srv` after its own.
fn with_more_hosts(server: ServerAddress, query: &Query) -> Result<ServerAddress, UriError> {
    let Some(text) = query.value("srv") else { return Ok(server) };
    let hosts = [server.hosts(), &parse_hosts(text)?].concat();
    ServerAddress::new(hosts, server.port(), *server.key_hash()).map_err(|_| UriError::Host)
}

impl fmt::Display for QueueUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let QueueAddress { server, sender_id, dh_key, mode } = &self.address;
        let shown_hosts = if self.versions.min() < SEVERAL_HOSTS { 1 } else { server.hosts().len() };
        let others = server.hosts().get(shown_hosts..).unwrap_or_default();
        let shown = server.hosts().iter().take(shown_hosts).cloned().collect();
        let mut query =
            Query::new().with("v", self.versions.to_string()).with("dh", to_base64url(&dh_key.to_der()));
        if let Some(mode) = mode {
            query = query.with(
                "q",
                match mode {
                    QueueMode::Messaging => "m",
                    QueueMode::Contact => "c",
                },
            );
        }
        if self.address.sender_can_secure() && self.versions.min() < MODES {
            query = query.with("k", "s");
        }
        if !others.is_empty() {
            query = query.with("srv", join_hosts(others));
        }
        let server = ServerAddress::new(shown, server.port(), *server.key_hash());
        let server = server.map_err(|_| fmt::Error)?;
        let server = ServerUri { scheme: Scheme::Smp, server, password: None };
        write!(f, "{server}/{}#/?{query}", to_base64url(sender_id.as_bytes()))
    }
}

/// The client version that brought several hosts of a server.
const SEVERAL_HOSTS: Version = Version(2);
/// The client version that brought senders who secure a queue.
const SENDER_SECURES: Version = Version(3);
/// The client version that brought queue modes.
const MODES: Version = Version(4);

#[cfg(test)]
mod tests;
