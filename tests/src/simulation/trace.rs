//! What is noted of a world while it is lived: when what happened, and what was wrong.

use std::hash::{DefaultHasher, Hash, Hasher};

use smp_core::{Now, Timestamp, UnixTime};

/// What happened in a world, as a hash, and what was wrong.
pub(super) struct Trace {
    /// The time of the world, at which something is noted.
    pub(super) now: Now,
    /// The first thing that was wrong.
    pub(super) failure: Option<String>,
    hash: DefaultHasher,
    is_verbose: bool,
}

impl Trace {
    /// Of a world that begins; printed while it is lived, if that is asked for.
    pub(super) fn new(is_verbose: bool) -> Self {
        Self {
            now: Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) },
            failure: None,
            hash: DefaultHasher::new(),
            is_verbose,
        }
    }

    /// Adds to the trace.
    #[allow(clippy::print_stdout, reason = "the trace is for whoever replays a seed")]
    pub(super) fn note(&mut self, what: &str, numbers: &[u64]) {
        (self.now.mono.as_micros(), what, numbers).hash(&mut self.hash);
        if self.is_verbose {
            let micros = self.now.mono.as_micros();
            println!("{:>6}.{:06} {what} {numbers:?}", micros / 1_000_000, micros % 1_000_000);
        }
    }

    /// Adds bytes to the hash of the trace.
    pub(super) fn note_bytes(&mut self, bytes: &[u8]) {
        self.hash.write(bytes);
    }

    /// A hash of everything that was noted.
    pub(super) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// Ends the world unless `holds`.
    pub(super) fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.failure.get_or_insert_with(otherwise);
        }
    }

    /// Ends the world if this was wrong.
    pub(super) fn take(&mut self, verdict: Result<(), String>) {
        if let Err(fault) = verdict {
            self.failure.get_or_insert(fault);
        }
    }
}
