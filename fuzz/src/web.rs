//! What comes from the web: requests, and WebSockets.

use smp_core::transport::web_socket::{WebSocket, WebSocketFault};
use smp_runtime::http::Request;

use crate::input::Input;

/// The head of a request. A path that is taken is safe to look up, and the head ends where it says.
pub fn requests(bytes: &[u8]) {
    let Ok(Some((request, length))) = Request::decode(bytes) else { return };
    let path = request.path();
    assert!(path.starts_with('/') && !path.chars().any(|c| c.is_control() || c == '\\'), "{path:?}");
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{path:?}");
    assert!(!path.contains("//"), "{path:?}");
    let head = bytes.get(..length).expect("a head is no longer than what it was read from");
    assert_eq!(Request::decode(head), Ok(Some((request, length))));
    assert_eq!(Request::decode(&head[..length - 1]), Ok(None));
}

/// A WebSocket: whether it is open already, the length of pieces, what the client sends. What arrives does not depend on how
/// the stream is cut, nothing of a message is held, and output does not grow with what is not answered.
pub fn web_sockets(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (is_open, piece_len) = (input.below(2) == 1, usize::from(input.u8()) + 1);
    let stream = input.rest();
    let request = if is_open { REQUEST } else { "" };
    let whole = receive(request, [&stream[..]].into_iter());
    let pieces = receive(request, stream.chunks(piece_len));
    assert!(whole == pieces, "it depends on how the stream is cut");
    let (payload, fault, _) = whole;
    assert!(fault.is_some() || payload.len() <= stream.len());
}

/// The payload, the fault, and whether the connection is open at the end.
fn receive<'a>(
    request: &str,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<u8>, Option<WebSocketFault>, bool) {
    let mut socket = WebSocket::server();
    socket.receive(request.as_bytes()).expect("a good request");
    let mut payload = Vec::new();
    for piece in pieces {
        let _response = socket.take_output();
        let received = socket.receive(piece);
        payload.extend(socket.take_payload());
        if let Err(fault) = received {
            assert!(socket.is_closed() && !socket.holds_part());
            return (payload, Some(fault), false);
        }
        assert!(socket.take_output().len() <= OUTPUT_MAX);
    }
    (payload, None, socket.is_open())
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// A response to a request, a pong and a goodbye.
const OUTPUT_MAX: usize = 200 + 127 + 4;
