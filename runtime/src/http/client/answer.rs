//! The answer to a request, as a machine: bytes in, an answer out.

use httparse::{EMPTY_HEADER, parse_chunk_size};

use super::HttpFailure;
use crate::http::HEADERS_MAX;
use crate::http::request::values;

/// Reads one answer of HTTP/1.x (RFC 9112), however it is cut.
///
/// It holds a head of [`HEAD_MAX`] bytes or a body of the length that it was told, and what came with one call of
/// [`Self::receive`]. Interim answers (1xx) are passed over; of answers other than 200 the body is not read.
pub(crate) struct AnswerReader {
    /// The longest body; `None` when it is of no interest.
    body_max: Option<usize>,
    /// What is not parsed yet.
    input: Vec<u8>,
    state: State,
    answer: Answer,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// What comes next.
enum State {
    Head,
    /// So many bytes of the body, the last.
    Length(usize),
    /// The body, up to the end of the connection.
    ToEnd,
    ChunkSize,
    /// So many bytes of a chunk.
    Chunk(usize),
    /// The line break behind a chunk.
    ChunkEnd,
    /// Nothing that matters.
    Done(Result<(), HttpFailure>),
}

impl AnswerReader {
    pub(crate) fn new(body_max: Option<usize>) -> Self {
        Self { body_max, input: Vec::new(), state: State::Head, answer: Answer::default() }
    }

    /// Takes bytes of the server.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::Done(_)) {
            return;
        }
        self.input.extend_from_slice(bytes);
        loop {
            match self.step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => {
                    self.state = State::Done(Err(failure));
                    break;
                }
            }
        }
        if matches!(self.state, State::Done(_)) {
            self.input = Vec::new();
        }
    }

    /// The server has ended the connection.
    pub(crate) fn end(&mut self) {
        match self.state {
            State::Done(_) => {}
            State::ToEnd => self.state = State::Done(Ok(())),
            _ => self.state = State::Done(Err(HttpFailure::Malformed)),
        }
    }

    /// The answer, or why there is none, once that is known.
    pub(crate) fn take(&mut self) -> Option<Result<Answer, HttpFailure>> {
        let State::Done(done) = self.state else { return None };
        Some(done.map(|()| std::mem::take(&mut self.answer)))
    }

    /// Parses the next part; false when it has not come whole.
    fn step(&mut self) -> Result<bool, HttpFailure> {
        match self.state {
            State::Head => self.head(),
            State::Length(0) => {
                self.state = State::Done(Ok(()));
                Ok(false)
            }
            State::Length(left) => {
                let left = self.body(left)?;
                self.state = State::Length(left);
                Ok(left == 0)
            }
            State::ToEnd => {
                self.body(usize::MAX)?;
                Ok(false)
            }
            State::ChunkSize => self.chunk_size(),
            State::Chunk(left) => {
                let left = self.body(left)?;
                self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                Ok(left == 0)
            }
            State::ChunkEnd => match self.input.get(..2) {
                Some(b"\r\n") => {
                    self.input.drain(..2);
                    self.state = State::ChunkSize;
                    Ok(true)
                }
                Some(_) => Err(HttpFailure::Malformed),
                None => Ok(false),
            },
            State::Done(_) => Ok(false),
        }
    }

    fn head(&mut self) -> Result<bool, HttpFailure> {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        let length = match head.parse(&self.input) {
            Ok(httparse::Status::Complete(length)) if length <= HEAD_MAX => length,
            Ok(httparse::Status::Partial) if self.input.len() <= HEAD_MAX => return Ok(false),
            Ok(_) => return Err(HttpFailure::TooLarge),
            Err(_) => return Err(HttpFailure::Malformed),
        };
        self.answer.status = head.code.unwrap_or_default();
        self.state = match (self.answer.status, self.body_max) {
            (100 | 102..=199, _) => State::Head,
            (200, Some(body_max)) => framing(&head, body_max)?,
            _ => State::Done(Ok(())),
        };
        self.input.drain(..length);
        Ok(true)
    }

    fn chunk_size(&mut self) -> Result<bool, HttpFailure> {
        match parse_chunk_size(&self.input) {
            // What follows the last chunk are trailers, and the connection ends.
            Ok(httparse::Status::Complete((_, 0))) => self.state = State::Done(Ok(())),
            Ok(httparse::Status::Complete((length, size))) => {
                let size = usize::try_from(size).map_err(|_| HttpFailure::TooLarge)?;
                if size > self.room() {
                    return Err(HttpFailure::TooLarge);
                }
                self.input.drain(..length);
                self.state = State::Chunk(size);
            }
            Ok(httparse::Status::Partial) if self.input.len() <= CHUNK_LINE_MAX => return Ok(false),
            _ => return Err(HttpFailure::Malformed),
        }
        Ok(true)
    }

    /// Moves at most so many bytes to the body, and tells how many of them have not come.
    fn body(&mut self, length: usize) -> Result<usize, HttpFailure> {
        let take = length.min(self.input.len());
        if take > self.room() {
            return Err(HttpFailure::TooLarge);
        }
        self.answer.body.extend(self.input.drain(..take));
        Ok(length - take)
    }

    fn room(&self) -> usize {
        self.body_max.unwrap_or_default().saturating_sub(self.answer.body.len())
    }
}

/// How the end of a body is told (RFC 9112 section 6.3). Two ways at once are an attempt to be read in two ways.
fn framing(head: &httparse::Response<'_, '_>, body_max: usize) -> Result<State, HttpFailure> {
    let all = |name| values(head.headers, name).collect::<Vec<_>>();
    if all("content-encoding").iter().any(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        return Err(HttpFailure::Malformed);
    }
    match (all("transfer-encoding").as_slice(), all("content-length").as_slice()) {
        ([], []) => Ok(State::ToEnd),
        ([coding], []) if coding.eq_ignore_ascii_case(b"chunked") && head.version == Some(1) => {
            Ok(State::ChunkSize)
        }
        ([], [length]) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            let length = str::from_utf8(length).ok().and_then(|length| length.parse().ok());
            length.filter(|length| *length <= body_max).map(State::Length).ok_or(HttpFailure::TooLarge)
        }
        _ => Err(HttpFailure::Malformed),
    }
}

/// Bytes of the head of an answer.
pub(crate) const HEAD_MAX: usize = 8 * 1024;
/// Bytes of the line before a chunk.
const CHUNK_LINE_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    fn read(bytes: &[u8], piece: usize, ends: bool) -> Option<Result<Answer, HttpFailure>> {
        let mut reader = AnswerReader::new(Some(10));
        for piece in bytes.chunks(piece.max(1)) {
            reader.receive(piece);
            assert!(reader.answer.body.len() <= 10);
            assert!(reader.input.len() <= HEAD_MAX);
        }
        if ends {
            reader.end();
        }
        reader.take()
    }

    #[track_caller]
    fn check(text: &str, expected: Option<Result<(u16, &str), HttpFailure>>) {
        let expected = expected
            .map(|answer| answer.map(|(status, body)| Answer { status, body: body.as_bytes().to_vec() }));
        for piece in 1..=text.len() {
            assert_eq!(read(text.as_bytes(), piece, false), expected, "{text:?} in pieces of {piece}");
        }
    }

    #[test]
    fn bodies_end_in_three_ways() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", Some(Ok((200, "abc"))));
        check("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Some(Ok((200, ""))));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
        check(&format!("{chunked}3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: b\r\n\r\n"), Some(Ok((200, "abcde"))));
        let to_end = b"HTTP/1.0 200 OK\r\n\r\nabc";
        assert_eq!(read(to_end, 1, false), None);
        assert_eq!(read(to_end, 1, true), Some(Ok(Answer { status: 200, body: b"abc".to_vec() })));
    }

    #[test]
    fn of_other_statuses_the_body_is_not_read() {
        for status in [101, 204, 301, 400, 404, 500, 999] {
            check(&format!("HTTP/1.1 {status} X\r\nContent-Length: 9999\r\n\r\n"), Some(Ok((status, ""))));
        }
        let early = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
        check(&format!("{early}{early}HTTP/1.1 404 X\r\n\r\n"), Some(Ok((404, ""))));
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_held() {
        let large = Some(Err(HttpFailure::TooLarge));
        let head = "HTTP/1.1 200 OK\r\n";
        check(&format!("{head}Content-Length: 11\r\n\r\n"), large);
        check(&format!("{head}Content-Length: 99999999999999999999999\r\n\r\n"), large);
        check(&format!("{head}\r\n01234567890"), large);
        check(&format!("{head}Transfer-Encoding: chunked\r\n\r\nb\r\n"), large);
        check(&format!("{head}Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\n"), large);
        let endless = format!("{head}X: {}", "x".repeat(HEAD_MAX));
        assert_eq!(read(endless.as_bytes(), 1000, false), Some(Err(HttpFailure::TooLarge)));
    }

    #[test]
    fn garbage_is_refused() {
        let bad = Some(Err(HttpFailure::Malformed));
        let head = "HTTP/1.1 200 OK\r\n";
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n");
        for text in [
            "SSH-2.0-x\r\n",
            "HTTP/2 200\r\n\r\n",
            &format!("{head}Content-Length: +1\r\n\r\n"),
            &format!("{head}Content-Length:\r\n\r\n"),
            &format!("{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            &format!("{head}Content-Encoding: gzip\r\n\r\n"),
            &format!("{head}Transfer-Encoding: gzip, chunked\r\n\r\n"),
            &format!("{chunked}Content-Length: 1\r\n\r\n"),
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            &format!("{chunked}\r\nx\r\n"),
            &format!("{chunked}\r\n1\r\nabc"),
            &format!("{chunked}\r\n1;{}", "x".repeat(CHUNK_LINE_MAX)),
        ] {
            check(text, bad);
        }
        for text in [head, &chunked, &format!("{head}Content-Length: 2\r\n\r\na"), ""] {
            assert_eq!(read(text.as_bytes(), 1, true), Some(Err(HttpFailure::Malformed)), "{text:?}");
        }
    }

    quickcheck! {
        fn what_is_read_does_not_depend_on_how_it_is_cut(
            head: usize, bytes: Vec<u8>, piece: usize, ends: bool
        ) -> bool {
            let heads = ["", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"];
            let bytes = [heads[head % heads.len()].as_bytes(), &bytes].concat();
            read(&bytes, piece % 50, ends) == read(&bytes, usize::MAX, ends)
        }
    }
}
