//! `crypto.json`: keys, Diffie-Hellman, signatures, digests, padding, boxes, authenticators, block chains, AES-256-GCM.

use serde_json::Value;
use smp_core::crypto::auth::verify;
use smp_core::crypto::{
    AuthPrivateKey, AuthorizationRef, BlockChain, BoxKey, CryptoError, DhSecret, Nonce, SecretKey,
    X448PrivateKey, X448PublicKey, X25519PrivateKey, aes_gcm, authenticator, hash, padding,
};
use smp_core::wire::codec::put_short;
use smp_core::wire::{AuthPublicKey, DhPublicKey};
use smp_tests::vectors::{Fields, unhex};

pub(crate) fn run(vectors: &Value) -> usize {
    let parts = [
        keys,
        dh,
        signatures,
        hashes,
        hkdf,
        pad,
        unpad,
        boxes,
        nonces,
        authenticators,
        block_chains,
        ciphers,
    ];
    parts.iter().map(|part| part(vectors)).sum()
}

fn keys(vectors: &Value) -> usize {
    let keys = vectors.field("keys");
    for kind in ["ed25519", "ed448", "x25519"] {
        for case in keys.items(kind) {
            let key = AuthPrivateKey::from_pkcs8_der(&case.hex("private_der")).expect(kind);
            assert_eq!(**key.to_pkcs8_der(), *case.hex("private_der"));
            let public = key.public();
            assert_eq!(public.to_der(), case.hex("public_der"));
            assert!(case.hex("public_der").ends_with(&case.hex("public_raw")));
            assert_eq!(AuthPublicKey::from_der(&case.hex("public_der")), Ok(public));
            assert_eq!(kind, kind_of(&public));
        }
    }
    for case in keys.items("x448") {
        let key = X448PrivateKey::from_pkcs8_der(&case.hex("private_der")).expect("x448");
        assert_eq!(**key.to_pkcs8_der(), *case.hex("private_der"));
        assert_eq!(key.public().0[..], case.hex("public_raw"));
        assert_eq!(key.public().to_der(), case.hex("public_der"));
        assert_eq!(X448PublicKey::from_der(&case.hex("public_der")), Ok(key.public()));
    }
    ["ed25519", "ed448", "x25519", "x448"].iter().map(|kind| keys.items(kind).len()).sum()
}

fn kind_of(key: &AuthPublicKey) -> &'static str {
    match key {
        AuthPublicKey::Ed25519(_) => "ed25519",
        AuthPublicKey::Ed448(_) => "ed448",
        AuthPublicKey::X25519(_) => "x25519",
    }
}

fn dh(vectors: &Value) -> usize {
    let dh = vectors.field("dh");
    for case in dh.items("x25519") {
        let key = X25519PrivateKey::from_pkcs8_der(&case.hex("private")).expect("private");
        let public = DhPublicKey::from_der(&case.hex("public")).expect("public");
        assert_eq!(key.diffie_hellman(&public).expect("secret").as_bytes()[..], case.hex("secret"));
    }
    for case in dh.items("x448") {
        let key = X448PrivateKey::from_pkcs8_der(&case.hex("private")).expect("private");
        let public = X448PublicKey::from_der(&case.hex("public")).expect("public");
        assert_eq!(key.diffie_hellman(&public).expect("secret").as_bytes()[..], case.hex("secret"));
    }
    dh.items("x25519").len() + dh.items("x448").len()
}

fn signatures(vectors: &Value) -> usize {
    let nonce = Nonce::from_slice(b"");
    for case in vectors.items("signatures") {
        let key = AuthPrivateKey::from_pkcs8_der(&case.hex("private")).expect("private");
        assert_eq!(case.text("alg"), kind_of(&key.public()));
        let signature = case.hex("signature");
        assert_eq!(key.authorize(None, &nonce, &case.hex("msg")).expect("a signature"), signature);
        if let Some(wire) = case.get("smp") {
            let mut short = Vec::new();
            put_short(&mut short, &signature);
            assert_eq!(short, unhex(wire.as_str().expect("hex")));
        }
        let verifies = |signature: &[u8], message: &[u8]| {
            let signature = AuthorizationRef::from_bytes(signature).expect("a signature");
            verify(signature, &key.public(), None, &nonce, message)
        };
        assert!(verifies(&signature, &case.hex("msg")));
        assert!(!verifies(&signature, &[&case.hex("msg")[..], b"x"].concat()));
        let mut changed = signature.to_vec();
        changed[10] ^= 1;
        assert!(!verifies(&changed, &case.hex("msg")));
    }
    vectors.items("signatures").len()
}

fn hashes(vectors: &Value) -> usize {
    for case in vectors.items("hashes") {
        let message = case.hex("msg");
        assert_eq!(hash::sha256(&message)[..], case.hex("sha256"));
        assert_eq!(hash::sha512(&message)[..], case.hex("sha512"));
        assert_eq!(hash::sha3_256(&message)[..], case.hex("sha3_256"));
        assert_eq!(hash::sha3_384(&message)[..], case.hex("sha3_384"));
    }
    vectors.items("hashes").len()
}

fn hkdf(vectors: &Value) -> usize {
    for case in vectors.items("hkdf_sha512") {
        let mut out = vec![0; usize::try_from(case.number("len")).expect("a length")];
        hash::hkdf_sha512(&case.hex("salt"), &case.hex("ikm"), case.text("info").as_bytes(), &mut out)
            .expect("len");
        assert_eq!(out, case.hex("out"));
    }
    vectors.items("hkdf_sha512").len()
}

fn pad(vectors: &Value) -> usize {
    for case in vectors.items("pad") {
        let padded = padding::pad(&case.hex("msg"), len(case, "padded_len"));
        match case.text("result").strip_prefix("error: ") {
            None => assert_eq!(padded.expect("padded"), case.hex("result")),
            Some(error) => {
                assert_eq!(error, "CryptoLargeMsgError");
                assert_eq!(padded, Err(CryptoError::TooLarge));
            }
        }
    }
    vectors.items("pad").len()
}

fn unpad(vectors: &Value) -> usize {
    for case in vectors.items("unpad") {
        let padded = case.hex("padded");
        let message = padding::unpad(&padded);
        match case.text("result").strip_prefix("error: ") {
            None => assert_eq!(message.expect("a message"), case.hex("result")),
            Some(error) => {
                assert_eq!(error, "CryptoInvalidMsgError");
                assert_eq!(message, Err(CryptoError::Padding));
            }
        }
    }
    vectors.items("unpad").len()
}

fn boxes(vectors: &Value) -> usize {
    let vectors = vectors.field("box");
    let nonce = Nonce::from_slice(&vectors.hex("nonce"));
    let crypto_box = DhSecret::new(array(&vectors.hex("dh_secret"))).box_key();
    let secret_box = SecretKey::new(array(&vectors.hex("sb_key"))).box_key();
    let mut cases = 0;
    for (key, plain, padded) in
        [(crypto_box, "cb_no_pad", "cb_padded"), (secret_box, "sb_no_pad", "sb_padded")]
    {
        for case in vectors.items(plain) {
            assert_eq!(key.seal(&nonce, &case.hex("msg")), case.hex("box"));
            assert_eq!(key.open(&nonce, &case.hex("box")).expect("opens"), case.hex("msg"));
            changed_box_does_not_open(&key, &nonce, &case.hex("box"));
            cases += 1;
        }
        for case in vectors.items(padded) {
            let sealed = key.seal_padded(&nonce, &case.hex("msg"), len(case, "padded_len")).expect("fits");
            assert_eq!(sealed, case.hex("box"));
            assert_eq!(key.open_padded(&nonce, &case.hex("box")).expect("opens"), case.hex("msg"));
            changed_box_does_not_open(&key, &nonce, &case.hex("box"));
            cases += 1;
        }
    }
    cases
}

fn changed_box_does_not_open(key: &BoxKey, nonce: &Nonce, sealed: &[u8]) {
    for i in 0..sealed.len() {
        let mut changed = sealed.to_vec();
        changed[i] ^= 1;
        assert_eq!(key.open(nonce, &changed), Err(CryptoError::Open), "byte {i}");
    }
}

fn nonces(vectors: &Value) -> usize {
    let cases = vectors.field("box").items("short_nonce");
    for case in cases {
        let nonce = Nonce::from_slice(&case.hex("nonce_input"));
        assert_eq!(nonce.as_bytes()[..], case.hex("nonce"));
        assert_eq!(nonce.reversed().as_bytes()[..], case.hex("reversed"));
    }
    cases.len()
}

fn authenticators(vectors: &Value) -> usize {
    for case in vectors.items("cb_authenticator") {
        let key = X25519PrivateKey::from_pkcs8_der(&case.hex("private")).expect("private");
        let public = DhPublicKey::from_der(&case.hex("public")).expect("public");
        let nonce = Nonce::from_slice(&case.hex("nonce"));
        let box_key = key.diffie_hellman(&public).expect("secret").box_key();
        let expected = case.hex("authenticator");
        assert_eq!(authenticator::authenticate(&box_key, &nonce, &case.hex("msg"))[..], expected);
        let expected = expected[..].try_into().expect("80 bytes");
        assert!(authenticator::verify(&box_key, &nonce, &case.hex("msg"), expected));
        assert!(!authenticator::verify(&box_key, &nonce, b"another message", expected));
    }
    vectors.items("cb_authenticator").len()
}

fn block_chains(vectors: &Value) -> usize {
    let vectors = vectors.field("sb_chain");
    let secret = DhSecret::new(array(&vectors.hex("secret")));
    let (first, second) = BlockChain::pair(&vectors.hex("salt"), &secret);
    let mut cases = 0;
    for (mut chain, steps) in [(first, vectors.items("first")), (second, vectors.items("second"))] {
        for step in steps {
            let (key, nonce) = chain.step();
            assert_eq!(key.as_bytes()[..], step.hex("key"));
            assert_eq!(nonce.as_bytes()[..], step.hex("nonce"));
            cases += 1;
        }
    }
    cases
}

fn ciphers(vectors: &Value) -> usize {
    let (short, long) =
        (vectors.items("aes256_gcm_12_byte_iv_no_pad"), vectors.items("aes256_gcm_16_byte_iv_padded"));
    for case in short {
        cipher(case, &array::<12>(&case.hex("iv12")), &case.hex("msg"), &[]);
    }
    for case in long {
        let padded = padding::pad(&case.hex("msg"), len(case, "padded_len")).expect("fits");
        cipher(case, &array::<16>(&case.hex("iv16")), &padded, &case.hex("ad"));
    }
    short.len() + long.len()
}

fn cipher(case: &Value, iv: &impl aes_gcm::Iv, message: &[u8], associated: &[u8]) {
    let (key, tag) = (array(&case.hex("key")), array(&case.hex("tag")));
    let mut buffer = message.to_vec();
    assert_eq!(aes_gcm::seal(&key, iv, associated, &mut buffer), Ok(tag));
    assert_eq!(buffer, case.hex("ciphertext"));
    assert_eq!(aes_gcm::open(&key, iv, associated, &mut buffer, &tag), Ok(()));
    assert_eq!(buffer, message);
    let mut changed = tag;
    changed[3] ^= 1;
    assert_eq!(aes_gcm::open(&key, iv, associated, &mut buffer, &changed), Err(CryptoError::Open));
}

fn len(case: &Value, name: &str) -> usize {
    usize::try_from(case.number(name)).expect("a length")
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("a secret")
}
