use quickcheck::quickcheck;

use super::upgrade::REQUEST_MAX;
use super::*;

/// The request and its answer of RFC 6455 section 1.3.
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn open() -> WebSocket {
    let mut socket = WebSocket::server();
    socket.receive(REQUEST.as_bytes()).unwrap();
    assert!(socket.is_open() && !socket.take_output().is_empty());
    socket
}

/// A frame of a client.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 200];
    let mut out = vec![first];
    match payload.len() {
        length @ ..126 => out.push(0x80 | length as u8),
        length @ ..65536 => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

fn block(byte: u8) -> Vec<u8> {
    (0..BLOCK_LEN).map(|at| byte ^ (at % 251) as u8).collect()
}

/// The close code in an output of one close frame.
fn close_code(output: &[u8]) -> u16 {
    let [0x88, 2, high, low] = *output else { panic!("{output:?}") };
    u16::from_be_bytes([high, low])
}

#[test]
fn the_request_of_the_specification_gets_its_answer() {
    let mut socket = WebSocket::server();
    for byte in REQUEST.bytes() {
        assert!(socket.take_output().is_empty() && !socket.is_open());
        socket.receive(&[byte]).unwrap();
    }
    let answer = String::from_utf8(socket.take_output()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n"));
    assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    assert!(socket.is_open() && !socket.holds_part());
}

#[test]
fn other_requests_are_refused_with_the_reason() {
    let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(REQUEST_MAX));
    for (request, status) in [
        (REQUEST.replace("GET / ", "GET /a "), "404"),
        (REQUEST.replace("GET", "POST"), "400"),
        (REQUEST.replace("HTTP/1.1", "HTTP/1.0"), "400"),
        (REQUEST.replace("Upgrade: websocket", "Upgrade: h2c"), "426"),
        (REQUEST.replace("Connection: Upgrade", "Connection: close"), "426"),
        (REQUEST.replace("Version: 13", "Version: 8"), "426"),
        (REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"), "400"),
        (REQUEST.replace("Sec-WebSocket-Key", "Key"), "400"),
        (long.clone(), "431"),
        (long[..REQUEST_MAX].to_owned(), "431"),
        ("\0".to_owned(), "400"),
    ] {
        let mut socket = WebSocket::server();
        assert_eq!(socket.receive(request.as_bytes()), Err(WebSocketFault::Request), "{request}");
        let answer = String::from_utf8(socket.take_output()).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert!(socket.is_closed() && !socket.holds_part());
    }
}

#[test]
fn blocks_come_in_frames_however_they_are_cut() {
    let pieces = [
        masked(0x02, &block(2)[..5]),
        masked(0, &block(2)[5..5]),
        masked(0x89, b"?"),
        masked(0x80, &block(2)[5..]),
    ];
    let stream = [REQUEST.as_bytes().to_vec(), masked(0x82, &block(1)), pieces.concat()].concat();
    for size in [1, 3, 1000, BLOCK_LEN, stream.len()] {
        let mut socket = WebSocket::server();
        let (mut payload, mut output) = (Vec::new(), Vec::new());
        for piece in stream.chunks(size) {
            socket.receive(piece).unwrap();
            payload.extend(socket.take_payload());
            output.extend(socket.take_output());
            assert!(socket.incoming.len() + socket.control.len() < REQUEST.len());
        }
        assert_eq!(payload, [block(1), block(2)].concat(), "{size}");
        assert!(output.ends_with(b"\x8a\x01?") && !socket.holds_part());
    }
}

#[test]
fn a_block_goes_out_in_one_frame() {
    let frame = open().frame(&block(3));
    assert_eq!(frame[..4], [0x82, 126, 0x40, 0]);
    assert_eq!(frame[4..], block(3));
    assert_eq!(frame::encode(Opcode::Binary, &[0; 65536])[..10], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(frame::encode(Opcode::Ping, &[0; 125])[..2], [0x89, 125]);
    assert_eq!(frame::encode(Opcode::Binary, &[0; 126])[..4], [0x82, 126, 0, 126]);
}

#[test]
fn a_part_is_seen_as_one() {
    let frame = masked(0x82, &block(1));
    let mut socket = open();
    for end in [1, 7, 8, 100, frame.len() - 1] {
        let mut socket = open();
        socket.receive(&frame[..end]).unwrap();
        assert!(socket.holds_part(), "{end}");
    }
    socket.receive(&masked(0x02, &block(1)[..9])).unwrap();
    assert!(socket.holds_part());
}

#[test]
fn what_must_not_come_ends_the_connection_with_its_code() {
    let unmasked = vec![0x82, 126, 0x40, 0];
    for (frames, fault, code) in [
        (masked(0x81, b"text"), WebSocketFault::Text, 1003),
        (masked(0x82, &[0; BLOCK_LEN - 1]), WebSocketFault::Size, 1009),
        (masked(0x82, &[0; BLOCK_LEN + 1])[..8].to_vec(), WebSocketFault::Size, 1009),
        (masked(0x82, &[]), WebSocketFault::Size, 1009),
        (masked(0x02, &[0; BLOCK_LEN + 1])[..8].to_vec(), WebSocketFault::Size, 1009),
        (
            [0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0].to_vec(),
            WebSocketFault::Size,
            1009,
        ),
        (
            [masked(0x02, &[0; 9]), masked(0x80, &[0; BLOCK_LEN])[..8].to_vec()].concat(),
            WebSocketFault::Size,
            1009,
        ),
        ([masked(0x02, &[0; 9]), masked(0x82, &[0; 9])].concat(), WebSocketFault::Protocol, 1002),
        (masked(0x80, &[0; BLOCK_LEN]), WebSocketFault::Protocol, 1002),
        (masked(0xc2, &[0; BLOCK_LEN]), WebSocketFault::Protocol, 1002),
        (masked(0x83, b""), WebSocketFault::Protocol, 1002),
        (masked(0x09, b""), WebSocketFault::Protocol, 1002),
        (masked(0x89, &[0; 126]), WebSocketFault::Protocol, 1002),
        (masked(0x88, &[0]), WebSocketFault::Protocol, 1002),
        (unmasked, WebSocketFault::Protocol, 1002),
    ] {
        let mut socket = open();
        assert_eq!(socket.receive(&frames), Err(fault), "{:?}", &frames[..frames.len().min(9)]);
        assert_eq!(close_code(&socket.take_output()), code);
        assert!(socket.is_closed() && !socket.holds_part());
        assert_eq!(socket.receive(&masked(0x82, &block(1))), Ok(()));
        assert!(socket.take_output().is_empty());
    }
}

#[test]
fn a_flood_of_pings_gets_one_answer_each_time() {
    let mut socket = open();
    let pings: Vec<u8> = (0..100).flat_map(|n| masked(0x89, &[n])).collect();
    socket.receive(&pings).unwrap();
    assert_eq!(socket.take_output(), [0x8a, 1, 99]);
    socket.receive(&masked(0x8a, b"unasked")).unwrap();
    assert!(socket.take_output().is_empty());
}

#[test]
fn goodbyes_are_answered_and_said_once() {
    for (body, code) in [(&b""[..], 1000), (b"\x03\xe9reason", 1001)] {
        let mut socket = open();
        socket.receive(&masked(0x88, body)).unwrap();
        assert_eq!(close_code(&socket.take_output()), code);
        assert!(socket.is_closed());
        socket.close();
        assert!(socket.take_output().is_empty());
    }
    let mut socket = open();
    socket.close();
    assert_eq!(close_code(&socket.take_output()), 1000);
    let mut unopened = WebSocket::server();
    unopened.close();
    assert!(unopened.take_output().is_empty() && unopened.is_closed());
}

quickcheck! {
    fn any_bytes_are_taken_without_holding_them(pieces: Vec<Vec<u8>>) -> bool {
        let mut socket = open();
        pieces.iter().all(|piece| {
            let _ = socket.receive(piece);
            socket.incoming.len() < 14 && socket.control.len() <= CONTROL_MAX
        })
    }
}
