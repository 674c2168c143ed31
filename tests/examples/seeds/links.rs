//! Seeds of links and of their data, from the vectors.

use bytes::Bytes;
use serde_json::Value;
use smp_core::crypto::Ed25519PrivateKey;
use smp_core::crypto::link::name_owner;
use smp_core::wire::codec::decode_all;
use smp_core::wire::link::{FixedLinkData, UserLinkData};
use smp_core::wire::{ConnectionRequest, Ed25519PublicKey};
use smp_fuzz::links::ROOT;
use smp_tests::vectors::{Fields, load};

use super::tagged;

/// Texts, and the bytes of every kind of value.
pub(crate) fn links() -> Vec<Vec<u8>> {
    let (short, requests) = (load("agent_short_links.json"), load("agent_conn_requests.json"));
    let requests = requests.as_array().expect("a list");
    let cases = || short.items("links").iter().step_by(3).chain(requests);
    let mut seeds: Vec<_> = cases().map(|case| [b"\0", case.text("str").as_bytes()].concat()).collect();
    seeds.extend(short.items("links").iter().step_by(3).map(|case| tagged(1, case, "encoded")));
    seeds.extend(requests.iter().map(|case| tagged(2, case, "encoded")));
    let keys = requests.iter().filter_map(|case| case.text("str").parse::<ConnectionRequest>().ok()?.ratchet);
    seeds.extend(keys.map(|keys| {
        let mut seed = vec![3];
        keys.encode(&mut seed);
        seed
    }));
    for mode in ["contact", "invitation"] {
        seeds.push([&[4][..], &unsigned(short.field(mode), "signed_fixed_data")].concat());
        seeds.push([&[5][..], &unsigned(short.field(mode), "signed_user_data")].concat());
    }
    seeds.push(tagged(6, short.field("contact"), "owner_auth_encoded"));
    seeds
}

/// Both modes, with the root key that the target signs with, and owners whom that key named; then the same unsigned.
pub(crate) fn link_data() -> Vec<Vec<u8>> {
    let file = load("agent_short_links.json");
    let root = Ed25519PrivateKey::from_bytes(&ROOT);
    let root_key = Ed25519PublicKey(root.public());
    let mut seeds = Vec::new();
    for (choice, mode) in [(0, "contact"), (1, "invitation")] {
        let case = file.field(mode);
        let fixed =
            decode_all(&unsigned(case, "signed_fixed_data"), FixedLinkData::decode).expect("fixed data");
        let mut user =
            decode_all(&unsigned(case, "signed_user_data"), UserLinkData::decode).expect("user data");
        if let Some(contact) = &mut user.contact {
            let keys = [2, 3].map(|seed| Ed25519PrivateKey::from_bytes(&[seed; 32]));
            let owner = |id, key: &Ed25519PrivateKey, by| {
                name_owner(id, Ed25519PublicKey(key.public()), by).expect("a short id")
            };
            contact.owners = vec![owner(b"first", &keys[0], &root), owner(b"second", &keys[1], &keys[0])];
        }
        let (mut fixed_bytes, mut user_bytes) = (Vec::new(), Vec::new());
        FixedLinkData { root_key, ..fixed }.encode(&mut fixed_bytes);
        user.encode(&mut user_bytes);
        let length = u16::try_from(fixed_bytes.len()).expect("short data").to_be_bytes();
        for unsigned in [0, 2, 4] {
            seeds.push([&[choice | unsigned][..], &length, &fixed_bytes, &user_bytes].concat());
        }
    }
    seeds
}

/// What follows the signature.
fn unsigned(case: &Value, field: &str) -> Bytes {
    case.hex(field).slice(65..)
}
