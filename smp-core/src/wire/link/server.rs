//! The server of a short link.

use super::super::address::{ServerAddress, join_hosts, parse_hosts, parse_port};
use super::super::codec::{DecodeError, Decoded, Reader, put_list, put_short};
use super::super::host::Host;
use super::super::text::{Query, from_base64url_any, to_base64url_unpadded};
use super::LinkError;

/// Where the data of a short link is.
///
/// On the wire as [`ServerAddress`], but that the key hash may be empty: a link to a server that every app knows has
/// one host of it and no more, and is [restored](Self::restored) from the app's list of such servers.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkServer {
    hosts: Vec<Host>,
    port: Option<u16>,
    key_hash: Option<[u8; 32]>,
}

opaque_debug!(LinkServer);

impl LinkServer {
    /// The hosts, at least one.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The server's address; none while the key hash is not known, because it tells whom to trust there.
    #[must_use]
    pub fn address(&self) -> Option<ServerAddress> {
        ServerAddress::new(self.hosts.clone(), self.port, self.key_hash?).ok()
    }

    /// The server by one of its hosts alone, if that is enough to find its whole address among `presets`.
    #[must_use]
    pub fn shortened(&self, presets: &[ServerAddress]) -> Self {
        let found = preset_of(self.hosts.first(), presets).filter(|preset| {
            preset.port() == self.port
                && Some(*preset.key_hash()) == self.key_hash
                && self.hosts.iter().all(|host| preset.hosts().contains(host))
        });
        match found {
            Some(_) => {
                Self { hosts: self.hosts.iter().take(1).cloned().collect(), port: None, key_hash: None }
            }
            None => self.clone(),
        }
    }

    /// The server with its whole address, when it was shortened and is one of `presets`.
    #[must_use]
    pub fn restored(&self, presets: &[ServerAddress]) -> Self {
        match (self.hosts.as_slice(), self.port, self.key_hash) {
            ([host], None, None) => {
                preset_of(Some(host), presets).map_or_else(|| self.clone(), |preset| preset.clone().into())
            }
            _ => self.clone(),
        }
    }

    /// Reads a server.
    ///
    /// # Errors
    /// When bytes are missing, there is no host, or a part is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let hosts = reader.non_empty(Host::decode)?;
        let port = core::str::from_utf8(reader.short()?).map_err(|_| DecodeError)?;
        let port = if port.is_empty() { None } else { Some(parse_port(port)?) };
        let key_hash = match reader.short()? {
            [] => None,
            hash => Some(hash.try_into().map_err(|_| DecodeError)?),
        };
        Ok(Self { hosts, port, key_hash })
    }

    /// Writes the server.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, &self.hosts, |out, host| host.encode(out));
        put_short(out, self.port.map(|port| port.to_string()).unwrap_or_default().as_bytes());
        put_short(out, self.key_hash.as_ref().map_or(&[], |hash| &hash[..]));
    }

    /// The server of a link whose site is `first` and whose parameters are `query`.
    pub(super) fn from_text(first: Option<Host>, query: &Query) -> Result<Self, LinkError> {
        let others = query.value("h").map(parse_hosts).transpose().map_err(|_| LinkError::Host)?;
        let hosts: Vec<_> = first.into_iter().chain(others.into_iter().flatten()).collect();
        if !(1..=255).contains(&hosts.len()) {
            return Err(LinkError::Host);
        }
        let port = query.value("p").map(parse_port).transpose().map_err(|_| LinkError::Port)?;
        let hash = |text| from_base64url_any(text).ok()?.try_into().ok();
        let key_hash = query.value("c").map(|text| hash(text).ok_or(LinkError::KeyHash)).transpose()?;
        Ok(Self { hosts, port, key_hash })
    }

    /// The parameters of a link that names the first `named` hosts elsewhere.
    pub(super) fn to_query(&self, named: usize) -> Query {
        let mut query = Query::new();
        if let Some(hosts @ [_, ..]) = self.hosts.get(named..) {
            query = query.with("h", join_hosts(hosts));
        }
        if let Some(port) = self.port {
            query = query.with("p", port.to_string());
        }
        if let Some(hash) = &self.key_hash {
            query = query.with("c", to_base64url_unpadded(hash));
        }
        query
    }
}

impl From<ServerAddress> for LinkServer {
    fn from(server: ServerAddress) -> Self {
        Self { hosts: server.hosts().to_vec(), port: server.port(), key_hash: Some(*server.key_hash()) }
    }
}

/// The server among `presets` that a host stands for.
fn preset_of<'a>(host: Option<&Host>, presets: &'a [ServerAddress]) -> Option<&'a ServerAddress> {
    presets.iter().find(|preset| host.is_some_and(|host| preset.hosts().contains(host)))
}
