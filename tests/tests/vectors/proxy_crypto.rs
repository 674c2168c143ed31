//! `smp_proxy.json`: the boxes around a forwarded command and around its answer, at every layer and from both
//! ends.

use serde_json::Value;
use smp_core::crypto::{
    AuthPrivateKey, AuthorizationRef, DhSecret, ForwardLayer, Nonce, X25519PrivateKey, auth,
};
use smp_core::wire::codec::put_short;
use smp_core::wire::{CorrelationId, DhPublicKey, Reader};
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
    let client_secret = agree(&command, &relay, &case.hex("cmd_secret"));
    let proxy_secret = agree(&proxy, &relay, &case.hex("session_secret"));
    let [client_id, proxy_id] = ["client_corr_id_nonce", "proxy_corr_id_nonce"]
        .map(|name| CorrelationId::new(&case.hex(name)).expect("a correlation id"));
    let client = ForwardLayer::of_client(&client_secret, &client_id);
    let proxy = ForwardLayer::of_proxy(&proxy_secret.box_key(), &proxy_id);

    let batch = case.hex("client_transmission_batch");
    let sealed = client.seal_command(&batch).expect("fits");
    assert_digest(&sealed, case.field("enc_transmission"));
    assert_eq!(client.open_command(&sealed).expect("opens"), batch);
    let forwarded = forwarded_transmission(case, &command.public(), &sealed);
    assert_digest(&forwarded, case.field("fwd_transmission"));
    let sealed = proxy.seal_command(&forwarded).expect("a box");
    assert_digest(&sealed, case.field("enc_fwd_transmission"));
    assert!(proxy.open_command(&sealed).expect("opens") == forwarded);

    let batch = case.hex("relay_response_batch");
    let sealed = client.seal_answer(&batch).expect("fits");
    assert_digest(&sealed, case.field("enc_response"));
    assert_eq!(client.open_answer(&sealed).expect("opens"), batch);
    let mut answer = Vec::new();
    client_id.encode(&mut answer);
    answer.extend_from_slice(&sealed);
    assert_digest(&answer, case.field("fwd_response"));
    let sealed = proxy.seal_answer(&answer).expect("a box");
    assert_digest(&sealed, case.field("enc_fwd_response"));
    assert!(proxy.open_answer(&sealed).expect("opens") == answer);
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

fn agree(ours: &X25519PrivateKey, theirs: &X25519PrivateKey, expected: &[u8]) -> DhSecret {
    let secrets = [ours.diffie_hellman(&theirs.public()), theirs.diffie_hellman(&ours.public())];
    let [our_secret, their_secret] = secrets.map(|secret| secret.expect("a secret"));
    assert_eq!(our_secret.as_bytes()[..], *expected);
    assert_eq!(their_secret.as_bytes()[..], *expected);
    our_secret
}
