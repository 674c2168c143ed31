//! `smp_proxy.json`: the boxes around a forwarded command and around its answer, at every layer and from both
//! ends.

use serde_json::Value;
use smp_core::crypto::{AuthPrivateKey, AuthorizationRef, BoxKey, Nonce, X25519PrivateKey, auth};
use smp_core::wire::codec::put_short;
use smp_core::wire::{DhPublicKey, Reader};
use smp_tests::vectors::{Fields, assert_digest};

pub(crate) fn run(vectors: &Value) -> usize {
    let cases = vectors.as_array().expect("a list of cases");
    for case in cases {
        layers(case);
        inner_authorization(case);
    }
    cases.len()
}

fn layers(case: &Value) {
    let [command, proxy, relay] =
        ["cmd_private_key", "proxy_session_private_key", "relay_session_private_key"]
            .map(|name| X25519PrivateKey::from_pkcs8_der(&case.hex(name)).expect(name));
    let client_key = agree(&command, &relay, &case.hex("cmd_secret"));
    let proxy_key = agree(&proxy, &relay, &case.hex("session_secret"));
    let [client_nonce, proxy_nonce] =
        ["client_corr_id_nonce", "proxy_corr_id_nonce"].map(|name| Nonce::from_slice(&case.hex(name)));

    let batch = case.hex("client_transmission_batch");
    let sealed = check_padded(&client_key, &client_nonce, &batch, case.field("enc_transmission"));
    let forwarded = forwarded_transmission(case, &command.public(), &sealed);
    assert_digest(&forwarded, case.field("fwd_transmission"));
    check(&proxy_key, &proxy_nonce, &forwarded, case.field("enc_fwd_transmission"));

    let batch = case.hex("relay_response_batch");
    let sealed = check_padded(&client_key, &client_nonce.reversed(), &batch, case.field("enc_response"));
    let mut answer = Vec::new();
    put_short(&mut answer, client_nonce.as_bytes());
    answer.extend_from_slice(&sealed);
    assert_digest(&answer, case.field("fwd_response"));
    check(&proxy_key, &proxy_nonce.reversed(), &answer, case.field("enc_fwd_response"));
}

/// Correlation id, version, key of the command, sealed command.
fn forwarded_transmission(case: &Value, command: &DhPublicKey, sealed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_short(&mut out, &case.hex("client_corr_id_nonce"));
    out.extend_from_slice(&u16::try_from(case.number("version")).expect("a version").to_be_bytes());
    command.encode(&mut out);
    out.extend_from_slice(sealed);
    out
}

/// The command inside is authorised for the session between proxy and relay.
fn inner_authorization(case: &Value) {
    let batch = case.hex("client_transmission_batch");
    let mut reader = Reader::new(&batch);
    assert_eq!(reader.u8(), Ok(1), "a batch of one");
    let transmission = reader.large().expect("a transmission");
    let mut reader = Reader::new(&transmission);
    let bytes = reader.short().expect("an authorisation");
    if bytes.is_empty() {
        assert!(case.field("snd_key").is_null());
        return;
    }
    if case.number("version") >= 16 {
        assert_eq!(reader.optional(Reader::short), Ok(None), "no service signature");
    }
    let mut authorized = Vec::new();
    put_short(&mut authorized, &case.hex("relay_session_id"));
    authorized.extend_from_slice(reader.rest());

    let key = AuthPrivateKey::from_pkcs8_der(&case.hex("snd_key")).expect("sender key");
    let relay = X25519PrivateKey::from_pkcs8_der(&case.hex("relay_session_private_key")).expect("relay key");
    let nonce = Nonce::from_slice(&case.hex("client_corr_id_nonce"));
    assert_eq!(key.authorize(Some(&relay.public()), &nonce, &authorized).expect("authorises"), bytes);
    let authorization = AuthorizationRef::from_bytes(bytes).expect("an authorisation");
    assert!(auth::verify(authorization, &key.public(), Some(&relay), &nonce, &authorized));
}

fn agree(ours: &X25519PrivateKey, theirs: &X25519PrivateKey, expected: &[u8]) -> BoxKey {
    let secrets = [ours.diffie_hellman(&theirs.public()), theirs.diffie_hellman(&ours.public())];
    let [our_secret, their_secret] = secrets.map(|secret| secret.expect("a secret"));
    assert_eq!(our_secret.as_bytes()[..], *expected);
    assert_eq!(their_secret.as_bytes()[..], *expected);
    our_secret.box_key()
}

fn check_padded(key: &BoxKey, nonce: &Nonce, message: &[u8], digest: &Value) -> Vec<u8> {
    let padded_len = usize::try_from(digest.number("len")).expect("a length") - 16;
    let sealed = key.seal_padded(nonce, message, padded_len).expect("fits");
    assert_digest(&sealed, digest);
    assert_eq!(key.open_padded(nonce, &sealed).expect("opens"), message);
    sealed
}

fn check(key: &BoxKey, nonce: &Nonce, message: &[u8], digest: &Value) {
    let sealed = key.seal(nonce, message);
    assert_digest(&sealed, digest);
    assert!(key.open(nonce, &sealed).expect("opens") == message);
}
