//! The head of a request.

use httparse::{EMPTY_HEADER, Header};
use percent_encoding::percent_decode_str;

use super::Status;

/// A request without a body, whose path is safe to look up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    method: Method,
    path: String,
    query: Option<String>,
    keeps_alive: bool,
}

/// What a request may ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// The resource.
    Get,
    /// The head of the same answer.
    Head,
}

impl Request {
    /// Reads the head of a request at the beginning of `bytes` and tells its length; `None` when it is not complete.
    ///
    /// The target has to be a path (RFC 9112 section 3.2.1). Bodies are refused, so nothing can be hidden behind a
    /// head that proxies and this server would measure differently.
    ///
    /// # Errors
    /// What to answer before the connection is closed.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Status> {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut headers);
        let length = match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Status::HEAD_TOO_LARGE),
            Err(_) => return Err(Status::BAD_REQUEST),
        };
        let method = match head.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => return Err(Status::METHOD_NOT_ALLOWED),
        };
        let is_new = head.version == Some(1);
        check_headers(head.headers, is_new)?;
        let (path, query) = split_target(head.path.unwrap_or_default())?;
        let closes = values(head.headers, "connection").any(|value| has_token(value, "close"));
        Ok(Some((Self { method, path, query, keeps_alive: is_new && !closes }, length)))
    }

    /// GET or HEAD.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The path, decoded. It begins with `/`, is UTF-8 without control characters and backslashes, and none of its
    /// segments is `.`, `..` or empty, but for the last, which may be empty.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What stands behind `?`, as it came.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Whether the connection may go on after the answer.
    pub(crate) const fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }
}

/// One host is named, and no body follows (RFC 9112 sections 3.2 and 6).
fn check_headers(headers: &[Header<'_>], is_new: bool) -> Result<(), Status> {
    let hosts = values(headers, "host").count();
    let empty = |value: &[u8]| value == b"0";
    if hosts > 1
        || is_new && hosts == 0
        || values(headers, "transfer-encoding").next().is_some()
        || !values(headers, "content-length").all(empty)
    {
        return Err(Status::BAD_REQUEST);
    }
    Ok(())
}

fn split_target(target: &str) -> Result<(String, Option<String>), Status> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let path = percent_decode_str(path).decode_utf8().map_err(|_| Status::BAD_REQUEST)?;
    if is_safe(&path) { Ok((path.into_owned(), query)) } else { Err(Status::BAD_REQUEST) }
}

fn is_safe(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let mut segments = rest.split('/').rev();
    !path.chars().any(|c| c.is_control() || c == '\\')
        && segments.next().is_some_and(|last| !is_dots(last))
        && segments.all(|segment| !segment.is_empty() && !is_dots(segment))
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

pub(super) fn values<'h>(headers: &'h [Header<'h>], name: &'static str) -> impl Iterator<Item = &'h [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// Whether a list has this word (RFC 9110 section 5.6.1).
fn has_token(value: &[u8], token: &str) -> bool {
    value.split(|byte| *byte == b',').any(|word| word.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Headers of a request. More are refused.
pub const HEADERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(head: &str) -> Result<Option<(Request, usize)>, Status> {
        Request::decode(head.as_bytes())
    }

    fn path(target: &str) -> Result<String, Status> {
        let (request, _) =
            decode(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))?.expect("a whole head");
        Ok(request.path().to_owned())
    }

    #[test]
    fn reads_method_path_query_and_length() {
        let head = "HEAD /a%20b/c?x=%2e%2e&y HTTP/1.1\r\nHost: example.org\r\n\r\n";
        let (request, length) = decode(&format!("{head}rest")).unwrap().unwrap();
        assert_eq!((request.method(), request.path()), (Method::Head, "/a b/c"));
        assert_eq!((request.query(), length, request.keeps_alive()), (Some("x=%2e%2e&y"), head.len(), true));
    }

    #[test]
    fn waits_for_the_whole_head() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(decode(&head[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn hostile_paths_are_refused() {
        for target in [
            "/..",
            "/../etc/passwd",
            "/a/../b",
            "/a/..",
            "/./a",
            "/%2e%2e/a",
            "/%2E%2e%2fa",
            "/a%2f..%2fb",
            "/a%00b",
            "/a%0d%0ab",
            "/%ff",
            "/%c0%ae%c0%ae",
            "//a",
            "/a//b",
            "/a%5cb",
            "/a\\b",
            "*",
            "a",
            "http://a/b",
            "/%7f",
        ] {
            assert_eq!(path(target), Err(Status::BAD_REQUEST), "{target}");
        }
        for (target, expected) in [
            ("/", "/"),
            ("/a/", "/a/"),
            ("/%252e%252e", "/%2e%2e"),
            ("/...", "/..."),
            ("/%c3%a4", "/ä"),
            ("/%", "/%"),
            ("/a?/../b", "/a"),
        ] {
            assert_eq!(path(target).as_deref(), Ok(expected), "{target}");
        }
    }

    #[test]
    fn what_is_no_plain_request_is_refused() {
        let long: String = (0..=HEADERS_MAX).map(|n| format!("a{n}: b\r\n")).collect();
        for (head, status) in [
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", Status::METHOD_NOT_ALLOWED),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", Status::METHOD_NOT_ALLOWED),
            ("GET / HTTP/1.1\r\n\r\n", Status::BAD_REQUEST),
            ("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", Status::BAD_REQUEST),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", Status::BAD_REQUEST),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Status::BAD_REQUEST),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Status::BAD_REQUEST),
            ("\u{16}\u{3}\u{1}", Status::BAD_REQUEST),
            (&format!("GET / HTTP/1.1\r\n{long}\r\n"), Status::HEAD_TOO_LARGE),
        ] {
            assert_eq!(decode(head), Err(status), "{head:?}");
        }
    }

    #[test]
    fn only_a_new_client_that_does_not_ask_for_the_end_keeps_its_connection() {
        for (head, keeps) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false),
        ] {
            assert_eq!(decode(head).unwrap().unwrap().0.keeps_alive(), keeps, "{head}");
        }
    }
}
