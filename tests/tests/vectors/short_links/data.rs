//! The data of an invitation and of a contact address.

use bytes::Bytes;
use serde_json::Value;
use smp_core::Entropy;
use smp_core::crypto::hash::sha3_256;
use smp_core::crypto::link::{contact_link, decrypt, invitation_secret, name_owner, open};
use smp_core::crypto::{Ed25519PrivateKey, OwnedLink, ed25519};
use smp_core::wire::codec::decode_all;
use smp_core::wire::command::LinkData;
use smp_core::wire::link::{ContactKind, FixedLinkData, LinkKind, LinkOwner, UserLinkData};
use smp_core::wire::text::to_base64url;
use smp_core::wire::{ConnectionMode, ConnectionRequest, Ed25519PublicKey, EntityId, LinkKey};
use smp_tests::vectors::Fields;

use super::assert_fields;
use crate::connection_requests::PRINT_MAX;
use crate::encoded;
use crate::printed::{assert_printed_up_to, link};

/// Fields of both modes: those of keys, and what is signed and encrypted.
const COMMON: [&str; 7] = [
    "conn_req",
    "decrypted",
    "enc_fixed_data",
    "enc_user_data",
    "kdf_sb_key",
    "link_key",
    "signed_fixed_data",
];

pub(crate) fn run(file: &Value) -> usize {
    let root = root_key(file.field("root_key"));
    let (contact, invitation) = (file.field("contact"), file.field("invitation"));
    let contact_only =
        ["kdf_link_id", "owner_auth_encoded", "owner_private_key", "signed_user_data", USER_300];
    assert_fields(contact, &sorted(&[&COMMON[..], &contact_only].concat()));
    assert_fields(invitation, &sorted(&[&COMMON[..], &["signed_user_data", "with_entity_id"]].concat()));

    let (id, secret) = contact_link(&key(contact));
    assert_eq!(id.as_bytes(), contact.hex("kdf_link_id"));
    assert_eq!(secret.as_bytes()[..], contact.hex("kdf_sb_key"));
    assert_eq!(invitation_secret(&key(invitation)).as_bytes()[..], invitation.hex("kdf_sb_key"));

    let owner = owner(contact, &root);
    check(ConnectionMode::Contact, contact, &[root.clone(), owner]);
    check(ConnectionMode::Invitation, invitation, core::slice::from_ref(&root));
    let (user, _) = user_data(&contact.hex(USER_300), core::slice::from_ref(&root));
    assert_eq!(user.data.len(), 300);
    with_entity_id(invitation, &root);
    // The root key, three derived values, the owner, both kinds of data, long data, the entity id.
    9
}

fn root_key(case: &Value) -> Ed25519PrivateKey {
    assert_fields(case, &["private_der", "public_der", "public_raw", "public_str"]);
    let root = Ed25519PrivateKey::from_pkcs8_der(&case.hex("private_der")).expect("private_der");
    let public = Ed25519PublicKey(root.public());
    assert_eq!(public.0[..], case.hex("public_raw"));
    assert_eq!(public.to_der(), case.hex("public_der"));
    assert_eq!(to_base64url(&public.to_der()), case.text("public_str"));
    assert_eq!(Ed25519PublicKey::from_der(&case.hex("public_der")), Ok(public));
    root
}

/// Names the owner anew; the same bytes must come out.
fn owner(contact: &Value, root: &Ed25519PrivateKey) -> Ed25519PrivateKey {
    let bytes = contact.hex("owner_auth_encoded");
    let owner = decode_all(&bytes, LinkOwner::decode).expect("owner_auth_encoded");
    let key = Ed25519PrivateKey::from_pkcs8_der(&contact.hex("owner_private_key")).expect("a key");
    let named = name_owner(owner.id(), Ed25519PublicKey(key.public()), root).expect("an owner");
    assert!(named == owner);
    assert_eq!(encoded(|out| named.encode(out)), bytes);
    let (user, _) = user_data(&contact.hex("signed_user_data"), &[root.clone(), key.clone()]);
    assert!(user.contact.expect("a contact").owners.contains(&owner));
    key
}

/// Makes the link again with the nonces of the file, and opens it.
fn check(mode: ConnectionMode, case: &Value, signers: &[Ed25519PrivateKey]) {
    let data = LinkData { fixed: case.hex("enc_fixed_data"), user: case.hex("enc_user_data") };
    let root = &signers[0];
    let fixed = fixed_data(&case.hex("signed_fixed_data"), &key(case), root);
    let request: ConnectionRequest = case.text("conn_req").parse().expect("conn_req");
    assert_eq!(fixed.root_key.0, root.public());

    let made = OwnedLink::new(fixed.versions, request, None, root, &mut Replay(&data.fixed)).expect("fits");
    assert!(*made.key() == key(case));
    assert_eq!(made.fixed(), &data.fixed);
    let (user, signer) = user_data(&case.hex("signed_user_data"), signers);
    for owned in [made, OwnedLink::load(mode, key(case), data.fixed.clone()).expect("loads")] {
        let sealed = owned.seal(&user, &signer, &mut Replay(&data.user)).expect("fits");
        assert!(sealed == data, "the encrypted data differs");
    }

    let opened = decrypt(mode, &key(case), &data).expect("opens");
    assert_printed_up_to(PRINT_MAX, &format!("Right {}", link::opened(&opened)), case.text("decrypted"));
    assert!(opened.fixed == fixed && opened.user == user);
    let address = fixed.request.queues()[0].address.clone();
    let owned = OwnedLink::load(mode, key(case), data.fixed.clone()).expect("loads");
    let kind = match mode {
        ConnectionMode::Invitation => LinkKind::Invitation([1; 24].into()),
        ConnectionMode::Contact => LinkKind::Contact(ContactKind::Contact),
    };
    let short = owned.short_link(kind, address.server).expect("a link of this mode");
    assert!(open(&short, &address.sender_id, &data).as_ref() == Ok(&opened));
}

fn with_entity_id(invitation: &Value, root: &Ed25519PrivateKey) {
    let case = invitation.field("with_entity_id");
    assert_fields(case, &["link_key", "signed_fixed_data"]);
    let fixed = fixed_data(&case.hex("signed_fixed_data"), &key(case), root);
    let without = fixed_data(&invitation.hex("signed_fixed_data"), &key(invitation), root);
    assert!(fixed.entity_id.as_ref().is_some_and(|id| !id.is_empty()));
    assert!(FixedLinkData { entity_id: None, ..fixed.clone() } == without);
    let entity_id: Option<EntityId> = fixed.entity_id;
    let made = OwnedLink::new(fixed.versions, fixed.request, entity_id, root, &mut Replay(&[0; 24]));
    assert!(*made.expect("fits").key() == key(case));
}

/// Fixed data that hashes to the key, is signed by the root key, and is written as it was.
fn fixed_data(signed: &Bytes, key: &LinkKey, root: &Ed25519PrivateKey) -> FixedLinkData {
    let (signature, bytes) = split(signed);
    assert!(LinkKey::new(sha3_256(&bytes)) == *key);
    assert_eq!(root.sign(&bytes), signature);
    let fixed = decode_all(&bytes, FixedLinkData::decode).expect("fixed data");
    assert_eq!(encoded(|out| fixed.encode(out)), bytes);
    fixed
}

/// User data that is signed by one of `signers` and is written as it was, and who signed it.
fn user_data(signed: &Bytes, signers: &[Ed25519PrivateKey]) -> (UserLinkData, Ed25519PrivateKey) {
    let (signature, bytes) = split(signed);
    let signer = signers.iter().find(|signer| ed25519::verify(&signer.public(), &bytes, &signature));
    let signer = signer.expect("a signature of an owner");
    assert_eq!(signer.sign(&bytes), signature);
    let user = decode_all(&bytes, UserLinkData::decode).expect("user data");
    assert_eq!(encoded(|out| user.encode(out)), bytes);
    (user, signer.clone())
}

fn split(signed: &Bytes) -> ([u8; 64], Bytes) {
    assert_eq!(signed[0], 64);
    (signed[1..65].try_into().expect("64 bytes"), signed.slice(65..))
}

fn key(case: &Value) -> LinkKey {
    LinkKey::new(case.hex("link_key").as_ref().try_into().expect("32 bytes"))
}

fn sorted<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

/// Draws the nonce that bytes of the file start with.
struct Replay<'a>(&'a [u8]);

impl Entropy for Replay<'_> {
    fn fill(&mut self, dest: &mut [u8]) {
        let (drawn, rest) = self.0.split_at(dest.len());
        dest.copy_from_slice(drawn);
        self.0 = rest;
    }
}

const USER_300: &str = "signed_user_data_300_bytes";
