//! Blocks and transmissions that cannot be read. The connection goes on.

use smp_core::wire::codec::put_large;
use smp_core::wire::{EntityId, Version};
use smp_tests::peer::{Auth, Form, Peer, Queue, Request, bytes};
use smp_tests::server::{Settings, Store};

use super::{ALL, SOME, run, scenarios};

scenarios![
    a_malformed_batch_is_refused_whole,
    a_malformed_transmission_is_refused_alone,
    a_block_that_cannot_be_opened_is_refused,
    plain_blocks_with_wrong_padding_are_refused,
    authorisations_of_no_kind_are_refused,
    the_session_is_checked_where_it_is_sent,
    correlation_ids_of_any_length_come_back,
    many_bad_blocks_in_a_row,
];

const BLOCK: usize = 16384;

/// The one answer to a block that cannot be read, then a good block and its answer.
#[track_caller]
fn assert_refused(peer: &mut Peer, what: &str) {
    let block = peer.receive_block();
    assert_eq!(block.len(), 1, "{what}");
    assert_eq!(block[0], "ERR BLOCK", "{what}");
    assert!(block[0].correlation_id.is_empty() && block[0].entity_id.is_empty(), "{what}");
    peer.assert_silent();
}

fn ping(peer: &Peer) -> Vec<u8> {
    peer.transmission(&Request::new(Auth::None, &EntityId::empty(), "PING"))
}

fn a_malformed_batch_is_refused_whole(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let item = ping(&peer);
        let mut one = Vec::new();
        put_large(&mut one, &item);
        let batch = |count: u8, rest: &[&[u8]]| [&[count], rest.concat().as_slice()].concat();
        let contents = [
            ("empty", Vec::new()),
            ("no transmission", vec![0]),
            ("no transmission, but bytes", batch(0, &[&one])),
            ("fewer than it says", batch(2, &[&one])),
            ("more than it says", batch(1, &[&one, &one])),
            ("bytes after it", batch(1, &[&one, b"x"])),
            ("cut", batch(1, &[&one[..one.len() - 1]])),
            ("only a count", vec![255]),
            ("a length beyond the block", batch(1, &[b"\xff\xff", &item])),
        ];
        for (what, content) in contents {
            peer.send_content(&content);
            assert_refused(&mut peer, what);
        }
    });
}

fn a_malformed_transmission_is_refused_alone(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        for malformed in [&b""[..], b"\x40", b"\0\xff", b"\0\x18abc"] {
            peer.send_batch(&[malformed.to_vec()]);
            assert_refused(&mut peer, "a malformed transmission");
            let good = Request::new(Auth::None, &EntityId::empty(), "PING");
            let good_bytes = peer.transmission(&good);
            peer.send_batch(&[malformed.to_vec(), good_bytes]);
            let (first, second) = (peer.receive(), peer.receive());
            assert_eq!(first, "ERR BLOCK");
            assert!(first.correlation_id.is_empty() && first.entity_id.is_empty());
            assert_eq!(second, "PONG");
            assert_eq!(second.correlation_id, good.correlation_id);
        }
    });
}

fn a_block_that_cannot_be_opened_is_refused(store: Store) {
    let encrypted: Vec<_> = ALL.iter().copied().filter(|form| form.encrypts()).collect();
    assert!(!encrypted.is_empty());
    run(store, &Settings::default(), &encrypted, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        assert!(peer.encrypts());
        // A plain block where encrypted ones are expected.
        let mut plain = vec![0; BLOCK];
        let content = [&[1][..], b"\x00\x06\0\0\0PING"].concat();
        plain[..2].copy_from_slice(&u16::try_from(content.len()).expect("short").to_be_bytes());
        plain[2..2 + content.len()].copy_from_slice(&content);
        for block in [plain, vec![0; BLOCK], vec![255; BLOCK], bytes::<BLOCK>().to_vec()] {
            peer.send_block(&block);
            // The keys have moved on by one.
            peer.skip_key();
            assert_refused(&mut peer, "an unreadable block");
        }
    });
}

fn plain_blocks_with_wrong_padding_are_refused(store: Store) {
    let plain: Vec<_> = ALL.iter().copied().filter(|form| !form.encrypts()).collect();
    run(store, &Settings::default(), &plain, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        assert!(!peer.encrypts());
        for length in [16383_u16, 20_000, u16::MAX] {
            let mut block = vec![b'#'; BLOCK];
            block[..2].copy_from_slice(&length.to_be_bytes());
            peer.send_block(&block);
            assert_refused(&mut peer, "a length beyond the block");
        }
        for block in [vec![0; BLOCK], vec![255; BLOCK], bytes::<BLOCK>().to_vec()] {
            peer.send_block(&block);
            assert_refused(&mut peer, "garbage");
        }
        // What fills a block up is not looked at, and a block may come in pieces.
        let item = ping(&peer);
        let mut content = vec![1];
        put_large(&mut content, &item);
        let mut block = vec![b'x'; BLOCK];
        block[..2].copy_from_slice(&u16::try_from(content.len()).expect("short").to_be_bytes());
        block[2..2 + content.len()].copy_from_slice(&content);
        for piece in block.chunks(1000) {
            peer.send_block(piece);
        }
        assert_eq!(peer.receive(), "PONG");
    });
}

fn authorisations_of_no_kind_are_refused(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut peer);
        for length in [1, 63, 65, 79, 81, 113, 115, 255] {
            let auth = vec![7; length];
            let request = Request::new(Auth::Bytes(&auth), &queue.recipient, "SUB");
            peer.send(std::slice::from_ref(&request));
            let answer = peer.receive();
            assert_eq!(answer, "ERR BLOCK", "{length}");
            assert_eq!(answer.correlation_id, request.correlation_id);
            assert!(answer.entity_id.is_empty());
        }
        for length in [64, 80, 114] {
            let auth = vec![7; length];
            assert_eq!(peer.ask(Auth::Bytes(&auth), &queue.recipient, "SUB"), "ERR AUTH", "{length}");
        }
        queue.subscribe(&mut peer);
    });
}

fn the_session_is_checked_where_it_is_sent(store: Store) {
    let forms = [Form::new(6), Form::new(6).without_alpn()];
    run(store, &Settings::default(), &forms, |server, form| {
        assert!(form.version < Version::AUTH_COMMANDS);
        let mut peer = Peer::connect(server.address(), form);
        let mut other = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut peer);
        // A transmission of one connection on another, as somebody would replay it.
        let request = Request::new(Auth::Key(&queue.key), &queue.recipient, "DEL");
        let replayed = peer.transmission(&request);
        other.send_batch(std::slice::from_ref(&replayed));
        let answer = other.receive();
        assert_eq!(answer, "ERR SESSION");
        assert_eq!(answer.correlation_id, request.correlation_id);
        assert!(answer.entity_id.is_empty());
        other.assert_silent();
        peer.send_batch(&[replayed]);
        assert_eq!(peer.answer(&request), "OK");
    });
    // From version 7 the session is not sent, but signed.
    run(store, &Settings::default(), &[Form::new(7), super::NEWEST], |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let mut other = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut peer);
        let request = Request::new(Auth::Key(&queue.key), &queue.recipient, "DEL");
        let replayed = peer.transmission(&request);
        other.send_batch(std::slice::from_ref(&replayed));
        assert_eq!(other.answer(&request), "ERR AUTH");
        peer.send_batch(&[replayed]);
        assert_eq!(peer.answer(&request), "OK");
    });
}

fn correlation_ids_of_any_length_come_back(store: Store) {
    run(store, &Settings::default(), SOME, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut peer);
        for length in [1, 4, 23, 24, 25, 32, 255] {
            let request =
                Request::new(Auth::Key(&queue.key), &queue.recipient, "SUB").correlated(&vec![b'c'; length]);
            peer.send(std::slice::from_ref(&request));
            assert_eq!(peer.answer(&request), peer.subscribed(), "{length}");
        }
        // Without one the answer looks like an event.
        let request = Request::new(Auth::None, &EntityId::empty(), "PING").correlated(b"");
        peer.send(std::slice::from_ref(&request));
        assert_eq!(peer.answer(&request), "PONG");
    });
}

fn many_bad_blocks_in_a_row(store: Store) {
    run(store, &Settings::default(), SOME, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        for n in 0..100_u8 {
            if n % 2 == 0 {
                peer.send_block(&vec![n; BLOCK]);
                peer.skip_key();
            } else {
                peer.send_content(&[]);
            }
        }
        for _ in 0..100 {
            assert_eq!(peer.receive(), "ERR BLOCK");
        }
        peer.assert_silent();
    });
}
