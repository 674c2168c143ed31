//! `crypto_kem.json`: sntrup761, and the secret that remote control makes of it and Diffie-Hellman.

use serde_json::Value;
use smp_core::crypto::hash::sha3_256;
use smp_core::crypto::kem::{KemCiphertext, KemPrivateKey, KemPublicKey};
use smp_core::crypto::{X25519PrivateKey, kem};
use smp_core::wire::codec::{put_large, put_short};
use smp_core::{SeededEntropy, wire::DhPublicKey};
use smp_tests::vectors::Fields;

use crate::encoded;

pub(crate) fn run(file: &Value) -> usize {
    let cases = file.as_array().expect("a list");
    cases.iter().for_each(check);
    cases.len()
}

fn check(case: &Value) {
    let key = KemPrivateKey::from_bytes(&case.hex("secret_key")).expect("a key");
    assert_eq!(key.as_bytes(), case.hex("secret_key"));
    let public = KemPublicKey::new(&case.hex("public_key")).expect("a public key");
    assert!(key.public() == public);

    let ciphertext = case.hex("ciphertext");
    let secret = key.decapsulate(&KemCiphertext::new(&ciphertext).expect("a ciphertext"));
    assert_eq!(secret.as_bytes()[..], case.hex("decapsulated"));
    assert_eq!(secret.as_bytes()[..], case.hex("shared"));

    assert_eq!(case.text("bad_ciphertext_flip"), "first byte of ciphertext + 1 (mod 256)");
    let mut changed = ciphertext.to_vec();
    changed[0] = changed[0].wrapping_add(1);
    let rejected = key.decapsulate(&KemCiphertext::new(&changed).expect("a ciphertext"));
    assert_eq!(rejected.as_bytes()[..], case.hex("bad_decapsulated"));

    let ours =
        X25519PrivateKey::from_pkcs8_der(&case.field("hybrid_x25519_a").hex("private_der")).expect("a key");
    let theirs = DhPublicKey::from_der(&case.field("hybrid_x25519_b").hex("public_der")).expect("a key");
    let agreed = ours.diffie_hellman(&theirs).expect("a secret");
    let hybrid = sha3_256(&[&agreed.as_bytes()[..], secret.as_bytes()].concat());
    assert_eq!(hybrid[..], case.hex("hybrid_secret_sha3_256"));

    assert!(
        encoded(|out| put_large(out, public.as_bytes())).starts_with(&case.hex("smp_encode_public_key_head"))
    );
    assert!(encoded(|out| put_large(out, &ciphertext)).starts_with(&case.hex("smp_encode_ciphertext_head")));
    assert_eq!(encoded(|out| put_short(out, secret.as_bytes())), case.hex("smp_encode_shared"));

    let (ciphertext, sent) = kem::encapsulate(&public, &mut SeededEntropy::new([1; 32]));
    assert_eq!(key.decapsulate(&ciphertext).as_bytes(), sent.as_bytes());
}
