//! Links made, changed and opened.

use bytes::Bytes;

use super::sealed::seal;
use super::*;
use crate::SeededEntropy;
use crate::crypto::{BoxKey, Ed25519PrivateKey};
use crate::wire::link::{ConnectionRequest, ContactDetails, ContactKind, LinkServer, RatchetKeys};
use crate::wire::{
    DhPublicKey, QueueAddress, QueueMode, QueueUri, ServerAddress, Version, VersionRange, X448PublicKey,
};

const MODES: [ConnectionMode; 2] = [ConnectionMode::Invitation, ConnectionMode::Contact];

fn server(hosts: &[&str]) -> ServerAddress {
    ServerAddress::new(hosts.iter().map(|host| host.parse().unwrap()).collect(), None, [1; 32]).unwrap()
}

fn versions() -> VersionRange {
    VersionRange::new(Version(2), Version(7)).unwrap()
}

fn request(mode: ConnectionMode) -> ConnectionRequest {
    let (queue_mode, ratchet) = match mode {
        ConnectionMode::Contact => (QueueMode::Contact, None),
        ConnectionMode::Invitation => {
            let (first, second) = (X448PublicKey([2; 56]), X448PublicKey([3; 56]));
            (QueueMode::Messaging, Some(RatchetKeys { versions: versions(), first, second, kem: None }))
        }
    };
    let address = QueueAddress {
        server: server(&["a.io", "a.onion"]),
        sender_id: [4; 24].into(),
        dh_key: DhPublicKey([5; 32]),
        mode: Some(queue_mode),
    };
    let versions = VersionRange::new(Version(1), Version(4)).unwrap();
    ConnectionRequest::new(self::versions(), vec![QueueUri { versions, address }], ratchet).unwrap()
}

fn user(mode: ConnectionMode, data: impl Into<Bytes>) -> UserLinkData {
    let contact = ContactDetails { direct: true, owners: Vec::new(), relays: Vec::new() };
    let contact = (mode == ConnectionMode::Contact).then_some(contact);
    UserLinkData { versions: versions(), contact, data: data.into() }
}

fn with_owners(owners: Vec<LinkOwner>) -> UserLinkData {
    let contact = ContactDetails { direct: false, owners, relays: Vec::new() };
    UserLinkData { contact: Some(contact), ..user(ConnectionMode::Contact, "data") }
}

fn key(seed: u8) -> Ed25519PrivateKey {
    Ed25519PrivateKey::from_bytes(&[seed; 32])
}

fn public(key: &Ed25519PrivateKey) -> Ed25519PublicKey {
    Ed25519PublicKey(key.public())
}

fn entropy() -> SeededEntropy {
    SeededEntropy::new([6; 32])
}

/// A link with the root key of seed 1.
fn make(mode: ConnectionMode) -> OwnedLink {
    OwnedLink::new(versions(), request(mode), None, &key(1), &mut entropy()).unwrap()
}

fn kind(mode: ConnectionMode) -> LinkKind {
    match mode {
        ConnectionMode::Invitation => LinkKind::Invitation([7; 24].into()),
        ConnectionMode::Contact => LinkKind::Contact(ContactKind::Group),
    }
}

fn short(owned: &OwnedLink) -> ShortLink {
    owned.short_link(kind(owned.mode()), server(&["a.io"])).unwrap()
}

fn fault<T>(result: Result<T, LinkFault>) -> Option<LinkFault> {
    result.err()
}

/// The data of a link of ours whose signed bytes are any.
fn forge(mode: ConnectionMode, fixed: &[u8], by: &Ed25519PrivateKey, user: &[u8]) -> (LinkKey, LinkData) {
    let key = LinkKey::new(sha3_256(fixed));
    let secret = secret_of(mode, &key).box_key();
    let fixed = seal(&FIXED, &secret, fixed, by, &mut entropy()).unwrap();
    let user = seal(&USER, &secret, user, by, &mut entropy()).unwrap();
    (key, LinkData { fixed, user })
}

fn fixed_bytes(mode: ConnectionMode) -> Vec<u8> {
    let mut out = Vec::new();
    let root_key = public(&key(1));
    FixedLinkData { versions: versions(), root_key, request: request(mode), entity_id: None }
        .encode(&mut out);
    out
}

fn user_bytes(user: &UserLinkData) -> Vec<u8> {
    let mut out = Vec::new();
    user.encode(&mut out);
    out
}

#[test]
fn who_has_the_link_opens_what_its_owner_made_of_it() {
    for mode in MODES {
        let owned = make(mode);
        let link = short(&owned);
        assert_eq!(owned.link_id(), (mode == ConnectionMode::Contact).then(|| link_id(&link)));
        for data in [&b""[..], b"first", &[8; 254], &[8; 255], &[8; 13_000]] {
            let user = user(mode, data.to_vec());
            let sealed = owned.seal(&user, &key(1), &mut entropy()).unwrap();
            assert_eq!((sealed.fixed.len(), sealed.user.len()), (2048, 13824));
            let opened = open(&link, &[4; 24].into(), &sealed).unwrap();
            assert!(opened.user == user);
            // The server of the link counts for more than that of the request.
            assert_eq!(opened.fixed.request.queues()[0].address.server, server(&["a.io"]));
            assert_eq!(opened.fixed.request.mode(), mode);
        }
    }
}

#[test]
fn a_link_that_was_kept_can_be_changed() {
    for mode in MODES {
        let made = make(mode);
        let kept = OwnedLink::load(mode, made.key().clone(), made.fixed().clone()).ok().unwrap();
        let data = kept.seal(&user(mode, "changed"), &key(1), &mut entropy()).unwrap();
        assert_eq!(data.fixed, made.fixed());
        assert_eq!(open(&short(&made), &[4; 24].into(), &data).unwrap().user.data, "changed");
        let other = LinkKey::new([9; 32]);
        let opens_not = LinkFault::Sealed(LinkPart::Fixed, CryptoError::Open);
        assert_eq!(fault(OwnedLink::load(mode, other, made.fixed().clone())), Some(opens_not));
    }
}

#[test]
fn each_fault_has_its_name() {
    for (mode, other) in [(MODES[0], MODES[1]), (MODES[1], MODES[0])] {
        let owned = make(mode);
        let data = owned.seal(&user(mode, "data"), &key(1), &mut entropy()).unwrap();
        let link = short(&owned);
        let sender = [4; 24].into();
        let opened = |link: &ShortLink, data: &LinkData| fault(open(link, &sender, data));
        assert_eq!(opened(&link, &data), None);

        let sealed = |part| Some(LinkFault::Sealed(part, CryptoError::Open));
        let cut = |bytes: &Bytes, len: usize| bytes.slice(..len);
        for len in [0, 23, 24, 39, 40, 2047] {
            let data = LinkData { fixed: cut(&data.fixed, len), ..data.clone() };
            assert_eq!(opened(&link, &data), sealed(LinkPart::Fixed), "{len}");
            let data = LinkData { user: cut(&data.user, len), fixed: owned.fixed().clone() };
            assert_eq!(opened(&link, &data), sealed(LinkPart::User), "{len}");
        }
        assert_eq!(fault(decrypt(other, owned.key(), &data)), sealed(LinkPart::Fixed));
        assert_eq!(fault(open(&link, &[5; 24].into(), &data)), Some(LinkFault::SenderId));
        let elsewhere = ShortLink { server: server(&["b.io", "a.io"]).into(), ..link.clone() };
        assert_eq!(opened(&elsewhere, &data), Some(LinkFault::Server));
        let known = LinkServer::from(server(&["a.io"]));
        let unrestored = ShortLink { server: known.shortened(&[server(&["a.io"])]), ..link.clone() };
        assert_eq!(opened(&unrestored, &data), Some(LinkFault::Server));
        assert_eq!(fault(owned.short_link(kind(other), server(&["a.io"]))), Some(LinkFault::Mode));
    }
}

/// What only those can make who know the key of the link, or made it themselves.
#[test]
fn data_by_others_is_refused() {
    for (mode, other) in [(MODES[0], MODES[1]), (MODES[1], MODES[0])] {
        let (fixed, user) = (fixed_bytes(mode), user_bytes(&user(mode, "data")));
        let opened = |fixed: &[u8], by: &Ed25519PrivateKey, user: &[u8]| {
            let (key, data) = forge(mode, fixed, by, user);
            fault(decrypt(mode, &key, &data))
        };
        assert_eq!(opened(&fixed, &key(1), &user), None);
        assert_eq!(opened(&fixed, &key(2), &user), Some(LinkFault::Signature(LinkPart::Fixed)));
        assert_eq!(opened(&fixed[..99], &key(1), &user), Some(LinkFault::Malformed(LinkPart::Fixed)));
        assert_eq!(opened(&fixed, &key(1), &user[..4]), Some(LinkFault::Malformed(LinkPart::User)));
        assert_eq!(opened(&fixed, &key(1), &[]), Some(LinkFault::Malformed(LinkPart::User)));
        assert_eq!(opened(&fixed_bytes(other), &key(1), &user), Some(LinkFault::Mode));
        let other_user = user_bytes(&tests::user(other, "data"));
        assert_eq!(opened(&fixed, &key(1), &other_user), Some(LinkFault::Mode));
        // What later versions append is ignored. After fixed data without an entity id it is not one by chance.
        assert_eq!(opened(&[&fixed[..], b"\xfflater"].concat(), &key(1), &user), None);
        assert_eq!(opened(&fixed, &key(1), &[&user[..], b"later"].concat()), None);

        // The key of the link decrypts, and yet the data is other than the link was made for.
        let (link_key, good) = forge(mode, &fixed, &key(1), &user);
        let secret = secret_of(mode, &link_key).box_key();
        let resealed = |part, bytes: &[u8], by| seal(part, &secret, bytes, &key(by), &mut entropy()).unwrap();
        let with_fixed = |fixed| LinkData { fixed, ..good.clone() };
        let with_user = |user| LinkData { user, ..good.clone() };
        let decrypted = |data: &LinkData| fault(decrypt(mode, &link_key, data));
        let longer = [&fixed[..], b"\x01x"].concat();
        assert_eq!(decrypted(&with_fixed(resealed(&FIXED, &longer, 1))), Some(LinkFault::Hash));
        let by_stranger = with_user(resealed(&USER, &user, 2));
        assert_eq!(decrypted(&by_stranger), Some(LinkFault::Signature(LinkPart::User)));
        assert_eq!(
            decrypted(&with_user(unsigned(&secret, b"\x00"))),
            Some(LinkFault::Malformed(LinkPart::User))
        );
        let padding = with_fixed(unpadded(&secret));
        assert_eq!(decrypted(&padding), Some(LinkFault::Sealed(LinkPart::Fixed, CryptoError::Padding)));
    }
}

/// A part with a signature of a wrong length.
fn unsigned(secret: &BoxKey, content: &[u8]) -> Bytes {
    let nonce = crate::crypto::Nonce::from_bytes([0; 24]);
    [&[0; 24][..], &secret.seal_padded(&nonce, content, 100).unwrap()].concat().into()
}

/// A part that says it is longer than it is.
fn unpadded(secret: &BoxKey) -> Bytes {
    let nonce = crate::crypto::Nonce::from_bytes([0; 24]);
    [&[0; 24][..], &secret.seal(&nonce, &[0xff, 0xff, 0])].concat().into()
}

#[test]
fn owners_name_owners() {
    let owned = make(ConnectionMode::Contact);
    let name = |id: &str, who: u8, by: u8| name_owner(id.as_bytes(), public(&key(who)), &key(by)).unwrap();
    let open = |data: &LinkData| decrypt(ConnectionMode::Contact, owned.key(), data);
    for owners in [
        vec![name("a", 2, 1)],
        vec![name("a", 2, 1), name("b", 3, 1)],
        vec![name("a", 2, 1), name("b", 3, 2), name("", 4, 3)],
    ] {
        let user = with_owners(owners);
        let count = u8::try_from(owners_of(&user).len()).unwrap();
        for signer in 1..=count + 1 {
            let data = owned.seal(&user, &key(signer), &mut entropy()).unwrap();
            assert!(open(&data).unwrap().user == user);
        }
        let stranger = owned.seal(&user, &key(count + 2), &mut entropy());
        assert_eq!(fault(stranger), Some(LinkFault::Signature(LinkPart::User)));
    }
    for (owners, expected) in [
        (vec![name("a", 2, 3)], LinkFault::OwnerSignature),
        (vec![name("a", 2, 2)], LinkFault::OwnerSignature),
        (vec![name("b", 3, 2), name("a", 2, 1)], LinkFault::OwnerSignature),
        (
            vec![LinkOwner::new(b"other", public(&key(2)), *name("a", 2, 1).signature()).unwrap()],
            LinkFault::OwnerSignature,
        ),
        (vec![name("a", 1, 1)], LinkFault::OwnerTwice),
        (vec![name("a", 2, 1), name("a", 3, 1)], LinkFault::OwnerTwice),
        (vec![name("a", 2, 1), name("b", 2, 1)], LinkFault::OwnerTwice),
    ] {
        let user = with_owners(owners);
        assert_eq!(fault(owned.seal(&user, &key(1), &mut entropy())), Some(expected));
        let (link_key, data) = forge(
            ConnectionMode::Contact,
            &fixed_bytes(ConnectionMode::Contact),
            &key(1),
            &user_bytes(&user),
        );
        assert_eq!(fault(decrypt(ConnectionMode::Contact, &link_key, &data)), Some(expected));
    }
    assert_eq!(
        fault(name_owner(&[0; 145], public(&key(2)), &key(1))),
        Some(LinkFault::TooLarge(LinkPart::User))
    );
    assert!(name_owner(&[0; 144], public(&key(2)), &key(1)).is_ok());
}

#[test]
fn what_does_not_fit_is_refused() {
    let request = request(ConnectionMode::Contact).with_client_data("d".repeat(2000)).unwrap();
    let made = OwnedLink::new(versions(), request, None, &key(1), &mut entropy());
    assert_eq!(fault(made), Some(LinkFault::TooLarge(LinkPart::Fixed)));

    let owned = make(ConnectionMode::Contact);
    let too_large = Some(LinkFault::TooLarge(LinkPart::User));
    let sealed = |user: &UserLinkData| fault(owned.seal(user, &key(1), &mut entropy()));
    // Length of padding, signature, mode, versions, direct, two lists, length.
    let most = 13_784 - 2 - 65 - 1 - 4 - 1 - 2 - 3;
    assert_eq!(sealed(&user(ConnectionMode::Contact, vec![0; most])), None);
    for len in [most + 1, 65_535, 65_536, 100_000] {
        assert_eq!(sealed(&user(ConnectionMode::Contact, vec![0; len])), too_large, "{len}");
    }
    let relay = short(&owned);
    let contact =
        |count| ContactDetails { direct: true, owners: Vec::new(), relays: vec![relay.clone(); count] };
    let relays = |count| UserLinkData { contact: Some(contact(count)), ..user(ConnectionMode::Contact, "") };
    assert_eq!(sealed(&relays(100)), None);
    assert_eq!(sealed(&relays(256)), too_large);
    assert_eq!(sealed(&user(ConnectionMode::Invitation, "")), Some(LinkFault::Mode));
}

#[test]
fn an_entity_id_is_part_of_the_link() {
    let id = Some([9; 24].into());
    let with = OwnedLink::new(versions(), request(MODES[1]), id.clone(), &key(1), &mut entropy()).unwrap();
    assert!(*with.key() != *make(MODES[1]).key());
    let data = with.seal(&user(MODES[1], ""), &key(1), &mut entropy()).unwrap();
    assert_eq!(decrypt(MODES[1], with.key(), &data).unwrap().fixed.entity_id, id);
}

quickcheck::quickcheck! {
    fn any_data_opens_as_it_was_made(data: Vec<u8>, id: Vec<u8>, seed: u8, contact: bool) -> bool {
        let mode = MODES[usize::from(contact)];
        let id = (!id.is_empty()).then(|| EntityId::new(&id[..id.len().min(255)]).unwrap());
        let root = key(seed);
        let owned = OwnedLink::new(versions(), request(mode), id, &root, &mut entropy()).unwrap();
        let user = user(mode, data);
        let sealed = owned.seal(&user, &root, &mut entropy()).unwrap();
        open(&short(&owned), &[4; 24].into(), &sealed).is_ok_and(|opened| opened.user == user)
    }

    fn a_changed_byte_does_not_open(at: usize, change: u8, of_user: bool) -> bool {
        let owned = make(MODES[1]);
        let mut data = owned.seal(&user(MODES[1], "data"), &key(1), &mut entropy()).unwrap();
        let part = if of_user { &mut data.user } else { &mut data.fixed };
        let mut changed = part.to_vec();
        let at = at % changed.len();
        changed[at] ^= change | 1;
        *part = changed.into();
        decrypt(MODES[1], owned.key(), &data).is_err()
    }

    fn any_signed_bytes_are_refused_or_read(user: Vec<u8>, cut: usize, contact: bool) -> bool {
        let mode = MODES[usize::from(contact)];
        let head = user_bytes(&tests::user(mode, "some data"));
        let bytes = [&head[..cut % head.len()], &user].concat();
        let (link_key, data) = forge(mode, &fixed_bytes(mode), &key(1), &bytes);
        decrypt(mode, &link_key, &data).map_or(true, |opened| opened.user.mode() == mode)
    }
}
