//! Links as those hold them who made them.

use bytes::Bytes;

use super::super::Ed25519PrivateKey;
use super::super::hash::sha3_256;
use super::super::secret_box::BoxKey;
use super::sealed::{self, FIXED, USER};
use super::{LinkFault, LinkPart, contact_link, open_fixed, owners, owners_of, secret_of};
use crate::Entropy;
use crate::wire::command::{ContactLink, LinkData, MessagingLink, QueueRequestData};
use crate::wire::link::{
    ConnectionMode, ConnectionRequest, FixedLinkData, LinkKey, LinkKind, LinkServer, ShortLink, UserLinkData,
};
use crate::wire::{Ed25519PublicKey, EntityId, VersionRange};

/// A link whose data one may set.
///
/// To keep it: [`Self::mode`], [`Self::key`] and [`Self::fixed`], which [`Self::load`] takes, and the private key of
/// an owner. The server accepts other user data only together with the same bytes of fixed data.
#[derive(Clone)]
pub struct OwnedLink {
    mode: ConnectionMode,
    key: LinkKey,
    secret: BoxKey,
    root: Ed25519PublicKey,
    fixed: Bytes,
}

impl OwnedLink {
    /// A link to `request`: an invitation or a contact address, as that is. `root` is a new key of this link's own,
    /// `versions` are those of the agent, `entity_id` is of the app's own.
    ///
    /// # Errors
    /// [`LinkFault::TooLarge`] when the request does not fit into 1.9 KB.
    pub fn new(
        versions: VersionRange,
        request: ConnectionRequest,
        entity_id: Option<EntityId>,
        root: &Ed25519PrivateKey,
        entropy: &mut (impl Entropy + ?Sized),
    ) -> Result<Self, LinkFault> {
        let mode = request.mode();
        let root_key = Ed25519PublicKey(root.public());
        let mut data = Vec::new();
        FixedLinkData { versions, root_key, request, entity_id }.encode(&mut data);
        let key = LinkKey::new(sha3_256(&data));
        let secret = secret_of(mode, &key).box_key();
        let fixed = sealed::seal(&FIXED, &secret, &data, root, entropy)?;
        Ok(Self { mode, key, secret, root: root_key, fixed })
    }

    /// The link that was kept.
    ///
    /// # Errors
    /// When the parts do not belong together, as [`decrypt`](super::decrypt).
    pub fn load(mode: ConnectionMode, key: LinkKey, fixed: Bytes) -> Result<Self, LinkFault> {
        let secret = secret_of(mode, &key).box_key();
        let root = open_fixed(mode, &key, &secret, &fixed)?.root_key;
        Ok(Self { mode, key, secret, root, fixed })
    }

    /// What the fixed data says.
    ///
    /// # Errors
    /// None for a link that was made or loaded.
    pub fn open_fixed(&self) -> Result<FixedLinkData, LinkFault> {
        open_fixed(self.mode, &self.key, &self.secret, &self.fixed)
    }

    /// The data of the link, for NEW and for LSET, with this user data, signed by `signer`: the root key or an
    /// owner's.
    ///
    /// # Errors
    /// What would keep others from opening it: user data of the other mode or of more than 13.7 KB, owners out of
    /// order, a signer who is none.
    pub fn seal(
        &self,
        user: &UserLinkData,
        signer: &Ed25519PrivateKey,
        entropy: &mut (impl Entropy + ?Sized),
    ) -> Result<LinkData, LinkFault> {
        if user.mode() != self.mode {
            return Err(LinkFault::Mode);
        }
        owners::verify(&self.root, owners_of(user))?;
        let signer_key = Ed25519PublicKey(signer.public());
        if signer_key != self.root && owners_of(user).iter().all(|owner| *owner.key() != signer_key) {
            return Err(LinkFault::Signature(LinkPart::User));
        }
        let lists_fit = user.contact.as_ref().is_none_or(|contact| {
            let (owners, relays) = (contact.owners.len(), contact.relays.len());
            owners <= LIST_MAX && relays <= LIST_MAX
        });
        if !lists_fit || user.data.len() > usize::from(u16::MAX) {
            return Err(LinkFault::TooLarge(LinkPart::User));
        }
        let mut data = Vec::new();
        user.encode(&mut data);
        let user = sealed::seal(&USER, &self.secret, &data, signer, entropy)?;
        Ok(LinkData { fixed: self.fixed.clone(), user })
    }

    /// What NEW is told of a queue with this link: `sender_id` follows from the correlation id of the command, see
    /// [`chosen_sender_id`](crate::crypto::chosen_sender_id), and `data` was [sealed](Self::seal).
    #[must_use]
    pub fn queue_data(&self, sender_id: EntityId, data: LinkData) -> QueueRequestData {
        match self.link_id() {
            None => QueueRequestData::Messaging(Some(MessagingLink { sender_id, data })),
            Some(link_id) => QueueRequestData::Contact(Some(ContactLink { link_id, sender_id, data })),
        }
    }

    /// The link to give away. The id of an invitation is in the server's answer to NEW.
    ///
    /// # Errors
    /// [`LinkFault::Mode`] for a kind of link of the other mode.
    pub fn short_link(&self, kind: LinkKind, server: impl Into<LinkServer>) -> Result<ShortLink, LinkFault> {
        let link = ShortLink { kind, server: server.into(), key: self.key.clone() };
        if link.mode() == self.mode { Ok(link) } else { Err(LinkFault::Mode) }
    }

    /// The id of a contact address, which NEW and LSET take; that of an invitation is the server's choice.
    #[must_use]
    pub fn link_id(&self) -> Option<EntityId> {
        match self.mode {
            ConnectionMode::Invitation => None,
            ConnectionMode::Contact => Some(contact_link(&self.key).0),
        }
    }

    /// How many may use it.
    #[must_use]
    pub const fn mode(&self) -> ConnectionMode {
        self.mode
    }

    /// The key of the link.
    #[must_use]
    pub const fn key(&self) -> &LinkKey {
        &self.key
    }

    /// The fixed data as the server has it.
    #[must_use]
    pub const fn fixed(&self) -> &Bytes {
        &self.fixed
    }
}

/// Items of a list that one byte can count.
const LIST_MAX: usize = 255;
