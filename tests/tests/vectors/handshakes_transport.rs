//! The handshakes of `smp_handshakes.json` that the reference's two sides had, each side in turn played by ours: its
//! certificates, keys and hellos go into the transport, and both must agree on what the reference agreed on.

use bytes::Bytes;
use serde_json::Value;
use smp_core::crypto::hash::sha256;
use smp_core::transport::block::BlockCodec;
use smp_core::transport::identity::{IdentityKey, ServerIdentity};
use smp_core::transport::{
    ClientOptions, ClientTransportConfig, Parameters, PlainPeer, ServerOptions, ServerTransportConfig,
    Transport, TransportEvent,
};
use smp_core::wire::{EntityId, Version, VersionRange};
use smp_core::{Now, Timestamp, UnixTime};
use smp_tests::vectors::{Fields, unhex};

/// In the year 2030, when the certificates of the file are valid.
const NOW: Now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_900_000_000) };

pub(crate) fn run(file: &Value) -> usize {
    let chain: Vec<Bytes> =
        file.items("server_cert_chain").iter().map(|der| unhex(der.as_str().expect("hex"))).collect();
    let key = IdentityKey::from_pkcs8(&file.hex("server_sign_key")).expect("the server's key");
    let identity = ServerIdentity::new(chain, key, NOW.unix).expect("the server's identity");
    assert_eq!(identity.fingerprint()[..], file.hex("ca_fingerprint"));
    let cases = file.field("real").items("handshakes");
    for (position, case) in cases.iter().enumerate() {
        let session_id = hello_session(case);
        server(case, &identity, session_id, position);
        client(case, &identity, session_id, position);
    }
    cases.len()
}

/// Our server and the reference's client.
fn server(case: &Value, identity: &ServerIdentity, session_id: [u8; 32], position: usize) {
    let versions = range(case.number("server_max_version"));
    let options = ServerOptions { versions, ..ServerOptions::default() };
    let config = ServerTransportConfig::new(identity.clone(), options).expect("a configuration");
    let certificates = if flag(case, "service_sent") { identity.chain().to_vec() } else { Vec::new() };
    let peer = PlainPeer { session_id, certificates, has_alpn: true, has_shown_certificate: false };
    let mut server = Transport::plain_server(config, peer, [1; 32], NOW);
    assert!(server.poll_transmit().is_some(), "{position}: a hello");
    let [hello] = case.items("client_blocks") else { panic!("{position}: client_blocks") };
    receive(&mut server, hello);
    let mut event = server.poll_event();
    if let Some(TransportEvent::Service(request)) = &event {
        assert_eq!(request.fingerprint, sha256(&identity.chain()[1]), "{position}");
        server.accept_service(EntityId::from([7; 24]));
        event = server.poll_event();
    }
    let Some(TransportEvent::Ready(agreed)) = event else { panic!("{position}: not ready") };
    assert_eq!(agreed.service.is_some(), flag(case, "service_sent"), "{position}");
    check(&agreed, case.field("server_result"), position);
}

/// Our client and the reference's server.
fn client(case: &Value, identity: &ServerIdentity, session_id: [u8; 32], position: usize) {
    let (max, proxy_server) = (case.number("client_max_version"), flag(case, "proxy_server"));
    if flag(case, "service_sent") || (proxy_server && (11..14).contains(&max)) {
        // Services are tested with our own server; and the reference's two sides disagree on the encryption of blocks
        // when a proxy speaks a version in which it cannot say what it is. Ours avoids these versions.
        return;
    }
    let options = ClientOptions {
        versions: range(max),
        sends_key: flag(case, "client_auth_key"),
        proxy_server,
        ..ClientOptions::default()
    };
    let config = ClientTransportConfig::new(*identity.fingerprint(), options).expect("a configuration");
    let certificates = identity.chain().to_vec();
    let peer = PlainPeer { session_id, certificates, has_alpn: true, has_shown_certificate: false };
    let mut client = Transport::plain_client(config, peer, [2; 32], NOW);
    receive(&mut client, &case.items("server_blocks")[0]);
    let Some(TransportEvent::Ready(agreed)) = client.poll_event() else { panic!("{position}: not ready") };
    check(&agreed, case.field("client_result"), position);
}

fn check(agreed: &Parameters, result: &Value, position: usize) {
    assert_eq!(u64::from(agreed.version.0), result.number("version"), "{position}");
    assert_eq!(agreed.versions.to_string(), result.text("range"), "{position}");
    assert_eq!(agreed.encrypts_blocks, flag(result, "encrypt_block"), "{position}");
}

fn receive(transport: &mut Transport, content: &Value) {
    let content = unhex(content.as_str().expect("hex"));
    let block = BlockCodec::Plain.write(&content).expect("the content of a block");
    transport.receive(NOW, &block).expect("a hello that is accepted");
}

/// The session identifier in the server's hello: after the range and a length.
fn hello_session(case: &Value) -> [u8; 32] {
    let hello = unhex(case.items("server_blocks")[0].as_str().expect("hex"));
    hello[5..37].try_into().expect("32 bytes")
}

fn range(max: u64) -> VersionRange {
    let max = Version(u16::try_from(max).expect("a version"));
    VersionRange::new(Version(6), max).expect("a range")
}

fn flag(value: &Value, name: &str) -> bool {
    value.field(name).as_bool().expect("a boolean")
}
