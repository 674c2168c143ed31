//! What a short link leads to, once it is decrypted and its signatures are taken off.

use bytes::Bytes;

use super::super::codec::{DecodeError, Decoded, Reader, put_bool, put_large, put_list, put_short};
use super::super::id::EntityId;
use super::super::key::Ed25519PublicKey;
use super::super::version::VersionRange;
use super::ConnectionMode;
use super::request::ConnectionRequest;
use super::short::{LinkKind, ShortLink};

/// The part of a link's data that never changes: the link's key is its hash.
///
/// On the wire: versions, root key, request, optionally an entity id as a short string. What follows is of later
/// versions and is ignored.
#[derive(Clone, PartialEq, Eq)]
pub struct FixedLinkData {
    /// The versions of the agent protocol that its maker spoke.
    pub versions: VersionRange,
    /// The key of the link's first owner, who signs this part and may name other owners.
    pub root_key: Ed25519PublicKey,
    /// The full link.
    pub request: ConnectionRequest,
    /// What the link is about, an id of the app's own, such as that of a group.
    pub entity_id: Option<EntityId>,
}

opaque_debug!(FixedLinkData);

impl FixedLinkData {
    /// Reads the data, to the end of the bytes.
    ///
    /// # Errors
    /// When bytes are missing or a part is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let versions = VersionRange::decode(reader)?;
        let root_key = Ed25519PublicKey::decode(reader)?;
        let request = ConnectionRequest::decode(reader)?;
        let entity_id = EntityId::decode(reader).ok();
        reader.tail();
        Ok(Self { versions, root_key, request, entity_id })
    }

    /// Writes the data.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.versions.encode(out);
        self.root_key.encode(out);
        self.request.encode(out);
        if let Some(id) = &self.entity_id {
            id.encode(out);
        }
    }
}

/// The part of a link's data that its owners may change.
///
/// ```text
/// I versions, app data
/// C versions, bool: direct, list of owners, list of short links of relays, app data
/// ```
///
/// App data is a short string of at most 254 bytes, or the byte 255 and a large string. What follows is of later
/// versions and is ignored.
#[derive(Clone, PartialEq, Eq)]
pub struct UserLinkData {
    /// The versions of the agent protocol that its writer spoke.
    pub versions: VersionRange,
    /// What only a contact address has; its absence makes the data that of an invitation.
    pub contact: Option<ContactDetails>,
    /// Data of the app's own, such as a profile; at most 65535 bytes here, and about 13.7 KB in a link.
    pub data: Bytes,
}

opaque_debug!(UserLinkData);

/// What the data of a contact address says beside the app's own data.
#[derive(Clone, PartialEq, Eq)]
pub struct ContactDetails {
    /// Whether one connects to the address itself, or only to its relays.
    pub direct: bool,
    /// Who may change the data, beside the owner of the root key. Each is named by the root key or by one before it.
    pub owners: Vec<LinkOwner>,
    /// Short links of relays, contact addresses all.
    pub relays: Vec<ShortLink>,
}

opaque_debug!(ContactDetails);

impl UserLinkData {
    /// For how many the link is.
    #[must_use]
    pub const fn mode(&self) -> ConnectionMode {
        if self.contact.is_some() { ConnectionMode::Contact } else { ConnectionMode::Invitation }
    }

    /// Reads the data, to the end of the bytes.
    ///
    /// # Errors
    /// When bytes are missing or a part is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let mode = ConnectionMode::decode(reader)?;
        let versions = VersionRange::decode(reader)?;
        let contact = match mode {
            ConnectionMode::Invitation => None,
            ConnectionMode::Contact => Some(ContactDetails::decode(reader)?),
        };
        let data = decode_app_data(reader)?;
        reader.tail();
        Ok(Self { versions, contact, data })
    }

    /// Writes the data. Lists have at most 255 items and the app's own data 65535 bytes; more is cut, and
    /// [sealing](crate::crypto::link::OwnedLink::seal) refuses it before.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.mode().encode(out);
        self.versions.encode(out);
        if let Some(contact) = &self.contact {
            contact.encode(out);
        }
        encode_app_data(&self.data, out);
    }
}

impl ContactDetails {
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            direct: reader.bool()?,
            owners: reader.list(LinkOwner::decode)?,
            relays: reader.list(|reader| {
                let link = ShortLink::decode(reader)?;
                if matches!(link.kind, LinkKind::Contact(_)) { Ok(link) } else { Err(DecodeError) }
            })?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_bool(out, self.direct);
        put_list(out, &self.owners, |out, owner| owner.encode(out));
        put_list(out, &self.relays, |out, relay| relay.encode(out));
    }
}

/// The app data: copied, so that a profile does not keep the rest of the data alive.
fn decode_app_data(reader: &mut Reader<'_>) -> Decoded<Bytes> {
    let mut ahead = *reader;
    if ahead.u8()? == LARGE {
        *reader = ahead;
        return reader.large().map(|data| Bytes::copy_from_slice(&data));
    }
    reader.short().map(Bytes::copy_from_slice)
}

fn encode_app_data(data: &[u8], out: &mut Vec<u8>) {
    if data.len() < usize::from(LARGE) {
        put_short(out, data);
    } else {
        out.push(LARGE);
        put_large(out, data);
    }
}

/// One more owner of a contact address.
///
/// On the wire a short string of: id as a short string, key, signature as a short string. What follows in it is of
/// later versions and is ignored.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkOwner {
    id: Bytes,
    key: Ed25519PublicKey,
    signature: [u8; 64],
}

opaque_debug!(LinkOwner);

impl LinkOwner {
    /// The longest id, in bytes: with key and signature it fills a short string.
    pub const ID_LEN_MAX: usize = 144;

    /// The owner of `key`, whom somebody with the right to do so named by `signature`. Made by
    /// [`name_owner`](crate::crypto::link::name_owner).
    ///
    /// # Errors
    /// When the id is longer than [`Self::ID_LEN_MAX`].
    pub fn new(id: &[u8], key: Ed25519PublicKey, signature: [u8; 64]) -> Decoded<Self> {
        if id.len() > Self::ID_LEN_MAX {
            return Err(DecodeError);
        }
        Ok(Self { id: Bytes::copy_from_slice(id), key, signature })
    }

    /// The id that the app knows the owner by.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// The owner's key, which may sign the user data and name further owners.
    #[must_use]
    pub const fn key(&self) -> &Ed25519PublicKey {
        &self.key
    }

    /// The signature of who named this owner.
    #[must_use]
    pub const fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// Reads an owner.
    ///
    /// # Errors
    /// When bytes are missing or a part is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let owner = Bytes::copy_from_slice(reader.short()?);
        let mut reader = Reader::new(&owner);
        let id = reader.short()?;
        let key = Ed25519PublicKey::decode(&mut reader)?;
        let signature = reader.short()?.try_into().map_err(|_| DecodeError)?;
        Self::new(id, key, signature)
    }

    /// Writes the owner.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut owner = Vec::with_capacity(255);
        put_short(&mut owner, &self.id);
        self.key.encode(&mut owner);
        put_short(&mut owner, &self.signature);
        put_short(out, &owner);
    }
}

/// In place of the length of app data: a large string follows.
const LARGE: u8 = 0xff;
