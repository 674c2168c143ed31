//! The primitive encodings and the reader that all decoders of this crate are written with.
//!
//! | name | bytes |
//! |---|---|
//! | `u16` `u32` `i64` | big-endian |
//! | `bool` | `T` or `F` |
//! | short string | one length byte, then the bytes |
//! | large string | two length bytes, then the bytes |
//! | tail | all that is left |
//! | optional | `0`, or `1` and the value |
//! | list | one count byte, then the items |

use bytes::Bytes;
use nom::IResult;
use nom::Parser;
use nom::bytes::complete::{tag, take, take_till};
use nom::number::complete::{be_i64, be_u8, be_u16, be_u32};

/// Bytes that are not what the decoder was asked for. Says nothing about where: a peer learns only which protocol
/// error it gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed bytes")]
pub struct DecodeError;

/// What a decoder returns.
pub type Decoded<T> = Result<T, DecodeError>;

/// Reads values off the front of a block.
///
/// Fields that are as large as the block itself (message bodies) are shared with it as [`Bytes`]; small fields are
/// copied, so that keeping one does not keep 16 KiB alive.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    block: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `block`.
    #[must_use]
    pub fn new(block: &'a Bytes) -> Self {
        Self { block, rest: block }
    }

    /// Bytes not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// True when everything was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Runs a nom parser over what is left.
    ///
    /// # Errors
    /// When the parser fails; nothing is consumed then.
    pub(crate) fn parse<O, P>(&mut self, mut parser: P) -> Decoded<O>
    where
        P: Parser<&'a [u8], Output = O, Error = nom::error::Error<&'a [u8]>>,
    {
        let (rest, value) = parser.parse(self.rest).map_err(|_| DecodeError)?;
        self.rest = rest;
        Ok(value)
    }

    /// One byte.
    ///
    /// # Errors
    /// At the end of the bytes, as every method here.
    pub fn u8(&mut self) -> Decoded<u8> {
        self.parse(be_u8)
    }

    /// A big-endian `u16`.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn u16(&mut self) -> Decoded<u16> {
        self.parse(be_u16)
    }

    /// A big-endian `u32`.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn u32(&mut self) -> Decoded<u32> {
        self.parse(be_u32)
    }

    /// A big-endian `i64`.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn i64(&mut self) -> Decoded<i64> {
        self.parse(be_i64)
    }

    /// `T` or `F`.
    ///
    /// # Errors
    /// For any other byte.
    pub fn bool(&mut self) -> Decoded<bool> {
        match self.u8()? {
            b'T' => Ok(true),
            b'F' => Ok(false),
            _ => Err(DecodeError),
        }
    }

    /// Exactly `expected`.
    ///
    /// # Errors
    /// For other bytes; nothing is consumed then.
    pub fn tag(&mut self, expected: &'static [u8]) -> Decoded<()> {
        self.parse(tag(expected)).map(|_| ())
    }

    /// The bytes up to a space, which is left, or to the end.
    pub fn word(&mut self) -> &'a [u8] {
        self.take_till(|byte| byte == b' ')
    }

    /// The bytes up to the first that `stops`, which is left, or to the end.
    pub fn take_till(&mut self, stops: impl Fn(u8) -> bool) -> &'a [u8] {
        self.parse(take_till(stops)).unwrap_or_default()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// When fewer are left.
    pub fn take(&mut self, count: usize) -> Decoded<&'a [u8]> {
        self.parse(take(count))
    }

    /// The next `N` bytes, copied.
    ///
    /// # Errors
    /// When fewer are left.
    pub fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| DecodeError)
    }

    /// A short string: one length byte, then the bytes.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn short(&mut self) -> Decoded<&'a [u8]> {
        self.parse(short)
    }

    /// A large string: two length bytes, then the bytes, shared with the block.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn large(&mut self) -> Decoded<Bytes> {
        let bytes = self.parse(large)?;
        Ok(self.share(bytes))
    }

    /// Everything that is left, shared with the block.
    pub fn tail(&mut self) -> Bytes {
        let bytes = core::mem::take(&mut self.rest);
        self.share(bytes)
    }

    /// `0`, or `1` and a value.
    ///
    /// # Errors
    /// For another first byte, or when the value is malformed.
    pub fn optional<T>(&mut self, value: impl FnOnce(&mut Self) -> Decoded<T>) -> Decoded<Option<T>> {
        match self.u8()? {
            b'0' => Ok(None),
            b'1' => value(self).map(Some),
            _ => Err(DecodeError),
        }
    }

    /// A space and a value: the arguments of a word.
    ///
    /// # Errors
    /// For another first byte, or when the value is malformed.
    pub fn after_space<T>(&mut self, value: impl FnOnce(&mut Self) -> Decoded<T>) -> Decoded<T> {
        self.tag(b" ")?;
        value(self)
    }

    /// One count byte of at least 1, then that many values.
    ///
    /// # Errors
    /// For a count of 0, or when a value is malformed.
    pub fn non_empty<T>(&mut self, value: impl FnMut(&mut Self) -> Decoded<T>) -> Decoded<Vec<T>> {
        let values = self.list(value)?;
        if values.is_empty() { Err(DecodeError) } else { Ok(values) }
    }

    /// One count byte, then that many values.
    ///
    /// # Errors
    /// When bytes are missing or a value is malformed.
    pub fn list<T>(&mut self, mut value: impl FnMut(&mut Self) -> Decoded<T>) -> Decoded<Vec<T>> {
        let count = self.u8()?;
        (0..count).map(|_| value(self)).collect()
    }

    /// Succeeds at the end of the bytes only.
    ///
    /// # Errors
    /// When bytes are left over.
    pub const fn end(&self) -> Decoded<()> {
        if self.is_empty() { Ok(()) } else { Err(DecodeError) }
    }

    /// `part`, which must be a part of the block, as a share of it.
    fn share(&self, part: &'a [u8]) -> Bytes {
        if part.is_empty() { Bytes::new() } else { self.block.slice_ref(part) }
    }
}

/// Decodes a value that must take up the whole of `bytes`.
///
/// # Errors
/// When the value is malformed or bytes are left over.
pub fn decode_all<T>(bytes: &Bytes, value: impl FnOnce(&mut Reader<'_>) -> Decoded<T>) -> Decoded<T> {
    let mut reader = Reader::new(bytes);
    let value = value(&mut reader)?;
    reader.end()?;
    Ok(value)
}

fn short(input: &[u8]) -> IResult<&[u8], &[u8]> {
    nom::multi::length_data(be_u8).parse(input)
}

fn large(input: &[u8]) -> IResult<&[u8], &[u8]> {
    nom::multi::length_data(be_u16).parse(input)
}

/// Writes a short string.
///
/// A caller keeps it at 255 bytes or less; the types of this crate do so by construction. A longer one is cut, never
/// written with a wrong length.
pub fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= 255, "a short string of {} bytes", bytes.len());
    let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend_from_slice(bytes.get(..usize::from(length)).unwrap_or_default());
}

/// Writes a large string, which the caller keeps at 65535 bytes or less; a longer one is cut.
pub fn put_large(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= 65535, "a large string of {} bytes", bytes.len());
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes.get(..usize::from(length)).unwrap_or_default());
}

/// Writes `T` or `F`.
pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { b'T' } else { b'F' });
}

/// Writes `0`, or `1` and the value.
pub fn put_optional<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        None => out.push(b'0'),
        Some(value) => {
            out.push(b'1');
            put(out, value);
        }
    }
}

/// Writes a space and a value.
pub fn put_after_space(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    out.push(b' ');
    put(out);
}

/// Writes one count byte and the items, of which the caller has at most 255; more are cut.
pub fn put_list<T>(out: &mut Vec<u8>, items: &[T], mut put: impl FnMut(&mut Vec<u8>, &T)) {
    debug_assert!(items.len() <= 255, "a list of {} items", items.len());
    let count = u8::try_from(items.len()).unwrap_or(u8::MAX);
    out.push(count);
    items.iter().take(usize::from(count)).for_each(|item| put(out, item));
}
