//! The proxy machine: clients that ask, relays that do what the input says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smp_core::server::proxy::{
    ForwardId, Proxy, ProxyInput, ProxyOutput, ProxyRequest, RelayId, RelayParameters,
};
use smp_core::server::{ConnectionId, ServerConfig};
use smp_core::wire::command::ForwardRequest;
use smp_core::wire::error::{BrokerErrorType, ErrorType, ProxyError};
use smp_core::wire::{
    BrokerMessage, CertChain, CertChainPubKey, CorrelationId, DhPublicKey, EntityId, FwdResponse,
    FwdTransmission, Host, ServerAddress, SessionId, Version, VersionRange,
};
use smp_core::{Now, Timestamp, UnixTime};

use crate::input::Input;

/// A program: each step is what happens and to whom.
pub fn proxy(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
    world.end();
}

struct World {
    proxy: Proxy,
    now: Now,
    last_number: u64,
    unanswered: BTreeSet<u64>,
    /// Attempts and connections of the shell, and whether they stand.
    links: BTreeMap<RelayId, bool>,
    forwards: Vec<(RelayId, ForwardId)>,
}

impl World {
    fn new() -> Self {
        let mut config = ServerConfig::default();
        config.limits.relays = RELAYS;
        config.limits.relay_forwards = FORWARDS;
        config.limits.relay_failures = 2;
        let now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) };
        Self {
            proxy: Proxy::new(Arc::new(config), Version::MAX, now),
            now,
            last_number: 0,
            unanswered: BTreeSet::new(),
            links: BTreeMap::new(),
            forwards: Vec::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(8) {
            0 => self.ask(|number, host| ProxyRequest::session(number, address(host)), input.u8()),
            1 => self
                .ask(|number, session| ProxyRequest::forward(number, entity(session), forward()), input.u8()),
            2 => {
                if let Some(id) = self.link(input.u8(), false) {
                    self.links.insert(id, true);
                    // Some of them the same, as no relays have.
                    let session = u8::try_from(id.0 % 16).unwrap_or_default();
                    self.input(ProxyInput::Connected(id, parameters(session, input.u8())));
                }
            }
            3 => {
                if let Some(id) = self.link(input.u8(), false) {
                    self.links.remove(&id);
                    self.input(ProxyInput::ConnectFailed(id, ErrorType::Internal));
                }
            }
            4 => {
                let answer =
                    FwdResponse { correlation_id: CorrelationId::from([7; 24]), encrypted: Bytes::new() };
                self.answer(input.u8(), Ok(answer));
            }
            5 => self.answer(input.u8(), Err(timeout())),
            6 => {
                if let Some(id) = self.link(input.u8(), true) {
                    self.lose(id);
                }
            }
            _ => self.pass(Duration::from_secs(input.u8().into())),
        }
    }

    /// All relays go away, and time passes.
    fn end(&mut self) {
        let standing: Vec<_> = self.links.iter().filter(|(_, stands)| **stands).map(|(id, _)| *id).collect();
        standing.into_iter().for_each(|id| self.lose(id));
        self.pass(Duration::from_secs(7200));
        assert!(self.unanswered.is_empty(), "{} requests were not answered", self.unanswered.len());
        assert_eq!((self.proxy.relays(), self.proxy.in_flight()), (0, 0));
        assert!(self.proxy.poll_timeout().is_none() && self.links.is_empty(), "something is left");
    }

    fn ask(&mut self, request: impl FnOnce(u64, u8) -> ProxyRequest, about: u8) {
        self.last_number += 1;
        self.unanswered.insert(self.last_number);
        let request = request(self.last_number, about);
        self.input(ProxyInput::Request(ConnectionId(about.into()), request));
    }

    fn answer(&mut self, which: u8, answer: Result<FwdResponse, ErrorType>) {
        if !self.forwards.is_empty() {
            let (id, forward) = self.forwards.remove(usize::from(which) % self.forwards.len());
            self.input(ProxyInput::Answered(id, forward, answer));
        }
    }

    fn lose(&mut self, id: RelayId) {
        self.links.remove(&id);
        self.forwards.retain(|(relay, _)| *relay != id);
        self.input(ProxyInput::Lost(id));
    }

    fn link(&self, which: u8, stands: bool) -> Option<RelayId> {
        let links: Vec<_> = self.links.iter().filter(|(_, link)| **link == stands).collect();
        links.get(usize::from(which) % links.len().max(1)).map(|(id, _)| **id)
    }

    fn input(&mut self, input: ProxyInput) {
        self.proxy.handle(self.now, input);
        loop {
            let due = self.proxy.poll_timeout();
            let Some(output) = self.proxy.poll_output() else { break };
            assert!(due.is_some_and(|due| due <= self.now.mono), "output would wait");
            match output {
                ProxyOutput::Connect(id, _) => {
                    assert!(self.links.insert(id, false).is_none(), "an id was used twice");
                }
                ProxyOutput::Forward(id, forward, _) => {
                    assert_eq!(self.links.get(&id), Some(&true), "there is no connection");
                    self.forwards.push((id, forward));
                }
                ProxyOutput::Disconnect(id) => {
                    assert!(self.links.remove(&id).is_some(), "there is nothing to end");
                    self.forwards.retain(|(relay, _)| *relay != id);
                }
                ProxyOutput::Reply(_, reply) => {
                    assert!(self.unanswered.remove(&reply.number()), "a second answer");
                    let is_answer = matches!(
                        reply.message(),
                        BrokerMessage::PKey(_) | BrokerMessage::PRes(_) | BrokerMessage::Err(_)
                    );
                    assert!(is_answer, "not an answer of a proxy");
                }
                ProxyOutput::Event(_) => {}
            }
        }
        assert!(self.proxy.relays() <= RELAYS && self.proxy.in_flight() <= RELAYS * FORWARDS, "no bound");
        assert!(self.unanswered.len() <= self.proxy.in_flight(), "a request was forgotten");
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some(due) = self.proxy.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.advanced_to(due);
            self.input(ProxyInput::Timeout);
            assert!(
                self.proxy.poll_timeout().is_none_or(|next| next > due),
                "a timer fired and did not move"
            );
        }
        self.now = self.now.advanced_to(end);
    }
}

fn address(host: u8) -> ServerAddress {
    let host = Host::Ipv4([1, 1, 1, host % 6].into());
    ServerAddress::new(vec![host], None, [1; 32]).expect("one host")
}

fn entity(session: u8) -> EntityId {
    EntityId::from([session % 16; 24])
}

/// One in four relays is too old, one in four has no key.
fn parameters(session: u8, kind: u8) -> RelayParameters {
    let max = if kind % 4 == 1 { Version(7) } else { Version(18) };
    let chain = CertChain::new(vec![Bytes::from_static(b"certificate")]).expect("one certificate");
    let auth = CertChainPubKey { chain, signed_key: Bytes::from_static(b"key") };
    RelayParameters {
        session_id: SessionId::from([session; 24]),
        versions: VersionRange::new(Version::MIN, max).expect("a range"),
        server_auth: (kind % 4 != 2).then_some(auth),
    }
}

fn forward() -> Box<FwdTransmission> {
    let request = ForwardRequest { version: Version(17), key: DhPublicKey([9; 32]), encrypted: Bytes::new() };
    Box::new(FwdTransmission { correlation_id: CorrelationId::from([7; 24]), request })
}

fn timeout() -> ErrorType {
    ErrorType::Proxy(Box::new(ProxyError::Broker(BrokerErrorType::Timeout)))
}

const STEPS_MAX: usize = 2000;
const RELAYS: usize = 3;
const FORWARDS: usize = 4;
