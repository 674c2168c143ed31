//! Peers who abuse the queues that were announced beside the first.

use bytes::Bytes;
use smp_core::SeededEntropy;
use smp_core::agent::store::{
    AgentOp, Delivery, Outgoing, OutgoingContent, QueueNumber, QueueStage, ReceiptState, SendQueue,
};
use smp_core::agent::{ConnectionId, Event, LocalMessageId};
use smp_core::crypto::X25519PrivateKey;
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{
    AMessage, AgentEnvelope, AgentError, AgentMessage, EnvelopeBody, MessageHash, MessageIntegrity, PeerError,
};
use smp_core::wire::link::E2eParameters;
use smp_core::wire::{Version, X448PublicKey};

use super::redundancy::{MINUTE, over_two_servers, servers_of, texts};
use super::*;
use crate::Runtime;

const FIRST: QueueNumber = QueueNumber(1);
const BESIDE: QueueNumber = QueueNumber(2);

struct Attack {
    world: World,
    alice: Person,
    bob: Person,
    at_alice: ConnectionId,
    at_bob: ConnectionId,
}

impl Attack {
    /// Bob has introduced himself in the second queue of Alice's, or, as far as Alice knows, not yet.
    fn new(is_introduced: bool) -> Self {
        let (world, mut alice, bob, at_alice, at_bob) = over_two_servers();
        if !is_introduced {
            alice.stop();
            let mut queue = alice.store.connection(at_alice).receive[1].clone();
            (queue.e2e_secret, queue.stage) = (None, QueueStage::New);
            alice.store.put(vec![AgentOp::PutReceiveQueue(at_alice, Box::new(queue))]);
            alice.start();
        }
        Self { world, alice, bob, at_alice, at_bob }
    }

    /// Bob sends this through a queue, in an envelope that brings his key as a confirmation does; what Alice is told.
    fn plain(&mut self, queue: QueueNumber, envelope: Vec<u8>) -> Vec<Event> {
        self.bob.stop();
        let last = self.bob.store.connection(self.at_bob).state.counters.last;
        let mut state = self.bob.store.connection(self.at_bob).state;
        state.counters.last = LocalMessageId(last.0 + 1);
        let outgoing = Outgoing {
            connection: self.at_bob,
            id: state.counters.last,
            sender_id: 0,
            created_at: self.world.runtime.now().unix,
            flags: world::FLAGS,
            content: OutgoingContent::Plain(envelope.into()),
            hash: MessageHash::NONE,
            receipt: ReceiptState::NotExpected,
        };
        let delivery = Delivery { connection: self.at_bob, queue, message: outgoing.id };
        self.bob.store.put(vec![
            AgentOp::PutConnection(self.at_bob, Box::new(state)),
            AgentOp::PutOutgoing(Box::new(outgoing)),
            AgentOp::PutDelivery(delivery),
        ]);
        self.bob.start();
        self.alice.others_within(HOUR)
    }

    /// Bob encrypts this with his ratchet and sends it through the second queue as an introduction, or as a message.
    fn sealed(&mut self, content: &AgentMessage, is_introduction: bool) -> Vec<Event> {
        let mut bytes = Vec::new();
        content.encode(&mut bytes);
        let first = servers_of(&self.alice, self.at_alice)[0];
        self.world.crash(first);
        let number = self.bob.send(self.at_bob, "in disguise").unwrap();
        self.bob.stop();
        self.bob.store.change_sent(self.at_bob, number, |sent| {
            let OutgoingContent::Ratchet { plaintext, confirmation, padded_len, .. } = &mut sent.content
            else {
                panic!("it was sent")
            };
            *plaintext = bytes.into();
            if is_introduction {
                *confirmation = Some(Bytes::new());
                *padded_len = AgentMessage::ConnInfo(Bytes::new()).padded_len(Version(7), false).unwrap();
            }
        });
        self.bob.store.put(vec![AgentOp::MoveDeliveries(self.at_bob, FIRST, BESIDE)]);
        self.bob.start();
        let events = self.alice.others_within(MINUTE);
        self.world.start(first, ServerConfig::default());
        self.alice.others_within(MINUTE);
        events
    }

    fn is_known(&self) -> bool {
        self.alice.store.connection(self.at_alice).receive[1].e2e_secret.is_some()
    }

    /// Both queues serve as if nothing had happened.
    fn survived(mut self) {
        if !self.is_known() {
            let events = self.sealed(&AgentMessage::ConnInfo(Bytes::new()), true);
            assert!(events.is_empty() && self.is_known(), "{events:?}");
        }
        // What was disguised had a number that will not come.
        self.bob.send(self.at_bob, "after").unwrap();
        assert_eq!(self.alice.bodies(), ["after"]);
        let first = servers_of(&self.alice, self.at_alice)[0];
        self.world.crash(first);
        for number in 0..3 {
            self.bob.send(self.at_bob, vec![number]).unwrap();
        }
        assert_eq!(self.alice.bodies(), texts(0..3));
        self.alice.send(self.at_alice, "and back").unwrap();
        assert_eq!(self.bob.bodies(), ["and back"]);
    }
}

fn envelope(body: EnvelopeBody) -> Vec<u8> {
    let mut out = Vec::new();
    AgentEnvelope { version: Version(7), body }.encode(&mut out);
    out
}

fn words(events: &[Event]) -> Vec<String> {
    events.iter().map(tell).collect()
}

fn is_fault(events: &[Event]) -> bool {
    matches!(events, [Event::Error(_, AgentError::Peer(_))])
}

/// Nothing but an introduction is taken from a queue in which nobody introduced himself, and no introduction that is none.
#[test]
fn what_comes_before_an_introduction_is_refused() {
    let key = X448PublicKey([0; 56]);
    let keys = || Box::new(E2eParameters { version: Version(3), first: key, second: key, kem: None });
    let nonsense = || Bytes::from(vec![3; 300]);
    for is_introduced in [false, true] {
        let mut attack = Attack::new(is_introduced);
        let (_, request) = attack.alice.invite(false);
        let bodies = [
            (EnvelopeBody::Confirmation { keys: None, ciphertext: nonsense() }, false),
            (EnvelopeBody::Confirmation { keys: None, ciphertext: Bytes::new() }, false),
            (EnvelopeBody::Confirmation { keys: Some(keys()), ciphertext: nonsense() }, true),
            (EnvelopeBody::Invitation { request: Box::new(request), info: "bob".into() }, true),
            (EnvelopeBody::RatchetKeys { keys: keys(), info: "R".into() }, false),
            (EnvelopeBody::Message(nonsense()), !is_introduced),
        ];
        for (number, (body, is_prohibited)) in bodies.into_iter().enumerate() {
            let events = attack.plain(BESIDE, envelope(body));
            // Of what cannot be read in a queue that is known a word about the ratchet is told.
            let is_told = is_fault(&events) || (is_introduced && number >= 4 && events.len() == 1);
            assert!(is_told, "{number}: {:?}", words(&events));
            let is_so = matches!(events[..], [Event::Error(_, AgentError::Peer(PeerError::Prohibited))]);
            assert!(is_so || !is_prohibited, "{number}: {:?}", words(&events));
            assert_eq!(attack.is_known(), is_introduced, "{number}");
        }
        for bytes in [Vec::new(), vec![0], vec![255; 1000], b"\0\x07C".to_vec()] {
            assert!(is_fault(&attack.plain(BESIDE, bytes)));
        }
        if is_introduced {
            assert_eq!(attack.alice.synchronize(attack.at_alice, true), Ok(()));
            attack.alice.others_within(HOUR);
            attack.bob.others_within(HOUR);
        }
        attack.survived();
    }
}

/// What is well encrypted and no introduction is told and dropped; a message there before, too.
#[test]
fn an_introduction_says_nothing() {
    let body = |id| {
        let message = AMessage::Body("x".into());
        AgentMessage::Message { id, previous_hash: MessageHash::NONE, message }
    };
    for is_introduced in [false, true] {
        let mut attack = Attack::new(is_introduced);
        for content in [body(2), body(i64::MAX), AgentMessage::RatchetInfo(Bytes::new())] {
            let events = attack.sealed(&content, true);
            let is_so = matches!(events[..], [Event::Error(_, AgentError::Peer(PeerError::Prohibited))]);
            assert!(is_so, "{:?}", words(&events));
            assert_eq!(attack.is_known(), is_introduced);
        }
        if !is_introduced {
            let events = attack.sealed(&body(9), false);
            assert!(is_fault(&events), "{:?}", words(&events));
        }
        attack.survived();
    }
}

/// Who introduces himself again, with another key, does not change how the queue is read.
#[test]
fn the_first_introduction_counts() {
    let mut attack = Attack::new(true);
    let ours = attack.bob.store.connection(attack.at_bob).send[1].clone();
    let key = X25519PrivateKey::generate(&mut SeededEntropy::new([9; 32]));
    let theirs = attack.alice.store.connection(attack.at_alice).receive[1].e2e_key.public();
    let e2e_secret = key.diffie_hellman(&theirs).unwrap();
    let other = SendQueue { e2e_key: key.public(), e2e_secret, ..ours.clone() };
    let introduction = AgentMessage::ConnInfo(Bytes::new());
    let put = |attack: &mut Attack, queue: SendQueue| {
        attack.bob.stop();
        attack.bob.store.put(vec![AgentOp::PutSendQueue(attack.at_bob, Box::new(queue))]);
        attack.bob.start();
    };
    put(&mut attack, other);
    let events = attack.sealed(&introduction, true);
    assert!(events.is_empty(), "{:?}", words(&events));
    put(&mut attack, ours);
    attack.survived();
}

/// The first queue takes no introduction.
#[test]
fn an_introduction_has_its_place() {
    let mut attack = Attack::new(true);
    let body = EnvelopeBody::Confirmation { keys: None, ciphertext: vec![3; 300].into() };
    assert!(is_fault(&attack.plain(FIRST, envelope(body))));
    attack.survived();
}

/// A number that never comes is told as a gap as soon as the servers of the other queues have nothing.
#[test]
fn a_number_that_is_held_back_is_not_waited_for() {
    let mut attack = Attack::new(true);
    let first = servers_of(&attack.alice, attack.at_alice)[0];
    attack.world.crash(first);
    let held_back = attack.bob.send(attack.at_bob, vec![0]).unwrap();
    for number in 1..4 {
        attack.bob.send(attack.at_bob, vec![number]).unwrap();
    }
    attack.bob.stop();
    let delivery = Delivery { connection: attack.at_bob, queue: FIRST, message: held_back };
    attack.bob.store.put(vec![AgentOp::DeleteDelivery(delivery)]);
    attack.world.start(first, ServerConfig::default());
    attack.bob.start();
    let began = attack.world.runtime.now().mono;
    for number in 1..4 {
        let message = attack.alice.message();
        let integrity = match number {
            1 => MessageIntegrity::Skipped { from: 2, to: 2 },
            _ => MessageIntegrity::Ok,
        };
        assert_eq!((&*message.body, message.integrity), (&[number][..], integrity));
        attack.alice.acknowledge(&message);
    }
    assert!(attack.world.runtime.now().mono.since(began) < MINUTE);
    attack.survived();
}

/// Numbers with gaps in all queues at once: one of each is kept back at most, the lower one comes first, and all of them come.
#[test]
fn a_flood_of_gaps_is_taken_in_turn() {
    let mut attack = Attack::new(true);
    let first = servers_of(&attack.alice, attack.at_alice)[0];
    attack.world.crash(first);
    let sent: Vec<_> = (0..40).map(|number| attack.bob.send(attack.at_bob, vec![number]).unwrap()).collect();
    attack.bob.stop();
    for (number, message) in sent.into_iter().enumerate() {
        // Of each three one is held back, and two go through different queues.
        let delivery = Delivery { connection: attack.at_bob, queue: FIRST, message };
        let elsewhere = Delivery { queue: BESIDE, ..delivery };
        match number % 3 {
            0 => attack.bob.store.put(vec![AgentOp::DeleteDelivery(delivery)]),
            1 => {}
            _ => {
                attack.bob.store.put(vec![AgentOp::DeleteDelivery(delivery), AgentOp::PutDelivery(elsewhere)])
            }
        }
    }
    attack.world.start(first, ServerConfig::default());
    attack.bob.start();
    let expected: Vec<Bytes> =
        (0..40).filter(|number| number % 3 != 0).map(|number| vec![number].into()).collect();
    assert_eq!(attack.alice.bodies(), expected);
    attack.survived();
}
