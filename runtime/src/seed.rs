//! Where the seeds of machines come from.

use std::io;
use std::sync::{Mutex, PoisonError};

use smp_core::SeededEntropy;

/// A source of seeds.
pub(crate) enum Seeds {
    /// The operating system. Each seed stands alone, so the memory of a server does not tell the seeds of the
    /// past.
    System,
    /// A seed that was given, for runs that can be repeated.
    Fixed(Box<Mutex<SeededEntropy>>),
}

impl Seeds {
    pub(crate) fn fixed(seed: [u8; 32]) -> Self {
        Self::Fixed(Box::new(Mutex::new(SeededEntropy::new(seed))))
    }

    /// The seed of a new machine. Fails when the operating system does.
    pub(crate) fn next(&self) -> io::Result<[u8; 32]> {
        match self {
            Self::System => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(io::Error::other)?;
                Ok(seed)
            }
            Self::Fixed(entropy) => Ok(entropy.lock().unwrap_or_else(PoisonError::into_inner).fork_seed()),
        }
    }
}
