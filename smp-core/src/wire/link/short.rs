//! Short links, as bytes and as text.

use core::fmt;
use core::str::FromStr;

use super::super::codec::{DecodeError, Decoded, Reader};
use super::super::id::EntityId;
use super::super::text::{Query, from_base64url_any, to_base64url_unpadded};
use super::key::LinkKey;
use super::server::LinkServer;
use super::{ConnectionMode, LinkError, LinkText};

/// A short link: the place of some data, and the key to it.
///
/// ```text
/// bytes  I server, link id, key
///        C kind, server, key
/// text   simplex:/i#<link id>/<key>?h=<hosts>[&p=<port>][&c=<key hash>]
///        simplex:/<kind>#<key>?h=<hosts>[&p=<port>][&c=<key hash>]
///        https://<first host>/i#<link id>/<key>[?[h=<other hosts>][&p=<port>][&c=<key hash>]]
///        https://<first host>/<kind>#<key>[?[h=<other hosts>][&p=<port>][&c=<key hash>]]
/// ```
///
/// Ids, keys and hashes are base64url without padding. The second text form leads people without an app to a page of
/// the server; what follows `#` is not sent there. A server that apps know needs neither port nor key hash, see
/// [`LinkServer`]. `Display` writes the first form, with the key: it is for the people who are to use the link, never
/// for a log.
#[derive(Clone, PartialEq, Eq)]
pub struct ShortLink {
    /// What it leads to.
    pub kind: LinkKind,
    /// Where that is.
    pub server: LinkServer,
    /// What it is encrypted and verified with.
    pub key: LinkKey,
}

/// What a short link leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkKind {
    /// An invitation for one person, under this id of the server's choice, which is not empty. In text `i`.
    Invitation(EntityId),
    /// An address for anyone. The id is derived from the key:
    /// [`contact_link`](crate::crypto::link::contact_link).
    Contact(ContactKind),
}

/// What a contact address stands for: told by apps to each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ContactKind {
    /// A person. On the wire `A`, in text `a`.
    Contact,
    /// A channel. On the wire `C`, in text `c`.
    Channel,
    /// A group. On the wire `G`, in text `g`.
    Group,
    /// A relay of a channel. On the wire `R`, in text `r`.
    Relay,
}

impl ShortLink {
    /// How many may use it.
    #[must_use]
    pub const fn mode(&self) -> ConnectionMode {
        match self.kind {
            LinkKind::Invitation(_) => ConnectionMode::Invitation,
            LinkKind::Contact(_) => ConnectionMode::Contact,
        }
    }

    /// The text form that starts with `https://` and the first host of the server.
    #[must_use]
    pub fn to_https(&self) -> String {
        let site =
            self.server.hosts().iter().take(1).map(|host| format!("https://{host}/")).collect::<String>();
        self.to_text(&site, self.server.to_query(1))
    }

    /// Reads a link.
    ///
    /// # Errors
    /// When bytes are missing or a part is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match ConnectionMode::decode(reader)? {
            ConnectionMode::Invitation => {
                let server = LinkServer::decode(reader)?;
                let id = EntityId::decode(reader)?;
                if id.is_empty() {
                    return Err(DecodeError);
                }
                Ok(Self { kind: LinkKind::Invitation(id), server, key: LinkKey::decode(reader)? })
            }
            ConnectionMode::Contact => {
                let kind = LinkKind::Contact(ContactKind::decode(reader)?);
                Ok(Self { kind, server: LinkServer::decode(reader)?, key: LinkKey::decode(reader)? })
            }
        }
    }

    /// Writes the link.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.mode().encode(out);
        if let LinkKind::Contact(kind) = self.kind {
            kind.encode(out);
        }
        self.server.encode(out);
        if let LinkKind::Invitation(id) = &self.kind {
            id.encode(out);
        }
        self.key.encode(out);
    }

    pub(super) fn from_parts(parts: &LinkText<'_>) -> Result<Self, LinkError> {
        let (secrets, query) = parts.fragment.split_once('?').unwrap_or((parts.fragment, ""));
        let (kind, key) = if parts.kind == "i" {
            let (id, key) = secrets.split_once('/').ok_or(LinkError::LinkId)?;
            let id =
                from_base64url_any(id).and_then(|id| EntityId::new(&id)).map_err(|_| LinkError::LinkId)?;
            if id.is_empty() {
                return Err(LinkError::LinkId);
            }
            (LinkKind::Invitation(id), key)
        } else {
            let kind = ContactKind::ALL.into_iter().find(|kind| kind.letter() == parts.kind);
            let long = ["invitation", "contact"].contains(&parts.kind);
            let kind = kind.ok_or(if long { LinkError::Full } else { LinkError::Kind })?;
            (LinkKind::Contact(kind), secrets)
        };
        let key = LinkKey::from_text(key).map_err(|_| LinkError::Key)?;
        let query = Query::parse(query).map_err(|_| LinkError::Query)?;
        Ok(Self { kind, server: LinkServer::from_text(parts.host()?, &query)?, key })
    }

    fn to_text(&self, start: &str, query: Query) -> String {
        let key = self.key.to_text();
        let link = match &self.kind {
            LinkKind::Invitation(id) => {
                format!("{start}i#{}/{}", to_base64url_unpadded(id.as_bytes()), key.as_str())
            }
            LinkKind::Contact(kind) => format!("{start}{}#{}", kind.letter(), key.as_str()),
        };
        if query.is_empty() { link } else { format!("{link}?{query}") }
    }
}

impl ContactKind {
    const ALL: [Self; 4] = [Self::Contact, Self::Channel, Self::Group, Self::Relay];

    const fn letter(self) -> &'static str {
        match self {
            Self::Contact => "a",
            Self::Channel => "c",
            Self::Group => "g",
            Self::Relay => "r",
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match reader.u8()? {
            b'A' => Ok(Self::Contact),
            b'C' => Ok(Self::Channel),
            b'G' => Ok(Self::Group),
            b'R' => Ok(Self::Relay),
            _ => Err(DecodeError),
        }
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Contact => b'A',
            Self::Channel => b'C',
            Self::Group => b'G',
            Self::Relay => b'R',
        });
    }
}

/// Reads both text forms, parameters in any order, and ignores unknown ones.
impl FromStr for ShortLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        Self::from_parts(&LinkText::parse(text)?)
    }
}

impl fmt::Display for ShortLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text("simplex:/", self.server.to_query(0)))
    }
}

/// Only the kind: who has a link can read what it leads to.
impl fmt::Debug for ShortLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShortLink").field("kind", &self.kind).finish_non_exhaustive()
    }
}
