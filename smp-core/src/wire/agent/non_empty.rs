//! Lists that are never empty.

use core::fmt;
use core::ops::Deref;

use super::super::codec::{DecodeError, Decoded, Reader, put_list};

/// 1 to 255 items. On the wire: one count byte, then the items.
#[derive(Clone, PartialEq, Eq)]
pub struct NonEmpty<T>(Vec<T>);

impl<T> NonEmpty<T> {
    /// The list of these items.
    ///
    /// # Errors
    /// When there is none, or there are more than 255.
    pub fn new(items: Vec<T>) -> Decoded<Self> {
        if (1..=255).contains(&items.len()) { Ok(Self(items)) } else { Err(DecodeError) }
    }

    /// The list of one item.
    #[must_use]
    pub fn one(item: T) -> Self {
        Self(vec![item])
    }

    /// The items.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }

    pub(super) fn decode(
        reader: &mut Reader<'_>,
        item: impl FnMut(&mut Reader<'_>) -> Decoded<T>,
    ) -> Decoded<Self> {
        reader.non_empty(item).map(Self)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>, put: impl FnMut(&mut Vec<u8>, &T)) {
        put_list(out, &self.0, put);
    }
}

impl<T> Deref for NonEmpty<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// Only how many there are.
impl<T> fmt::Debug for NonEmpty<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} items", self.0.len())
    }
}
