//! A client that sends to all relays at once, and what it must be answered.

use std::collections::BTreeMap;

use smp_core::wire::{CorrelationId, EntityId, Version};
use smp_tests::peer::{Auth, Form, Forwarded, Peer, Queue, Received, Relay, Request, bytes};

use super::World;
use super::bad::ANSWERED;

/// A command, by what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Expected {
    /// To the good relay.
    Good,
    /// To the one that answers some: of those.
    Answered,
    /// To the same, of the others.
    Unanswered,
    /// To the silent one.
    Silent,
    /// To the one that cuts connections.
    Cut,
    /// PRXY to the one that closes in the handshake.
    HangsUp,
    /// PRXY to the one that stalls in the handshake.
    Stalls,
}

/// A client of the proxy, and a queue at the good relay.
pub(crate) struct Client {
    peer: Peer,
    queue: Queue,
    /// Sessions with the good relay, the one that answers some, the silent one and the one that cuts connections.
    relays: Vec<Relay>,
    /// PRXY to the two that break off their handshakes.
    unreachable: [smp_core::wire::ServerAddress; 2],
    waiting: BTreeMap<CorrelationId, (Expected, Option<Forwarded>)>,
    answers: BTreeMap<(Expected, String), u64>,
}

impl Client {
    pub(crate) fn new(world: &World, form: Form, queue: Queue) -> Self {
        let [.., hangs_up, stalls] = &world.bad;
        Self {
            peer: Peer::connect(&world.address, form),
            queue,
            relays: Vec::new(),
            unreachable: [hangs_up, stalls].map(|relay| relay.address.to_server_address()),
            waiting: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    /// Asks for the sessions, of which some may have ended.
    pub(crate) fn find_relays(&mut self, world: &World) {
        let [some, silent, cuts, ..] = &world.bad;
        let addresses = [world.good.address(), &some.address, &silent.address, &cuts.address];
        self.relays = addresses.map(|address| Relay::new(&mut self.peer, address)).into();
    }

    /// Sends to all of them, and waits until the proxy has read it.
    pub(crate) fn send(&mut self, number: usize) {
        let nobodys = EntityId::from(bytes::<24>());
        let of_round = |n: usize| format!("{number} {n}").into_bytes();
        let queue = self.queue.sender.clone();
        self.forward(0, Expected::Good, &queue, &of_round(0));
        for (expected, body) in [
            (Expected::Unanswered, &b"one"[..]),
            (Expected::Answered, ANSWERED),
            (Expected::Unanswered, b"three"),
        ] {
            self.forward(1, expected, &nobodys, body);
        }
        self.forward(2, Expected::Silent, &nobodys, b"hello");
        self.forward(3, Expected::Cut, &nobodys, b"hello");
        let version = self.peer.version;
        for (relay, expected) in
            self.unreachable.clone().into_iter().zip([Expected::HangsUp, Expected::Stalls])
        {
            self.ask(Relay::request(version, relay, None), expected, None);
        }
        self.forward(0, Expected::Good, &queue, &of_round(1));
        let ping = Request::new(Auth::None, &EntityId::empty(), "PING");
        self.peer.send(core::slice::from_ref(&ping));
        while self.receive(false).correlation_id != ping.correlation_id {}
    }

    /// Receives what must come without time passing.
    pub(crate) fn receive_at_once(&mut self) {
        let needs_no_time = |expected: &Expected| {
            use Expected::{Answered, Cut, Good, HangsUp};
            [Good, Answered, Cut, HangsUp].contains(expected)
        };
        while self.waiting.values().any(|(expected, _)| needs_no_time(expected)) {
            self.receive(false);
        }
    }

    /// Receives what comes when the time of the relays is over.
    pub(crate) fn receive_the_rest(&mut self) {
        while !self.waiting.is_empty() {
            self.receive(true);
        }
        self.peer.assert_silent();
    }

    /// The messages of a round arrived, each once and in order.
    pub(crate) fn check_messages(&self, recipient: &mut Peer, number: usize) {
        let first = self.queue.message(recipient);
        let second = self.queue.acknowledge_for_next(recipient, &first.id);
        assert_eq!([first.text(), second.text()], [0, 1].map(|n| format!("{number} {n}")));
        assert_eq!(self.queue.acknowledge(recipient, &second.id), "OK");
    }

    /// How often a command was answered so.
    pub(crate) fn count(&self, expected: Expected, answer: &str) -> u64 {
        self.answers.get(&(expected, answer.to_owned())).copied().unwrap_or(0)
    }

    fn forward(&mut self, relay: usize, expected: Expected, entity: &EntityId, body: &[u8]) {
        let command = [b"SEND F ", body].concat();
        let version = Version(self.peer.version.0.min(17));
        let mut forwarded = self.relays[relay].seal(version, None, entity, &command);
        let nothing = Request::new(Auth::None, &EntityId::empty(), "");
        let request = core::mem::replace(&mut forwarded.request, nothing);
        self.ask(request, expected, Some(forwarded));
    }

    fn ask(&mut self, request: Request<'static>, expected: Expected, forwarded: Option<Forwarded>) {
        self.peer.send(core::slice::from_ref(&request));
        self.waiting.insert(request.correlation_id, (expected, forwarded));
    }

    /// The next answer, which must be one that its relay leads to.
    fn receive(&mut self, has_waited: bool) -> Received {
        let answer = self.peer.receive();
        let Some((expected, forwarded)) = self.waiting.remove(&answer.correlation_id) else {
            assert_eq!(answer, "PONG");
            return answer;
        };
        let text = match forwarded.filter(|_| answer.tag() == "PRES") {
            Some(forwarded) => forwarded.open(&answer).text(),
            None => answer.text(),
        };
        let (timeout, network) = ("ERR PROXY BROKER TIMEOUT", "ERR PROXY BROKER NETWORK");
        let allowed: &[&str] = match expected {
            Expected::Good | Expected::Answered => &["OK"],
            Expected::Unanswered if has_waited => &[timeout],
            Expected::Silent if has_waited => &[timeout, "ERR PROXY NO_SESSION"],
            Expected::Unanswered | Expected::Silent => &[],
            Expected::Cut => &[network, "ERR PROXY NO_SESSION"],
            Expected::HangsUp | Expected::Stalls => &[network],
        };
        assert!(allowed.contains(&text.as_str()), "{expected:?}, waited {has_waited}: {text}");
        *self.answers.entry((expected, text)).or_default() += 1;
        answer
    }
}
