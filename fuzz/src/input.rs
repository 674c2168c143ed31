//! An input as a program: bytes taken from the front decide what happens next.

use bytes::Bytes;
use smp_core::wire::Version;

/// What is left of an input. Taking from an empty one gives zeros, so that every input is a whole program.
#[derive(Clone, Copy)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of the input.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// True when all was taken.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn u8(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// The next two bytes as a number.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.u8()) % end
    }

    /// As many bytes as two bytes say, or as there are.
    pub fn slice(&mut self) -> &'a [u8] {
        let length = usize::from(self.u16()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// A version that is spoken.
    pub fn version(&mut self) -> Version {
        let spoken = Version::MIN.0..=Version::MAX.0;
        Version(Version::MIN.0 + u16::from(self.u8()) % u16::try_from(spoken.len()).unwrap_or(1))
    }

    /// All that is left.
    #[must_use]
    pub fn rest(self) -> Bytes {
        Bytes::copy_from_slice(self.0)
    }
}
