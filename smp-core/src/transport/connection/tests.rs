mod web_socket;

use core::time::Duration;

use super::super::identity::{Algorithm, ServerIdentity};
use super::super::testing::{
    ALGORITHMS, NOW, identity, identity_with, long_identity, server_identity, service,
};
use super::super::tls::{Alpn, TlsFault, TlsStream};
use super::super::{ClientOptions, ServerOptions, ServiceIdentity, ServiceKey};
use super::*;
use crate::time::UnixTime;
use crate::wire::error::HandshakeError;
use crate::wire::{ClientHello, ServerHello, ServiceRole, SessionId, Version, VersionRange};

const START: Now = Now { mono: Timestamp::from_micros(1_000_000), unix: NOW };

fn after(secs: u64) -> Now {
    Now {
        mono: START.mono + Duration::from_secs(secs),
        unix: UnixTime::from_secs(NOW.as_secs() + secs as i64),
    }
}

/// Both ends of a connection.
struct Pair {
    server: Transport,
    client: Transport,
    /// What went over the wire, both ways.
    wire: Vec<Vec<u8>>,
    server_events: Vec<TransportEvent>,
    client_events: Vec<TransportEvent>,
}

type Outcome = (Result<(), TransportFault>, Result<(), TransportFault>);

impl Pair {
    fn new(server: ServerTransportConfig, client: ClientTransportConfig) -> Self {
        Self::of(Transport::server(server, [1; 32], START), Transport::client(client, [2; 32], START))
    }

    fn of(server: Transport, client: Transport) -> Self {
        Self { server, client, wire: Vec::new(), server_events: Vec::new(), client_events: Vec::new() }
    }

    fn with(server: ServerOptions, client: ClientOptions) -> Self {
        let identity = server_identity();
        let client = ClientTransportConfig::new(*identity.fingerprint(), client).unwrap();
        Self::new(ServerTransportConfig::new(identity, server).unwrap(), client)
    }

    fn connected(server: ServerOptions, client: ClientOptions) -> Self {
        let mut pair = Self::with(server, client);
        assert_eq!(pair.run(), (Ok(()), Ok(())));
        pair
    }

    fn run(&mut self) -> Outcome {
        self.run_in_pieces(usize::MAX)
    }

    fn run_in_pieces(&mut self, size: usize) -> Outcome {
        let (mut server, mut client) = (Ok(()), Ok(()));
        loop {
            let up = drain(&mut self.client);
            let down = drain(&mut self.server);
            let quiet = up.is_empty() && down.is_empty();
            for piece in up.chunks(size) {
                let result = self.server.receive(START, piece);
                server = server.and(result);
            }
            for piece in down.chunks(size) {
                let result = self.client.receive(START, piece);
                client = client.and(result);
            }
            self.server_events.extend(core::iter::from_fn(|| self.server.poll_event()));
            self.client_events.extend(core::iter::from_fn(|| self.client.poll_event()));
            if quiet {
                return (server, client);
            }
            self.wire.extend([up, down]);
        }
    }

    fn ready(&self) -> Option<(&Parameters, &Parameters)> {
        let find = |events: &'_ [TransportEvent]| {
            events.iter().position(|event| matches!(event, TransportEvent::Ready(_)))
        };
        let (server, client) = (find(&self.server_events)?, find(&self.client_events)?);
        match (&self.server_events[server], &self.client_events[client]) {
            (TransportEvent::Ready(server), TransportEvent::Ready(client)) => Some((server, client)),
            _ => None,
        }
    }

    /// Sends contents both ways and expects them to arrive.
    fn exchange(&mut self) {
        let contents = [vec![1], vec![2; self.client.content_max()], Vec::new()];
        for content in &contents {
            self.client.send_block(content);
            self.server.send_block(content);
        }
        self.server_events.clear();
        self.client_events.clear();
        assert_eq!(self.run(), (Ok(()), Ok(())));
        for events in [&self.server_events, &self.client_events] {
            let received: Vec<_> =
                events
                    .iter()
                    .map(|event| {
                        if let TransportEvent::Block(content) = event { &content[..] } else { b"not a block" }
                    })
                    .collect();
            assert_eq!(received, contents.iter().map(|content| &content[..]).collect::<Vec<_>>());
        }
    }
}

fn drain(transport: &mut Transport) -> Vec<u8> {
    core::iter::from_fn(|| transport.poll_transmit()).flatten().collect()
}

fn range(min: u16, max: u16) -> VersionRange {
    VersionRange::new(Version(min), Version(max)).unwrap()
}

fn speaking(versions: VersionRange) -> ClientOptions {
    ClientOptions { versions, ..ClientOptions::default() }
}

fn offering(versions: VersionRange) -> ServerOptions {
    ServerOptions { versions, ..ServerOptions::default() }
}

const fn smp(error: TransportError) -> TransportFault {
    TransportFault::Smp(error)
}

#[test]
fn every_version_is_negotiated_with_and_without_a_key() {
    for version in 6..=20 {
        for sends_key in [true, false] {
            for proxy_server in [true, false] {
                let client = ClientOptions { sends_key, proxy_server, ..speaking(range(6, version)) };
                let mut pair = Pair::connected(ServerOptions::default(), client);
                // A proxy that could not say that it is one avoids the versions with encrypted blocks.
                let version = if proxy_server && (11..14).contains(&version) { 10 } else { version };
                expect_agreement(&pair, version, sends_key, proxy_server);
                pair.exchange();
            }
        }
    }
}

fn expect_agreement(pair: &Pair, version: u16, sends_key: bool, proxy_server: bool) {
    let (server, client) = pair.ready().unwrap();
    assert_eq!((server.version, client.version), (Version(version), Version(version)));
    assert_eq!((server.versions, client.versions), (range(6, version), range(6, version)));
    assert_eq!(server.session_id, client.session_id);
    assert_eq!(server.session_id.as_bytes().len(), 32);
    // Told from version 14 on.
    assert_eq!(server.proxy_server, proxy_server && version >= 14);
    let encrypted = version >= 11 && sends_key && !proxy_server;
    assert_eq!((server.encrypts_blocks, client.encrypts_blocks), (encrypted, encrypted));
    let has_key = version >= 7 && sends_key;
    assert_eq!((server.peer_key.is_some(), client.session_key.is_some()), (has_key, has_key));
    // The server's key is there whenever it offered more than version 6.
    let theirs = client.peer_key.unwrap();
    assert_eq!(server.session_key.as_ref().unwrap().public(), theirs);
    let max = if encrypted { 16366 } else { 16382 };
    assert_eq!((pair.server.content_max(), pair.client.content_max()), (max, max));
}

#[test]
fn ranges_meet_in_the_highest_common_version_or_not_at_all() {
    for (server, client, agreed) in [
        (range(6, 18), range(6, 20), Some((18, range(6, 18)))),
        (range(6, 20), range(8, 17), Some((17, range(8, 17)))),
        (range(6, 6), range(6, 20), Some((6, range(6, 6)))),
        (range(14, 20), range(6, 14), Some((14, range(14, 14)))),
        (range(14, 20), range(6, 13), None),
        (range(6, 8), range(9, 20), None),
    ] {
        let mut pair = Pair::with(offering(server), speaking(client));
        let outcome = pair.run();
        let Some((version, common)) = agreed else {
            assert_eq!(outcome.1, Err(smp(TransportError::Version)));
            assert!(pair.ready().is_none());
            continue;
        };
        assert_eq!(outcome, (Ok(()), Ok(())));
        let (_, parameters) = pair.ready().unwrap();
        assert_eq!((parameters.version, parameters.versions), (Version(version), common));
        pair.exchange();
    }
}

#[test]
fn without_an_application_protocol_there_is_version_6_only() {
    let client = ClientOptions { alpn: Alpn::none(), ..ClientOptions::default() };
    let pair = Pair::connected(ServerOptions::default(), client.clone());
    let (server, parameters) = pair.ready().unwrap();
    assert_eq!((server.version, parameters.version), (Version(6), Version(6)));
    assert!(server.session_key.is_none() && parameters.peer_key.is_none());
    let web = ClientOptions { alpn: Alpn::web(), ..ClientOptions::default() };
    let pair = Pair::connected(ServerOptions::default(), web);
    assert_eq!(pair.ready().unwrap().0.version, Version(20));
    // A server that does not speak version 6 has nothing to offer then.
    let mut pair = Pair::with(offering(range(7, 20)), client);
    assert_eq!(pair.run().0, Err(smp(TransportError::Version)));
}

#[test]
fn every_algorithm_and_chain_of_a_server_is_accepted() {
    let algorithms = ALGORITHMS.into_iter().flat_map(|ca| ALGORITHMS.map(|leaf| identity(ca, leaf)));
    for identity in algorithms.chain([3, 4].map(long_identity)) {
        let client = ClientTransportConfig::new(*identity.fingerprint(), ClientOptions::default()).unwrap();
        let server = ServerTransportConfig::new(identity.clone(), ServerOptions::default()).unwrap();
        let mut pair = Pair::new(server, client);
        assert_eq!(pair.run(), (Ok(()), Ok(())));
        let auth = pair.ready().unwrap().1.server_auth.as_ref().unwrap();
        assert_eq!(auth.chain.certificates(), identity.chain());
        pair.exchange();
    }
}

#[test]
fn bytes_may_come_one_at_a_time() {
    let identity = identity(Algorithm::Ed448, Algorithm::Ed448);
    let client = ClientTransportConfig::new(*identity.fingerprint(), ClientOptions::default()).unwrap();
    let server = ServerTransportConfig::new(identity, ServerOptions::default()).unwrap();
    let mut pair = Pair::new(server, client);
    assert_eq!(pair.run_in_pieces(1), (Ok(()), Ok(())));
    assert!(pair.ready().is_some());
    pair.exchange();
}

#[test]
fn the_same_seeds_give_the_same_bytes() {
    let run = || {
        let mut pair = Pair::connected(ServerOptions::default(), ClientOptions::default());
        pair.exchange();
        pair.wire
    };
    assert_eq!(run(), run());
}

#[test]
fn a_stranger_is_found_out_before_anything_is_said() {
    let stranger = identity_with(Algorithm::Ed25519, Algorithm::Ed25519, [66; 32]);
    let client =
        ClientTransportConfig::new(*server_identity().fingerprint(), ClientOptions::default()).unwrap();
    let mut pair = Pair::new(ServerTransportConfig::new(stranger, ServerOptions::default()).unwrap(), client);
    let (server, client) = pair.run();
    assert_eq!(server, Err(TlsFault::UNKNOWN_CA.into()));
    assert!(client.unwrap_err().is_identity());
    assert!(pair.ready().is_none());
    assert_eq!(pair.client.receive(START, b"more"), Err(TlsFault::Identity.into()));
}

/// One end's TLS, with the hello of another session put into it: what a man in the middle would do that has the right
/// certificates, or none of its own to show.
#[test]
fn a_hello_of_another_session_is_refused() {
    let identity = server_identity();
    let server = ServerTransportConfig::new(identity.clone(), ServerOptions::default()).unwrap();
    let client = ClientTransportConfig::new(*identity.fingerprint(), ClientOptions::default()).unwrap();
    let peer = |byte| PlainPeer {
        session_id: [byte; 32],
        certificates: identity.chain().to_vec(),
        has_alpn: true,
        has_shown_certificate: false,
    };
    let outcome = |server_session, client_session| {
        let server = Transport::plain_server(server.clone(), peer(server_session), [1; 32], START);
        let client = Transport::plain_client(client.clone(), peer(client_session), [2; 32], START);
        Pair::of(server, client).run().1
    };
    assert_eq!(outcome(1, 1), Ok(()));
    assert_eq!(outcome(1, 2), Err(smp(TransportError::Session)));
}

#[test]
fn a_man_in_the_middle_cannot_pass_the_hello_on() {
    // He has the leaf's key (say, of a server taken over), so that TLS stands on both sides; the hello of the real
    // server's session with him is of another session than his with the client.
    let identity = server_identity();
    let config = ServerTransportConfig::new(identity.clone(), ServerOptions::default()).unwrap();
    let client = ClientTransportConfig::new(*identity.fingerprint(), ClientOptions::default()).unwrap();
    let mut behind = Pair::new(config.clone(), client.clone());
    assert_eq!(behind.run(), (Ok(()), Ok(())));
    let session_id = behind.ready().unwrap().0.session_id.clone();
    let auth = behind.ready().unwrap().1.server_auth.clone();
    let mut content = Vec::new();
    ServerHello { versions: range(6, 20), session_id, auth }.encode(&mut content);

    let mut victim = Transport::client(client, [4; 32], START);
    let mut middle = TlsStream::server(&config.0.tls, [5; 32], NOW).unwrap();
    middle.receive(NOW, &drain(&mut victim)).unwrap();
    let flight: Vec<u8> = core::iter::from_fn(|| middle.poll_transmit()).flatten().collect();
    victim.receive(START, &flight).unwrap();
    middle.receive(NOW, &drain(&mut victim)).unwrap();
    middle.send(NOW, &BlockCodec::Plain.write(&content).unwrap()).unwrap();
    let hello = middle.poll_transmit().unwrap();
    assert_eq!(victim.receive(START, &hello), Err(smp(TransportError::Session)));
    // It says goodbye and nothing else.
    assert!(drain(&mut victim).len() < 64);
}

/// A pair over plain pipes, of which the test plays the server.
fn plain_client(options: ClientOptions) -> (Transport, ServerIdentity) {
    let identity = server_identity();
    let config = ClientTransportConfig::new(*identity.fingerprint(), options).unwrap();
    let peer =
        PlainPeer { session_id: [3; 32], certificates: identity.chain().to_vec(), ..PlainPeer::default() };
    (Transport::plain_client(config, peer, [2; 32], START), identity)
}

/// The hello that the server of these tests says.
fn real_hello(identity: &ServerIdentity) -> ServerHello {
    let config = ServerTransportConfig::new(identity.clone(), ServerOptions::default()).unwrap();
    let peer = PlainPeer { session_id: [3; 32], has_alpn: true, ..PlainPeer::default() };
    let mut server = Transport::plain_server(config, peer, [1; 32], START);
    let content = BlockCodec::Plain.read(server.poll_transmit().unwrap()).unwrap();
    ServerHello::decode(&content).unwrap()
}

fn say(client: &mut Transport, hello: &ServerHello) -> Result<(), TransportFault> {
    let mut content = Vec::new();
    hello.encode(&mut content);
    client.receive(START, &BlockCodec::Plain.write(&content).unwrap())
}

#[test]
fn a_server_key_that_is_not_signed_by_the_server_is_refused() {
    let (mut client, identity) = plain_client(ClientOptions::default());
    let hello = real_hello(&identity);
    assert_eq!(say(&mut client, &hello), Ok(()));

    let (mut client, _) = plain_client(ClientOptions::default());
    let mut changed = hello.clone();
    let auth = changed.auth.as_mut().unwrap();
    let mut key = auth.signed_key.to_vec();
    key[30] ^= 1;
    auth.signed_key = key.into();
    assert_eq!(say(&mut client, &changed), Err(TransportFault::BAD_AUTH));

    // The chain and key of another server: not whom we asked for.
    let (mut client, _) = plain_client(ClientOptions::default());
    let other = real_hello(&identity_with(Algorithm::Ed25519, Algorithm::Ed25519, [66; 32]));
    assert_eq!(say(&mut client, &other), Err(TransportFault::IDENTITY));

    // Another leaf of the right authority, but not the one that TLS was set up with.
    let mut leaf = hello.clone();
    let auth = leaf.auth.as_mut().unwrap();
    let other_leaf = identity.chain()[1].clone();
    auth.chain = crate::wire::CertChain::new(vec![other_leaf, identity.chain()[1].clone()]).unwrap();
    let (mut client, _) = plain_client(ClientOptions::default());
    assert_eq!(say(&mut client, &leaf), Err(TransportFault::BAD_AUTH));
}

#[test]
fn every_truncation_of_a_hello_is_refused() {
    let (_, identity) = plain_client(ClientOptions::default());
    let mut content = Vec::new();
    real_hello(&identity).encode(&mut content);
    for end in 0..content.len() {
        let (mut client, _) = plain_client(ClientOptions::default());
        let block = BlockCodec::Plain.write(&content[..end]).unwrap();
        assert_eq!(client.receive(START, &block), Err(TransportFault::PARSE), "{end}");
    }
}

#[test]
fn garbage_instead_of_a_hello_is_refused() {
    let (mut client, identity) = plain_client(ClientOptions::default());
    assert_eq!(client.receive(START, &[0xff; BLOCK_LEN]), Err(TransportFault::PARSE));
    let config = ServerTransportConfig::new(identity, ServerOptions::default()).unwrap();
    for block in [[0; BLOCK_LEN], [0xff; BLOCK_LEN]] {
        let mut server = Transport::plain_server(config.clone(), PlainPeer::default(), [1; 32], START);
        assert_eq!(server.receive(START, &block[..100]), Ok(()));
        assert_eq!(server.receive(START, &block[100..]), Err(TransportFault::PARSE));
        assert_eq!(server.receive(START, &block), Err(TransportFault::PARSE));
    }
}

#[test]
fn a_client_that_wants_another_server_or_version_is_sent_away() {
    let identity = server_identity();
    let config = ServerTransportConfig::new(identity.clone(), offering(range(7, 18))).unwrap();
    let right = *identity.fingerprint();
    for (version, key_hash, expected) in [
        (18, right, Ok(())),
        (7, right, Ok(())),
        (18, [0; 32], Err(TransportFault::IDENTITY)),
        (19, right, Err(smp(TransportError::Version))),
        (6, right, Err(smp(TransportError::Version))),
        (0, right, Err(smp(TransportError::Version))),
    ] {
        let peer = PlainPeer { has_alpn: true, ..PlainPeer::default() };
        let mut server = Transport::plain_server(config.clone(), peer, [1; 32], START);
        let hello = ClientHello {
            version: Version(version),
            key_hash,
            session_key: None,
            proxy_server: false,
            service: None,
        };
        let mut content = Vec::new();
        hello.encode(&mut content);
        let block = BlockCodec::Plain.write(&content).unwrap();
        assert_eq!(server.receive(START, &block), expected, "version {version}");
    }
}

#[test]
fn a_key_of_low_order_is_refused() {
    let identity = server_identity();
    let config = ServerTransportConfig::new(identity.clone(), ServerOptions::default()).unwrap();
    let peer = PlainPeer { has_alpn: true, ..PlainPeer::default() };
    let mut server = Transport::plain_server(config, peer, [1; 32], START);
    let hello = ClientHello {
        version: Version(18),
        key_hash: *identity.fingerprint(),
        session_key: Some(crate::wire::DhPublicKey([0; 32])),
        proxy_server: false,
        service: None,
    };
    let mut content = Vec::new();
    hello.encode(&mut content);
    let block = BlockCodec::Plain.write(&content).unwrap();
    assert_eq!(server.receive(START, &block), Err(TransportFault::PARSE));
}

#[test]
fn a_bad_block_is_an_event_and_the_connection_goes_on() {
    let identity = server_identity();
    let server = ServerTransportConfig::new(identity.clone(), ServerOptions::default()).unwrap();
    let client = ClientTransportConfig::new(*identity.fingerprint(), ClientOptions::default()).unwrap();
    let peer = PlainPeer { certificates: identity.chain().to_vec(), has_alpn: true, ..PlainPeer::default() };
    let server = Transport::plain_server(server, peer.clone(), [1; 32], START);
    let mut pair = Pair::of(server, Transport::plain_client(client, peer, [2; 32], START));
    assert_eq!(pair.run(), (Ok(()), Ok(())));
    assert!(pair.ready().unwrap().0.encrypts_blocks);
    pair.client.send_block(b"lost");
    let mut block = drain(&mut pair.client);
    block[20] ^= 1;
    pair.server_events.clear();
    assert_eq!(pair.server.receive(START, &block), Ok(()));
    assert!(matches!(pair.server.poll_event(), Some(TransportEvent::BadBlock)));
    pair.exchange();
}

fn service_options(role: ServiceRole, algorithm: Algorithm) -> ClientOptions {
    let (chain, key) = service(algorithm);
    let service = ServiceIdentity { role, chain: chain.into(), key: Arc::new(key) };
    ClientOptions { service: Some(service), ..ClientOptions::default() }
}

#[test]
fn services_are_let_in_or_turned_away() {
    for algorithm in ALGORITHMS {
        let mut pair =
            Pair::with(ServerOptions::default(), service_options(ServiceRole::Notifier, algorithm));
        assert_eq!(pair.run(), (Ok(()), Ok(())));
        let [TransportEvent::Service(request)] = &pair.server_events[..] else { panic!("no request") };
        let (chain, _) = service(algorithm);
        let fingerprint = crate::crypto::hash::sha256(&chain[0]);
        assert_eq!(request, &ServiceRequest { fingerprint, role: ServiceRole::Notifier });
        assert!(pair.server.poll_timeout().is_some(), "the deadline still runs");
        let id = EntityId::from([5; 24]);
        pair.server.accept_service(id.clone());
        assert_eq!(pair.run(), (Ok(()), Ok(())));
        let (server, client) = pair.ready().unwrap();
        for service in [&server.service, &client.service].map(|service| service.as_ref().unwrap()) {
            assert_eq!((&service.id, service.fingerprint), (&id, fingerprint));
        }
        match (&server.service.as_ref().unwrap().key, &client.service.as_ref().unwrap().key) {
            (ServiceKey::Public(public), ServiceKey::Private(private)) => {
                assert_eq!(*public, private.public())
            }
            _ => panic!("each end has its half of the key"),
        }
        assert!(pair.server.poll_timeout().is_none());
        pair.exchange();
    }
}

#[test]
fn a_refused_service_is_told_why() {
    let options = service_options(ServiceRole::Messaging, Algorithm::Ed25519);
    let error = TransportError::Handshake(HandshakeError::BadService);
    let mut pair = Pair::with(ServerOptions::default(), options.clone());
    assert_eq!(pair.run(), (Ok(()), Ok(())));
    pair.server.refuse_service(error);
    assert_eq!(pair.run().1, Err(TransportFault::ServiceRefused(error)));
    assert_eq!(pair.server.poll_timeout(), Some(START.mono));
    assert_eq!(pair.server.handle_timeout(START), Err(smp(error)));
    assert_eq!(pair.server.poll_timeout(), None);

    // A role that servers know from version 19 on is kept quiet before.
    let mut pair = Pair::with(offering(range(6, 18)), options.clone());
    assert_eq!(pair.run(), (Ok(()), Ok(())));
    assert!(pair.ready().unwrap().0.service.is_none());
    // So is a service to a server that does not ask for certificates.
    let server = ServerOptions { accepts_services: false, ..ServerOptions::default() };
    let mut pair = Pair::with(server, options);
    assert_eq!(pair.run(), (Ok(()), Ok(())));
    assert!(pair.ready().unwrap().0.service.is_none());
}

#[test]
fn a_service_that_is_not_the_client_of_tls_is_refused() {
    let identity = server_identity();
    let client = service_options(ServiceRole::Notifier, Algorithm::Ed25519);
    let (chain, _) = service(Algorithm::Ed25519);
    for (shown, expected) in [(chain, Ok(())), (identity.chain().to_vec(), Err(TransportFault::BAD_AUTH))] {
        let server = ServerTransportConfig::new(identity.clone(), ServerOptions::default()).unwrap();
        let peer = PlainPeer { certificates: shown, has_alpn: true, ..PlainPeer::default() };
        let server = Transport::plain_server(server, peer, [1; 32], START);
        let config = ClientTransportConfig::new(*identity.fingerprint(), client.clone()).unwrap();
        let peer = PlainPeer {
            certificates: identity.chain().to_vec(),
            has_shown_certificate: true,
            ..PlainPeer::default()
        };
        let mut pair = Pair::of(server, Transport::plain_client(config, peer, [2; 32], START));
        let (server, client) = pair.run();
        assert_eq!(server, expected);
        if expected.is_err() {
            let error = TransportError::Handshake(HandshakeError::BadAuth);
            assert_eq!(client, Err(TransportFault::ServiceRefused(error)));
        }
    }
}

#[test]
fn the_handshake_has_a_deadline_at_every_stage() {
    let mut pair = Pair::with(ServerOptions::default(), ClientOptions::default());
    for end in [&mut pair.server, &mut pair.client] {
        assert_eq!(end.poll_timeout(), Some(START.mono + Duration::from_secs(10)));
        assert_eq!(end.handle_timeout(after(9)), Ok(()));
        assert_eq!(end.handle_timeout(after(10)), Err(TransportFault::Timeout));
        assert_eq!(end.poll_timeout(), None);
        assert_eq!(end.receive(after(11), b"late"), Err(TransportFault::Timeout));
    }
    // TLS stands, the client says nothing.
    let mut pair = Pair::with(ServerOptions::default(), ClientOptions::default());
    while pair.client.poll_event().is_none() {
        let up = drain(&mut pair.client);
        pair.server.receive(START, &up).unwrap();
        let down = drain(&mut pair.server);
        pair.client.receive(START, &down).unwrap();
    }
    assert_eq!(pair.server.handle_timeout(after(10)), Err(TransportFault::Timeout));
    // Afterwards there is none.
    let pair = Pair::connected(ServerOptions::default(), ClientOptions::default());
    assert_eq!((pair.server.poll_timeout(), pair.client.poll_timeout()), (None, None));
}

#[test]
fn blocks_may_come_with_the_hello_and_before_the_goodbye() {
    let mut pair = Pair::with(ServerOptions::default(), ClientOptions::default());
    while pair.client.poll_event().is_none() {
        let up = drain(&mut pair.client);
        pair.server.receive(START, &up).unwrap();
        let down = drain(&mut pair.server);
        pair.client.receive(START, &down).unwrap();
    }
    pair.client.send_block(b"first");
    pair.client.close();
    assert_eq!(pair.server.receive(START, &drain(&mut pair.client)), Ok(()));
    assert!(matches!(pair.server.poll_event(), Some(TransportEvent::Ready(_))));
    assert!(matches!(pair.server.poll_event(), Some(TransportEvent::Block(content)) if content == "first"));
    assert!(matches!(pair.server.poll_event(), Some(TransportEvent::Closed)));
    assert!(pair.server.poll_event().is_none());
    assert_eq!(pair.client.receive(START, b"x"), Err(TransportFault::Closed));
    assert_eq!(pair.server.receive(START, b"x"), Err(TransportFault::Closed));
}

#[test]
fn a_block_that_cannot_be_sent_ends_the_connection() {
    let mut pair = Pair::connected(ServerOptions::default(), ClientOptions::default());
    pair.server.send_block(&vec![0; 16367]);
    assert_eq!(pair.server.poll_timeout(), Some(START.mono));
    assert_eq!(pair.server.handle_timeout(START), Err(TransportFault::Misuse));
    let mut pair = Pair::with(ServerOptions::default(), ClientOptions::default());
    pair.client.send_block(b"early");
    assert_eq!(pair.client.handle_timeout(START), Err(TransportFault::Misuse));
}

#[test]
fn nobody_speaks_out_of_turn() {
    let mut pair =
        Pair::with(ServerOptions::default(), service_options(ServiceRole::Notifier, Algorithm::Ed25519));
    assert_eq!(pair.run(), (Ok(()), Ok(())));
    // No decision has come, and the client sends on.
    let State::Client(_, ClientState::Response(_)) = &pair.client.state else {
        panic!("waits for the server")
    };
    pair.client.pipe.send(NOW, vec![0; BLOCK_LEN]).unwrap();
    assert_eq!(pair.run().0, Err(TransportFault::Unexpected));
}

#[test]
fn a_session_id_is_that_of_tls() {
    let pair = Pair::connected(ServerOptions::default(), ClientOptions::default());
    let Some(stream) = pair.server.pipe.tls_stream() else { panic!("over TLS") };
    let expected = SessionId::new(stream.session_id().unwrap()).unwrap();
    assert_eq!(pair.ready().unwrap().0.session_id, expected);
}
