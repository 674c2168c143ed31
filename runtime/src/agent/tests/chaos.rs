//! Two people talk while servers crash, agents are started again and stores fail.

use std::time::Duration;

use smp_core::SeededEntropy;
use smp_core::agent::{ConnectionId, Event, LocalMessageId};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentError, MessageIntegrity};

use super::*;
use crate::tests::Work;

/// One side, and what it sent and heard.
struct Side {
    person: Person,
    connection: ConnectionId,
    accepted: Vec<u32>,
    sent: u32,
    heard: Vec<u32>,
    /// The message that was told and not acknowledged.
    open: Option<LocalMessageId>,
}

impl Side {
    fn new(person: Person, connection: ConnectionId) -> Self {
        Self { person, connection, accepted: Vec::new(), sent: 0, heard: Vec::new(), open: None }
    }

    fn send(&mut self) {
        self.sent += 1;
        match self.person.send(self.connection, self.sent.to_be_bytes().to_vec()) {
            Ok(_) => self.accepted.push(self.sent),
            Err(AgentError::Internal(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes what happens within a time. A message that was not acknowledged is the only one that comes again.
    fn hear(&mut self, time: Duration, is_acknowledging: bool) {
        while let Some(event) = self.person.event_within(time) {
            match event {
                Event::Message(message) => {
                    assert_eq!(message.integrity, MessageIntegrity::Ok);
                    if self.open != Some(message.id) {
                        assert!(self.open.is_none(), "the next message before the last was acknowledged");
                        self.heard.push(u32::from_be_bytes((*message.body).try_into().unwrap()));
                    }
                    self.open = Some(message.id);
                }
                Event::Sent(..) | Event::Up(..) | Event::Down(..) => {}
                event => panic!("{}", tell(&event)),
            }
            if is_acknowledging {
                self.acknowledge();
            }
        }
    }

    fn acknowledge(&mut self) {
        let Some(id) = self.open else { return };
        match self.person.try_acknowledge(self.connection, id) {
            Ok(()) => self.open = None,
            Err(AgentError::Internal(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn nothing_is_lost_or_told_twice_whatever_fails() {
    for seed in 0..12 {
        let mut choices = SeededEntropy::new([seed; 32]);
        let mut draw = |below: u8| u8::from_be_bytes(choices.bytes()) % below;
        let mut world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, at_bob) = meet(&mut alice, &mut bob, true);
        let mut sides = [Side::new(alice, at_alice), Side::new(bob, at_bob)];
        for _ in 0..120 {
            let which = usize::from(draw(2));
            let side = &mut sides[which];
            match draw(12) {
                0..4 => side.send(),
                4..6 => side.hear(Duration::from_secs(5), true),
                6 => side.hear(Duration::from_secs(1), false),
                7 => side.acknowledge(),
                8 => side.person.store.fail(draw(4).into(), draw(3).into()),
                9 => {
                    side.person.stop();
                    // An agent that cannot read its store when it starts says so, and does nothing.
                    side.person.store.fail(0, 0);
                    side.person.start();
                }
                10 => world.stores[which].plan([Work::Fail]),
                _ => {
                    world.crash(which);
                    world.turn(draw(50).into());
                    world.start(which, ServerConfig::default());
                }
            }
        }
        sides.iter().for_each(|side| side.person.store.fail(0, 0));
        for _ in 0..3 {
            sides.iter_mut().for_each(|side| side.acknowledge());
            sides.iter_mut().for_each(|side| side.hear(HOUR, true));
        }
        let [alice, bob] = sides;
        assert_eq!(alice.heard, bob.accepted, "of bob, seed {seed}");
        assert_eq!(bob.heard, alice.accepted, "of alice, seed {seed}");
        assert!(alice.heard.len() > 5 && bob.heard.len() > 5, "seed {seed}: hardly anything was said");
    }
}
