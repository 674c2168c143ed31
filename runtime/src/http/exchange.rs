//! Requests and responses of one connection, as a machine: bytes in, bytes out.

use bytes::Bytes;
use smp_core::UnixTime;
use smp_core::server::Limits;

use super::{Handler, Method, Request, Response, Status};

/// What happens between the bytes of a connection and its handler. One request is answered at a time.
pub(crate) struct Exchange {
    handler: Handler,
    input: Vec<u8>,
    /// What of the response under way has not left: the head, then the body.
    output: [Bytes; 2],
    head_bytes_max: usize,
    requests_left: usize,
}

impl Exchange {
    pub(crate) fn new(handler: Handler, limits: &Limits) -> Self {
        Self {
            handler,
            input: Vec::new(),
            output: [Bytes::new(), Bytes::new()],
            head_bytes_max: limits.http_head_bytes,
            requests_left: limits.http_requests,
        }
    }

    /// Takes bytes of the peer. After the last request they are of no use.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        if self.requests_left > 0 {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The next bytes for the peer, at most [`PIECE_LEN`]; `None` when the next request has not come whole.
    pub(crate) fn poll_output(&mut self, now: UnixTime) -> Option<Bytes> {
        if !self.is_answering() && self.requests_left > 0 {
            self.answer(now);
        }
        let part = self.output.iter_mut().find(|part| !part.is_empty())?;
        Some(part.split_to(part.len().min(PIECE_LEN)))
    }

    /// Whether a response has not left whole.
    pub(crate) fn is_answering(&self) -> bool {
        self.output.iter().any(|part| !part.is_empty())
    }

    /// Whether there is nothing more to say.
    pub(crate) fn is_done(&self) -> bool {
        self.requests_left == 0 && !self.is_answering()
    }

    /// Takes no more requests. The response that is under way is finished.
    pub(crate) fn finish(&mut self) {
        self.requests_left = 0;
        self.input = Vec::new();
    }

    fn answer(&mut self, now: UnixTime) {
        let response = match Request::decode(&self.input) {
            Ok(Some((_, length))) if length > self.head_bytes_max => Err(Status::HEAD_TOO_LARGE),
            Ok(None) if self.input.len() > self.head_bytes_max => Err(Status::HEAD_TOO_LARGE),
            Ok(None) => return,
            Ok(Some((request, length))) => {
                self.input.drain(..length);
                Ok(request)
            }
            Err(status) => Err(status),
        };
        self.requests_left -= 1;
        let (response, sends_body) = match response {
            Ok(request) => {
                if !request.keeps_alive() {
                    self.requests_left = 0;
                }
                ((self.handler)(&request), request.method() == Method::Get)
            }
            Err(status) => {
                self.requests_left = 0;
                (Response::status(status), true)
            }
        };
        if self.requests_left == 0 || self.input.is_empty() {
            // An idle connection holds no buffer.
            self.input = Vec::new();
        }
        log::debug!("a web request was answered with status {}", response.code());
        let head = response.head(now, self.requests_left == 0);
        let body = if sends_body { response.body().clone() } else { Bytes::new() };
        self.output = [Bytes::from(head), body];
    }
}

/// Bytes of a response that are handed to the socket at a time: what fits in one record of TLS.
pub const PIECE_LEN: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn exchange(change: impl FnOnce(&mut Limits)) -> Exchange {
        let mut limits = Limits::default();
        change(&mut limits);
        let handler = |request: &Request| Response::new(Status::OK, "text/plain", request.path().repeat(2));
        Exchange::new(Arc::new(handler), &limits)
    }

    /// Gives the bytes and tells status and body of all answers.
    fn ask(exchange: &mut Exchange, bytes: &str) -> Vec<String> {
        exchange.receive(bytes.as_bytes());
        let mut output = Vec::new();
        while let Some(piece) = exchange.poll_output(UnixTime::default()) {
            assert!(piece.len() <= PIECE_LEN);
            output.extend_from_slice(&piece);
        }
        let output = String::from_utf8(output).unwrap();
        output
            .split("HTTP/1.1 ")
            .skip(1)
            .map(|answer| {
                let (head, body) = answer.split_once("\r\n\r\n").unwrap();
                format!("{} {body}", &head[..3])
            })
            .collect()
    }

    const HEAD: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn answers_one_after_the_other_however_they_come() {
        let mut all = exchange(|_| {});
        assert_eq!(ask(&mut all, &HEAD.repeat(3)), ["200 /a/a"; 3]);
        let mut pieces = exchange(|_| {});
        for byte in HEAD[..HEAD.len() - 1].chars() {
            assert!(ask(&mut pieces, &byte.to_string()).is_empty());
        }
        assert_eq!(ask(&mut pieces, "\n"), ["200 /a/a"]);
        assert!(!pieces.is_done() && pieces.input.capacity() == 0);
    }

    #[test]
    fn the_answer_to_head_has_no_body() {
        let mut exchange = exchange(|_| {});
        exchange.receive(HEAD.replace("GET", "HEAD").as_bytes());
        let head = exchange.poll_output(UnixTime::default()).unwrap();
        assert!(head.windows(19).any(|part| part == b"Content-Length: 4\r\n"));
        assert_eq!(exchange.poll_output(UnixTime::default()), None);
    }

    #[test]
    fn a_fault_is_answered_and_ends_the_connection() {
        for (bytes, status) in [("POST / HTTP/1.1\r\nHost: a\r\n\r\n", "405"), ("\0", "400")] {
            let mut exchange = exchange(|_| {});
            let answers = ask(&mut exchange, &format!("{bytes}{HEAD}"));
            assert!(answers.len() == 1 && answers[0].starts_with(status), "{answers:?}");
            assert!(exchange.is_done());
            assert!(ask(&mut exchange, HEAD).is_empty());
        }
    }

    #[test]
    fn a_head_above_the_limit_is_refused_whole_or_not() {
        let head = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(HEAD.len()));
        for end in [head.len(), head.len() - 1] {
            let mut exchange = exchange(|limits| limits.http_head_bytes = HEAD.len());
            assert_eq!(ask(&mut exchange, HEAD), ["200 /a/a"]);
            assert!(ask(&mut exchange, &head[..end])[0].starts_with("431"));
            assert!(exchange.is_done());
        }
    }

    #[test]
    fn a_connection_has_so_many_requests() {
        let mut exchange = exchange(|limits| limits.http_requests = 2);
        assert_eq!(ask(&mut exchange, &HEAD.repeat(3)).len(), 2);
        assert!(exchange.is_done());
    }

    #[test]
    fn what_is_under_way_is_finished() {
        let mut exchange = exchange(|_| {});
        exchange.receive(HEAD.repeat(2).as_bytes());
        assert!(exchange.poll_output(UnixTime::default()).is_some());
        exchange.finish();
        assert_eq!(exchange.poll_output(UnixTime::default()).as_deref(), Some(&b"/a/a"[..]));
        assert!(exchange.poll_output(UnixTime::default()).is_none() && exchange.is_done());
    }
}
