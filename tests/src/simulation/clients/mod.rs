//! Both shells against each other: programs that use the client of `smp-runtime`, and the production server.
//!
//! The two are machines of their own, with a network between them that delays, cuts and falls silent, and the server
//! crashes and stops. When all that has ended, everything that was sent has been received, in order.

mod app;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use smp_core::client::QueueKeys;
use smp_core::server::store::{BatchReply, MemoryStore, StoreFailure};
use smp_core::server::{ConnectionId, ServerConfig};
use smp_core::transport::ServerTransportConfig;
use smp_core::wire::{Host, ServerAddress};
use smp_core::{Now, Timestamp, UnixTime};
use smp_runtime::Runtime;
use smp_runtime::client::{Connector, ReconnectLimits};
use smp_runtime::testing::{CAPACITY, Fault, Seen, StreamLimits, TestRuntime, TestStream};
use smp_storage::LookUpReply;

use super::dice::Dice;
use super::setup::identity;
use super::shell::{Effect, Shell};
use app::{App, State};

/// What happened in a world of shells.
#[derive(Clone, Copy, Default, Debug)]
pub struct ClientCounts {
    /// Messages that were received, again or for the first time.
    pub messages: u64,
    /// Connections of the recipient.
    pub connections: u64,
    /// Subscriptions that were made.
    pub subscriptions: u64,
    /// Crashes of the server, and its ends in order.
    pub ends: u64,
    /// Connections that were cut or went silent.
    pub cuts: u64,
}

impl AddAssign for ClientCounts {
    fn add_assign(&mut self, other: Self) {
        let Self { messages, connections, subscriptions, ends, cuts } = other;
        self.messages += messages;
        self.connections += connections;
        self.subscriptions += subscriptions;
        self.ends += ends;
        self.cuts += cuts;
    }
}

/// Lives the world of a seed with both shells.
///
/// # Errors
/// What was wrong.
pub fn run_clients(seed: u64) -> Result<ClientCounts, String> {
    let mut world = World::new(seed);
    let result = world.live();
    world.client.crash();
    result.map(|()| world.counts)
}

enum Event {
    ToServer(ConnectionId, Vec<u8>),
    ToClient(ConnectionId, Vec<u8>),
    /// A side's socket buffer has room again.
    TakenAtServer(ConnectionId, usize),
    TakenAtClient(ConnectionId, usize),
    /// One side learns that the other one ended, or that the connection broke.
    EndAtServer(ConnectionId),
    EndAtClient(ConnectionId),
    BreakAtServer(ConnectionId),
    BreakAtClient(ConnectionId),
    StoreDone(u64, u64, BatchReply),
    LookedUp(u64, u64, LookUpReply),
    Restart,
    Fault,
}

/// What the client's side of a connection did.
enum ClientEffect {
    Dialled(ConnectionId, TestStream),
    Wrote(ConnectionId, Vec<u8>),
    Ended(ConnectionId),
    Dropped(ConnectionId),
}

type ClientEffects = Arc<Mutex<Vec<ClientEffect>>>;

struct World {
    dice: Dice,
    now: Now,
    is_calm: bool,
    client: TestRuntime,
    client_effects: ClientEffects,
    app: App,
    is_up: Arc<AtomicBool>,
    shell: Option<Shell>,
    epoch: u64,
    store: MemoryStore,
    /// The client's sides of connections, and whether they are dead.
    links: BTreeMap<ConnectionId, (TestStream, bool)>,
    schedule: BTreeMap<(Timestamp, u64), Event>,
    last: u64,
    /// Nothing overtakes on a way: when the last event of each connection comes, at the server and at the client.
    lanes: BTreeMap<(ConnectionId, bool), Timestamp>,
    faults_left: usize,
    counts: ClientCounts,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) };
        let client = TestRuntime::default();
        client.set_now(now);
        let keys = Arc::new(QueueKeys::generate(dice.entropy()));
        let app = App { runtime: client.clone(), keys, state: Arc::new(Mutex::new(State::default())) };
        let (effects, is_up) = (ClientEffects::default(), Arc::new(AtomicBool::new(false)));
        dial(&client, effects.clone(), is_up.clone());
        let mut world = Self {
            faults_left: dice.between(0, 12),
            now,
            is_calm: false,
            client,
            client_effects: effects,
            app,
            is_up,
            shell: None,
            epoch: 0,
            store: MemoryStore::default(),
            links: BTreeMap::new(),
            schedule: BTreeMap::new(),
            last: 0,
            lanes: BTreeMap::new(),
            counts: ClientCounts::default(),
            dice,
        };
        world.start_server();
        world.start_programs();
        world.plan_fault();
        world
    }

    fn start_programs(&mut self) {
        let host = Host::Ipv4(Ipv4Addr::LOCALHOST);
        let address = ServerAddress::new(vec![host], None, *identity().fingerprint());
        let address = address.expect("an address");
        let count = self.dice.between(1, 30) as u64;
        let connector = |seed| Connector::new(self.client.clone()).seed(seed);
        let (recipient, sender) = (connector(self.dice.seed()), connector(self.dice.seed()));
        let (client, events) =
            recipient.reconnecting(address.clone(), ReconnectLimits::default()).expect("a seed");
        self.client.spawn(self.app.clone().receive(client, events));
        self.client.spawn(self.app.clone().send(sender, address, count));
        self.app.state().count = count;
    }

    /// Faults, then none, until everything has come.
    fn live(&mut self) -> Result<(), String> {
        let mut end = None;
        loop {
            self.step()?;
            self.check()?;
            if self.faults_left == 0 && self.shell.is_some() && end.is_none() {
                self.is_calm = true;
                end = Some(self.now.mono + CALM_MAX);
            }
            if end.is_some() && self.is_done() {
                return Ok(());
            }
            if end.is_some_and(|end| self.now.mono > end) {
                let state = self.app.state();
                let (sent, count, last) = (state.sent, state.count, state.received.last());
                return Err(format!("{sent} of {count} were sent, the last that came is {last:?}"));
            }
        }
    }

    fn is_done(&self) -> bool {
        let state = self.app.state();
        let subscriptions = self.shell.as_ref().map_or(0, Shell::subscriptions);
        state.sent == state.count && state.received.last() == Some(&(state.count - 1)) && subscriptions == 1
    }

    fn check(&mut self) -> Result<(), String> {
        let state = self.app.state();
        let received = &state.received;
        let (counts, seen) = (&mut self.counts, counts_of(&state));
        (counts.messages, counts.connections, counts.subscriptions) = seen;
        let next = |pair: &[u64]| pair[1] == pair[0] || pair[1] == pair[0] + 1;
        let last = &received[received.len().saturating_sub(2)..];
        if let Some(fault) = state.fault {
            return Err(fault.into());
        }
        if received.first().is_some_and(|first| *first != 0) || (last.len() == 2 && !next(last)) {
            return Err(format!("messages came in a wrong order: {received:?}"));
        }
        Ok(())
    }

    /// Polls a task that is ready, or lets the next thing happen.
    fn step(&mut self) -> Result<(), String> {
        let at_server = self.shell.as_ref().is_some_and(Shell::is_ready);
        let at_client = self.client.ready() > 0;
        if at_client && (!at_server || self.dice.chance(5_000)) {
            let dice = &mut self.dice;
            self.client.step(|ready| dice.below(ready));
            let effects = std::mem::take(&mut *lock(&self.client_effects));
            effects.into_iter().for_each(|effect| self.client_effect(effect));
            return Ok(());
        }
        if at_server && let Some(shell) = &mut self.shell {
            let effects = shell.step(&mut self.dice);
            if shell.errors() > 0 || shell.polls > POLLS {
                return Err("the shell of the server spins, or logged an error".into());
            }
            effects.into_iter().for_each(|effect| self.server_effect(effect));
            return Ok(());
        }
        let timers = [self.client.next_timer(), self.shell.as_ref().and_then(Shell::next_timer)];
        let event = self.schedule.first_key_value().map(|((at, _), _)| *at);
        let Some(next) = timers.into_iter().chain([event]).flatten().min() else {
            return Err("nothing will ever happen again".into());
        };
        self.advance_to(next);
        if event == Some(next)
            && let Some((_, event)) = self.schedule.pop_first()
        {
            self.happen(event);
        }
        Ok(())
    }

    fn advance_to(&mut self, at: Timestamp) {
        self.now = self.now.advanced_to(at);
        self.client.set_now(self.now);
        if let Some(shell) = &mut self.shell {
            shell.advance(self.now);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToClient(id, bytes) => self.at_client(id, |stream| _ = stream.give(&bytes)),
            Event::TakenAtClient(id, count) => self.at_client(id, |stream| stream.taken(count)),
            Event::EndAtClient(id) => self.at_client(id, TestStream::end),
            Event::BreakAtClient(id) => self.at_client(id, |stream| stream.break_other_side(RESET)),
            Event::Restart => self.start_server(),
            Event::Fault => self.fault(),
            event => {
                let (Some(shell), epoch) = (&mut self.shell, self.epoch) else { return };
                match event {
                    Event::ToServer(id, bytes) => shell.received(id, &bytes),
                    Event::TakenAtServer(id, count) => shell.taken(id, count),
                    Event::EndAtServer(id) => shell.eof(id),
                    Event::BreakAtServer(id) => shell.reset(id),
                    Event::StoreDone(of, token, reply) if of == epoch => shell.store_done(token, reply),
                    Event::LookedUp(of, token, reply) if of == epoch => shell.looked_up(token, reply),
                    _ => {}
                }
            }
        }
    }

    fn at_client(&self, id: ConnectionId, act: impl FnOnce(&TestStream)) {
        if let Some((stream, _)) = self.links.get(&id) {
            act(stream);
        }
    }

    fn client_effect(&mut self, effect: ClientEffect) {
        match effect {
            ClientEffect::Dialled(id, stream) => {
                let from = IpAddr::from([192, 0, 2, 1]);
                let is_connected = self.shell.as_mut().is_some_and(|shell| shell.connect(id, from));
                if !is_connected {
                    stream.break_other_side(RESET);
                }
                self.links.insert(id, (stream, !is_connected));
            }
            ClientEffect::Wrote(id, bytes) => {
                self.pass(id, false, Event::TakenAtClient(id, bytes.len()));
                self.pass(id, true, Event::ToServer(id, bytes));
            }
            ClientEffect::Ended(id) => self.pass(id, true, Event::EndAtServer(id)),
            ClientEffect::Dropped(id) => {
                self.pass(id, true, Event::BreakAtServer(id));
                self.links.remove(&id);
            }
        }
    }

    fn server_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Send(id, bytes) => {
                self.pass(id, true, Event::TakenAtServer(id, bytes.len()));
                self.pass(id, false, Event::ToClient(id, bytes));
            }
            Effect::Ended(id) => self.pass(id, false, Event::EndAtClient(id)),
            Effect::Closed(id) => {
                self.shell.iter_mut().for_each(|shell| shell.closed(id));
                self.pass(id, false, Event::EndAtClient(id));
            }
            Effect::Store(token, ops) => {
                let fails = !self.is_calm && self.dice.chance(300);
                let reply = if fails { Err(StoreFailure) } else { Ok(self.store.run(ops)) };
                self.later(1_000, Event::StoreDone(self.epoch, token, reply));
            }
            Effect::LookUp(token, keys) => {
                let records = keys.iter().map(|key| Ok(self.store.look_up(key))).collect();
                self.later(100, Event::LookedUp(self.epoch, token, Ok(records)));
            }
            Effect::Stopped(_) => self.end_server(),
            Effect::Event(_) | Effect::Moderated(..) => {}
        }
    }

    /// Something passes a connection, unless it is dead, behind what passes in the same direction.
    fn pass(&mut self, id: ConnectionId, to_server: bool, event: Event) {
        if self.links.get(&id).is_none_or(|(_, is_dead)| *is_dead) {
            return;
        }
        let delay = self.dice.delay(500);
        let lane = self.lanes.entry((id, to_server)).or_default();
        *lane = (*lane).max(self.now.mono + delay);
        let at = *lane;
        self.last += 1;
        self.schedule.insert((at, self.last), event);
    }

    fn later(&mut self, max: usize, event: Event) {
        let delay = self.dice.delay(max);
        self.last += 1;
        self.schedule.insert((self.now.mono + delay, self.last), event);
    }

    fn plan_fault(&mut self) {
        let pause = Duration::from_millis(self.dice.below(20_000) as u64);
        self.last += 1;
        self.schedule.insert((self.now.mono + pause, self.last), Event::Fault);
    }

    fn fault(&mut self) {
        if self.faults_left == 0 {
            return;
        }
        self.faults_left -= 1;
        self.plan_fault();
        match self.dice.below(4) {
            0 => self.end_server(),
            1 => {
                let grace = Duration::from_millis(self.dice.below(5_000) as u64);
                self.shell.iter_mut().for_each(|shell| shell.stop(grace));
            }
            kind => {
                let alive: Vec<_> =
                    self.links.iter().filter(|(_, (_, is_dead))| !is_dead).map(|(id, _)| *id).collect();
                let Some(id) = alive.get(self.dice.below(alive.len())).copied() else { return };
                self.counts.cuts += 1;
                if kind == 2 {
                    self.pass(id, true, Event::BreakAtServer(id));
                    self.pass(id, false, Event::BreakAtClient(id));
                }
                self.links.entry(id).and_modify(|(_, is_dead)| *is_dead = true);
            }
        }
    }

    fn start_server(&mut self) {
        if self.shell.is_some() {
            return;
        }
        let transport = ServerTransportConfig::new(identity(), Default::default());
        let transport = transport.expect("a usable identity");
        let limits = StreamLimits { written: CAPACITY, unread: usize::MAX, read: CAPACITY };
        let seed = self.dice.seed();
        self.epoch += 1;
        self.shell = Some(Shell::start(ServerConfig::default(), transport, seed, self.now, limits));
        self.is_up.store(true, Ordering::Relaxed);
    }

    /// The server is no more, and starts again some time.
    fn end_server(&mut self) {
        let Some(shell) = self.shell.take() else { return };
        self.counts.ends += 1;
        self.epoch += 1;
        self.is_up.store(false, Ordering::Relaxed);
        shell.connections().for_each(|id| self.pass(id, false, Event::BreakAtClient(id)));
        self.later(10_000, Event::Restart);
    }
}

/// Connections of the client's machine go to the world; nobody listens while no server runs.
fn dial(client: &TestRuntime, effects: ClientEffects, is_up: Arc<AtomicBool>) {
    let mut last = 0;
    client.on_connect(move |_| {
        if !is_up.load(Ordering::Relaxed) {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        last += 1;
        let id = ConnectionId(last);
        let (ours, theirs) = TestStream::pair();
        ours.limit(StreamLimits { written: CAPACITY, unread: usize::MAX, read: CAPACITY });
        let seen = effects.clone();
        ours.watch(move |what| {
            lock(&seen).push(match what {
                Seen::Written(bytes) => ClientEffect::Wrote(id, bytes.to_vec()),
                Seen::Ended => ClientEffect::Ended(id),
                Seen::Dropped => ClientEffect::Dropped(id),
            });
        });
        lock(&effects).push(ClientEffect::Dialled(id, ours));
        Ok(theirs)
    });
}

fn counts_of(state: &State) -> (u64, u64, u64) {
    (state.received.len() as u64, state.connected, state.subscribed)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const RESET: Fault = Fault::Error(std::io::ErrorKind::ConnectionReset);
/// How often tasks of the server may be polled until something comes from outside.
const POLLS: usize = 2_000;
/// How much virtual time the programs have when there are no faults: more than it takes to notice a connection that
/// went silent.
const CALM_MAX: Duration = Duration::from_secs(3_600);
