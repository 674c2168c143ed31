//! Identities for the tests of this folder.

use bytes::Bytes;

use super::identity::{Algorithm, Authority, IdentityKey, ServerIdentity, Subject};
use crate::{SeededEntropy, UnixTime};

pub(super) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
pub(super) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::Ed448];

/// A server with a chain of two.
pub(super) fn identity(authority: Algorithm, leaf: Algorithm) -> ServerIdentity {
    identity_with(authority, leaf, [7; 32])
}

/// Another server for another seed.
pub(super) fn identity_with(authority: Algorithm, leaf: Algorithm, seed: [u8; 32]) -> ServerIdentity {
    let mut entropy = SeededEntropy::new(seed);
    let authority = Authority::generate(authority, &mut entropy, NOW).unwrap();
    below(&[authority], leaf, &mut entropy)
}

/// A server with a chain of `length`: 2, 3 or 4.
pub(super) fn long_identity(length: usize) -> ServerIdentity {
    let mut entropy = SeededEntropy::new([8; 32]);
    let mut authorities = vec![Authority::generate(Algorithm::Ed448, &mut entropy, NOW).unwrap()];
    while authorities.len() + 1 < length {
        let parent = authorities.first().unwrap();
        authorities.insert(0, parent.issue_authority(Algorithm::Ed25519, &mut entropy, NOW).unwrap());
    }
    below(&authorities, Algorithm::Ed25519, &mut entropy)
}

/// The default: Ed25519 throughout.
pub(super) fn server_identity() -> ServerIdentity {
    identity(Algorithm::Ed25519, Algorithm::Ed25519)
}

/// A service with a self-signed certificate.
pub(super) fn service(algorithm: Algorithm) -> (Vec<Bytes>, IdentityKey) {
    let mut entropy = SeededEntropy::new([9; 32]);
    let issued = super::identity::self_signed_client("service", algorithm, &mut entropy, NOW).unwrap();
    (vec![issued.certificate], issued.key)
}

fn below(authorities: &[Authority], leaf: Algorithm, entropy: &mut SeededEntropy) -> ServerIdentity {
    let subject = Subject { host: "localhost", algorithm: leaf };
    let issued = authorities[0].issue(subject, entropy, NOW).unwrap();
    let chain =
        core::iter::once(issued.certificate).chain(authorities.iter().map(|a| a.certificate().clone()));
    ServerIdentity::new(chain.collect(), issued.key, NOW).unwrap()
}
