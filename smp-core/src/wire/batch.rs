//! Batches: the content of a block is one count byte and that many transmissions, each a large string.
//!
//! Peers join and split batches as they like; only the order of transmissions is kept.

use bytes::Bytes;

use super::codec::{DecodeError, Decoded, decode_all, put_large};

/// The longest content of a plain block: what its 16384 bytes leave beside the length.
pub const PLAIN_CONTENT_MAX: usize = 16384 - 2;
/// The longest content of an encrypted block: less by the tag of the encryption.
pub const ENCRYPTED_CONTENT_MAX: usize = PLAIN_CONTENT_MAX - 16;
/// The longest content of more than one transmission, whether the block is encrypted or not.
pub const BATCH_CONTENT_MAX: usize = ENCRYPTED_CONTENT_MAX;

/// The longest transmission that fits alone into a content of `content_max` bytes.
#[must_use]
pub const fn item_max(content_max: usize) -> usize {
    content_max.saturating_sub(HEADER)
}

/// Splits a content into its transmissions, which share its memory.
///
/// # Errors
/// When it is malformed, empty, or bytes are left over; the whole block is refused with BLOCK.
pub fn decode_batch(content: &Bytes) -> Decoded<Vec<Bytes>> {
    decode_all(content, |reader| reader.non_empty(super::Reader::large))
}

/// The batch of one transmission.
///
/// # Errors
/// For more than 65535 bytes.
pub fn encode_single(item: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if item.len() > usize::from(u16::MAX) {
        return Err(DecodeError);
    }
    let mut content = Vec::with_capacity(item.len() + HEADER);
    content.push(1);
    put_large(&mut content, item);
    Ok(content)
}

/// Packs transmissions into contents of blocks, each as full as the order allows.
#[derive(Debug)]
pub struct BatchWriter {
    content_max: usize,
    content: Vec<u8>,
    count: u8,
}

impl BatchWriter {
    /// A writer for blocks that hold `content_max` bytes: [`PLAIN_CONTENT_MAX`] or [`ENCRYPTED_CONTENT_MAX`].
    #[must_use]
    pub const fn new(content_max: usize) -> Self {
        Self { content_max, content: Vec::new(), count: 0 }
    }

    /// Adds a transmission. When it does not fit beside those before, they are returned as a finished
    /// content.
    ///
    /// # Errors
    /// When it does not fit into a block by itself; nothing is changed then.
    pub fn push(&mut self, item: &[u8]) -> Result<Option<Vec<u8>>, TooLarge> {
        if item.len() > item_max(self.content_max) {
            return Err(TooLarge);
        }
        let finished = if self.fits(item) { None } else { self.finish() };
        if self.content.is_empty() {
            self.content.push(0);
        }
        put_large(&mut self.content, item);
        self.count += 1;
        if let Some(count) = self.content.first_mut() {
            *count = self.count;
        }
        Ok(finished)
    }

    /// The content of what was added since the last one, if anything was.
    #[must_use]
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        self.count = 0;
        let content = core::mem::take(&mut self.content);
        if content.is_empty() { None } else { Some(content) }
    }

    /// True when a transmission can be added to those that wait, without finishing their content; always when none waits.
    #[must_use]
    pub fn fits(&self, item: &[u8]) -> bool {
        let length = self.content.len() + LENGTH + item.len();
        self.count == 0 || (self.count < u8::MAX && length <= BATCH_CONTENT_MAX.min(self.content_max))
    }
}

/// A transmission that does not fit into a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("transmission too large")]
pub struct TooLarge;

/// The length before each transmission.
const LENGTH: usize = 2;
/// The count and the length before the only transmission.
const HEADER: usize = 1 + LENGTH;

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(content_max: usize, lengths: &[usize]) -> Vec<Vec<u8>> {
        let mut writer = BatchWriter::new(content_max);
        let mut contents: Vec<_> =
            lengths.iter().filter_map(|length| writer.push(&vec![7; *length]).unwrap()).collect();
        contents.extend(writer.finish());
        assert_eq!(writer.finish(), None);
        contents
    }

    /// How many transmissions each content has.
    fn counts(contents: &[Vec<u8>]) -> Vec<usize> {
        contents.iter().map(|content| decode_batch(&content.clone().into()).unwrap().len()).collect()
    }

    #[test]
    fn joins_transmissions_in_order() {
        let mut writer = BatchWriter::new(PLAIN_CONTENT_MAX);
        assert_eq!(writer.push(b"one"), Ok(None));
        assert_eq!(writer.push(b""), Ok(None));
        assert_eq!(writer.push(b"three"), Ok(None));
        let content = writer.finish().unwrap();
        assert_eq!(content, b"\x03\0\x03one\0\0\0\x05three");
        assert_eq!(decode_batch(&content.into()).unwrap(), [&b"one"[..], b"", b"three"]);
        assert_eq!(encode_single(b"one").unwrap(), b"\x01\0\x03one");
        assert_eq!(encode_single(&[0; 65536]), Err(DecodeError));
    }

    #[test]
    fn fills_blocks_exactly() {
        for content_max in [PLAIN_CONTENT_MAX, ENCRYPTED_CONTENT_MAX] {
            // 1 + 2 * (2 + 8181) = 16367 is one more than a batch may have, in a plain block too.
            assert_eq!(counts(&pack(content_max, &[8181, 8180])), [2]);
            assert_eq!(counts(&pack(content_max, &[8181, 8181])), [1, 1]);
            assert_eq!(counts(&pack(content_max, &[118; 300])), [136, 136, 28]);
            let largest = content_max - 3;
            assert_eq!(counts(&pack(content_max, &[1, largest, 1])), [1, 1, 1]);
            assert_eq!(pack(content_max, &[largest])[0].len(), content_max);
            assert_eq!(BatchWriter::new(content_max).push(&vec![0; largest + 1]), Err(TooLarge));
        }
        assert_eq!(counts(&pack(PLAIN_CONTENT_MAX, &[0; 256])), [255, 1]);
    }

    #[test]
    fn a_transmission_that_is_too_large_changes_nothing() {
        let mut writer = BatchWriter::new(ENCRYPTED_CONTENT_MAX);
        assert_eq!(writer.push(b"a"), Ok(None));
        assert_eq!(writer.push(&[0; 17000]), Err(TooLarge));
        assert_eq!(writer.push(b"b"), Ok(None));
        assert_eq!(writer.finish().unwrap(), b"\x02\0\x01a\0\x01b");
    }

    #[test]
    fn refuses_malformed_contents() {
        let content = Bytes::from_static(b"\x02\0\x01a\0\x02bc");
        for cut in 0..content.len() {
            assert_eq!(decode_batch(&content.slice(..cut)), Err(DecodeError));
        }
        assert_eq!(decode_batch(&Bytes::from_static(b"\0")), Err(DecodeError));
        assert_eq!(decode_batch(&Bytes::from_static(b"\x01\0\x01ab")), Err(DecodeError));
    }

    #[test]
    fn transmissions_share_the_content() {
        let content = Bytes::from_static(b"\x01\0\x03one");
        let items = decode_batch(&content).unwrap();
        assert_eq!(items[0].as_ptr(), content[3..].as_ptr());
    }
}
