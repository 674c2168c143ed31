//! The request that makes an HTTP connection a WebSocket (RFC 6455 section 4.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, Header, Request, Status};
use sha1::{Digest, Sha1};

/// The answer to a request at the beginning of `bytes`, and the request's length; `None` when it is not complete. An error
/// is the answer to one that asks for something else.
pub(super) fn answer(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(Status::Complete(length)) if length <= REQUEST_MAX => length,
        Ok(Status::Partial) if bytes.len() < REQUEST_MAX => return Ok(None),
        Ok(_) => return Err(TOO_LARGE),
        Err(_) => return Err(BAD),
    };
    if request.method != Some("GET") || request.version != Some(1) {
        return Err(BAD);
    }
    if request.path != Some("/") {
        return Err(NOT_FOUND);
    }
    let header = |name| only(request.headers, name);
    if header("upgrade").is_none_or(|value| !has_token(value, b"websocket"))
        || !request
            .headers
            .iter()
            .any(|header| is(header, "connection") && has_token(header.value, b"upgrade"))
        || header("sec-websocket-version") != Some(b"13")
    {
        return Err(UPGRADE);
    }
    let key = header("sec-websocket-key").filter(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 16));
    let accept = STANDARD.encode(Sha1::new().chain_update(key.ok_or(BAD)?).chain_update(GUID).finalize());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Ok(Some((response.into_bytes(), length)))
}

/// The value of a header that is there once.
fn only<'h>(headers: &'h [Header<'h>], name: &str) -> Option<&'h [u8]> {
    let mut values = headers.iter().filter(|header| is(header, name)).map(|header| header.value);
    values.next().filter(|_| values.next().is_none())
}

fn is(header: &Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

fn has_token(value: &[u8], token: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|word| word.trim_ascii().eq_ignore_ascii_case(token))
}

/// What a key is hashed with (RFC 6455 section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of a request. Browsers send about 500.
pub(super) const REQUEST_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;
const BAD: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const TOO_LARGE: &str =
    "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const UPGRADE: &str = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\
                       Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n";
