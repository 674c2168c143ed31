//! Links: what a person gives to another who is to connect, and the data that a short link leads to.
//!
//! | file | what |
//! |---|---|
//! | `request` | a full link: the addresses of queues, and for an invitation the first keys of the ratchet |
//! | `short` | a short link: a server, and a key from which all else is derived |
//! | `server` | the server of a short link, whose address may be shortened |
//! | `data` | what a short link leads to: a fixed part with the full link, and a part that its owner may change |
//!
//! All of it is for clients: a server stores the data encrypted, and sees neither links nor their keys. How the data
//! is signed, encrypted and bound to the link is in [`crate::crypto::link`]. Versions are those of the agent, but for
//! those of queue addresses and of the ratchet.

mod data;
mod key;
mod ratchet;
mod request;
mod server;
mod short;

pub use data::{ContactDetails, FixedLinkData, LinkOwner, UserLinkData};
pub use key::LinkKey;
pub use ratchet::{E2eParameters, KemCiphertext, KemParameters, KemPublicKey, RatchetKeys};
pub use request::ConnectionRequest;
pub use server::LinkServer;
pub use short::{ContactKind, LinkKind, ShortLink};

use core::str::FromStr;

use super::address::UriError;
use super::codec::{DecodeError, Decoded, Reader};
use super::host::Host;

/// A link of either length: what a person pastes into an app.
///
/// ```
/// use smp_core::wire::link::{ConnectionLink, LinkError};
///
/// // The key of a link and the hash of the server's certificate are 32 bytes each, in base64url.
/// let (key, hash) = ("A".repeat(43), "B".repeat(42) + "A");
/// let text = format!("https://smp.example.com/a#{key}?c={hash}");
/// let ConnectionLink::Short(link) = text.parse()? else { panic!("a full link") };
/// assert_eq!(link.server.address().unwrap().hosts().len(), 1);
/// assert_eq!("https://example.com".parse::<ConnectionLink>(), Err(LinkError::Kind));
/// # Ok::<(), LinkError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnectionLink {
    /// `simplex:/invitation#…`, `simplex:/contact#…`.
    Full(Box<ConnectionRequest>),
    /// `simplex:/i#…`, `simplex:/a#…` and so on.
    Short(Box<ShortLink>),
}

impl FromStr for ConnectionLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let parts = LinkText::parse(text)?;
        match parts.kind {
            "invitation" | "contact" => ConnectionRequest::from_parts(&parts).map(Box::new).map(Self::Full),
            _ => ShortLink::from_parts(&parts).map(Box::new).map(Self::Short),
        }
    }
}

/// How many may use a link. On the wire `I` or `C`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ConnectionMode {
    /// One person, once.
    Invitation,
    /// Anyone who has it: a contact address.
    Contact,
}

impl ConnectionMode {
    /// Reads a mode.
    ///
    /// # Errors
    /// For a byte that is neither `I` nor `C`.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match reader.u8()? {
            b'I' => Ok(Self::Invitation),
            b'C' => Ok(Self::Contact),
            _ => Err(DecodeError),
        }
    }

    /// Writes the mode.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Invitation => b'I',
            Self::Contact => b'C',
        });
    }
}

/// What is wrong with the text of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It starts with neither `simplex:/` nor `https://`.
    #[error("a link starts with simplex:/ or https://")]
    Scheme,
    /// What is before `#` names no kind of link, or there is no `#`.
    #[error("this is no link to connect with, or its end is missing")]
    Kind,
    /// A short link was given where a full one belongs.
    #[error("this is a short link; a full one is needed here")]
    Short,
    /// A full link was given where a short one belongs.
    #[error("this is a full link; a short one is needed here")]
    Full,
    /// The id of an invitation is missing or malformed.
    #[error("the link is not complete: its id is missing or malformed")]
    LinkId,
    /// The key is missing or malformed.
    #[error("the link is not complete: its key must be 32 bytes in base64url")]
    Key,
    /// The parameters are not percent-encoded UTF-8.
    #[error("the parameters of the link must be percent-encoded UTF-8")]
    Query,
    /// A host is missing or malformed.
    #[error("the link must name the hosts of its server")]
    Host,
    /// The port is not a number from 0 to 65535 without leading zeros.
    #[error("the port in the link must be a number up to 65535")]
    Port,
    /// The server's fingerprint is malformed.
    #[error("the server's fingerprint in the link must be 32 bytes in base64url")]
    KeyHash,
    /// The version range is missing or malformed.
    #[error("the link's parameter v must be a version or a range of versions such as 2-7")]
    Versions,
    /// A queue is malformed, or there is none, or there are more than 255.
    #[error("the link's parameter smp must be addresses of queues: {0}")]
    Queue(UriError),
    /// The keys of an invitation are missing or malformed.
    #[error("the link's parameter e2e must hold the keys of an invitation")]
    RatchetKeys,
    /// The data of the app is longer than 65535 bytes.
    #[error("the link's parameter data is too long")]
    ClientData,
}

/// The parts of a link's text: `simplex:/<kind>[/]#<fragment>` or `https://<site>/<kind>[/]#<fragment>`.
struct LinkText<'a> {
    site: Option<&'a str>,
    kind: &'a str,
    fragment: &'a str,
}

impl<'a> LinkText<'a> {
    fn parse(text: &'a str) -> Result<Self, LinkError> {
        let (site, path) = if let Some(path) = text.strip_prefix("simplex:/") {
            (None, path)
        } else {
            let place = text.strip_prefix("https://").ok_or(LinkError::Scheme)?;
            let (site, path) = place.split_once('/').ok_or(LinkError::Kind)?;
            (Some(site), path)
        };
        let (kind, fragment) = path.split_once('#').ok_or(LinkError::Kind)?;
        Ok(Self { site, kind: kind.strip_suffix('/').unwrap_or(kind), fragment })
    }

    /// The host of the site, which a short link takes for the first one of its server.
    fn host(&self) -> Result<Option<Host>, LinkError> {
        self.site.map(|site| site.parse().map_err(|_| LinkError::Host)).transpose()
    }
}

#[cfg(test)]
mod tests;
