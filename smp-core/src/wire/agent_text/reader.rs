//! Reads transmissions from a stream that may be cut anywhere.

use core::fmt;
use core::marker::PhantomData;

use bytes::Bytes;

use super::super::agent::AgentCommandError;
use super::super::id::TextConnectionId;
use super::super::text::from_base64url_any;
use super::body::BodyArgument;
use super::{Line, Refused, TextCorrelation, Transmission};

/// Reads the transmissions of the other side: of [`AgentCommand`](super::AgentCommand) in an agent, of
/// [`AgentEvent`](super::AgentEvent) in its client.
///
/// Of an unfinished transmission it holds a line and a body at most, within its [`TextLimits`], and the ids; finished ones
/// it does not hold.
pub struct TextReader<T> {
    limits: TextLimits,
    place: Place,
    /// The line that is being read, while it is not too long.
    line: Vec<u8>,
    line_is_too_long: bool,
    correlation: TextCorrelation,
    connection: TextConnectionId,
    /// The first fault of this transmission.
    fault: Option<AgentCommandError>,
    /// After an empty command, empty lines are skipped.
    lost: bool,
    content: PhantomData<T>,
}

/// What a [`TextReader`] takes, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TextLimits {
    /// A line without its end. A link with post-quantum keys has up to 5 KB, and a body may be in the line.
    pub line_max: usize,
    /// A body. An agent sends less in one message, see [`body_len_max`](super::super::agent::sizes::body_len_max).
    pub body_max: usize,
}

/// 32 KiB and 16 KiB.
impl Default for TextLimits {
    fn default() -> Self {
        Self { line_max: 32 * 1024, body_max: 16 * 1024 }
    }
}

/// What comes next in the stream.
enum Place {
    Correlation,
    Connection,
    Content,
    /// The rest of the body, and the end of the line after it.
    Body(Pending),
}

/// A line whose body is not complete.
struct Pending {
    head: Vec<u8>,
    body: Vec<u8>,
    /// So many bytes of the body are missing.
    missing: usize,
}

/// A line without its end.
struct FullLine {
    bytes: Vec<u8>,
    is_too_long: bool,
}

/// A transmission, or why there is none.
type Outcome<T> = Result<Transmission<T>, Refused>;

impl<T: Line> TextReader<T> {
    /// A reader at the start of a stream.
    #[must_use]
    pub fn new(limits: TextLimits) -> Self {
        Self {
            limits,
            place: Place::Correlation,
            line: Vec::new(),
            line_is_too_long: false,
            correlation: TextCorrelation::default(),
            connection: TextConnectionId::empty(),
            fault: None,
            lost: false,
            content: PhantomData,
        }
    }

    /// Takes bytes off the front of `input` up to the end of a transmission, which it returns, or all of them.
    ///
    /// A refused transmission is to be answered (see [`Refused::answer`]); the session goes on at the next.
    pub fn read(&mut self, input: &mut &[u8]) -> Option<Outcome<T>> {
        loop {
            if let Place::Body(pending) = &mut self.place {
                let (part, rest) = input.split_at(pending.missing.min(input.len()));
                *input = rest;
                pending.missing -= part.len();
                // The body of what is refused is dropped.
                if self.fault.is_none() {
                    pending.body.extend_from_slice(part);
                }
                if pending.missing > 0 {
                    return None;
                }
            }
            let line = self.take_line(input)?;
            let outcome = self.line(line);
            if outcome.is_some() {
                return outcome;
            }
        }
    }

    /// What `line` is depends on the place; the last of a transmission completes it.
    fn line(&mut self, line: FullLine) -> Option<Outcome<T>> {
        match core::mem::replace(&mut self.place, Place::Correlation) {
            Place::Correlation => {
                self.correlation_line(&line);
                None
            }
            Place::Connection => {
                self.connection_line(&line);
                None
            }
            Place::Content => self.content_line(&line),
            Place::Body(pending) => {
                if !line.bytes.is_empty() || line.is_too_long {
                    self.fail(AgentCommandError::Size);
                }
                Some(self.finish(&pending.head, Some(pending.body.into())))
            }
        }
    }

    fn correlation_line(&mut self, line: &FullLine) {
        if self.lost && line.bytes.is_empty() && !line.is_too_long {
            return;
        }
        self.lost = false;
        self.check_length(line);
        match core::str::from_utf8(&line.bytes).ok().and_then(|text| TextCorrelation::new(text).ok()) {
            Some(correlation) => self.correlation = correlation,
            None => self.fail(AgentCommandError::Syntax),
        }
        self.place = Place::Connection;
    }

    fn connection_line(&mut self, line: &FullLine) {
        self.check_length(line);
        let id = core::str::from_utf8(&line.bytes).ok().and_then(|text| from_base64url_any(text).ok());
        match id.and_then(|id| TextConnectionId::new(&id).ok()) {
            Some(connection) => self.connection = connection,
            None => self.fail(AgentCommandError::Syntax),
        }
        self.place = Place::Content;
    }

    fn content_line(&mut self, line: &FullLine) -> Option<Outcome<T>> {
        self.check_length(line);
        self.lost = line.bytes.is_empty() && !line.is_too_long;
        let (head, body) = T::split_body(&line.bytes);
        match body.map(BodyArgument::parse) {
            None => Some(self.finish(head, None)),
            Some(BodyArgument::Text(text)) => {
                if text.len() > self.limits.body_max {
                    self.fail(AgentCommandError::Large);
                }
                Some(self.finish(head, Some(Bytes::copy_from_slice(text))))
            }
            Some(BodyArgument::Counted(missing)) => {
                if missing > self.limits.body_max {
                    self.fail(AgentCommandError::Large);
                }
                self.place = Place::Body(Pending { head: head.to_vec(), body: Vec::new(), missing });
                None
            }
            Some(BodyArgument::Malformed) => {
                self.fail(AgentCommandError::Syntax);
                Some(self.finish(head, None))
            }
        }
    }

    /// The transmission of this line and body; the next one starts.
    fn finish(&mut self, head: &[u8], body: Option<Bytes>) -> Outcome<T> {
        let correlation = core::mem::take(&mut self.correlation);
        let connection = core::mem::take(&mut self.connection);
        let content = match self.fault.take() {
            Some(fault) => Err(fault),
            None => core::str::from_utf8(head)
                .ok()
                .and_then(|head| T::parse(head, body).ok())
                .ok_or(AgentCommandError::Syntax),
        };
        match content {
            Ok(content) if connection.is_empty() && content.needs_connection() => {
                Err(Refused { correlation, connection, error: AgentCommandError::NoConnection })
            }
            Ok(content) => Ok(Transmission { correlation, connection, content }),
            Err(error) => Err(Refused { correlation, connection, error }),
        }
    }

    fn check_length(&mut self, line: &FullLine) {
        if line.is_too_long {
            self.fail(AgentCommandError::Large);
        }
    }

    fn fail(&mut self, error: AgentCommandError) {
        self.fault.get_or_insert(error);
    }

    /// Takes the rest of a line off `input`, or all of it when the line does not end there.
    fn take_line(&mut self, input: &mut &[u8]) -> Option<FullLine> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let (part, rest) = input.split_at(end.unwrap_or(input.len()));
        // One byte more than allowed may be the CR of the line's end.
        if self.line.len() + part.len() > self.limits.line_max.saturating_add(1) {
            self.line_is_too_long = true;
        }
        if self.line_is_too_long {
            self.line.clear();
        } else {
            self.line.extend_from_slice(part);
        }
        *input = rest.get(1..).unwrap_or_default();
        end?;
        let mut bytes = core::mem::take(&mut self.line);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let is_too_long = core::mem::take(&mut self.line_is_too_long) || bytes.len() > self.limits.line_max;
        if is_too_long {
            bytes.clear();
        }
        Some(FullLine { bytes, is_too_long })
    }
}

/// Nothing of what is being read.
impl<T> fmt::Debug for TextReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextReader")
    }
}

#[cfg(test)]
mod tests {
    use super::super::AgentCommand;
    use super::*;

    const LIMITS: TextLimits = TextLimits { line_max: 100, body_max: 50 };

    /// Reads what has no end, and tells what is held of it at most.
    fn held(start: &[u8], piece: &[u8]) -> usize {
        let mut reader = TextReader::<AgentCommand>::new(LIMITS);
        assert!(reader.read(&mut &start[..]).is_none());
        (0..1000)
            .map(|_| {
                assert!(reader.read(&mut &piece[..]).is_none());
                let body = match &reader.place {
                    Place::Body(pending) => pending.head.capacity() + pending.body.capacity(),
                    Place::Correlation | Place::Connection | Place::Content => 0,
                };
                reader.line.capacity() + body
            })
            .max()
            .unwrap()
    }

    #[test]
    fn what_has_no_end_is_not_held() {
        // A vector that grows has up to twice the room that it needs.
        let max = 2 * (LIMITS.line_max + 1 + LIMITS.body_max);
        for start in
            ["", "1\n", "1\nYWJj\n", "1\nYWJj\nSEND :", "1\nYWJj\nSEND 999999999\n", "1\n*\nSEND 50000\n"]
        {
            for length in [1, 40] {
                let held = held(start.as_bytes(), &vec![b'x'; length]);
                assert!(held <= max, "{held} bytes of {start:?}");
            }
        }
    }
}
