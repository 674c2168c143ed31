//! Protocol versions and the ranges that peers agree on.

use core::fmt;
use core::str::FromStr;

use super::codec::{DecodeError, Decoded, Reader};

/// A protocol version: a big-endian `u16`.
///
/// The constants name what changed in the transport between clients and servers. Queue addresses and other
/// layers count their versions separately but write them in the same way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Version(pub u16);

impl Version {
    /// The oldest version that is still spoken.
    pub const MIN: Self = Self(6);
    /// Authenticators next to signatures; the session id is no longer sent, only authorised.
    pub const AUTH_COMMANDS: Self = Self(7);
    /// Private routing of messages through a proxy.
    pub const PRIVATE_ROUTING: Self = Self(8);
    /// A sender may secure the queue (SKEY).
    pub const SKEY: Self = Self(9);
    /// The event DELD; before, END.
    pub const DELETED_EVENT: Self = Self(10);
    /// Each block is encrypted once more inside TLS.
    pub const ENCRYPTED_BLOCKS: Self = Self(11);
    /// The error BLOCKED; before, AUTH.
    pub const BLOCKED: Self = Self(12);
    /// A client hello tells that it is a proxy's, which turns off [`Self::ENCRYPTED_BLOCKS`].
    pub const PROXY_SERVER: Self = Self(14);
    /// Queue modes and link data.
    pub const SHORT_LINKS: Self = Self(15);
    /// Service certificates, the second signature of a transmission, SOK.
    pub const SERVICES: Self = Self(16);
    /// Notifier credentials in NEW and IDS.
    pub const NEW_NOTIFIER: Self = Self(17);
    /// BLOCKED may carry a notice.
    pub const BLOCKED_NOTICE: Self = Self(18);
    /// Service subscriptions carry a count and a hash of queue ids.
    pub const SERVICE_SUBS: Self = Self(19);
    /// Name resolution.
    pub const NAMES: Self = Self(20);
    /// The newest version of this crate.
    pub const MAX: Self = Self::NAMES;

    /// The longest body of SEND, in bytes. What a peer sends beside it grew with the versions.
    #[must_use]
    pub const fn message_length_max(self) -> usize {
        match self.0 {
            ..8 => 16088,
            8..11 => 16064,
            11.. => 16048,
        }
    }

    /// Reads a version; any number is one.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        reader.u16().map(Self)
    }

    /// Writes the version.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

/// The text form: a decimal number.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Version {
    type Err = DecodeError;

    fn from_str(text: &str) -> Decoded<Self> {
        // The parser of integers would take a plus sign as well.
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(DecodeError);
        }
        text.parse().map(Self).map_err(|_| DecodeError)
    }
}

/// The versions from `min` to `max`, both included and never empty.
///
/// On the wire: `u16` min, `u16` max. As text: `1-4`, or `4` when both are the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct VersionRange {
    min: Version,
    max: Version,
}

impl VersionRange {
    /// What this crate speaks.
    pub const SUPPORTED: Self = Self { min: Version::MIN, max: Version::MAX };
    /// What a server offers to a client that did not negotiate an application protocol (ALPN).
    pub const LEGACY: Self = Self::only(Version::MIN);
    /// What a proxy lets a client use with a relay, at most.
    pub const PROXIED: Self = Self { min: Version::PRIVATE_ROUTING, max: Version::MAX };

    /// The versions from `min` to `max`.
    ///
    /// # Errors
    /// When `min` is above `max`.
    pub fn new(min: Version, max: Version) -> Decoded<Self> {
        if min <= max { Ok(Self { min, max }) } else { Err(DecodeError) }
    }

    /// The versions from `min` to `max`, which the caller knows to be in this order.
    pub(crate) const fn between(min: Version, max: Version) -> Self {
        debug_assert!(min.0 <= max.0, "an empty range of versions");
        Self { min, max }
    }

    /// The range of one version.
    #[must_use]
    pub const fn only(version: Version) -> Self {
        Self { min: version, max: version }
    }

    /// The lowest version.
    #[must_use]
    pub const fn min(self) -> Version {
        self.min
    }

    /// The highest version: the one that peers with this common range speak.
    #[must_use]
    pub const fn max(self) -> Version {
        self.max
    }

    /// True when `version` lies in the range.
    #[must_use]
    pub fn contains(self, version: Version) -> bool {
        self.min <= version && version <= self.max
    }

    /// The versions of both ranges, if any.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        Self::new(self.min.max(other.min), self.max.min(other.max)).ok()
    }

    /// The versions up to `max`, if any.
    #[must_use]
    pub fn capped(self, max: Version) -> Option<Self> {
        Self::new(self.min, self.max.min(max)).ok()
    }

    /// Reads a range.
    ///
    /// # Errors
    /// When bytes are missing or the range is empty.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Self::new(Version::decode(reader)?, Version::decode(reader)?)
    }

    /// Writes the range.
    pub fn encode(self, out: &mut Vec<u8>) {
        self.min.encode(out);
        self.max.encode(out);
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { self.min.fmt(f) } else { write!(f, "{}-{}", self.min, self.max) }
    }
}

impl FromStr for VersionRange {
    type Err = DecodeError;

    fn from_str(text: &str) -> Decoded<Self> {
        match text.split_once('-') {
            None => text.parse().map(Self::only),
            Some((min, max)) => Self::new(min.parse()?, max.parse()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::decode_all;
    use super::*;

    fn range(min: u16, max: u16) -> VersionRange {
        VersionRange::new(Version(min), Version(max)).unwrap()
    }

    #[test]
    fn bytes_and_text_of_ranges() {
        for (value, bytes, text) in [
            (range(1, 4), [0, 1, 0, 4], "1-4"),
            (range(4, 4), [0, 4, 0, 4], "4"),
            (range(6, 0x102), [0, 6, 1, 2], "6-258"),
        ] {
            let mut out = Vec::new();
            value.encode(&mut out);
            assert_eq!(out, bytes);
            assert_eq!(decode_all(&out.into(), VersionRange::decode), Ok(value));
            assert_eq!(value.to_string(), text);
            assert_eq!(text.parse(), Ok(value));
        }
    }

    #[test]
    fn refuses_empty_ranges_and_other_text() {
        assert_eq!(VersionRange::new(Version(5), Version(4)), Err(DecodeError));
        assert_eq!(decode_all(&vec![0, 5, 0, 4].into(), VersionRange::decode), Err(DecodeError));
        for text in ["", "-", "4-", "-4", "4-1", "1-4-5", "+1", " 1", "65536", "1,4"] {
            assert_eq!(text.parse::<VersionRange>(), Err(DecodeError), "{text}");
        }
    }

    #[test]
    fn agreement() {
        assert_eq!(range(6, 18).intersect(range(8, 20)), Some(range(8, 18)));
        assert_eq!(range(6, 7).intersect(range(8, 20)), None);
        assert_eq!(range(6, 20).capped(Version(18)), Some(range(6, 18)));
        assert_eq!(range(6, 18).capped(Version(20)), Some(range(6, 18)));
        assert_eq!(range(6, 20).capped(Version(5)), None);
        assert!(range(6, 8).contains(Version(8)) && !range(6, 8).contains(Version(9)));
        assert!(!range(6, 8).contains(Version(5)));
    }
}
