//! Responses.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use smp_core::UnixTime;

/// A status code and its reason phrase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status(u16, &'static str);

impl Status {
    /// 200.
    pub const OK: Self = Self(200, "OK");
    /// 400.
    pub const BAD_REQUEST: Self = Self(400, "Bad Request");
    /// 404.
    pub const NOT_FOUND: Self = Self(404, "Not Found");
    /// 405.
    pub const METHOD_NOT_ALLOWED: Self = Self(405, "Method Not Allowed");
    /// 431.
    pub const HEAD_TOO_LARGE: Self = Self(431, "Request Header Fields Too Large");
    /// 503, for what is not ready.
    pub const UNAVAILABLE: Self = Self(503, "Service Unavailable");

    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }
}

/// An answer. Its body is shared, so pages that are made once are not copied for each request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    status: Status,
    content_type: &'static str,
    body: Bytes,
    headers: Vec<(&'static str, &'static str)>,
}

impl Response {
    /// An answer with a body.
    #[must_use]
    pub fn new(status: Status, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, body: body.into(), headers: Vec::new() }
    }

    /// An answer that says nothing but its status.
    #[must_use]
    pub fn status(status: Status) -> Self {
        let Status(code, reason) = status;
        Self::new(status, "text/plain; charset=utf-8", format!("{code} {reason}\n"))
    }

    /// The same with another header. What makes up the message, such as its length, is set without it.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its status.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.status.code()
    }

    /// Its body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The value of a header that [`Self::with_header`] set.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'static str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The head, up to its empty line. Whatever is served is what its type says, is in no frame, and tells no other site
    /// where its readers come from.
    pub(crate) fn head(&self, now: UnixTime, closes: bool) -> Vec<u8> {
        let Status(code, reason) = self.status;
        let seconds = u64::try_from(now.as_secs()).unwrap_or_default();
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_DATE)));
        let mut head = format!(
            "HTTP/1.1 {code} {reason}\r\nDate: {date}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\
             X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n",
            self.content_type,
            self.body.len()
        );
        if self.header(POLICY).is_none() {
            _ = write!(head, "{POLICY}: default-src 'none'; frame-ancestors 'none'\r\n");
        }
        if self.status == Status::METHOD_NOT_ALLOWED {
            head.push_str("Allow: GET, HEAD\r\n");
        }
        for (name, value) in &self.headers {
            _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str(if closes { "Connection: close\r\n\r\n" } else { "\r\n" });
        head.into_bytes()
    }
}

const POLICY: &str = "Content-Security-Policy";
/// The end of the year 9999, after which a date has another form.
const LAST_DATE: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_says_what_follows_and_how_to_treat_it() {
        let response =
            Response::new(Status::OK, "text/html", "body").with_header("Cache-Control", "no-store");
        let head = String::from_utf8(response.head(UnixTime::from_secs(1_700_000_000), false)).unwrap();
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\
             X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
             Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nCache-Control: no-store\r\n\r\n"
        );
        let response = Response::status(Status::METHOD_NOT_ALLOWED).with_header(POLICY, "default-src 'self'");
        for now in [-1, i64::MAX / 2000] {
            let head = String::from_utf8(response.head(UnixTime::from_secs(now), true)).unwrap();
            assert!(
                head.contains("\r\nAllow: GET, HEAD\r\n") && head.ends_with("\r\nConnection: close\r\n\r\n")
            );
            assert_eq!(head.matches(POLICY).count(), 1);
        }
    }
}
