//! Blocks: the 16384-byte units in which everything travels after the TLS handshake.
//!
//! ```text
//! plain      u16 length, content, '#' up to 16384
//! encrypted  secret box (tag 16) of: u16 length, content, '#' up to 16368
//! ```

use core::mem;

use bytes::Bytes;

use crate::crypto::padding::{LENGTH_LEN, pad_into, unpad};
use crate::crypto::secret_box::TAG_LEN;
use crate::crypto::{BlockChain, CryptoError};

/// Bytes of a block.
pub const BLOCK_LEN: usize = 16384;

/// Cuts a stream of bytes into blocks. Between blocks it holds no memory.
#[derive(Default)]
pub struct BlockReader {
    pending: Vec<u8>,
}

impl BlockReader {
    /// Takes the next bytes of the stream. A block that comes in one piece, as peers send it, is not copied.
    pub fn push(&mut self, bytes: Vec<u8>) {
        if self.pending.is_empty() {
            self.pending = bytes;
        } else {
            self.pending.extend_from_slice(&bytes);
        }
    }

    /// Whether a part of a block is held, when there is no whole one.
    #[must_use]
    pub const fn holds_part(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The next whole block.
    pub fn next_block(&mut self) -> Option<Vec<u8>> {
        if self.pending.len() < BLOCK_LEN {
            return None;
        }
        let rest = self.pending.split_off(BLOCK_LEN);
        Some(mem::replace(&mut self.pending, rest))
    }
}

/// Writes and reads blocks, encrypted or not.
#[derive(Default)]
pub enum BlockCodec {
    /// Padding only.
    #[default]
    Plain,
    /// A box around each block, with a key of its own.
    Encrypted {
        /// The keys of the blocks that this side sends.
        sent: BlockChain,
        /// The keys of the blocks that it receives.
        received: BlockChain,
    },
}

impl BlockCodec {
    /// The most content of a block: 16382 bytes, or 16366 with encryption.
    #[must_use]
    pub const fn content_max(&self) -> usize {
        match self {
            Self::Plain => BLOCK_LEN - LENGTH_LEN,
            Self::Encrypted { .. } => BLOCK_LEN - TAG_LEN - LENGTH_LEN,
        }
    }

    /// The block that carries `content`.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] when it is longer than [`Self::content_max`]; no key is used up then.
    pub fn write(&mut self, content: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut block = Vec::with_capacity(BLOCK_LEN);
        match self {
            Self::Plain => pad_into(&mut block, content, BLOCK_LEN)?,
            Self::Encrypted { sent, .. } => {
                block.resize(TAG_LEN, 0);
                pad_into(&mut block, content, BLOCK_LEN - TAG_LEN)?;
                let (key, nonce) = sent.step();
                key.box_key().seal_in_place(&nonce, &mut block)?;
            }
        }
        Ok(block)
    }

    /// The content of a block, which shares the block's memory.
    ///
    /// The keys move on even when the block turns out to be bad, as the sender's did.
    ///
    /// # Errors
    /// When the block was not sealed with the next key, or its length field exceeds it.
    pub fn read(&mut self, mut block: Vec<u8>) -> Result<Bytes, CryptoError> {
        let content = match self {
            Self::Plain => LENGTH_LEN..LENGTH_LEN + unpad(&block)?.len(),
            Self::Encrypted { received, .. } => {
                let (key, nonce) = received.step();
                key.box_key().open_padded_in_place(&nonce, &mut block)?
            }
        };
        Ok(Bytes::from(block).slice(content))
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;
    use crate::crypto::DhSecret;

    fn encrypted() -> (BlockCodec, BlockCodec) {
        let (server, client) = BlockChain::pair(b"session", &DhSecret::new([1; 32]));
        let ours = BlockCodec::Encrypted { sent: server.clone(), received: client.clone() };
        (ours, BlockCodec::Encrypted { sent: client, received: server })
    }

    #[test]
    fn blocks_are_cut_wherever_the_pieces_end() {
        let stream: Vec<u8> = (0..BLOCK_LEN * 3 + 5).map(|at| (at / BLOCK_LEN) as u8).collect();
        for size in [1, 7, BLOCK_LEN - 1, BLOCK_LEN, BLOCK_LEN + 1, stream.len()] {
            let mut reader = BlockReader::default();
            let mut blocks = Vec::new();
            for piece in stream.chunks(size) {
                reader.push(piece.to_vec());
                blocks.extend(core::iter::from_fn(|| reader.next_block()));
            }
            assert_eq!(blocks, [0, 1, 2].map(|byte| vec![byte; BLOCK_LEN]), "pieces of {size}");
            assert_eq!(reader.pending, [3; 5]);
        }
    }

    #[test]
    fn nothing_is_held_between_blocks() {
        let mut reader = BlockReader::default();
        reader.push(vec![0; BLOCK_LEN]);
        assert!(reader.next_block().is_some());
        assert_eq!(reader.pending.capacity(), 0);
    }

    #[test]
    fn content_may_be_as_long_as_the_limit() {
        let (ours, theirs) = encrypted();
        for (mut write, mut read, max) in
            [(BlockCodec::Plain, BlockCodec::Plain, 16382), (ours, theirs, 16366)]
        {
            assert_eq!(write.content_max(), max);
            assert_eq!(write.write(&vec![7; max + 1]), Err(CryptoError::TooLarge));
            let block = write.write(&vec![7; max]).unwrap();
            assert_eq!(block.len(), BLOCK_LEN);
            assert_eq!(read.read(block).unwrap(), vec![7; max]);
        }
    }

    #[test]
    fn a_bad_block_costs_one_step_of_the_chain() {
        let (mut ours, mut theirs) = encrypted();
        let blocks: Vec<_> = (0..3).map(|byte| ours.write(&[byte]).unwrap()).collect();
        assert_eq!(theirs.read(blocks[0].clone()).unwrap(), [0_u8][..]);
        let mut changed = blocks[1].clone();
        changed[BLOCK_LEN - 1] ^= 1;
        assert_eq!(theirs.read(changed), Err(CryptoError::Open));
        assert_eq!(theirs.read(blocks[2].clone()).unwrap(), [2_u8][..]);
        // A plain block on an encrypted connection is one too.
        assert_eq!(theirs.read(BlockCodec::Plain.write(b"plain").unwrap()), Err(CryptoError::Open));
    }

    #[test]
    fn a_length_beyond_the_block_is_bad() {
        for length in [16383, 65535_u16] {
            let mut block = vec![b'#'; BLOCK_LEN];
            block[..2].copy_from_slice(&length.to_be_bytes());
            assert_eq!(BlockCodec::Plain.read(block), Err(CryptoError::Padding));
        }
    }

    quickcheck! {
        fn round_trip(contents: Vec<Vec<u8>>) -> bool {
            let (mut ours, mut theirs) = encrypted();
            contents.iter().all(|content| {
                let (there, back) = (ours.write(content).unwrap(), theirs.write(content).unwrap());
                theirs.read(there).unwrap() == content && ours.read(back).unwrap() == content
            })
        }
    }
}
