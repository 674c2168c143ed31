use std::sync::Arc;

use bytes::Bytes;

use super::super::identity::{Algorithm, ServerIdentity};
use super::super::testing::{
    ALGORITHMS, NOW, identity, identity_with, long_identity, server_identity, service,
};
use super::*;
use crate::UnixTime;

/// Both ends of a connection and what they said to each other.
struct Pair {
    server: TlsStream,
    client: TlsStream,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Pair {
    fn new(server: &ServerTls, client: &ClientTls) -> Self {
        Self {
            server: TlsStream::server(server, [1; 32], NOW).unwrap(),
            client: TlsStream::client(client, [2; 32], NOW).unwrap(),
            to_server: Vec::new(),
            to_client: Vec::new(),
        }
    }

    fn of(identity: &ServerIdentity) -> Self {
        let server = ServerTls::new(identity, Alpn::server(), true).unwrap();
        Self::new(&server, &ClientTls::new(*identity.fingerprint(), Alpn::smp(), None).unwrap())
    }

    /// Carries bytes until both are silent, in pieces of `size`, and returns the faults of server and client.
    fn run_in_pieces(&mut self, size: usize) -> (Result<(), TlsFault>, Result<(), TlsFault>) {
        let (mut server, mut client) = (Ok(()), Ok(()));
        loop {
            let up = drain(&mut self.client);
            let down = drain(&mut self.server);
            if up.is_empty() && down.is_empty() {
                return (server, client);
            }
            for piece in up.chunks(size) {
                let result = self.server.receive(NOW, piece);
                server = server.and(result);
            }
            for piece in down.chunks(size) {
                let result = self.client.receive(NOW, piece);
                client = client.and(result);
            }
            self.to_server.extend(up);
            self.to_client.extend(down);
        }
    }

    fn run(&mut self) -> (Result<(), TlsFault>, Result<(), TlsFault>) {
        self.run_in_pieces(usize::MAX)
    }

    fn connected(identity: &ServerIdentity) -> Self {
        let mut pair = Self::of(identity);
        assert_eq!(pair.run(), (Ok(()), Ok(())));
        assert!(!pair.server.is_handshaking() && !pair.client.is_handshaking());
        pair
    }
}

fn drain(stream: &mut TlsStream) -> Vec<u8> {
    core::iter::from_fn(|| stream.poll_transmit()).flatten().collect()
}

#[test]
fn both_ends_agree_with_every_algorithm() {
    for authority in ALGORITHMS {
        for leaf in ALGORITHMS {
            let identity = identity(authority, leaf);
            let mut pair = Pair::connected(&identity);
            assert_eq!(pair.client.session_id(), pair.server.session_id());
            assert!(pair.client.session_id().is_some());
            assert_eq!(pair.client.peer_certificates(), identity.chain());
            assert!(pair.server.peer_certificates().is_empty());
            assert_eq!(pair.client.alpn(), Some(&b"smp/1"[..]));
            pair.client.send(NOW, b"ping").unwrap();
            pair.server.send(NOW, b"pong").unwrap();
            assert_eq!(pair.run(), (Ok(()), Ok(())));
            assert_eq!(pair.server.take_plaintext(), b"ping");
            assert_eq!(pair.client.take_plaintext(), b"pong");
        }
    }
}

#[test]
fn longer_chains_are_accepted() {
    for length in 2..=4 {
        let identity = long_identity(length);
        let pair = Pair::connected(&identity);
        assert_eq!(pair.client.peer_certificates().len(), length);
    }
}

#[test]
fn no_byte_says_where_the_client_goes_or_what_can_be_resumed() {
    let pair = Pair::connected(&server_identity());
    let sent: Vec<u8> = [pair.to_server, pair.to_client].concat();
    assert!(!sent.windows(9).any(|window| window == b"localhost"));
    // ClientHello, type 1: no server_name (0), pre_shared_key (41), early_data (42), compress_certificate (27).
    let hello = hello_extensions(&sent);
    for unwanted in [0, 27, 41, 42] {
        assert!(!hello.contains(&unwanted), "{unwanted} in {hello:?}");
    }
}

/// The extension types of the ClientHello at the start of `sent`.
fn hello_extensions(sent: &[u8]) -> Vec<u16> {
    let u16_at = |at: usize| u16::from_be_bytes([sent[at], sent[at + 1]]);
    let session_id = 5 + 4 + 2 + 32;
    let suites = session_id + 1 + usize::from(sent[session_id]);
    assert_eq!((u16_at(suites), u16_at(suites + 2)), (2, 0x1303), "one suite");
    let mut at = suites + 2 + 2 + 2;
    let end = at + 2 + usize::from(u16_at(at));
    at += 2;
    let mut types = Vec::new();
    while at < end {
        types.push(u16_at(at));
        at += 4 + usize::from(u16_at(at + 2));
    }
    types
}

#[test]
fn the_same_seeds_give_the_same_bytes() {
    let identity = identity(Algorithm::Ed448, Algorithm::Ed25519);
    let [first, second] = [0, 1].map(|_| Pair::connected(&identity));
    assert_eq!(first.to_server, second.to_server);
    assert_eq!(first.to_client, second.to_client);
    let config = ClientTls::new(*identity.fingerprint(), Alpn::smp(), None).unwrap();
    let mut other = TlsStream::client(&config, [3; 32], NOW).unwrap();
    assert_ne!(drain(&mut other), first.to_server[..other_len(&first)]);
}

fn other_len(pair: &Pair) -> usize {
    5 + usize::from(u16::from_be_bytes([pair.to_server[3], pair.to_server[4]]))
}

#[test]
fn bytes_may_come_one_at_a_time() {
    let mut pair = Pair::of(&identity(Algorithm::Ed448, Algorithm::Ed448));
    assert_eq!(pair.run_in_pieces(1), (Ok(()), Ok(())));
    assert_eq!(pair.client.session_id(), pair.server.session_id());
    let block = vec![b'#'; 16384];
    pair.client.send(NOW, &block).unwrap();
    assert_eq!(pair.run_in_pieces(1), (Ok(()), Ok(())));
    assert_eq!(pair.server.take_plaintext(), block);
}

#[test]
fn a_block_is_one_record() {
    let mut pair = Pair::connected(&server_identity());
    pair.client.send(NOW, &[0; 16384]).unwrap();
    assert_eq!(pair.client.poll_transmit().unwrap().len(), 5 + 16384 + 1 + 16);
    assert_eq!(pair.client.poll_transmit(), None);
}

#[test]
fn a_stranger_is_told_apart_from_other_failures() {
    let stranger = identity_with(Algorithm::Ed25519, Algorithm::Ed25519, [66; 32]);
    let server = ServerTls::new(&stranger, Alpn::server(), true).unwrap();
    let client = ClientTls::new(*server_identity().fingerprint(), Alpn::smp(), None).unwrap();
    let mut pair = Pair::new(&server, &client);
    assert_eq!(pair.run(), (Err(TlsFault::UNKNOWN_CA), Err(TlsFault::Identity)));
    assert_eq!(pair.client.receive(NOW, b""), Err(TlsFault::Identity));
    assert_eq!(pair.client.send(NOW, b"x"), Err(TlsFault::Identity));
    assert_eq!(pair.server.receive(NOW, b"x"), Err(TlsFault::UNKNOWN_CA));
    assert!(pair.client.session_id().is_none() && pair.server.session_id().is_none());
}

#[test]
fn an_expired_server_is_refused() {
    let identity = server_identity();
    let server = ServerTls::new(&identity, Alpn::server(), true).unwrap();
    let client = ClientTls::new(*identity.fingerprint(), Alpn::smp(), None).unwrap();
    let late = UnixTime::from_secs(NOW.as_secs() + 1_000_000 * 86_400);
    let mut server = TlsStream::server(&server, [1; 32], NOW).unwrap();
    let mut client = TlsStream::client(&client, [2; 32], late).unwrap();
    server.receive(NOW, &drain(&mut client)).unwrap();
    assert!(matches!(client.receive(late, &drain(&mut server)), Err(TlsFault::Certificate(_))));
    assert_eq!(server.receive(NOW, &drain(&mut client)), Err(TlsFault::Alert(45)));
}

#[test]
fn application_protocols_are_agreed_on_or_left_out() {
    let identity = server_identity();
    let server = ServerTls::new(&identity, Alpn::server(), true).unwrap();
    let client = |alpn| ClientTls::new(*identity.fingerprint(), alpn, None).unwrap();
    for (offer, agreed) in [
        (Alpn::none(), None),
        (Alpn::web(), Some(&b"http/1.1"[..])),
        (Alpn::new(["other", "h2"]), Some(&b"h2"[..])),
    ] {
        let mut pair = Pair::new(&server, &client(offer));
        assert_eq!(pair.run(), (Ok(()), Ok(())));
        assert_eq!((pair.server.alpn(), pair.client.alpn()), (agreed, agreed));
    }
    let mut pair = Pair::new(&server, &client(Alpn::new(["other"])));
    assert_eq!(pair.run(), (Err(TlsFault::Alpn), Err(TlsFault::Alpn)));
}

#[test]
fn services_show_their_certificate_when_asked() {
    let identity = server_identity();
    for algorithm in ALGORITHMS {
        let (chain, key) = service(algorithm);
        let key = Arc::new(key);
        let client = ClientTls::new(*identity.fingerprint(), Alpn::smp(), Some((&chain, key))).unwrap();
        for (asked, expected) in [(true, chain.clone()), (false, Vec::new())] {
            let mut pair = Pair::new(&ServerTls::new(&identity, Alpn::server(), asked).unwrap(), &client);
            assert_eq!(pair.run(), (Ok(()), Ok(())));
            assert_eq!(pair.server.peer_certificates(), expected);
            assert_eq!(pair.server.session_id(), pair.client.session_id());
        }
    }
    // A chain like a server's.
    let other = long_identity(3);
    let certificate = Some((other.chain(), other.key().clone()));
    let client = ClientTls::new(*identity.fingerprint(), Alpn::smp(), certificate).unwrap();
    let mut pair = Pair::new(&ServerTls::new(&identity, Alpn::server(), true).unwrap(), &client);
    assert_eq!(pair.run(), (Ok(()), Ok(())));
    assert_eq!(pair.server.peer_certificates(), other.chain());
}

#[test]
fn a_service_without_the_key_of_its_certificate_is_refused() {
    let identity = server_identity();
    let (chain, _) = service(Algorithm::Ed25519);
    let certificate: Option<(&[Bytes], _)> = Some((&chain, identity.key().clone()));
    let client = ClientTls::new(*identity.fingerprint(), Alpn::smp(), certificate).unwrap();
    let mut pair = Pair::new(&ServerTls::new(&identity, Alpn::server(), true).unwrap(), &client);
    let (server, _) = pair.run();
    assert!(matches!(server, Err(TlsFault::Certificate(_))), "{server:?}");
}

#[test]
fn garbage_and_oversized_records_end_the_connection() {
    let config = ServerTls::new(&server_identity(), Alpn::server(), true).unwrap();
    let inputs: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 3, 1, 0xff, 0xff],
        &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0],
        &[0xff; 100],
        &[0x17, 3, 3, 0, 1, 0],
    ];
    for input in inputs {
        let mut server = TlsStream::server(&config, [1; 32], NOW).unwrap();
        let fault = server.receive(NOW, input).unwrap_err();
        assert_eq!(server.receive(NOW, b"more"), Err(fault));
        let alert = drain(&mut server);
        assert_eq!((alert[0], alert[5], alert.len()), (0x15, 2, 7), "a fatal alert for {input:?}");
    }
    let mut pair = Pair::connected(&server_identity());
    let fault = pair.server.receive(NOW, &[0x17, 3, 3, 0x50, 0x01]);
    assert_eq!(fault, Err(TlsFault::TooLarge));
    assert!(!drain(&mut pair.server).is_empty());
    // rustls waits for records up to the limit of TLS 1.2; ours is that of TLS 1.3.
    let mut pair = Pair::connected(&server_identity());
    assert_eq!(pair.server.receive(NOW, &[0x17, 3, 3, 0x41, 0x02]), Ok(()));
    assert_eq!(pair.server.receive(NOW, &[0; 16640]), Ok(()));
    assert_eq!(pair.server.receive(NOW, &[0]), Err(TlsFault::TooLarge));
}

#[test]
fn a_handshake_message_that_never_ends_is_cut_off() {
    let config = ServerTls::new(&server_identity(), Alpn::server(), true).unwrap();
    let mut server = TlsStream::server(&config, [1; 32], NOW).unwrap();
    // A ClientHello of 65000 bytes, in records of 1000.
    let mut fault = Ok(());
    let mut first = vec![0x16, 3, 1, 3, 0xe8, 1, 0, 0xfd, 0xe8];
    first.extend([0; 996]);
    let more = [&[0x16, 3, 1, 3, 0xe8][..], &[0; 1000]].concat();
    for piece in core::iter::once(&first).chain(core::iter::repeat_n(&more, 64)) {
        fault = server.receive(NOW, piece);
        if fault.is_err() {
            break;
        }
    }
    assert_eq!(fault, Err(TlsFault::TooLarge));
}

#[test]
fn every_changed_byte_of_the_handshake_is_found_out() {
    let recorded = Pair::connected(&server_identity());
    let hello = &recorded.to_server[..other_len(&recorded)];
    for position in 0..hello.len() {
        let mut pair = Pair::of(&server_identity());
        let mut hello = drain(&mut pair.client);
        hello[position] ^= 1;
        let server = pair.server.receive(NOW, &hello);
        let (later, client) = pair.run();
        let session = pair.server.session_id().filter(|_| server.is_ok() && later.is_ok());
        // The minor record version of the first flight is ignored (RFC 8446 section 5.1).
        let harmless = position == 2;
        assert_eq!(session.is_some() && client.is_ok(), harmless, "byte {position}");
    }
}

#[test]
fn a_client_that_prefers_another_group_is_asked_again() {
    // X448 first, as the reference's clients offer: the ClientHello has a share of a group that we do not know, and
    // names X25519 as its second choice.
    let config = ServerTls::new(&server_identity(), Alpn::server(), true).unwrap();
    let mut server = TlsStream::server(&config, [1; 32], NOW).unwrap();
    let mut hello = Hello::default();
    hello.extension(0x2b, &[2, 3, 4]);
    hello.extension(0x0d, &[0, 4, 8, 8, 8, 7]);
    hello.extension(0x0a, &[0, 4, 0, 0x1e, 0, 0x1d]);
    hello.extension(0x33, &[&[0, 60, 0, 0x1e, 0, 56][..], &[5; 56]].concat());
    assert_eq!(server.receive(NOW, &hello.record()), Ok(()));
    let answer = drain(&mut server);
    // The random that marks a HelloRetryRequest (RFC 8446 section 4.1.3).
    assert_eq!((answer[0], answer[5], &answer[11..15]), (0x16, 2, &[0xcf, 0x21, 0xad, 0x74][..]));
    let x25519 = [0, 0x33, 0, 2, 0, 0x1d];
    assert!(answer.windows(6).any(|window| window == x25519), "asks for a share of X25519");
    assert!(server.is_handshaking());
}

/// A ClientHello made by hand.
#[derive(Default)]
struct Hello(Vec<u8>);

impl Hello {
    fn extension(&mut self, kind: u16, content: &[u8]) {
        self.0.extend(kind.to_be_bytes());
        self.0.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        self.0.extend(content);
    }

    fn record(&self) -> Vec<u8> {
        let head = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 3], &[1, 0]].concat();
        let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
        let body = [&head[..], &length(self.0.len()), &self.0].concat();
        let message = [&[1, 0][..], &length(body.len()), &body].concat();
        [&[0x16, 3, 1][..], &length(message.len()), &message].concat()
    }
}

#[test]
fn data_is_not_sent_before_the_handshake_and_not_after_goodbye() {
    let mut pair = Pair::of(&server_identity());
    assert!(matches!(pair.client.send(NOW, b"early"), Err(TlsFault::Protocol(_))));
    assert_eq!(pair.run(), (Ok(()), Ok(())));
    pair.client.send(NOW, b"last").unwrap();
    pair.client.close_notify(NOW);
    assert_eq!(pair.run(), (Ok(()), Ok(())));
    assert_eq!(pair.server.take_plaintext(), b"last");
    assert!(pair.server.is_closed_by_peer() && !pair.client.is_closed_by_peer());
    // The other direction is still open.
    pair.server.send(NOW, b"answer").unwrap();
    pair.server.close_notify(NOW);
    assert_eq!(pair.run(), (Ok(()), Ok(())));
    assert_eq!(pair.client.take_plaintext(), b"answer");
    assert!(pair.client.is_closed_by_peer());
}

#[test]
fn a_record_that_was_changed_or_replayed_ends_the_connection() {
    let mut pair = Pair::connected(&server_identity());
    pair.client.send(NOW, b"once").unwrap();
    let record = drain(&mut pair.client);
    assert_eq!(pair.server.receive(NOW, &record), Ok(()));
    assert!(matches!(pair.server.receive(NOW, &record), Err(TlsFault::Protocol(_))));
    assert_eq!(pair.server.take_plaintext(), b"once");
}
