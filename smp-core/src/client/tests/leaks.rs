//! Whatever happens in whatever order, each command is answered once or cancelled.

use std::collections::BTreeSet;

use quickcheck::{Arbitrary, Gen, quickcheck};

use super::*;
use crate::wire::ErrorType;
use crate::wire::command::MessageFlags;

/// Something that happens to a connection.
#[derive(Clone, Debug)]
enum Happening {
    Subscribe(u8),
    Send(u8, u16),
    Cancel(u8),
    Answer(u8),
    AnswerWrongly(u8),
    Event,
    BadBlock,
    Pass(u16),
    Writable(bool),
    Run,
}

impl Arbitrary for Happening {
    fn arbitrary(g: &mut Gen) -> Self {
        let any = u8::arbitrary(g);
        match u8::arbitrary(g) % 13 {
            0..=2 => Self::Subscribe(any % 8),
            3 | 4 => Self::Send(any % 8, u16::arbitrary(g) % 17_000),
            5 => Self::Cancel(any),
            6 | 7 => Self::Answer(any),
            8 => Self::AnswerWrongly(any),
            9 => Self::Event,
            10 if any < 64 => Self::BadBlock,
            10 => Self::Pass(u16::arbitrary(g) % 30),
            11 => Self::Writable(bool::arbitrary(g)),
            _ => Self::Run,
        }
    }
}

struct World {
    pair: Pair,
    /// Commands that were given and neither answered nor cancelled.
    open: BTreeSet<u64>,
    arrived: Vec<Incoming>,
}

impl World {
    fn happen(&mut self, happening: &Happening) {
        let pair = &mut self.pair;
        match happening {
            Happening::Subscribe(name) => {
                let id = pair.request(sub(*name));
                self.open.insert(id);
            }
            Happening::Send(name, length) => {
                let body = vec![0; usize::from(*length)].into();
                let id = pair.request(Request::send(queue(*name), None, MessageFlags::default(), body));
                self.open.insert(id);
            }
            Happening::Cancel(which) => {
                // The answer may already be on its way out.
                pair.drain();
                self.check();
                if let Some(id) = self.open.iter().nth(usize::from(*which) % 8).copied() {
                    self.pair.cancel(id);
                    self.open.remove(&id);
                }
            }
            Happening::Answer(which) => self.answer(*which, false),
            Happening::AnswerWrongly(which) => self.answer(*which, true),
            Happening::Event | Happening::BadBlock if !pair.peer.is_ready() => {}
            Happening::Event => pair.peer.send(&[unasked(queue(1), &message(5))]),
            Happening::BadBlock => pair.peer.send_content(b"\x05"),
            Happening::Pass(seconds) => pair.pass(u64::from(*seconds)),
            Happening::Writable(writable) => pair.writable = *writable,
            Happening::Run => pair.run(),
        }
        self.check();
    }

    fn answer(&mut self, which: u8, wrongly: bool) {
        self.arrived.extend(self.pair.peer.blocks.drain(..).flatten());
        if self.arrived.is_empty() {
            return;
        }
        let incoming = self.arrived.swap_remove(usize::from(which) % self.arrived.len());
        match which % 3 {
            _ if wrongly => self.pair.peer.answer_about(&incoming, queue(99), BrokerMessage::Ok),
            0 => self.pair.peer.answer(&incoming, BrokerMessage::Err(ErrorType::Quota)),
            1 => self.pair.peer.answer(&incoming, message(7)),
            _ => self.pair.peer.answer(&incoming, BrokerMessage::Ok),
        }
    }

    /// No command is answered that is not open, and those that are open are the client's.
    fn check(&mut self) {
        for (id, _) in self.pair.answers.drain(..) {
            assert!(self.open.remove(&id), "command {id} was answered twice, or was cancelled");
        }
        // Answers that were not taken yet are still open here but no longer the client's.
        assert!(self.pair.client.commands() <= self.open.len());
        let client = &self.pair.client;
        let flying = client.places.values().filter(|place| matches!(place, Place::Flying(_))).count();
        assert_eq!(client.places.len() - flying, client.outbox.len());
        // One more may be in flight: the client's own PING.
        assert!((flying..=flying + 1).contains(&client.flight.len()));
    }
}

quickcheck! {
    fn no_command_is_lost_or_answered_twice(happenings: Vec<Happening>, how: u8) -> bool {
        let limits = ClientLimits { commands: 16, late_answers: 4, ..ClientLimits::default() };
        let pair = Pair::new([6, 9, 18][usize::from(how) % 3], limits);
        let mut world = World { pair, open: BTreeSet::new(), arrived: Vec::new() };
        for happening in &happenings {
            world.happen(happening);
        }
        if how.is_multiple_of(2) {
            // Left alone with a working socket, every command times out.
            world.pair.writable = true;
            world.pair.run();
            world.pair.pass(60);
        } else {
            world.pair.client.handle(world.pair.now, ClientInput::Close);
            world.pair.drain();
        }
        world.check();
        world.open.is_empty() && world.pair.client.commands() == 0 && world.pair.client.waiting_bytes == 0
    }
}
