//! What a service and a server compare to learn whether they agree on its queues: their count and a hash.

use core::ops::BitXor;

use super::codec::{Decoded, Reader, put_short};
use super::version::Version;

/// The hash of a set of queue ids: the XOR of the MD5 of each (notifier ids for a notification server). 16
/// bytes, sent as a short string.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct IdsHash(pub [u8; 16]);

impl IdsHash {
    /// Reads a hash.
    ///
    /// One of another length is padded with zeros or cut. Peers only compare hashes and a difference is never an
    /// error, so neither is the length.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let mut hash = [0; 16];
        hash.iter_mut().zip(reader.short()?).for_each(|(to, from)| *to = *from);
        Ok(Self(hash))
    }

    /// Writes the hash.
    pub fn encode(self, out: &mut Vec<u8>) {
        put_short(out, &self.0);
    }
}

impl BitXor for IdsHash {
    type Output = Self;

    fn bitxor(self, other: Self) -> Self {
        Self((u128::from_be_bytes(self.0) ^ u128::from_be_bytes(other.0)).to_be_bytes())
    }
}

/// A set of queues by its count and hash. On the wire: `i64` count and the hash, or less before version 19.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct QueueSet {
    /// How many queues; -1 for "not known".
    pub count: i64,
    /// The hash of their ids; zero for none, or before version 19.
    pub hash: IdsHash,
}

impl QueueSet {
    /// No queues.
    pub const EMPTY: Self = Self { count: 0, hash: IdsHash([0; 16]) };
    /// What a subscription stands for whose sender does not tell.
    pub const UNKNOWN: Self = Self { count: -1, hash: IdsHash([0; 16]) };

    /// The set with `other`, which has no queue in common, added.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { count: self.count.saturating_add(other.count), hash: self.hash ^ other.hash }
    }

    /// The set without `other`, a part of it; empty when `other` is as large or larger, which is no part
    /// then.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        match self.count.saturating_sub(other.count) {
            ..=0 => Self::EMPTY,
            count => Self { count, hash: self.hash ^ other.hash },
        }
    }

    /// Reads the count and, from version 19, the hash.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode(version: Version, reader: &mut Reader<'_>) -> Decoded<Self> {
        let count = reader.i64()?;
        let hash =
            if version >= Version::SERVICE_SUBS { IdsHash::decode(reader)? } else { IdsHash::default() };
        Ok(Self { count, hash })
    }

    /// Writes the count and, from version 19, the hash.
    pub fn encode(self, version: Version, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_be_bytes());
        if version >= Version::SERVICE_SUBS {
            self.hash.encode(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::{DecodeError, decode_all};
    use super::*;

    const ONE: QueueSet = QueueSet { count: 1, hash: IdsHash([0x5a; 16]) };
    const TWO: QueueSet = QueueSet { count: 2, hash: IdsHash([0x33; 16]) };

    #[test]
    fn addition_and_subtraction() {
        let three = ONE.plus(TWO);
        assert_eq!(three, QueueSet { count: 3, hash: IdsHash([0x69; 16]) });
        assert_eq!(three.minus(TWO), ONE);
        assert_eq!(three.minus(three), QueueSet::EMPTY);
        assert_eq!(ONE.minus(three), QueueSet::EMPTY);
        assert_eq!(QueueSet { count: i64::MAX, ..ONE }.plus(ONE).count, i64::MAX);
        assert_eq!(QueueSet { count: i64::MIN, ..ONE }.minus(ONE), QueueSet::EMPTY);
    }

    #[test]
    fn bytes() {
        let mut out = Vec::new();
        ONE.encode(Version(18), &mut out);
        assert_eq!(out, 1i64.to_be_bytes());
        ONE.encode(Version(19), &mut out);
        let v19 = out.split_off(8);
        assert_eq!(v19, [&1i64.to_be_bytes()[..], &[16], &[0x5a; 16]].concat());
        let decode = |version, bytes: &[u8]| {
            decode_all(&bytes.to_vec().into(), |r| QueueSet::decode(Version(version), r))
        };
        assert_eq!(decode(19, &v19), Ok(ONE));
        assert_eq!(decode(18, &out), Ok(QueueSet { count: 1, hash: IdsHash::default() }));
        assert_eq!(decode(18, &v19), Err(DecodeError));
        for cut in 0..v19.len() {
            assert_eq!(decode(19, &v19[..cut]), Err(DecodeError));
        }
    }

    #[test]
    fn hashes_of_another_length() {
        let decode = |bytes: &[u8]| decode_all(&bytes.to_vec().into(), IdsHash::decode);
        assert_eq!(decode(&[0]), Ok(IdsHash::default()));
        assert_eq!(decode(&[1, 7]), Ok(IdsHash([7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])));
        assert_eq!(decode(&[&[17][..], &[9; 17]].concat()), Ok(IdsHash([9; 16])));
    }
}
