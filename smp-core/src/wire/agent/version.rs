//! Versions of the agent protocol: what each one brought.
//!
//! They are counted apart from those of the transport, but written alike, so that links and envelopes have them as
//! [`Version`] and [`VersionRange`]. An envelope with a confirmation has the version that both sides agreed on; all
//! others have the highest that their sender speaks, so that the other side may go up to it.

use super::super::version::{Version, VersionRange};

/// A confirmation brings the queue for replies with it. The oldest version that is still spoken.
pub const DUPLEX_HANDSHAKE: Version = Version(2);
/// The ratchet may be agreed on anew: the envelope with ratchet keys, EREADY.
pub const RATCHET_SYNC: Version = Version(3);
/// Receipts (RCVD).
pub const RECEIPTS: Version = Version(4);
/// The post-quantum ratchet, which takes more of each block: [`sizes`](super::sizes).
pub const PQ_RATCHET: Version = Version(5);
/// Queues for replies that their sender may secure (SKEY).
pub const SENDER_SECURES_REPLY: Version = Version(6);
/// Who made an invitation has the ratchet as soon as a confirmation came, so that messages may follow it at once.
pub const RATCHET_ON_CONFIRMATION: Version = Version(7);
/// What this crate speaks.
pub const SUPPORTED: VersionRange = VersionRange::between(DUPLEX_HANDSHAKE, RATCHET_ON_CONFIRMATION);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_2_to_7_are_spoken() {
        assert_eq!(SUPPORTED.to_string(), "2-7");
        assert_eq!("1-4".parse::<VersionRange>().unwrap().intersect(SUPPORTED), "2-4".parse().ok());
        assert_eq!("1".parse::<VersionRange>().unwrap().intersect(SUPPORTED), None);
    }
}
