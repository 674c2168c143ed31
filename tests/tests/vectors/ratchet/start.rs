//! The keys of both sides and the ratchets that they make.

use serde_json::Value;
use smp_core::SeededEntropy;
use smp_core::crypto::kem::{KemCiphertext, KemPrivateKey, KemSecret};
use smp_core::crypto::ratchet::{FreshKeys, KemOffer, Ratchet, RatchetKey, X3dhKem, X3dhKeys};
use smp_core::crypto::{X448PrivateKey, hash};
use smp_core::wire::Version;
use smp_core::wire::codec::{Decoded, Reader, decode_all};
use smp_core::wire::link::{E2eParameters, KemParameters, KemPublicKey, RatchetKeys};
use smp_tests::vectors::{Fields, unhex};

use super::recorded::Recorded;
use crate::encoded;

/// The ratchets of both sides, from their keys.
pub(super) fn check<K: RatchetKey>(run: &Value) -> usize {
    let name = run.text("name");
    let (alice, bob) = (run.field("alice_rcv"), run.field("bob_snd"));
    let version = Version(u16::try_from(run.number("version")).expect("a version"));
    let [alice_keys, bob_keys] = [alice, bob].map(|side| private::<K>(side, version));
    let [alice_public, bob_public] = [alice, bob].map(|side| public::<K>(side));
    for (ours, public) in [(&alice_keys, &alice_public), (&bob_keys, &bob_public)] {
        assert!(ours.public() == *public, "{name}: public keys");
        let stored = X3dhKeys::<K>::from_bytes(&ours.to_bytes()).expect("stored keys");
        assert_eq!(*stored.to_bytes(), *ours.to_bytes());
    }

    let recorded = Recorded(alice.field("ratchet"));
    let expected = recorded.ratchet::<K>();
    let (max, pq) = (expected.parts().max_version, expected.parts().pq_supported);
    let accepted = Ratchet::accept(&alice_keys, &bob_public, max, pq).expect("alice's ratchet");
    assert_eq!(accepted.to_bytes()[..], recorded.bytes::<K>(), "{name}: alice's ratchet");

    let recorded = Recorded(bob.field("ratchet"));
    let mut fresh = Third { key: K::from_der(&bob.hex("private_key_3_ratchet")).expect("a key") };
    let max = recorded.ratchet::<K>().parts().max_version;
    let initiated = Ratchet::initiate(&bob_keys, &alice_public, max, &mut fresh).expect("bob's ratchet");
    assert_eq!(initiated.to_bytes()[..], recorded.bytes::<K>(), "{name}: bob's ratchet");

    for (side, ratchet) in [(alice, &accepted), (bob, &initiated)] {
        let agreed = side.field("x3dh");
        assert_eq!(ratchet.parts().associated_data, agreed.hex("assoc_data"), "{name}");
        assert_eq!(ratchet.associated_data_hash(), hash::sha256(&agreed.hex("assoc_data")));
        for (field, key) in [
            ("ratchet_key", accepted.parts().root.as_bytes()),
            ("snd_hk", accepted.parts().next_receiving_header.as_bytes()),
            ("rcv_next_hk", initiated.parts().next_receiving_header.as_bytes()),
        ] {
            assert_eq!(key[..], agreed.hex(field), "{name}: {field}");
        }
        let pair = ratchet.parts().kem.as_ref();
        let expected = agreed.get("kem_key_pair").filter(|pair| !pair.is_null());
        assert_eq!(pair.map(KemPrivateKey::as_bytes), expected.map(|pair| pair.hex("secret")).as_deref());
        check_secret(agreed, side, &alice_keys, &bob_keys);
    }
    check_generated::<K>(version, &alice_public);
    2
}

/// The KEM secret of the start is the one that both sides have.
fn check_secret<K: RatchetKey>(agreed: &Value, side: &Value, alice: &X3dhKeys<K>, bob: &X3dhKeys<K>) {
    let Some(accepted) = agreed.get("kem_accepted").filter(|accepted| !accepted.is_null()) else {
        assert!(!matches!(bob.kem, Some(X3dhKem::Accepted(..))));
        return;
    };
    let (Some(X3dhKem::Proposed(key)), Some(X3dhKem::Accepted(_, ciphertext, secret))) =
        (&alice.kem, &bob.kem)
    else {
        panic!("a secret without a proposal and an answer")
    };
    assert_eq!(secret.as_bytes()[..], accepted.hex("pqr_ss"));
    assert_eq!(key.decapsulate(ciphertext).as_bytes()[..], accepted.hex("pqr_ss"));
    assert_eq!(ciphertext.as_bytes(), accepted.hex("pqr_ct"));
    let theirs = if side.get("private_key_3_ratchet").is_some() { key.public() } else { public_kem(bob) };
    assert_eq!(theirs.as_bytes(), accepted.hex("pqr_r"));
}

fn public_kem<K: RatchetKey>(keys: &X3dhKeys<K>) -> KemPublicKey {
    keys.public().kem.expect("what is said of the KEM").key().clone()
}

/// The forms of links, which are for X448 keys alone.
pub(super) fn check_links(run: &Value) -> usize {
    let name = run.text("name");
    for side in [run.field("alice_rcv"), run.field("bob_snd")] {
        let parameters = side.hex("e2e_params");
        let read = decode_all(&parameters, E2eParameters::decode).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(encoded(|out| read.encode(out)), parameters, "{name}");
        assert!(read == public::<X448PrivateKey>(side), "{name}");
    }
    let side = run.field("alice_rcv");
    let link = decode_all(&side.hex("e2e_params_uri_encoded"), RatchetKeys::decode).expect("keys of a link");
    assert_eq!(encoded(|out| link.encode(out)), side.hex("e2e_params_uri_encoded"), "{name}");
    assert_eq!(link.to_string(), side.text("e2e_params_uri"), "{name}");
    let keys = private::<X448PrivateKey>(side, link.versions.max());
    assert!(keys.for_link(link.versions) == link, "{name}");
    3
}

/// Keys that we make have the recorded forms, and make ratchets with the recorded ones.
fn check_generated<K: RatchetKey>(version: Version, theirs: &E2eParameters<K::Public>) {
    let mut entropy = SeededEntropy::new([7; 32]);
    let offer = match &theirs.kem {
        Some(KemParameters::Proposed(key)) => KemOffer::Accept(key),
        _ => KemOffer::Propose,
    };
    let ours = X3dhKeys::<K>::generate(version, offer, &mut entropy);
    assert_eq!(ours.kem.is_some(), version >= KemParameters::SINCE);
    let ratchet = Ratchet::initiate(&ours, theirs, version, &mut entropy).expect("a ratchet");
    assert_eq!(ratchet.pq_sending(), version >= KemParameters::SINCE && theirs.kem.is_some());
}

fn private<K: RatchetKey>(side: &Value, version: Version) -> X3dhKeys<K> {
    let key = |name| K::from_der(&side.hex(name)).expect(name);
    let kem = side.field("priv_kem_encoded").as_str().map(|text| {
        decode_all(&unhex(text), |reader| {
            let kind = reader.u8()?;
            let sent = match kind {
                b'A' => {
                    let ciphertext = KemCiphertext::new(&reader.large()?)?;
                    Some((ciphertext, KemSecret::new(reader.short()?.try_into().expect("32 bytes"))))
                }
                other => {
                    assert_eq!(other, b'P');
                    None
                }
            };
            let public = reader.large()?;
            let key = KemPrivateKey::from_bytes(&reader.large()?).expect("a KEM key");
            assert_eq!(key.public().as_bytes(), public);
            Ok(match sent {
                Some((ciphertext, secret)) => X3dhKem::Accepted(key, ciphertext, secret),
                None => X3dhKem::Proposed(key),
            })
        })
        .expect("the private half of the KEM")
    });
    X3dhKeys { version, first: key("private_key_1"), second: key("private_key_2"), kem }
}

fn public<K: RatchetKey>(side: &Value) -> E2eParameters<K::Public> {
    decode_all(&side.hex("e2e_params"), parameters::<K>).expect("public keys")
}

/// [`E2eParameters::decode`] for any kind of key.
fn parameters<K: RatchetKey>(reader: &mut Reader<'_>) -> Decoded<E2eParameters<K::Public>> {
    let version = Version::decode(reader)?;
    let (first, second) = (K::decode(reader)?, K::decode(reader)?);
    let kem = if version >= KemParameters::SINCE { reader.optional(KemParameters::decode)? } else { None };
    Ok(E2eParameters { version, first, second, kem })
}

/// The recorded key of the first step.
struct Third<K> {
    key: K,
}

impl<K: RatchetKey> FreshKeys<K> for Third<K> {
    fn key(&mut self) -> K {
        self.key.clone()
    }

    fn kem_key(&mut self) -> KemPrivateKey {
        panic!("the start draws no KEM key")
    }

    fn encapsulate(&mut self, _: &KemPublicKey) -> (KemCiphertext, KemSecret) {
        panic!("the start encapsulates nothing")
    }
}
