//! The proxy on a virtual clock; the test plays sessions and relays.

use core::time::Duration;

use bytes::Bytes;

use super::*;
use crate::UnixTime;
use crate::server::Limits;
use crate::wire::chain::CertChain;
use crate::wire::command::ForwardRequest;
use crate::wire::{CorrelationId, DhPublicKey};

struct World {
    proxy: Proxy,
    now: Now,
    last_tag: u64,
    connects: Vec<RelayId>,
    forwards: Vec<(RelayId, ForwardId)>,
    disconnects: Vec<RelayId>,
    replies: Vec<(u64, BrokerMessage)>,
    events: Vec<ProxyEvent>,
}

impl World {
    fn new(limits: Limits) -> Self {
        let own_server_domains = vec!["example.org".to_owned()];
        let config = ServerConfig { limits, own_server_domains, ..ServerConfig::default() };
        let now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) };
        Self {
            proxy: Proxy::new(Arc::new(config), Version(18), now),
            now,
            last_tag: 0,
            connects: Vec::new(),
            forwards: Vec::new(),
            disconnects: Vec::new(),
            replies: Vec::new(),
            events: Vec::new(),
        }
    }

    fn input(&mut self, input: ProxyInput) {
        self.proxy.handle(self.now, input);
        while let Some(output) = self.proxy.poll_output() {
            match output {
                ProxyOutput::Connect(id, _) => self.connects.push(id),
                ProxyOutput::Forward(id, forward, _) => self.forwards.push((id, forward)),
                ProxyOutput::Disconnect(id) => self.disconnects.push(id),
                ProxyOutput::Reply(_, ProxyReply(tag, answer)) => self.replies.push((tag, answer)),
                ProxyOutput::Event(event) => self.events.push(event),
            }
        }
    }

    fn request(&mut self, wanted: Wanted) -> u64 {
        self.last_tag += 1;
        self.input(ProxyInput::Request(ConnectionId(1), ProxyRequest(self.last_tag, wanted)));
        self.last_tag
    }

    fn prxy(&mut self, name: &str) -> u64 {
        self.request(Wanted::Session(address(name)))
    }

    fn pfwd(&mut self, relay: u8) -> u64 {
        self.request(Wanted::Forward(EntityId::from([relay; 24]), Box::new(forward())))
    }

    /// The relay that the proxy connects to stands, under the session id of this number.
    fn connected(&mut self, relay: u8) -> RelayId {
        let id = self.connects.remove(0);
        self.input(ProxyInput::Connected(id, parameters(relay, 6, 20)));
        id
    }

    /// A relay that is ready, with the replies to who asked taken.
    fn ready(&mut self, name: &str, relay: u8) -> RelayId {
        let tag = self.prxy(name);
        let id = self.connected(relay);
        assert!(matches!(&self.taken()[..], [(known, BrokerMessage::PKey(_))] if *known == tag));
        id
    }

    fn answer(&mut self, answer: Result<FwdResponse, ErrorType>) {
        let (id, forward) = self.forwards.remove(0);
        self.input(ProxyInput::Answered(id, forward, answer));
    }

    fn taken(&mut self) -> Vec<(u64, BrokerMessage)> {
        core::mem::take(&mut self.replies)
    }

    /// The error that is the only reply.
    fn error(&mut self, tag: u64) -> ErrorType {
        let replies = self.taken();
        let [(known, BrokerMessage::Err(error))] = &replies[..] else { panic!("not one error") };
        assert_eq!(*known, tag);
        error.clone()
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some(due) = self.proxy.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.advanced_to(due);
            self.input(ProxyInput::Timeout);
            assert!(self.proxy.poll_timeout().is_none_or(|next| next > due), "a timer did not move");
        }
        self.now = self.now.advanced_to(end);
    }
}

fn address(name: &str) -> ServerAddress {
    ServerAddress::new(vec![name.parse().unwrap()], None, [1; 32]).unwrap()
}

fn parameters(relay: u8, min: u16, max: u16) -> RelayParameters {
    RelayParameters {
        session_id: SessionId::from([relay; 24]),
        versions: VersionRange::new(Version(min), Version(max)).unwrap(),
        server_auth: Some(CertChainPubKey {
            chain: CertChain::new(vec![Bytes::from_static(b"certificate")]).unwrap(),
            signed_key: Bytes::from_static(b"key"),
        }),
    }
}

fn forward() -> FwdTransmission {
    let request = ForwardRequest { version: Version(17), key: DhPublicKey([9; 32]), encrypted: Bytes::new() };
    FwdTransmission { correlation_id: CorrelationId::from([7; 24]), request }
}

fn response() -> FwdResponse {
    FwdResponse { correlation_id: CorrelationId::from([7; 24]), encrypted: Bytes::from_static(b"answer") }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn clients_share_one_session_with_a_relay() {
    let mut world = World::new(Limits::default());
    let (first, second) = (world.prxy("a.example"), world.prxy("a.example"));
    assert_eq!((world.connects.len(), world.taken().len()), (1, 0));
    let id = world.connected(1);
    let third = world.prxy("a.example");
    let tags: Vec<_> = world.taken().iter().map(|(tag, _)| *tag).collect();
    assert_eq!((tags, world.connects.len()), (vec![first, second, third], 0));

    let tag = world.pfwd(1);
    assert_eq!((world.forwards[0].0, world.taken().len()), (id, 0));
    world.answer(Ok(response()));
    assert!(world.taken() == [(tag, BrokerMessage::PRes(Bytes::from_static(b"answer")))]);
    assert_eq!(world.proxy.in_flight(), 0);
}

#[test]
fn clients_are_offered_what_all_three_speak() {
    for (max, relay, offered) in [(18, (6, 18), (8, 17)), (20, (6, 20), (8, 20)), (18, (10, 14), (10, 14))] {
        let mut world = World::new(Limits::default());
        world.proxy = Proxy::new(Arc::default(), Version(max), world.now);
        world.prxy("a.example");
        let id = world.connects.remove(0);
        world.input(ProxyInput::Connected(id, parameters(1, relay.0, relay.1)));
        let replies = world.taken();
        let [(_, BrokerMessage::PKey(session))] = &replies[..] else { panic!("no session") };
        let expected = VersionRange::new(Version(offered.0), Version(offered.1)).unwrap();
        assert_eq!(session.versions, expected);
    }
    // Before private routing, and without a key.
    for (relay, error) in [
        (parameters(1, 6, 7), TransportError::Version),
        (RelayParameters { server_auth: None, ..parameters(1, 6, 18) }, TransportError::NoServerAuth),
    ] {
        let mut world = World::new(Limits::default());
        let tag = world.prxy("a.example");
        let id = world.connects.remove(0);
        world.input(ProxyInput::Connected(id, relay));
        assert_eq!(world.error(tag), broker(BrokerErrorType::Transport(error)));
        assert_eq!((world.disconnects.as_slice(), world.proxy.relays()), (&[id][..], 0));
    }
}

#[test]
fn a_failure_is_remembered_for_a_time_and_not_longer() {
    let mut world = World::new(Limits::default());
    let host = broker(BrokerErrorType::Host);
    let tag = world.prxy("a.example");
    let id = world.connects.remove(0);
    world.input(ProxyInput::ConnectFailed(id, host.clone()));
    assert_eq!(world.error(tag), host);
    world.pass(29 * SECOND);
    let tag = world.prxy("a.example");
    assert_eq!((world.error(tag), world.connects.len()), (host, 0));
    world.prxy("b.example");
    assert_eq!(world.connects.len(), 1);
    world.pass(SECOND);
    world.prxy("a.example");
    assert_eq!(world.connects.len(), 2);
}

#[test]
fn remembered_failures_are_bounded() {
    let mut world = World::new(Limits { relay_failures: 2, ..Limits::default() });
    for name in ["a.example", "b.example", "c.example"] {
        world.prxy(name);
        let id = world.connects.remove(0);
        world.input(ProxyInput::ConnectFailed(id, network()));
    }
    let _ = world.taken();
    world.prxy("a.example");
    assert_eq!(world.connects.len(), 1);
    world.prxy("c.example");
    assert_eq!((world.connects.len(), world.taken().len()), (1, 1));
}

#[test]
fn connecting_has_a_deadline_and_a_late_connection_does_not_count() {
    let mut world = World::new(Limits::default());
    let tag = world.prxy("a.example");
    world.pass(30 * SECOND);
    assert_eq!(world.error(tag), network());
    let id = world.connects[0];
    assert_eq!(world.disconnects, [id]);
    world.input(ProxyInput::Connected(id, parameters(1, 6, 18)));
    assert_eq!((world.taken().len(), world.proxy.relays()), (0, 0));
}

#[test]
fn every_forward_is_answered_once_and_holds_its_slot_until_its_end() {
    let mut world = World::new(Limits { relay_forwards: 2, ..Limits::default() });
    world.ready("a.example", 1);
    let (first, second, third) = (world.pfwd(1), world.pfwd(1), world.pfwd(1));
    assert_eq!(world.error(third), timeout());
    world.pass(15 * SECOND);
    let tags: Vec<_> = world.taken().iter().map(|(tag, _)| *tag).collect();
    assert_eq!(tags, [first, second]);
    // The relay may still be at work on both.
    assert_eq!(world.proxy.in_flight(), 2);
    let fourth = world.pfwd(1);
    assert_eq!(world.error(fourth), timeout());
    world.answer(Ok(response()));
    world.answer(Err(timeout()));
    assert_eq!((world.taken().len(), world.proxy.in_flight()), (0, 0));
    world.pfwd(1);
    assert_eq!(world.forwards.len(), 1);
}

#[test]
fn a_silent_relay_is_given_up_and_others_are_not() {
    let mut world = World::new(Limits::default());
    let silent = world.ready("a.example", 1);
    world.ready("b.example", 2);
    for _ in 0..4 {
        let _ = world.taken();
        world.pfwd(1);
        let tag = world.pfwd(2);
        let (id, forward) = world.forwards.pop().unwrap();
        world.input(ProxyInput::Answered(id, forward, Ok(response())));
        assert!(matches!(&world.taken()[..], [(known, BrokerMessage::PRes(_))] if *known == tag));
        world.pass(10 * SECOND);
    }
    world.pass(5 * SECOND);
    assert_eq!((world.disconnects.as_slice(), world.proxy.relays()), (&[silent][..], 1));
    let _ = world.taken();
    let tag = world.pfwd(1);
    assert_eq!(world.error(tag), no_session());
}

#[test]
fn a_relay_that_misses_one_command_after_another_is_given_up() {
    let mut world = World::new(Limits::default());
    let silent = world.ready("a.example", 1);
    for sent in 0..3 {
        assert_eq!((world.disconnects.len(), world.proxy.relays()), (0, 1), "after {sent}");
        world.pfwd(1);
        // Before the next one nothing is under way.
        world.pass(20 * SECOND);
        world.answer(Err(timeout()));
        assert_eq!(world.proxy.in_flight(), 0);
    }
    assert_eq!((world.disconnects.as_slice(), world.proxy.relays()), (&[silent][..], 0));
    assert_eq!(world.taken().len(), 3);
}

#[test]
fn a_relay_that_answers_some_of_the_time_is_kept() {
    let mut world = World::new(Limits::default());
    world.ready("a.example", 1);
    for _ in 0..20 {
        (0..3).for_each(|_| _ = world.pfwd(1));
        world.answer(Err(ErrorType::Proxy(Box::new(ProxyError::Protocol(ErrorType::Crypto)))));
        world.pass(20 * SECOND);
        world.answer(Err(timeout()));
        world.answer(Err(timeout()));
        assert_eq!(world.taken().len(), 3);
    }
    assert_eq!((world.proxy.relays(), world.proxy.in_flight()), (1, 0));
}

#[test]
fn a_lost_relay_answers_all_who_wait_and_is_connected_to_again() {
    let mut world = World::new(Limits::default());
    let id = world.ready("a.example", 1);
    let tags = [world.pfwd(1), world.pfwd(1)];
    world.input(ProxyInput::Lost(id));
    let expected = tags.map(|tag| (tag, BrokerMessage::Err(network())));
    assert!(world.taken() == expected);
    let tag = world.pfwd(1);
    assert_eq!(world.error(tag), no_session());
    world.prxy("a.example");
    assert_eq!(world.connects.len(), 1);
    // What the shell still says of the lost one has no effect.
    world.answer(Ok(response()));
    world.input(ProxyInput::Lost(id));
    assert_eq!((world.taken().len(), world.proxy.relays()), (0, 1));
}

#[test]
fn idle_relays_are_disconnected_and_used_ones_are_not() {
    let mut world = World::new(Limits { relay_answer: Duration::from_secs(3600), ..Limits::default() });
    let (idle, used) = (world.ready("a.example", 1), world.ready("b.example", 2));
    world.pass(1000 * SECOND);
    world.pfwd(2);
    world.pass(1000 * SECOND);
    assert_eq!(world.disconnects, [idle]);
    world.answer(Ok(response()));
    world.pass(1799 * SECOND);
    assert_eq!(world.disconnects, [idle]);
    world.pass(SECOND);
    assert_eq!((world.disconnects, world.proxy.relays()), (vec![idle, used], 0));
}

#[test]
fn the_longest_idle_relay_makes_room_and_busy_ones_do_not() {
    let mut world = World::new(Limits { relays: 2, ..Limits::default() });
    let first = world.ready("a.example", 1);
    world.pass(SECOND);
    world.ready("b.example", 2);
    world.pfwd(2);
    world.ready("c.example", 3);
    assert_eq!(world.disconnects, [first]);
    world.pfwd(3);
    let tag = world.prxy("d.example");
    assert_eq!((world.error(tag), world.proxy.relays()), (network(), 2));
}

#[test]
fn waiting_for_a_connection_is_bounded_too() {
    let mut world = World::new(Limits { relay_forwards: 2, ..Limits::default() });
    world.prxy("a.example");
    world.prxy("a.example");
    let tag = world.prxy("a.example");
    assert_eq!(world.error(tag), timeout());
}

#[test]
fn an_answer_to_another_command_is_not_passed_on() {
    let mut world = World::new(Limits::default());
    world.ready("a.example", 1);
    let tag = world.pfwd(1);
    world.answer(Ok(FwdResponse { correlation_id: CorrelationId::from([8; 24]), ..response() }));
    assert_eq!(world.error(tag), unexpected());
}

#[test]
fn requests_are_counted_by_whose_relay_it_is_and_what_came_of_them() {
    let mut world = World::new(Limits::default());
    for (name, own) in [("smp1.example.org", true), ("Example.ORG", true), ("badexample.org", false)] {
        world.prxy(name);
        let id = world.connects.remove(0);
        world.input(ProxyInput::ConnectFailed(id, network()));
        let outcome = ProxyOutcome::Unreachable;
        assert_eq!(world.events.pop(), Some(ProxyEvent::Relay { own, outcome }), "{name}");
        let _ = world.taken();
    }
    world.ready("b.example.org", 1);
    assert_eq!(world.events.pop(), Some(ProxyEvent::Relay { own: true, outcome: ProxyOutcome::Done }));
    world.pfwd(1);
    world.answer(Ok(response()));
    assert_eq!(world.events.pop(), Some(ProxyEvent::Forward { own: true, outcome: ProxyOutcome::Done }));
}
