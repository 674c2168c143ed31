//! The authorisations and encrypted blocks of `smp_transmissions.json`.

use bytes::Bytes;
use serde_json::Value;
use smp_core::crypto::auth::{verify, verify_dummy};
use smp_core::crypto::{
    AuthPrivateKey, AuthorizationRef, BlockChain, DhSecret, Ed25519PrivateKey, Nonce, X25519PrivateKey,
    ed25519,
};
use smp_core::wire::Reader;
use smp_tests::vectors::{Fields, assert_digest};

pub(crate) fn run(vectors: &Value) -> usize {
    vectors
        .items("versions")
        .iter()
        .map(|version| authorizations(vectors, version) + blocks(vectors, version))
        .sum()
}

fn authorizations(vectors: &Value, version: &Value) -> usize {
    let cases = version.items("transmissions").iter();
    cases.filter(|case| authorization(vectors, case, version.number("version"))).count()
}

/// False for a command without authorisation.
fn authorization(vectors: &Value, case: &Value, version: u64) -> bool {
    let name = case.text("name");
    let encoded = case.hex("encoded");
    let mut reader = Reader::new(&encoded);
    let bytes = reader.short().expect(name);
    let Some(authorization) = AuthorizationRef::from_bytes(bytes) else {
        assert!(bytes.is_empty(), "{name}: an authorisation of {} bytes", bytes.len());
        return false;
    };
    let mut authorized = case.hex("t_for_auth");
    if version >= 16
        && let Some(signature) = reader.optional(Reader::short).expect(name)
    {
        service_signature(vectors, &authorized, signature);
        authorized = [&vectors.hex("service_cert_fingerprint")[..], &authorized].concat().into();
    }
    assert_eq!(reader.rest(), case.hex("t_to_send"), "{name}");
    only_one_key(vectors, authorization, bytes, &authorized, name);
    true
}

fn service_signature(vectors: &Value, authorized: &[u8], signature: &[u8]) {
    let der = vectors.field("inputs").field("keys").field("service_key_ed25519").hex("private_der");
    let key = Ed25519PrivateKey::from_pkcs8_der(&der).expect("service key");
    assert_eq!(key.sign(authorized)[..], *signature);
    assert!(ed25519::verify(&key.public(), authorized, signature.try_into().expect("64 bytes")));
}

/// Of all keys in the file exactly one makes this authorisation, and only with that one it verifies.
fn only_one_key(
    vectors: &Value,
    authorization: AuthorizationRef<'_>,
    bytes: &[u8],
    authorized: &Bytes,
    name: &str,
) {
    let keys = vectors.field("inputs").field("keys");
    let session_key = keys.field("server_session").hex("private_der");
    let session_key = X25519PrivateKey::from_pkcs8_der(&session_key).expect("session key");
    let nonce = vectors.field("inputs").hex("corr_id");
    let nonce = Nonce::from_slice(&nonce);
    let mut makers = 0;
    for key in keys.as_object().expect("keys").values() {
        let key = AuthPrivateKey::from_pkcs8_der(&key.hex("private_der")).expect(name);
        let made = key.authorize(Some(&session_key.public()), &nonce, authorized).expect(name);
        let verified = verify(authorization, &key.public(), Some(&session_key), &nonce, authorized);
        assert_eq!(made == bytes, verified, "{name}");
        makers += usize::from(verified);
        assert!(
            !verify(authorization, &key.public(), Some(&session_key), &nonce, &authorized.slice(1..)),
            "{name}"
        );
    }
    assert_eq!(makers, 1, "{name}");
    assert!(!verify_dummy(authorization, Some(&session_key), &nonce, authorized), "{name}");
}

fn blocks(vectors: &Value, version: &Value) -> usize {
    let Some(case) = version.get("encrypted_blocks").filter(|case| !case.is_null()) else { return 0 };
    let keys = vectors.field("inputs").field("keys");
    let [client, server] = ["client_session", "server_session"]
        .map(|name| X25519PrivateKey::from_pkcs8_der(&keys.field(name).hex("private_der")).expect(name));
    let secret: DhSecret = client.diffie_hellman(&server.public()).expect("secret");
    assert_eq!(secret.as_bytes()[..], case.hex("dh_secret"));
    let (server_sends, client_sends) = BlockChain::pair(&case.hex("salt_session_id"), &secret);
    let message = version.field("three_subs_block").hex("body");
    direction(server_sends, &message, case.items("server_snd_chain"))
        + direction(client_sends, &message, case.items("client_snd_chain"))
}

fn direction(mut chain: BlockChain, message: &[u8], steps: &[Value]) -> usize {
    for step in steps {
        let (key, nonce) = chain.step();
        assert_eq!(key.as_bytes()[..], step.hex("key"));
        assert_eq!(nonce.as_bytes()[..], step.hex("nonce"));
        let mut block = key.box_key().seal_padded(&nonce, message, 16384 - 16).expect("fits");
        assert_digest(&block, step.field("block"));
        if step.get("block_hex").is_some_and(Value::is_string) {
            assert!(step.hex("block_hex") == block);
        }
        let range = key.box_key().open_padded_in_place(&nonce, &mut block).expect("opens");
        assert_eq!(block[range], *message);
    }
    steps.len()
}
