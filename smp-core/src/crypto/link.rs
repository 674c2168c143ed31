//! The data of short links: how it is signed, encrypted and bound to the link.
//!
//! ```text
//! link key    = SHA3-256(fixed data)
//! contact     : link id 24 bytes, secret 32 bytes = HKDF-SHA512(no salt, link key, "SimpleXContactLink", 56 bytes)
//! invitation  : secret 32 bytes                   = HKDF-SHA512(no salt, link key, "SimpleXInvLink", 32 bytes)
//! signed part = Ed25519 signature of the data as a short string, data
//! sealed part = nonce of 24 bytes, secret box of the signed part, padded to 2008 bytes (fixed) or 13784 (user)
//! ```
//!
//! The server keeps two sealed parts of 2048 and 13824 bytes and can neither read nor exchange them: the key of the
//! link is the hash of the fixed part, which holds the root key, which signs both parts. Whoever has the link reads
//! and verifies all of it. The user part may be signed by further owners too, each of whom the root key or an earlier
//! owner named.
//!
//! ```
//! use smp_core::SeededEntropy;
//! use smp_core::crypto::link::{self, OwnedLink};
//! use smp_core::crypto::{Ed25519PrivateKey, X25519PrivateKey, chosen_sender_id};
//! use smp_core::wire::link::{ConnectionRequest, ContactDetails, ContactKind, LinkKind, ShortLink, UserLinkData};
//! use smp_core::wire::{QueueAddress, QueueMode, QueueUri, ServerAddress, Version, VersionRange};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Who makes the link knows the sender id of the queue before it is created, by the correlation id of NEW.
//! let mut entropy = SeededEntropy::new([7; 32]); // In earnest a seed of the operating system's.
//! let server: ServerAddress = "smp://AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=@smp.example.com".parse()?;
//! let correlation = entropy.bytes::<24>();
//! let address = QueueAddress {
//!     server: server.clone(),
//!     sender_id: chosen_sender_id(&correlation.into()),
//!     dh_key: X25519PrivateKey::generate(&mut entropy).public(),
//!     mode: Some(QueueMode::Contact),
//! };
//! let versions = VersionRange::new(Version(2), Version(7))?;
//! let queue = QueueUri { versions: VersionRange::new(Version(1), Version(4))?, address: address.clone() };
//! let request = ConnectionRequest::new(versions, vec![queue], None)?;
//!
//! let root = Ed25519PrivateKey::generate(&mut entropy);
//! let owned = OwnedLink::new(versions, request, None, &root, &mut entropy)?;
//! let contact = ContactDetails { direct: true, owners: Vec::new(), relays: Vec::new() };
//! let user = UserLinkData { versions, contact: Some(contact), data: "a profile".into() };
//! let data = owned.seal(&user, &root, &mut entropy)?;
//! let queue_data = owned.queue_data(address.sender_id.clone(), data.clone());
//! // NEW takes `queue_data` with `correlation`; LSET takes what `seal` makes of other user data.
//! # let _ = queue_data;
//! let text = owned.short_link(LinkKind::Contact(ContactKind::Contact), server)?.to_string();
//!
//! // Who has the link reads the data with LGET (LKEY for an invitation), which says the sender id too.
//! let short: ShortLink = text.parse()?;
//! assert_eq!(Some(link::link_id(&short)), owned.link_id());
//! let opened = link::open(&short, &address.sender_id, &data)?;
//! assert_eq!(opened.user.data, "a profile");
//! assert_eq!(opened.fixed.request.queues()[0].address.dh_key, address.dh_key);
//! # Ok(())
//! # }
//! ```

mod owned;
mod owners;
mod sealed;

pub use owned::OwnedLink;
pub use owners::name_owner;

use zeroize::Zeroizing;

use self::sealed::{FIXED, USER};
use super::hash::{hkdf_sha512, sha3_256};
use super::{BoxKey, CryptoError, SecretKey, ed25519};
use crate::wire::codec::decode_all;
use crate::wire::command::LinkData;
use crate::wire::link::{
    ConnectionMode, FixedLinkData, LinkKey, LinkKind, LinkOwner, ShortLink, UserLinkData,
};
use crate::wire::{Ed25519PublicKey, EntityId};

/// What a link leads to, verified.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedLink {
    /// The part that never changes.
    pub fixed: FixedLinkData,
    /// The part that the owners may change.
    pub user: UserLinkData,
}

/// Why the data of a link cannot be used, or cannot be made. Carries no data, so that it can be logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkFault {
    /// The part is not encrypted with the key of the link, was changed, or has malformed padding.
    #[error("the {0} data of the link does not open: {1}")]
    Sealed(LinkPart, CryptoError),
    /// The part opens, and is malformed: made by a faulty program, or of a version that is not known.
    #[error("the {0} data of the link is malformed")]
    Malformed(LinkPart),
    /// The fixed data is not what the link was made for.
    #[error("the link's key is not the hash of its fixed data")]
    Hash,
    /// The part is not signed by whom it should be: the fixed data by the root key, user data by that or by an owner.
    #[error("the {0} data of the link is not signed by an owner")]
    Signature(LinkPart),
    /// An owner's key or id occurs twice, or the key is the root key.
    #[error("an owner of the link is named twice")]
    OwnerTwice,
    /// An owner was named neither by the root key nor by an owner before.
    #[error("an owner of the link is named by nobody with the right to")]
    OwnerSignature,
    /// Of the link, the request and the user data, some are for one person and some for anyone.
    #[error("the link, or a part of its data, is an invitation, and another part a contact address")]
    Mode,
    /// The queue is on another server than the link says, or the link does not tell its server's key hash and was not
    /// [restored](crate::wire::link::LinkServer::restored).
    #[error("the queue is not on the server of the link")]
    Server,
    /// The server answered with the sender id of another queue.
    #[error("the server led the link to another queue than its data")]
    SenderId,
    /// What was to be made does not fit.
    #[error("the {0} data of the link is too large")]
    TooLarge(LinkPart),
}

/// A part of a link's data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkPart {
    /// What never changes.
    Fixed,
    /// What its owners may change.
    User,
}

impl core::fmt::Display for LinkPart {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Fixed => "fixed",
            Self::User => "user",
        })
    }
}

/// Opens what the server answered to LGET or LKEY: `sender_id` and `data`.
///
/// Checks all that can be checked: [`decrypt`]'s promises, that the link, the request and the user data are of one
/// mode, that the first queue of the request has the sender id that the server told, and the server of the link among
/// its hosts. The queue in the result has the server of the link, which may have moved since the data was made.
///
/// # Errors
/// What is wrong with the data, each fault by its name.
pub fn open(link: &ShortLink, sender_id: &EntityId, data: &LinkData) -> Result<OpenedLink, LinkFault> {
    let OpenedLink { mut fixed, user } = decrypt(link.mode(), &link.key, data)?;
    let server = link.server.address().ok_or(LinkFault::Server)?;
    let queue = fixed.request.queues().first().ok_or(LinkFault::Malformed(LinkPart::Fixed))?;
    if !server.hosts().first().is_some_and(|host| queue.address.server.hosts().contains(host)) {
        return Err(LinkFault::Server);
    }
    if queue.address.sender_id != *sender_id {
        return Err(LinkFault::SenderId);
    }
    fixed.request = fixed.request.with_first_server(server);
    Ok(OpenedLink { fixed, user })
}

/// Decrypts the data of a link and verifies that it is what the link was made for, and signed by its owners.
///
/// Verifying takes at most one signature for each pair of owners; as many as fit into a block, about 120, some 7000.
///
/// # Errors
/// As [`open`], but nothing is known here of the server and of the sender id.
pub fn decrypt(mode: ConnectionMode, key: &LinkKey, data: &LinkData) -> Result<OpenedLink, LinkFault> {
    let secret = secret_of(mode, key).box_key();
    let fixed = open_fixed(mode, key, &secret, &data.fixed)?;
    let signed = sealed::open(&USER, &secret, &data.user)?;
    let user =
        decode_all(&signed.data, UserLinkData::decode).map_err(|_| LinkFault::Malformed(LinkPart::User))?;
    let owners = owners_of(&user);
    owners::verify(&fixed.root_key, owners)?;
    let by = |key: &Ed25519PublicKey| ed25519::verify(&key.0, &signed.data, &signed.signature);
    if !by(&fixed.root_key) && !owners.iter().any(|owner| by(owner.key())) {
        return Err(LinkFault::Signature(LinkPart::User));
    }
    if user.mode() == mode { Ok(OpenedLink { fixed, user }) } else { Err(LinkFault::Mode) }
}

/// The fixed data, if it is what the link was made for.
fn open_fixed(
    mode: ConnectionMode,
    key: &LinkKey,
    secret: &BoxKey,
    sealed: &[u8],
) -> Result<FixedLinkData, LinkFault> {
    let signed = sealed::open(&FIXED, secret, sealed)?;
    if LinkKey::new(sha3_256(&signed.data)) != *key {
        return Err(LinkFault::Hash);
    }
    let fixed =
        decode_all(&signed.data, FixedLinkData::decode).map_err(|_| LinkFault::Malformed(LinkPart::Fixed))?;
    if !ed25519::verify(&fixed.root_key.0, &signed.data, &signed.signature) {
        return Err(LinkFault::Signature(LinkPart::Fixed));
    }
    if fixed.request.mode() == mode { Ok(fixed) } else { Err(LinkFault::Mode) }
}

/// Under which id the server has the data of a link.
#[must_use]
pub fn link_id(link: &ShortLink) -> EntityId {
    match &link.kind {
        LinkKind::Invitation(id) => id.clone(),
        LinkKind::Contact(_) => contact_link(&link.key).0,
    }
}

/// The id of a contact address, and what its data is encrypted with.
#[must_use]
pub fn contact_link(key: &LinkKey) -> (EntityId, SecretKey) {
    let mut derived = Zeroizing::new([0; 56]);
    hkdf_sha512(b"", key.as_bytes(), b"SimpleXContactLink", &mut derived[..])
        .expect("56 bytes are not too many");
    let (mut id, mut secret) = ([0; 24], Zeroizing::new([0; 32]));
    id.iter_mut().chain(secret.iter_mut()).zip(derived.iter()).for_each(|(to, from)| *to = *from);
    (id.into(), SecretKey::new(*secret))
}

/// What the data of an invitation is encrypted with. Its id is the server's choice.
#[must_use]
pub fn invitation_secret(key: &LinkKey) -> SecretKey {
    let mut secret = Zeroizing::new([0; 32]);
    hkdf_sha512(b"", key.as_bytes(), b"SimpleXInvLink", &mut secret[..]).expect("32 bytes are not too many");
    SecretKey::new(*secret)
}

fn secret_of(mode: ConnectionMode, key: &LinkKey) -> SecretKey {
    match mode {
        ConnectionMode::Invitation => invitation_secret(key),
        ConnectionMode::Contact => contact_link(key).1,
    }
}

fn owners_of(user: &UserLinkData) -> &[LinkOwner] {
    user.contact.as_ref().map_or(&[], |contact| &contact.owners)
}

#[cfg(test)]
mod tests;
