//! Addresses of servers, as bytes and as text.

use core::fmt;
use core::str::FromStr;

use super::codec::{DecodeError, Decoded, Reader, put_list, put_short};
use super::host::{Host, known_onion};
use super::password::Password;
use super::text::{from_base64url, to_base64url};

/// Where a server is and whom to expect there.
///
/// On the wire: one count byte of at least 1, hosts, port as a short string of decimal digits or an empty
/// one, key hash as a short string. The same server may be reached under each of the hosts; they all have the
/// same port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    hosts: Vec<Host>,
    port: Option<u16>,
    key_hash: [u8; 32],
}

impl ServerAddress {
    /// The server at `hosts`, the preferred one first, on `port` or the default port of the protocol, whose
    /// identity certificate (DER) has the SHA-256 `key_hash`.
    ///
    /// # Errors
    /// When there is no host, or more than 255.
    pub fn new(hosts: Vec<Host>, port: Option<u16>, key_hash: [u8; 32]) -> Decoded<Self> {
        if (1..=255).contains(&hosts.len()) { Ok(Self { hosts, port, key_hash }) } else { Err(DecodeError) }
    }

    /// The hosts, at least one.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The port, unless the protocol's default is meant.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// SHA-256 of the server's identity certificate.
    #[must_use]
    pub const fn key_hash(&self) -> &[u8; 32] {
        &self.key_hash
    }

    /// True when both have the same hosts and port. Key hashes may differ: this tells whether two addresses
    /// lead to one place, not whom one may trust there.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.hosts == other.hosts && self.port == other.port
    }

    /// The address with the onion name that [`known_onion`] has for its only host.
    #[must_use]
    pub fn with_known_onion(mut self) -> Self {
        if let [host] = self.hosts.as_slice() {
            self.hosts.extend(known_onion(host));
        }
        self
    }

    /// Reads an address.
    ///
    /// # Errors
    /// When bytes are missing, there is no host, or a part is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let hosts = reader.non_empty(Host::decode)?;
        Self::decode_after_hosts(hosts, reader)
    }

    /// Writes the address.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, &self.hosts, |out, host| host.encode(out));
        self.encode_after_hosts(out);
    }

    /// Reads an address of client version 1, which has one host and no count.
    ///
    /// # Errors
    /// When bytes are missing or a part is malformed.
    pub fn decode_single_host(reader: &mut Reader<'_>) -> Decoded<Self> {
        let host = Host::decode(reader)?;
        Self::decode_after_hosts(vec![host], reader)
    }

    /// Writes the form of client version 1, with the first host alone.
    pub fn encode_single_host(&self, out: &mut Vec<u8>) {
        self.hosts.iter().take(1).for_each(|host| host.encode(out));
        self.encode_after_hosts(out);
    }

    fn decode_after_hosts(hosts: Vec<Host>, reader: &mut Reader<'_>) -> Decoded<Self> {
        let port = core::str::from_utf8(reader.short()?).map_err(|_| DecodeError)?;
        let port = if port.is_empty() { None } else { Some(parse_port(port)?) };
        let key_hash = reader.short()?.try_into().map_err(|_| DecodeError)?;
        Ok(Self { hosts, port, key_hash })
    }

    fn encode_after_hosts(&self, out: &mut Vec<u8>) {
        put_short(out, self.port.map(|port| port.to_string()).unwrap_or_default().as_bytes());
        put_short(out, &self.key_hash);
    }
}

/// Only how many hosts there are: an address tells whom a person talks to.
impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerAddress({} hosts)", self.hosts.len())
    }
}

/// The text of a server address: `smp://<key hash>[:<password>]@<host>[,<host>...][:<port>]`, the hash in
/// base64url.
///
/// `Display` shows the address and the password: it is for the address's owner, never for a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerUri {
    /// The protocol of the server.
    pub scheme: Scheme,
    /// The server.
    pub server: ServerAddress,
    /// What the server asks for before it creates a queue.
    pub password: Option<Password>,
}

/// The protocol that a server speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scheme {
    /// Messages: `smp`.
    Smp,
    /// Files: `xftp`.
    Xftp,
    /// Push notifications: `ntf`.
    Ntf,
}

/// What is wrong with the text of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// It does not start with a known scheme and `://`.
    #[error("an address starts with smp://, xftp:// or ntf://, whichever is meant here")]
    Scheme,
    /// There is no `@`, or what is before it is not a hash.
    #[error("the server's fingerprint before @ must be 32 bytes in base64url with padding")]
    KeyHash,
    /// The password is empty or has characters that are not allowed, or there is one where none belongs.
    #[error("a password is allowed in server addresses only, without spaces or any of @ : /")]
    Password,
    /// A host is missing or malformed.
    #[error("a host must be a name, an IPv4 address, or an IPv6 address in brackets")]
    Host,
    /// The port is not a number from 0 to 65535 without leading zeros.
    #[error("the port must be a number up to 65535")]
    Port,
    /// The sender id is missing or malformed.
    #[error("the queue's sender id after the server must be base64url with padding")]
    SenderId,
    /// The version range is missing or malformed.
    #[error("the parameter v must be a version or a range of versions such as 1-4")]
    Versions,
    /// The key is missing or malformed.
    #[error("the parameter dh must be an X25519 public key in base64url with padding")]
    DhKey,
    /// The mode is not one that is known.
    #[error("the parameter q must be m or c")]
    Mode,
    /// The query is not percent-encoded UTF-8.
    #[error("the parameters must be percent-encoded UTF-8")]
    Query,
}

impl Scheme {
    const ALL: [Self; 3] = [Self::Smp, Self::Xftp, Self::Ntf];

    /// What stands before `://`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smp => "smp",
            Self::Xftp => "xftp",
            Self::Ntf => "ntf",
        }
    }
}

impl FromStr for ServerUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once("://").ok_or(UriError::Scheme)?;
        let scheme =
            Scheme::ALL.into_iter().find(|known| known.as_str() == scheme).ok_or(UriError::Scheme)?;
        let (identity, place) = rest.split_once('@').ok_or(UriError::KeyHash)?;
        let (key_hash, password) = match identity.split_once(':') {
            None => (identity, None),
            Some((_, "")) => return Err(UriError::Password),
            Some((key_hash, text)) => {
                (key_hash, Some(Password::new(text.as_bytes()).map_err(|_| UriError::Password)?))
            }
        };
        let key_hash = from_base64url(key_hash).ok().and_then(|hash| hash.try_into().ok());
        let (hosts, port) = match place.rsplit_once(':') {
            // The last colon may be one of an IPv6 address.
            Some((hosts, port)) if !port.contains(']') => {
                (hosts, Some(parse_port(port).map_err(|_| UriError::Port)?))
            }
            _ => (place, None),
        };
        let hosts = parse_hosts(hosts)?;
        let server = ServerAddress::new(hosts, port, key_hash.ok_or(UriError::KeyHash)?);
        Ok(Self { scheme, server: server.map_err(|_| UriError::Host)?, password })
    }
}

/// Hosts that are separated by commas, at least one.
pub(super) fn parse_hosts(text: &str) -> Result<Vec<Host>, UriError> {
    text.split(',').map(|host| host.parse().map_err(|_| UriError::Host)).collect()
}

/// `hosts` with commas between them.
pub(super) fn join_hosts(hosts: &[Host]) -> String {
    hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(",")
}

/// A port has one text form, so that reading and writing an address gives the same bytes.
pub(super) fn parse_port(text: &str) -> Decoded<u16> {
    let port: u16 = text.parse().map_err(|_| DecodeError)?;
    if port.to_string() == text { Ok(port) } else { Err(DecodeError) }
}

impl fmt::Display for ServerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), to_base64url(&self.server.key_hash))?;
        if let Some(password) = &self.password {
            write!(f, ":{}", password.as_str())?;
        }
        write!(f, "@{}", join_hosts(&self.server.hosts))?;
        self.server.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// An SMP server's address without password; [`ServerUri`] reads all forms.
impl FromStr for ServerAddress {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        match text.parse()? {
            ServerUri { scheme: Scheme::Smp, server, password: None } => Ok(server),
            ServerUri { scheme: Scheme::Smp, .. } => Err(UriError::Password),
            ServerUri { .. } => Err(UriError::Scheme),
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ServerUri { scheme: Scheme::Smp, server: self.clone(), password: None }.fmt(f)
    }
}

#[cfg(test)]
mod tests;
