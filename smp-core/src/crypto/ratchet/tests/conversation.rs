//! Conversations at random: in any order, with losses, repetitions, changes and switches, both ends always recover.

use quickcheck::{Arbitrary, Gen, quickcheck};

use super::*;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    Send { by_alice: bool, pq: Option<PqEncryption> },
    Deliver { to_alice: bool, at: usize },
    Repeat { to_alice: bool, at: usize },
    Lose { to_alice: bool, at: usize },
    Change { to_alice: bool, at: usize, bit: usize },
    Restore { alice: bool },
}

impl Arbitrary for Event {
    fn arbitrary(g: &mut Gen) -> Self {
        let (to_alice, at) = (bool::arbitrary(g), usize::arbitrary(g));
        match u8::arbitrary(g) % 16 {
            0..6 => {
                let pq = *g.choose(&[None, None, Some(PqEncryption::On), Some(PqEncryption::Off)]).unwrap();
                Self::Send { by_alice: to_alice, pq }
            }
            // The first that waits, more often than another.
            6..10 => Self::Deliver { to_alice, at: 0 },
            10..12 => Self::Deliver { to_alice, at },
            12 => Self::Repeat { to_alice, at },
            13 => Self::Lose { to_alice, at },
            14 => Self::Change { to_alice, at, bit: usize::arbitrary(g) },
            _ => Self::Restore { alice: to_alice },
        }
    }
}

/// One end, what is on the way to it and what came.
struct End {
    side: Side,
    coming: Vec<(u32, Bytes)>,
    came: Vec<Bytes>,
}

impl End {
    fn new(side: Side) -> Self {
        Self { side, coming: Vec::new(), came: Vec::new() }
    }

    fn take(&mut self, at: usize) -> Option<(u32, Bytes)> {
        let len = self.coming.len();
        (len > 0).then(|| self.coming.remove(at % len))
    }

    fn deliver(&mut self, at: usize) {
        if let Some((number, message)) = self.take(at) {
            assert_eq!(self.side.receive(&message), Ok(number.to_be_bytes().to_vec()));
            self.came.push(message);
        }
    }

    fn repeat(&mut self, at: usize) {
        if !self.came.is_empty() {
            let before = stored(&self.side);
            let fault = self.side.receive(&self.came[at % self.came.len()]).unwrap_err();
            let known =
                matches!(fault, RatchetFault::Duplicate | RatchetFault::Earlier(_) | RatchetFault::Header);
            assert!(known, "{fault}");
            assert_eq!(stored(&self.side), before);
        }
    }

    /// A changed message changes nothing, or is counted like the one that it was.
    fn change(&mut self, at: usize, bit: usize) {
        if let Some((number, message)) = self.take(at) {
            let mut changed = message.to_vec();
            let bit = bit % (changed.len() * 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            let before = stored(&self.side);
            assert!(self.side.receive(&changed.into()).is_err());
            if stored(&self.side) == before {
                self.coming.push((number, message));
            } else {
                self.came.push(message);
            }
        }
    }

    fn restore(&mut self) {
        self.side.ratchet = Ratchet::from_bytes(&self.side.ratchet.to_bytes()).unwrap();
    }
}

fn run(version: u16, kem: Kem, events: &[Event]) -> bool {
    let (alice, bob) = pair(version, kem, 1);
    let (mut alice, mut bob) = (End::new(alice), End::new(bob));
    for (number, event) in (0u32..).zip(events) {
        match *event {
            Event::Send { by_alice, pq } => {
                let (from, to) = if by_alice { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
                match from.side.ratchet.encrypt(pq, 100, &number.to_be_bytes()) {
                    Ok(message) => to.coming.push((number, message.into())),
                    Err(fault) => assert_eq!((fault, from.came.is_empty()), (SendFault::NotReady, true)),
                }
            }
            Event::Deliver { to_alice, at } => end(&mut alice, &mut bob, to_alice).deliver(at),
            Event::Repeat { to_alice, at } => end(&mut alice, &mut bob, to_alice).repeat(at),
            Event::Lose { to_alice, at } => drop(end(&mut alice, &mut bob, to_alice).take(at)),
            Event::Change { to_alice, at, bit } => end(&mut alice, &mut bob, to_alice).change(at, bit),
            Event::Restore { alice: of_alice } => end(&mut alice, &mut bob, of_alice).restore(),
        }
    }
    // Whatever was lost, a message in each direction gets through, and late ones still come.
    talk(&mut alice.side, &mut bob.side, 3);
    for end in [&mut alice, &mut bob] {
        while !end.coming.is_empty() {
            end.deliver(0);
        }
    }
    true
}

const fn end<'a>(alice: &'a mut End, bob: &'a mut End, of_alice: bool) -> &'a mut End {
    if of_alice { alice } else { bob }
}

quickcheck! {
    fn both_recover_without_a_kem(events: Vec<Event>) -> bool {
        run(2, Kem::Nothing, &events)
    }

    fn both_recover_with_a_kem(events: Vec<Event>, kem: u8) -> bool {
        run(3, ALL[usize::from(kem) % ALL.len()], &events)
    }
}
