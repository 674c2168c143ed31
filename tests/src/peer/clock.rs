//! Real time, which only ever fails a test that hangs.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use smp_core::UnixTime;

/// How long anything may take that must happen. Far more than it does take.
pub const GUARD: Duration = Duration::from_secs(30);

/// The time of day.
#[must_use]
pub fn now() -> UnixTime {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(i64::try_from(unix.as_millis()).unwrap_or(i64::MAX))
}

/// Asks again and again until the answer is yes.
///
/// # Panics
/// When it is still no after [`GUARD`].
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < GUARD, "never happened: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
