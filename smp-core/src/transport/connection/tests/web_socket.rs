//! A connection whose blocks are in WebSocket frames. A whole session of it is in the tests of the server program.

use super::super::super::web_socket::WebSocketFault;
use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A server without TLS, before it has heard anything.
fn server() -> Transport {
    let options = ServerOptions { web_socket: true, ..ServerOptions::default() };
    let config = ServerTransportConfig::new(server_identity(), options).unwrap();
    let peer = PlainPeer { has_alpn: true, ..PlainPeer::default() };
    Transport::plain_server(config, peer, [1; 32], START)
}

/// One that has sent its hello.
fn upgraded() -> Transport {
    let mut server = server();
    server.receive(START, REQUEST).unwrap();
    drain(&mut server);
    server
}

/// A frame whose mask is zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0][..], payload].concat()
}

#[test]
fn the_hello_comes_after_the_upgrade_in_one_frame() {
    let mut server = server();
    assert!(server.poll_transmit().is_none());
    server.receive(START, &REQUEST[..50]).unwrap();
    assert!(server.poll_transmit().is_none() && server.holds_part());
    server.receive(START, &REQUEST[50..]).unwrap();
    let sent = drain(&mut server);
    assert!(sent.starts_with(b"HTTP/1.1 101 ") && !server.holds_part());
    let frame_at = sent.len() - BLOCK_LEN - 4;
    assert_eq!(sent[frame_at - 4..frame_at + 4], [b'\r', b'\n', b'\r', b'\n', 0x82, 126, 0x40, 0]);
    let hello = BlockCodec::Plain.read(sent[frame_at + 4..].to_vec()).unwrap();
    assert!(ServerHello::decode(&hello).is_ok());
}

#[test]
fn who_asks_for_no_web_socket_is_out_of_time_or_refused() {
    let mut silent = server();
    assert_eq!(silent.poll_timeout(), Some(START.mono + HANDSHAKE_TIMEOUT));
    assert_eq!(silent.handle_timeout(after(10)), Err(TransportFault::Timeout));
    let mut other = server();
    let refused = Err(TransportFault::WebSocket(WebSocketFault::Request));
    assert_eq!(other.receive(START, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), refused);
    assert!(drain(&mut other).starts_with(b"HTTP/1.1 426 "));
    assert_eq!(other.receive(START, REQUEST), refused);
}

#[test]
fn a_fault_is_told_with_its_code_and_stays() {
    let mut server = upgraded();
    server.receive(START, &frame(0x02, b"part")).unwrap();
    assert!(server.holds_part());
    let fault = Err(TransportFault::WebSocket(WebSocketFault::Text));
    assert_eq!(server.receive(START, &frame(0x81, b"text")), fault);
    assert_eq!(drain(&mut server), [0x88, 2, 0x03, 0xeb]);
    assert_eq!(server.receive(START, b""), fault);
    assert!(!server.holds_part());
}

#[test]
fn either_side_says_goodbye() {
    let mut server = upgraded();
    server.receive(START, &[frame(0x89, b"?"), frame(0x88, b"")].concat()).unwrap();
    assert!(matches!(server.poll_event(), Some(TransportEvent::Closed)));
    assert_eq!(server.receive(START, b"more"), Err(TransportFault::Closed));
    let sent = drain(&mut server);
    assert!(sent.windows(3).any(|bytes| bytes == [0x8a, 1, b'?']) && sent.windows(4).any(|b| b == GOODBYE));
    let mut server = upgraded();
    server.close();
    assert_eq!(drain(&mut server), GOODBYE);
}

const GOODBYE: [u8; 4] = [0x88, 2, 0x03, 0xe8];
