//! Bodies, and the other arguments that commands and events have in common.

use super::super::codec::{DecodeError, Decoded};
use super::super::link::{ConnectionLink, ShortLink};
use super::super::text::{from_base64url_any, to_base64url};
use super::EOL;

/// What the argument in the place of a body says.
pub(super) enum BodyArgument<'a> {
    /// The body itself.
    Text(&'a [u8]),
    /// So many bytes follow the line.
    Counted(usize),
    /// Neither.
    Malformed,
}

impl<'a> BodyArgument<'a> {
    pub(super) fn parse(argument: &'a [u8]) -> Self {
        match argument {
            [b':', text @ ..] if !text.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) => {
                Self::Text(text)
            }
            [b'0'..=b'9', ..] if argument.len() <= COUNT_DIGITS_MAX => {
                let count = core::str::from_utf8(argument).ok().and_then(|text| text.parse().ok());
                count.map_or(Self::Malformed, Self::Counted)
            }
            _ => Self::Malformed,
        }
    }
}

/// Writes a body with its length, without the end of the transmission.
pub(super) fn put_body(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(body.len().to_string().as_bytes());
    out.extend_from_slice(EOL);
    out.extend_from_slice(body);
}

/// `line` before and after the space that follows so many words.
pub(super) fn split_after(line: &[u8], words: usize) -> (&[u8], Option<&[u8]>) {
    let mut spaces = line.iter().enumerate().filter(|(_, byte)| **byte == b' ');
    let space = words.checked_sub(1).and_then(|skipped| spaces.nth(skipped)).map(|(place, _)| place);
    let parts = space.and_then(|place| Some((line.get(..place)?, line.get(place + 1..)?)));
    parts.map_or((line, None), |(head, rest)| (head, Some(rest)))
}

/// The first word of a line.
pub(super) fn first_word(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b' ').next().unwrap_or_default()
}

/// An id of the agent's, which is not empty.
pub(super) fn id<T>(text: &str, new: impl FnOnce(&[u8]) -> Decoded<T>) -> Decoded<T> {
    if text.is_empty() { Err(DecodeError) } else { new(&from_base64url_any(text)?) }
}

/// The text of an id.
pub(super) fn id_text(bytes: &[u8]) -> String {
    to_base64url(bytes)
}

/// The number of a message.
pub(super) fn number(text: &str) -> Decoded<i64> {
    // The parser of integers would take a plus sign as well.
    if text.starts_with('+') { Err(DecodeError) } else { text.parse().map_err(|_| DecodeError) }
}

pub(super) fn link(text: &str) -> Decoded<Box<ConnectionLink>> {
    text.parse().map(Box::new).map_err(|_| DecodeError)
}

pub(super) fn short_link(text: &str) -> Decoded<Box<ShortLink>> {
    text.parse().map(Box::new).map_err(|_| DecodeError)
}

pub(super) fn link_text(link: &ConnectionLink) -> String {
    match link {
        ConnectionLink::Full(request) => request.to_string(),
        ConnectionLink::Short(link) => link.to_string(),
    }
}

/// Digits of a count of bytes: up to 999,999,999, so that who sends nonsense does not have all that follows dropped.
const COUNT_DIGITS_MAX: usize = 9;
