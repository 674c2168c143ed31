//! `smp_handshakes.json`: hellos of both sides at every version, and handshakes of the reference with itself.

use bytes::Bytes;
use serde_json::Value;
use smp_core::wire::error::{HandshakeError, TransportError};
use smp_core::wire::handshake::{ClientHello, ServerHello, ServiceResponse, ServiceRole};
use smp_core::wire::{
    CertChainPubKey, DhPublicKey, KeySignature, SessionKey, SignedKey, Version, VersionRange,
    codec::decode_all,
};
use smp_tests::vectors::Fields;

use crate::encoded;

pub(crate) fn run(file: &Value) -> usize {
    let auth = server_auth(file);
    let hellos = server_hellos(file, &auth) + client_hellos(file, &auth);
    2 + hellos + real(file, &auth) + service_responses(file)
}

/// The server's chain and signed key; read once, compared everywhere.
fn server_auth(file: &Value) -> CertChainPubKey {
    let bytes = file.hex("cert_chain_pub_key");
    let auth = decode_all(&bytes, CertChainPubKey::decode).expect("cert_chain_pub_key");
    assert_eq!(encoded(|out| auth.encode(out)), bytes, "cert_chain_pub_key");
    let chain: Vec<_> = file.items("server_cert_chain").iter().map(unhex).collect();
    assert_eq!(auth.chain.certificates(), chain, "server_cert_chain");
    let der = file.hex("server_signed_session_key_der");
    assert_eq!(auth.signed_key, der);
    assert_eq!(signed_key(&der), SessionKey::X25519(dh_key(file, "server_session")));
    auth
}

/// The key in `der`, which must be written back the same, and whose parts must lie where its signature
/// expects them.
fn signed_key(der: &Bytes) -> SessionKey {
    let signed = SignedKey::from_der(der).expect("signed key");
    assert_eq!(signed.to_der(), *der);
    let raw = match &signed.signature {
        KeySignature::Ed25519(raw) => &raw[..],
        KeySignature::Ed448(raw) => &raw[..],
    };
    assert!(der.ends_with(raw));
    let signed_bytes = signed.key.signed_bytes();
    assert!(der.windows(signed_bytes.len()).any(|window| window == signed_bytes));
    signed.key
}

fn server_hellos(file: &Value, auth: &CertChainPubKey) -> usize {
    let hellos = file.items("server_handshakes");
    for case in hellos {
        let versions = VersionRange::new(version(case, "min"), version(case, "max")).expect("versions");
        let body = case.hex("body");
        let hello = server_hello(&body);
        assert_eq!(hello.versions, versions);
        assert_eq!(hello.session_id.as_bytes(), file.field("inputs").hex("session_id"), "{versions}");
        assert_eq!(hello.auth.as_ref(), (versions.max() >= Version(7)).then_some(auth), "{versions}");
    }
    hellos.len()
}

fn client_hellos(file: &Value, auth: &CertChainPubKey) -> usize {
    let hellos = file.items("client_handshakes");
    for (position, case) in hellos.iter().enumerate() {
        let hello = client_hello(&case.hex("body"));
        let version = version(case, "version");
        let key = case.field("auth_key").as_bool().expect("auth_key");
        let proxy_server = case.field("proxy_server").as_bool().expect("proxy_server");
        let service = case.field("service").as_str().filter(|_| version >= Version(16));
        assert_eq!(hello.version, version, "{position}");
        assert_eq!(hello.key_hash[..], file.field("inputs").hex("key_hash"), "{position}");
        let expected_key = (key && version >= Version(7)).then(|| dh_key(file, "client_session"));
        assert!(hello.session_key == expected_key, "{position}: key");
        assert_eq!(hello.proxy_server, proxy_server && version >= Version(14), "{position}");
        assert_eq!(hello.service.as_ref().map(|service| service.role), service.map(role), "{position}");
        assert!(hello.service.iter().all(|service| service.auth == *auth), "{position}: service");
    }
    hellos.len()
}

/// Handshakes of the reference's two sides: what each sends, and what both then know.
fn real(file: &Value, auth: &CertChainPubKey) -> usize {
    let real = file.field("real");
    let handshakes = real.items("handshakes");
    for (position, case) in handshakes.iter().enumerate() {
        let server = server_hello(&unhex(&case.items("server_blocks")[0]));
        assert_eq!(server.versions.max(), version(case, "server_max_version"), "{position}");
        assert_eq!(server.auth.as_ref(), Some(auth), "{position}");
        let [block] = case.items("client_blocks") else { panic!("{position}: not one client block") };
        let client = client_hello(&unhex(block));
        assert_eq!(client.key_hash[..], real.hex("key_hash"), "{position}");
        check_results(position, case, &server, &client);
        check_service(file, case, &client, auth);
    }
    let [block] = real.field("no_alpn_server").items("server_blocks") else { panic!("no_alpn_server") };
    let hello = server_hello(&unhex(block));
    assert_eq!((hello.versions, hello.auth), (VersionRange::LEGACY, None));
    handshakes.len() + 1
}

fn check_results(position: usize, case: &Value, server: &ServerHello, client: &ClientHello) {
    let client_result = case.field("client_result");
    let ours = VersionRange::new(Version::MIN, version(case, "client_max_version")).expect("client range");
    let common = server.versions.intersect(ours).expect("common versions");
    for result in [client_result, case.field("server_result")] {
        assert_eq!(version(result, "version"), client.version, "{position}");
        assert_eq!(result.text("range"), common.to_string(), "{position}");
    }
    assert_eq!(common.max(), client.version, "{position}");
    let flag = |name: &str| case.field(name).as_bool().expect("flag");
    assert_eq!(client.session_key.is_some(), flag("client_auth_key") && client.version >= Version(7));
    assert_eq!(client.proxy_server, flag("proxy_server") && client.version >= Version(14), "{position}");
    let encrypts = |result: &Value| result.field("encrypt_block").as_bool();
    assert_eq!(encrypts(case.field("server_result")), Some(client.encrypts_blocks()), "{position}: server");
    // The client knows that it is a proxy also where the version has no word for it.
    let told = ClientHello { proxy_server: flag("proxy_server"), ..client.clone() };
    assert_eq!(encrypts(client_result), Some(told.encrypts_blocks()), "{position}: client");
}

fn check_service(file: &Value, case: &Value, client: &ClientHello, auth: &CertChainPubKey) {
    let sent = case.field("service_sent").as_bool().expect("service_sent");
    let blocks = case.items("server_blocks");
    assert_eq!(client.service.is_some(), sent);
    assert_eq!(blocks.len(), 1 + usize::from(sent));
    let Some(service) = &client.service else { return };
    let named = match service.role {
        ServiceRole::Messaging => "SRMessaging",
        ServiceRole::Notifier => "SRNotifier",
        ServiceRole::Proxy => "SRProxy",
    };
    assert_eq!(case.text("service_role"), named);
    assert_eq!(service.auth.chain, auth.chain);
    let raw = keys(file, "service_key_ed25519").hex("public_raw");
    assert!(matches!(signed_key(&service.auth.signed_key), SessionKey::Ed25519(key) if key[..] == raw));
    assert_eq!(accepted_id(&unhex(&blocks[1])), file.field("inputs").hex("service_id"));
}

fn service_responses(file: &Value) -> usize {
    let ok = file.hex("server_handshake_response_ok");
    assert_eq!(accepted_id(&ok), file.field("inputs").hex("service_id"));
    let errors = file.items("server_handshake_response_errors");
    for case in errors {
        let expected = match case.text("error") {
            "TEBadBlock" => TransportError::Block,
            "TEVersion" => TransportError::Version,
            "TELargeMsg" => TransportError::LargeMessage,
            "TEBadSession" => TransportError::Session,
            "TENoServerAuth" => TransportError::NoServerAuth,
            "TEHandshake {handshakeErr = PARSE}" => TransportError::Handshake(HandshakeError::Parse),
            "TEHandshake {handshakeErr = IDENTITY}" => TransportError::Handshake(HandshakeError::Identity),
            "TEHandshake {handshakeErr = BAD_AUTH}" => TransportError::Handshake(HandshakeError::BadAuth),
            "TEHandshake {handshakeErr = BAD_SERVICE}" => {
                TransportError::Handshake(HandshakeError::BadService)
            }
            other => panic!("unknown error {other}"),
        };
        assert_eq!(service_response(&case.hex("body")), ServiceResponse::Refused(expected));
    }
    errors.len() + 1
}

fn accepted_id(body: &Bytes) -> Bytes {
    match service_response(body) {
        ServiceResponse::Accepted(id) => Bytes::copy_from_slice(id.as_bytes()),
        ServiceResponse::Refused(error) => panic!("refused: {error}"),
    }
}

fn service_response(body: &Bytes) -> ServiceResponse {
    let response = ServiceResponse::decode(body).expect("service response");
    assert_eq!(encoded(|out| response.encode(out)), *body);
    response
}

fn server_hello(body: &Bytes) -> ServerHello {
    let hello = ServerHello::decode(body).expect("server hello");
    assert_eq!(encoded(|out| hello.encode(out)), *body);
    hello
}

fn client_hello(body: &Bytes) -> ClientHello {
    let hello = ClientHello::decode(body).expect("client hello");
    assert_eq!(encoded(|out| hello.encode(out)), *body);
    hello
}

fn role(letter: &str) -> ServiceRole {
    let letter = Bytes::copy_from_slice(letter.as_bytes());
    decode_all(&letter, ServiceRole::decode).expect("role")
}

fn version(case: &Value, name: &str) -> Version {
    Version(u16::try_from(case.number(name)).expect("version"))
}

fn keys<'a>(file: &'a Value, name: &str) -> &'a Value {
    file.field("inputs").field("keys").field(name)
}

fn dh_key(file: &Value, name: &str) -> DhPublicKey {
    DhPublicKey::from_der(&keys(file, name).hex("public_der")).expect("X25519 key")
}

fn unhex(value: &Value) -> Bytes {
    smp_tests::vectors::unhex(value.as_str().expect("hex"))
}
