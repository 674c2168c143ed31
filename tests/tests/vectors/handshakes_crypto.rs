//! The signature of the session key and the fingerprint of the server in `smp_handshakes.json`.

use serde_json::Value;
use smp_core::crypto::auth::verify;
use smp_core::crypto::{AuthPrivateKey, AuthorizationRef, Nonce, hash};
use smp_tests::vectors::{Fields, unhex};

pub(crate) fn run(vectors: &Value) -> usize {
    signed_session_key(vectors) + fingerprint(vectors)
}

/// SEQUENCE { SEQUENCE { key }, algorithm, BIT STRING }: the signature is over the first element as it
/// stands.
fn signed_session_key(vectors: &Value) -> usize {
    let der = vectors.hex("server_signed_session_key_der");
    let (_, content) = element(&der);
    let (object, _) = element(content);
    let (algorithm, _) = element(&content[object.len()..]);
    let (_, bits) = element(&content[object.len() + algorithm.len()..]);
    let [0, signature @ ..] = bits else { panic!("unused bits in the signature") };

    let key = AuthPrivateKey::from_pkcs8_der(&vectors.hex("server_sign_key")).expect("sign key");
    let nonce = Nonce::from_slice(b"");
    assert_eq!(key.authorize(None, &nonce, object).expect("a signature"), signature);
    let signature = AuthorizationRef::from_bytes(signature).expect("a signature");
    assert!(verify(signature, &key.public(), None, &nonce, object));
    assert!(!verify(signature, &key.public(), None, &nonce, content));

    // The key that the leaf certificate states is the one that signed.
    let leaf = unhex(vectors.items("server_cert_chain")[0].as_str().expect("hex"));
    let public = key.public().to_der();
    assert!(leaf.windows(public.len()).any(|window| window == public));
    1
}

fn fingerprint(vectors: &Value) -> usize {
    let authority = vectors.items("server_cert_chain").last().and_then(Value::as_str).expect("a chain");
    assert_eq!(hash::sha256(&unhex(authority))[..], vectors.hex("ca_fingerprint"));
    1
}

/// The first DER element of `der`, whole and its content.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, len) = match der[1] {
        0x81 => (3, usize::from(der[2])),
        0x82 => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
        short => (2, usize::from(short)),
    };
    (&der[..header + len], &der[header..header + len])
}
