//! Full links, as bytes and as text.

use core::fmt;
use core::str::FromStr;

use super::super::address::{ServerAddress, UriError};
use super::super::codec::{DecodeError, Decoded, Reader, put_large, put_list, put_optional};
use super::super::host::Host;
use super::super::queue_mode::QueueMode;
use super::super::queue_uri::QueueUri;
use super::super::text::Query;
use super::super::version::{Version, VersionRange};
use super::ratchet::RatchetKeys;
use super::{ConnectionMode, LinkError, LinkText};

/// A full link: all that is needed to connect, in the link itself.
///
/// ```text
/// bytes  I versions, list of queue addresses, optional client data as a large string, ratchet keys
///        C versions, list of queue addresses, optional client data as a large string
/// text   simplex:/invitation#/?v=2-7&smp=<queue>[;<queue>...]&e2e=<ratchet keys>[&data=<client data>]
///        simplex:/contact#/?v=2-7&smp=<queue>[;<queue>...][&data=<client data>]
/// ```
///
/// The text may start with `https://<any site>/` instead of `simplex:/`. `Display` shows the addresses: it is for the
/// people who are to use the link, never for a log.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionRequest {
    /// The versions of the agent protocol that its maker speaks.
    pub versions: VersionRange,
    queues: Vec<QueueUri>,
    client_data: Option<String>,
    /// The maker's keys, in an invitation. A contact address has none: there, who connects sends an invitation.
    pub ratchet: Option<RatchetKeys>,
}

impl ConnectionRequest {
    /// An invitation with the maker's keys, or without them a contact address, to these queues.
    ///
    /// # Errors
    /// When there is no queue or there are more than 255.
    pub fn new(versions: VersionRange, queues: Vec<QueueUri>, ratchet: Option<RatchetKeys>) -> Decoded<Self> {
        let count_fits = (1..=255).contains(&queues.len());
        if count_fits { Ok(Self { versions, queues, client_data: None, ratchet }) } else { Err(DecodeError) }
    }

    /// The request with data of the app's own, which is not interpreted.
    ///
    /// # Errors
    /// For more than 65535 bytes.
    pub fn with_client_data(self, data: String) -> Decoded<Self> {
        if data.len() <= 65535 { Ok(Self { client_data: Some(data), ..self }) } else { Err(DecodeError) }
    }

    /// The request to the same queue on another server: what a short link says of its server counts for more.
    #[must_use]
    pub(crate) fn with_first_server(mut self, server: ServerAddress) -> Self {
        if let Some(queue) = self.queues.first_mut() {
            queue.address.server = server;
        }
        self
    }

    /// How many may use it.
    #[must_use]
    pub const fn mode(&self) -> ConnectionMode {
        if self.ratchet.is_some() { ConnectionMode::Invitation } else { ConnectionMode::Contact }
    }

    /// The queues to send to, at least one.
    #[must_use]
    pub fn queues(&self) -> &[QueueUri] {
        &self.queues
    }

    /// The data of the app's own.
    #[must_use]
    pub fn client_data(&self) -> Option<&str> {
        self.client_data.as_deref()
    }

    /// The text form that starts with `https://` and a site, where people without an app learn how to get one.
    #[must_use]
    pub fn to_https(&self, site: &Host) -> String {
        format!("https://{site}/{}", self.path())
    }

    /// Reads a request. A queue without a mode is taken for a contact queue: versions before 4 have no word for one.
    ///
    /// # Errors
    /// When bytes are missing or a part is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let mode = ConnectionMode::decode(reader)?;
        let versions = VersionRange::decode(reader)?;
        let queues = reader.non_empty(|reader| {
            let mut queue = QueueUri::decode(reader)?;
            queue.address.mode.get_or_insert(QueueMode::Contact);
            Ok(queue)
        })?;
        let client_data = reader.optional(|reader| {
            let bytes = reader.large()?;
            core::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| DecodeError)
        })?;
        let ratchet = match mode {
            ConnectionMode::Invitation => Some(RatchetKeys::decode(reader)?),
            ConnectionMode::Contact => None,
        };
        Ok(Self { versions, queues, client_data, ratchet })
    }

    /// Writes the request.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.mode().encode(out);
        self.versions.encode(out);
        put_list(out, &self.queues, |out, queue| queue.encode(out));
        put_optional(out, self.client_data.as_ref(), |out, data| put_large(out, data.as_bytes()));
        if let Some(keys) = &self.ratchet {
            keys.encode(out);
        }
    }

    pub(super) fn from_parts(parts: &LinkText<'_>) -> Result<Self, LinkError> {
        let mode = match parts.kind {
            "invitation" => ConnectionMode::Invitation,
            "contact" => ConnectionMode::Contact,
            "i" | "a" | "c" | "g" | "r" => return Err(LinkError::Short),
            _ => return Err(LinkError::Kind),
        };
        let fragment = parts.fragment.strip_prefix('/').unwrap_or(parts.fragment);
        let query = Query::parse(fragment.strip_prefix('?').ok_or(LinkError::Versions)?);
        let query = query.map_err(|_| LinkError::Query)?;
        let versions = query.value("v").and_then(|text| text.parse().ok()).ok_or(LinkError::Versions)?;
        let queues = query.value("smp").unwrap_or_default().split(';').map(QueueUri::from_str);
        let queues = queues.collect::<Result<_, _>>().map_err(LinkError::Queue)?;
        let (versions, ratchet) = match mode {
            ConnectionMode::Invitation => {
                let keys = query.value("e2e").and_then(|text| RatchetKeys::from_text(text).ok());
                (versions, Some(keys.ok_or(LinkError::RatchetKeys)?))
            }
            ConnectionMode::Contact => (with_contact_addresses(versions), None),
        };
        let request =
            Self::new(versions, queues, ratchet).map_err(|_| LinkError::Queue(UriError::SenderId))?;
        match query.value("data") {
            None => Ok(request),
            Some(data) => request.with_client_data(data.to_owned()).map_err(|_| LinkError::ClientData),
        }
    }

    /// What follows `simplex:/` or the site.
    fn path(&self) -> String {
        let queues = self.queues.iter().map(QueueUri::to_string).collect::<Vec<_>>().join(";");
        let mut query = Query::new().with("v", self.versions.to_string()).with("smp", queues);
        if let Some(keys) = &self.ratchet {
            query = query.with("e2e", keys.to_string());
        }
        if let Some(data) = &self.client_data {
            query = query.with("data", data.as_str());
        }
        let kind = match self.mode() {
            ConnectionMode::Invitation => "invitation",
            ConnectionMode::Contact => "contact",
        };
        format!("{kind}#/?{query}")
    }
}

/// Agents of version 1 wrote contact addresses that say so, but cannot be talked to at that version.
fn with_contact_addresses(versions: VersionRange) -> VersionRange {
    let [min, max] = [versions.min(), versions.max()].map(|version| version.max(CONTACT_ADDRESSES));
    VersionRange::new(min, max).unwrap_or(versions)
}

/// Reads parameters in any order and ignores unknown ones.
impl FromStr for ConnectionRequest {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        Self::from_parts(&LinkText::parse(text)?)
    }
}

impl fmt::Display for ConnectionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "simplex:/{}", self.path())
    }
}

/// Only how many may use it and how many queues there are.
impl fmt::Debug for ConnectionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionRequest({:?}, {} queues)", self.mode(), self.queues.len())
    }
}

/// The agent version from which on contact addresses work.
const CONTACT_ADDRESSES: Version = Version(2);
