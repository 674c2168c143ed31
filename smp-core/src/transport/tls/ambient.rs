//! What rustls takes from its surroundings, lent to it for the length of one call: the time, randomness, and a place
//! to leave the Finished message that names the session.
//!
//! rustls asks for these through `&'static` objects that know nothing of a connection. A machine runs from call to
//! return on one thread, so a thread-local that is filled before each call and emptied after it connects the two.
//! Outside of a call there is no time and no randomness, and what asks for them gets an error.

use core::cell::RefCell;

use rustls::crypto::GetRandomFailed;
use rustls_pki_types::UnixTime as PkiTime;

use crate::{Entropy, SeededEntropy, UnixTime};

/// What a connection needs until its handshake is over.
pub(super) struct Handshake {
    entropy: SeededEntropy,
    finished_count: u8,
    finished: Option<[u8; 32]>,
    has_shown_certificate: bool,
}

impl Handshake {
    pub(super) fn new(seed: [u8; 32]) -> Box<Self> {
        Box::new(Self {
            entropy: SeededEntropy::new(seed),
            finished_count: 0,
            finished: None,
            has_shown_certificate: false,
        })
    }

    /// The `verify_data` of the client's Finished message: the second that either side computes, because the server
    /// finishes first.
    pub(super) const fn client_finished(&self) -> Option<[u8; 32]> {
        self.finished
    }

    /// True when a client was asked for its certificate and gave it.
    pub(super) const fn has_shown_certificate(&self) -> bool {
        self.has_shown_certificate
    }
}

/// Lends the time `now` and, during the handshake, what `handshake` holds to the rustls calls that `call` makes.
pub(super) fn lend<T>(now: UnixTime, handshake: &mut Option<Box<Handshake>>, call: impl FnOnce() -> T) -> T {
    LENT.with_borrow_mut(|lent| *lent = Some(Lent { now, handshake: handshake.take() }));
    let result = call();
    *handshake = LENT.with_borrow_mut(Option::take).and_then(|lent| lent.handshake);
    result
}

/// The time of the current call.
pub(super) fn time() -> Option<PkiTime> {
    let now = LENT.with_borrow(|lent| lent.as_ref().map(|lent| lent.now))?;
    let secs = u64::try_from(now.as_secs()).ok()?;
    Some(PkiTime::since_unix_epoch(core::time::Duration::from_secs(secs)))
}

/// Random bytes of the connection whose call this is.
pub(super) fn fill(dest: &mut [u8]) -> Result<(), GetRandomFailed> {
    with_handshake(|handshake| handshake.entropy.fill(dest)).ok_or(GetRandomFailed)
}

/// Takes note of the `verify_data` of a Finished message, ours or the one that the peer's must be equal to.
pub(super) fn finished(verify_data: &[u8]) {
    with_handshake(|handshake| {
        handshake.finished_count = handshake.finished_count.saturating_add(1);
        if handshake.finished_count == CLIENT_FINISHED {
            handshake.finished = verify_data.try_into().ok();
        }
    });
}

/// Takes note that the client shows its certificate.
pub(super) fn certificate_shown() {
    with_handshake(|handshake| handshake.has_shown_certificate = true);
}

fn with_handshake<T>(with: impl FnOnce(&mut Handshake) -> T) -> Option<T> {
    LENT.with_borrow_mut(|lent| lent.as_mut().and_then(|lent| lent.handshake.as_deref_mut()).map(with))
}

struct Lent {
    now: UnixTime,
    handshake: Option<Box<Handshake>>,
}

const CLIENT_FINISHED: u8 = 2;

thread_local! {
    static LENT: RefCell<Option<Lent>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_there_outside_of_a_call() {
        assert!(time().is_none());
        assert!(fill(&mut [0; 4]).is_err());
        finished(&[1; 32]);
        let mut handshake = None;
        lend(UnixTime::from_secs(5), &mut handshake, || {
            assert_eq!(time().unwrap().as_secs(), 5);
            assert!(fill(&mut [0; 4]).is_err());
        });
        assert!(time().is_none());
    }

    #[test]
    fn the_second_finished_is_the_clients() {
        let mut handshake = Some(Handshake::new([1; 32]));
        for step in 1..4 {
            lend(UnixTime::default(), &mut handshake, || finished(&[step; 32]));
        }
        assert_eq!(handshake.unwrap().client_finished(), Some([2; 32]));
    }

    #[test]
    fn a_time_before_1970_is_no_time() {
        lend(UnixTime::from_secs(-1), &mut None, || assert!(time().is_none()));
    }
}
