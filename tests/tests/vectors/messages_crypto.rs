//! The boxes and digests of `smp_messages.json`: bodies for recipients, notifications, messages from end to
//! end.

use serde_json::Value;
use smp_core::crypto::{BoxKey, DhSecret, Nonce, X25519PrivateKey, hash};
use smp_core::wire::DhPublicKey;
use smp_tests::vectors::{Fields, unhex};

pub(crate) fn run(vectors: &Value) -> usize {
    recipient_bodies(vectors) + notification(vectors) + client_messages(vectors) + queue_hashes(vectors)
}

fn recipient_bodies(vectors: &Value) -> usize {
    let inputs = vectors.field("inputs");
    let secret = agree(inputs.field("keys"), "rcv_dh", "srv_dh");
    assert_eq!(secret.as_bytes()[..], vectors.hex("rcv_dh_secret"));
    let nonce = Nonce::from_slice(&inputs.hex("msg_id"));
    for case in vectors.items("rcv_msg_bodies") {
        let sealed = case.field("encrypted").hex("hex");
        check(&secret.box_key(), &nonce, &case.hex("encoded"), &sealed);
    }
    vectors.items("rcv_msg_bodies").len()
}

fn notification(vectors: &Value) -> usize {
    let case = vectors.field("nmsg");
    let secret = agree(vectors.field("inputs").field("keys"), "ntf_dh", "srv_ntf_dh");
    assert_eq!(secret.as_bytes()[..], case.hex("ntf_dh_secret"));
    let nonce = Nonce::from_slice(&case.hex("nonce"));
    check(&secret.box_key(), &nonce, &case.hex("meta"), &case.hex("enc_meta"));
    1
}

fn client_messages(vectors: &Value) -> usize {
    let keys = vectors.field("e2e_keys");
    let secret = agree(keys, "snd", "rcv");
    assert_eq!(secret.as_bytes()[..], keys.hex("secret"));
    let nonce = Nonce::from_slice(&keys.hex("nonce"));
    for case in vectors.items("client_messages") {
        let envelope = case.field("envelope").hex("hex");
        let sealed_len = usize::try_from(case.number("padded_len")).expect("a length") + 16;
        let (head, sealed) = envelope.split_at(envelope.len() - sealed_len);
        assert!(head.ends_with(nonce.as_bytes()));
        check(&secret.box_key(), &nonce, &case.hex("client_message"), sealed);
    }
    vectors.items("client_messages").len()
}

fn queue_hashes(vectors: &Value) -> usize {
    let inputs = vectors.field("inputs");
    let [ids, hashes] = ["ids_hash_queues", "ids_hash_each"].map(|name| inputs.items(name));
    assert_eq!(ids.len(), hashes.len());
    for (id, hash) in ids.iter().zip(hashes) {
        let [id, hash] = [id, hash].map(|value| unhex(value.as_str().expect("hex")));
        assert_eq!([&[16][..], &hash::md5(&id)].concat(), hash);
    }
    ids.len()
}

/// The secret of two key pairs, which both sides must agree on.
fn agree(keys: &Value, ours: &str, theirs: &str) -> DhSecret {
    let [(our_key, our_public), (their_key, their_public)] = [ours, theirs].map(|name| {
        let key = keys.field(name);
        let public = DhPublicKey::from_der(&key.hex("public_der")).expect(name);
        (X25519PrivateKey::from_pkcs8_der(&key.hex("private_der")).expect(name), public)
    });
    let secret = our_key.diffie_hellman(&their_public).expect(ours);
    assert_eq!(secret.as_bytes(), their_key.diffie_hellman(&our_public).expect(theirs).as_bytes());
    secret
}

fn check(key: &BoxKey, nonce: &Nonce, message: &[u8], sealed: &[u8]) {
    assert!(key.seal_padded(nonce, message, sealed.len() - 16).expect("fits") == sealed);
    assert_eq!(key.open_padded(nonce, sealed).expect("opens"), message);
    assert!(key.open_padded(nonce, &sealed[..sealed.len() - 1]).is_err());
}
