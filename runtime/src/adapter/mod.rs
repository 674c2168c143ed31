//! What adapters have in common: the clocks of the system, how sockets are set, and the look-up of names.

mod names;

pub use names::{LOOKUPS_MAX, Names, Resolving};

use std::io;
#[cfg(unix)]
use std::os::fd::AsFd as Socket;
#[cfg(windows)]
use std::os::windows::io::AsSocket as Socket;
use std::time::{Duration, Instant, SystemTime};

use smp_core::{Now, Timestamp, UnixTime};
use socket2::{SockRef, TcpKeepalive};

/// The clocks of the system. The monotonic one counts from when it was made; copies share that.
///
/// ```
/// use std::time::Duration;
///
/// use smp_runtime::adapter::SystemClock;
///
/// let clock = SystemClock::new();
/// let hour = Duration::from_secs(3600);
/// assert!(clock.until(clock.now().mono + hour) <= hour);
/// assert_eq!(clock.until(clock.now().mono), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock that counts from now.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { mono: Timestamp::ZERO + self.0.elapsed(), unix: unix_time() }
    }

    /// How long it is until then: zero when it has passed.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        at.since(Timestamp::ZERO + self.0.elapsed())
    }
}

/// What the system's clock says that the time is.
#[must_use]
pub fn unix_time() -> UnixTime {
    // A clock before 1970 is not worth an error path: what is stored and sent then says 1970.
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(i64::try_from(unix.as_millis()).unwrap_or(i64::MAX))
}

/// Sets a TCP connection: a block leaves when it is written (`TCP_NODELAY`), and a dead peer is noticed after 90 seconds.
///
/// # Errors
/// When the system refuses, which it does when the peer has reset the connection.
pub fn set_stream(stream: &impl Socket) -> io::Result<()> {
    let keep_alive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keep_alive)
}

/// The error for an accepted connection of which [`set_stream`] is refused: the listener is fine, and goes on.
#[must_use]
pub fn reset_by_peer(error: io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, error)
}
