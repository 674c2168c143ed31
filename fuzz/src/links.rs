//! Links as text and bytes, and the data that they lead to.

use bytes::Bytes;
use smp_core::SeededEntropy;
use smp_core::crypto::hash::sha3_256;
use smp_core::crypto::link::{LinkFault, LinkPart, contact_link, decrypt, invitation_secret};
use smp_core::crypto::{BoxKey, Ed25519PrivateKey, Nonce, OpenedLink, OwnedLink};
use smp_core::wire::codec::{Decoded, Reader, decode_all, put_short};
use smp_core::wire::command::LinkData;
use smp_core::wire::link::{ConnectionLink, FixedLinkData, LinkOwner, RatchetKeys, UserLinkData};
use smp_core::wire::{ConnectionMode, ConnectionRequest, LinkKey, ShortLink};

use crate::input::Input;
use crate::{check_round_trip, check_settles};

/// The seed of the key that signs in [`link_data`]; a seed of the corpus has its public key in the fixed data.
pub const ROOT: [u8; 32] = [1; 32];

/// A link as text, or as bytes, or a part of one; the first byte says which.
pub fn links(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.below(7);
    let bytes = input.rest();
    match kind {
        0 => text(&bytes),
        1 => check_round_trip(&bytes, all(ShortLink::decode), ShortLink::encode),
        2 => check_settles(&bytes, all(ConnectionRequest::decode), ConnectionRequest::encode),
        3 => check_round_trip(&bytes, all(RatchetKeys::decode), RatchetKeys::encode),
        4 => check_settles(&bytes, all(FixedLinkData::decode), FixedLinkData::encode),
        5 => check_round_trip(&bytes, all(UserLinkData::decode), UserLinkData::encode),
        _ => check_round_trip(&bytes, all(LinkOwner::decode), LinkOwner::encode),
    }
}

/// Every form that a link is written in leads to the same.
fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse() {
        Ok(ConnectionLink::Short(link)) => {
            let forms = [link.to_string(), link.to_https()];
            assert!(forms.iter().all(|form| form.parse().as_ref() == Ok(&*link)), "{text} became {forms:?}");
            check_same_bytes(&*link, ShortLink::encode, ShortLink::decode);
        }
        Ok(ConnectionLink::Full(request)) => {
            let site = "a.example".parse().expect("a host");
            for form in [request.to_string(), request.to_https(&site)] {
                let again: ConnectionRequest = form.parse().expect("a link that was written");
                assert!(again.to_string() == request.to_string(), "{text} became {form}");
            }
        }
        Err(_) => {}
    }
}

fn check_same_bytes<T: PartialEq>(
    value: &T,
    encode: fn(&T, &mut Vec<u8>),
    decode: fn(&mut Reader<'_>) -> Decoded<T>,
) {
    let mut written = Vec::new();
    encode(value, &mut written);
    assert!(decode_all(&written.into(), decode).as_ref() == Ok(value), "the bytes of a text lead elsewhere");
}

/// Data that somebody signed and encrypted for a link: whoever has the link can write anything there. The first byte
/// says of which mode the link is and what is sealed without a right signature, then comes the length of the fixed
/// data.
pub fn link_data(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let choice = input.u8();
    let mode = if choice & 1 == 0 { ConnectionMode::Contact } else { ConnectionMode::Invitation };
    let length = usize::from(input.u16());
    let rest = input.rest();
    let (fixed, user) = rest.split_at(length.min(rest.len()));
    let key = LinkKey::new(sha3_256(fixed));
    let secret = match mode {
        ConnectionMode::Contact => contact_link(&key).1.box_key(),
        ConnectionMode::Invitation => invitation_secret(&key).box_key(),
    };
    let data = LinkData {
        fixed: seal(&secret, fixed, choice & 2 == 0, 2008),
        user: seal(&secret, user, choice & 4 == 0, 13_784),
    };
    match decrypt(mode, &key, &data) {
        Ok(opened) => accepted(mode, &key, &data, &opened, choice),
        Err(fault) => refused(fault, choice),
    }
}

/// Signs and seals as a link's maker does, without any of the checks; or seals the bytes as they are.
fn seal(secret: &BoxKey, data: &[u8], sign: bool, padded: usize) -> Bytes {
    let mut signed = Vec::new();
    if sign {
        put_short(&mut signed, &Ed25519PrivateKey::from_bytes(&ROOT).sign(data));
    }
    signed.extend_from_slice(data);
    let nonce = Nonce::from_bytes([0; 24]);
    let padded = padded.max(signed.len() + 2);
    let sealed = secret.seal_padded(&nonce, &signed, padded).unwrap_or_default();
    [&nonce.as_bytes()[..], &sealed].concat().into()
}

/// What was accepted has the root key that signed it, and can be made again by its owner.
fn accepted(mode: ConnectionMode, key: &LinkKey, data: &LinkData, opened: &OpenedLink, choice: u8) {
    let root = Ed25519PrivateKey::from_bytes(&ROOT);
    assert!(choice & 2 != 0 || opened.fixed.root_key.0 == root.public());
    assert!(opened.fixed.request.mode() == mode && opened.user.mode() == mode);
    let Ok(owned) = OwnedLink::load(mode, key.clone(), data.fixed.clone()) else {
        panic!("fixed data that opens does not load");
    };
    match owned.seal(&opened.user, &root, &mut SeededEntropy::new(ROOT)) {
        Ok(again) => {
            let again = decrypt(mode, key, &again).expect("what was made just now");
            assert!(again.user == opened.user && again.fixed == opened.fixed);
        }
        // The longest app data has room for one more byte only when it is written by others.
        Err(LinkFault::TooLarge(LinkPart::User)) => {}
        Err(fault) => assert!(choice & 6 != 0, "data that opens cannot be made: {fault}"),
    }
}

/// What we sealed ourselves opens as a box, and is what the key was made of.
fn refused(fault: LinkFault, choice: u8) {
    let sealed_by_us = matches!(fault, LinkFault::Hash | LinkFault::Sealed(..));
    assert!(choice & 6 != 0 || !sealed_by_us, "{fault}");
}

fn all<T>(decode: fn(&mut Reader<'_>) -> Decoded<T>) -> impl Fn(&Bytes) -> Option<T> {
    move |bytes| decode_all(bytes, decode).ok()
}
