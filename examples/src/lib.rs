//! Runnable examples: see `examples/`.

/// The code in the README is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// So is the code in the guide for developers.
#[cfg(doctest)]
#[doc = include_str!("../../docs/developers.md")]
pub struct Developers;

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
use smp_core::{SeededEntropy, UnixTime};

/// Who a new server is. A program keeps it in files.
///
/// # Errors
/// Without randomness.
pub fn new_identity() -> Result<ServerIdentity, Box<dyn Error>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let entropy = &mut SeededEntropy::new(seed);
    let now = UnixTime::from_secs(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?);
    let authority = Authority::generate(Algorithm::Ed25519, entropy, now)?;
    let issued =
        authority.issue(Subject { host: "localhost", algorithm: Algorithm::Ed25519 }, entropy, now)?;
    Ok(ServerIdentity::new(vec![issued.certificate, authority.certificate().clone()], issued.key, now)?)
}
