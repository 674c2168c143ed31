//! TLS as few peers speak it.

use smp_core::server::{CloseReason, Limits, SessionInput};
use smp_tests::in_memory::InMemoryServer;
use stats_alloc::Region;

use super::tls::{APPLICATION_DATA, HANDSHAKE, Raw, block, first_flight};
use super::{ALLOCATOR, BLOCK, alone, assert_serves, held, server};

/// Bytes that a connection holds on top of an idle one, whatever records come.
pub(crate) const RECORDS_MAX: usize = 80 * 1024;

/// A block with a PING of version 6, which has no authorisation, the session id, no correlation id and no queue.
fn ping(raw_session: &[u8]) -> Vec<u8> {
    let mut transmission = vec![0];
    transmission.push(u8::try_from(raw_session.len()).expect("short"));
    transmission.extend_from_slice(raw_session);
    transmission.extend_from_slice(&[0, 0]);
    transmission.extend_from_slice(b"PING");
    let length = u16::try_from(transmission.len()).expect("short").to_be_bytes();
    block(&[&[1], &length[..], &transmission].concat()).to_vec()
}

/// What a server answers to a block: a block in a record.
const ANSWER: usize = BLOCK + 22;

#[test]
fn updates_of_keys_without_end() {
    let _turn = alone();
    let mut server = server(Limits::default());
    let mut raw = Raw::connect(&mut server);
    raw.read(&mut server);
    let region = Region::new(ALLOCATOR);
    let updates = (0..1000).take_while(|_| {
        raw.update_keys(&mut server);
        raw.closed(&server).is_none()
    });
    let updates = updates.count();
    assert!((10..100).contains(&updates), "{updates}");
    assert_eq!(raw.closed(&server), Some(CloseReason::Transport));
    assert!(held(&region) <= RECORDS_MAX);

    // With data in between they may go on, and cost a record at most each.
    let mut raw = Raw::connect(&mut server);
    raw.read(&mut server);
    let region = Region::new(ALLOCATOR);
    let mut answered = 0;
    for _ in 0..100 {
        for _ in 0..20 {
            raw.update_keys(&mut server);
        }
        raw.send(&mut server, APPLICATION_DATA, &ping(&[]));
        assert!(held(&region) <= RECORDS_MAX, "{}", held(&region));
        answered += raw.read(&mut server);
    }
    assert_eq!(raw.closed(&server), None);
    assert!((100 * ANSWER..101 * (ANSWER + 100)).contains(&answered), "{answered}");
    assert_serves(&mut server);
}

/// TLS 1.3 has no renegotiation: messages of a handshake other than an update of keys end the connection.
#[test]
fn handshakes_in_a_session_that_stands() {
    let _turn = alone();
    let mut server = server(Limits::default());
    let hello = first_flight();
    for message in [
        // HelloRequest, ClientHello, NewSessionTicket, EndOfEarlyData, Certificate, Finished, and none that there is.
        vec![0, 0, 0, 0],
        hello[5..].to_vec(),
        vec![4, 0, 0, 2, 0, 0],
        vec![5, 0, 0, 0],
        vec![11, 0, 0, 4, 0, 0, 0, 0],
        [&[20, 0, 0, 32][..], &[0; 32]].concat(),
        vec![99, 0, 0, 0],
        // An update that is neither asked for nor not, and one that is too long.
        vec![24, 0, 0, 1, 2],
        vec![24, 0, 0, 2, 0, 0],
    ] {
        let mut raw = Raw::connect(&mut server);
        raw.read(&mut server);
        raw.send(&mut server, HANDSHAKE, &message);
        assert_eq!(raw.closed(&server), Some(CloseReason::Transport), "{message:?}");
        assert!(raw.read(&mut server) > 0, "an alert says why");
        // In the clear it is no better.
        let mut raw = Raw::connect(&mut server);
        let length = u16::try_from(message.len()).expect("a record").to_be_bytes();
        let record = [&[22, 3, 3], &length[..], &message].concat();
        server.input(raw.id, SessionInput::Received(&record));
        assert_eq!(raw.closed(&server), Some(CloseReason::Transport), "{message:?}");
        raw.send(&mut server, APPLICATION_DATA, &ping(&[]));
    }
    assert_serves(&mut server);
}

#[test]
fn a_message_of_a_handshake_that_never_ends() {
    let _turn = alone();
    let mut server = server(Limits::default());
    let mut raw = Raw::connect(&mut server);
    raw.read(&mut server);
    let region = Region::new(ALLOCATOR);
    // An update of keys of 16 MB, one byte in each record.
    raw.send(&mut server, HANDSHAKE, &[24, 255, 255, 255]);
    for _ in 0..20_000 {
        if raw.closed(&server).is_some() {
            break;
        }
        raw.send(&mut server, HANDSHAKE, &[0]);
        assert!(held(&region) <= RECORDS_MAX, "{}", held(&region));
    }
    assert_eq!(raw.closed(&server), Some(CloseReason::Transport));
    assert_serves(&mut server);
}

#[test]
fn records_of_one_byte_and_of_none() {
    let _turn = alone();
    let mut server = server(Limits::default());
    let mut raw = Raw::connect(&mut server);
    raw.read(&mut server);
    let region = Region::new(ALLOCATOR);
    for byte in ping(&[]) {
        raw.send(&mut server, APPLICATION_DATA, &[byte]);
        assert!(held(&region) <= RECORDS_MAX, "{}", held(&region));
    }
    assert_eq!(raw.read(&mut server), ANSWER, "it is answered");
    for byte in [0, 1] {
        let record = raw.record(APPLICATION_DATA, &vec![7; byte], BLOCK - byte);
        server.input(raw.id, SessionInput::Received(&record));
    }
    assert_eq!(raw.closed(&server), None);
    // A few without content are nothing unusual, many are.
    let empty = (0..1000).take_while(|_| {
        raw.send(&mut server, APPLICATION_DATA, &[]);
        raw.closed(&server).is_none()
    });
    assert!((10..100).contains(&empty.count()));
    assert!(held(&region) <= RECORDS_MAX, "{}", held(&region));
    assert_serves(&mut server);
}

#[test]
fn records_that_are_longer_than_records_may_be() {
    let _turn = alone();
    let mut server = server(Limits::default());
    for (content, padding) in [(BLOCK + 1, 0), (1, BLOCK), (BLOCK + 200, 0)] {
        let mut raw = Raw::connect(&mut server);
        raw.read(&mut server);
        let record = raw.record(APPLICATION_DATA, &vec![7; content], padding);
        server.input(raw.id, SessionInput::Received(&record));
        assert_eq!(raw.closed(&server), Some(CloseReason::Transport), "{content} and {padding}");
    }
    assert_serves(&mut server);
}

#[test]
fn content_of_unknown_types_and_alerts() {
    let _turn = alone();
    let mut server = server(Limits::default());
    for (content_type, content) in [
        (0, &[0; 10][..]),
        (20, &[1]),
        (24, &[1, 0, 0]),
        (99, &[7; 10]),
        (21, &[2, 80]),
        (21, &[1, 80]),
        (21, &[1]),
    ] {
        let mut raw = Raw::connect(&mut server);
        raw.read(&mut server);
        raw.send(&mut server, content_type, content);
        assert!(raw.closed(&server).is_some(), "{content_type} {content:?}");
    }
    // user_canceled is only a warning, and there may be few of them.
    let mut raw = Raw::connect(&mut server);
    let warnings = (0..100).take_while(|_| {
        raw.send(&mut server, 21, &[1, 90]);
        raw.closed(&server).is_none()
    });
    assert!(warnings.count() < 50);
    assert_serves(&mut server);
}

/// A hello with further extensions: type and content of each, in this order.
fn hello_with(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let hello = first_flight();
    let mut body = hello[9..].to_vec();
    // Version, random, session id, cipher suites, compression methods.
    let mut at = 2 + 32;
    at += 1 + usize::from(body[at]);
    at += 2 + usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    at += 1 + usize::from(body[at]);
    for (kind, content) in extensions {
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        body.extend_from_slice(&[&kind.to_be_bytes()[..], &length, content].concat());
    }
    let length = u16::try_from(body.len() - at - 2).expect("short").to_be_bytes();
    body[at..at + 2].copy_from_slice(&length);
    let length = |more: usize| u16::try_from(body.len() + more).expect("short").to_be_bytes();
    [&[22, 3, 1][..], &length(4), &[1, 0], &length(0), &body].concat()
}

fn ends_without_a_session(server: &mut InMemoryServer, bytes: &[&[u8]]) {
    let id = server.accept();
    let region = Region::new(ALLOCATOR);
    for bytes in bytes {
        server.input(id, SessionInput::Received(bytes));
        assert!(held(&region) <= RECORDS_MAX, "{}", held(&region));
    }
    server.pass(Limits::default().handshake_timeout);
    assert_eq!(server.closed(id), Some(CloseReason::Handshake));
    server.take_output(id);
    server.forget(id);
}

/// Data before the handshake, as who resumes a session may send, is not taken: nothing of it could be the client's alone.
#[test]
fn early_data() {
    const EARLY_DATA: u16 = 42;
    const PRE_SHARED_KEY: u16 = 41;
    let _turn = alone();
    let mut server = server(Limits::default());
    let identity = [&[0, 38, 0, 32][..], &[7; 32], &[0; 4], &[0, 33, 32], &[9; 32]].concat();
    let data = [&[23, 3, 3, 0x40, 0x10][..], &[5; 0x4010]].concat();
    for extensions in [
        &[(EARLY_DATA, &[][..])][..],
        &[(EARLY_DATA, &[]), (45, &[1, 1]), (PRE_SHARED_KEY, &identity)],
        &[(45, &[1, 1]), (PRE_SHARED_KEY, &identity)],
        &[(PRE_SHARED_KEY, &identity), (EARLY_DATA, &[])],
        &[(EARLY_DATA, &[]), (EARLY_DATA, &[])],
    ] {
        let hello = hello_with(extensions);
        ends_without_a_session(&mut server, &[&hello, &data, &data, &data, &data]);
        ends_without_a_session(&mut server, &[&hello[..], &data].concat().chunks(1000).collect::<Vec<_>>());
    }
    assert_serves(&mut server);
}

#[test]
fn garbage_around_the_hello() {
    let _turn = alone();
    let mut server = server(Limits::default());
    let hello = first_flight();
    let change_cipher_spec = [20, 3, 3, 0, 1, 1].repeat(1000);
    let empty = [22, 3, 1, 0, 0].repeat(1000);
    let many = [&[99, 0, 0, 0][..]].concat();
    let split: Vec<_> = hello[5..].iter().map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
    let endless: Vec<_> = [&[1, 0xff, 0xff, 0xff][..], &[3; 5000]].concat();
    let endless: Vec<_> = endless.iter().map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
    for bytes in [
        vec![&change_cipher_spec[..]],
        vec![&hello, &change_cipher_spec],
        vec![&empty],
        vec![&hello, &empty],
        vec![&hello, &hello],
        vec![&hello, &many],
        vec![&hello, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"],
        vec![&[21, 3, 3, 0, 2, 1, 0]],
        split.iter().map(|record| &record[..]).collect(),
        endless.iter().map(|record| &record[..]).collect(),
    ] {
        ends_without_a_session(&mut server, &bytes);
    }
    assert_serves(&mut server);
}
