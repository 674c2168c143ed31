//! The further owners of a contact address.

use super::super::{Ed25519PrivateKey, ed25519};
use super::{LinkFault, LinkPart};
use crate::wire::Ed25519PublicKey;
use crate::wire::link::LinkOwner;

/// Names the owner of `key` an owner of a link, under an `id` of the app's choice. `by` is the root key of the link
/// or the key of one who is an owner already, and comes before the new one in the list.
///
/// # Errors
/// [`LinkFault::TooLarge`] for an id of more than [`LinkOwner::ID_LEN_MAX`] bytes.
pub fn name_owner(id: &[u8], key: Ed25519PublicKey, by: &Ed25519PrivateKey) -> Result<LinkOwner, LinkFault> {
    let signature = by.sign(&named(id, &key));
    LinkOwner::new(id, key, signature).map_err(|_| LinkFault::TooLarge(LinkPart::User))
}

/// Verifies that nobody is named twice, and each by the root key or by an owner before.
pub(super) fn verify(root: &Ed25519PublicKey, owners: &[LinkOwner]) -> Result<(), LinkFault> {
    for (position, owner) in owners.iter().enumerate() {
        let before = owners.get(..position).unwrap_or_default();
        let again = |other: &LinkOwner| other.key() == owner.key() || other.id() == owner.id();
        if owner.key() == root || before.iter().any(again) {
            return Err(LinkFault::OwnerTwice);
        }
        let message = named(owner.id(), owner.key());
        let by = |key: &Ed25519PublicKey| ed25519::verify(&key.0, &message, owner.signature());
        if !by(root) && !before.iter().any(|other| by(other.key())) {
            return Err(LinkFault::OwnerSignature);
        }
    }
    Ok(())
}

/// What the signature of who names an owner covers.
fn named(id: &[u8], key: &Ed25519PublicKey) -> Vec<u8> {
    [id, &key.to_der()].concat()
}
