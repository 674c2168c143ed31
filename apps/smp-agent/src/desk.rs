//! Which client hears what.
//!
//! The events of a connection go to the client that made it or was the last to subscribe to it. What waits to be settled, a
//! confirmation or a message, the agent keeps and tells again to whoever subscribes. The rest, such as SENT or CON, is held
//! here for the next client, within bounds, while there is none; the end of the program ends it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smp_core::agent::{ConfirmationId, ConnectionId, Event, InvitationId, LocalMessageId};
use smp_core::wire::agent_text::{AgentEvent, TextConnectionId, TextCorrelation, Transmission};
use smp_runtime::agent::Agent;

use crate::outbox::Outbox;
use crate::translate::{News, connection_id, news};

/// The agent and its clients.
pub(crate) struct Desk {
    pub(crate) agent: Agent,
    state: Mutex<State>,
}

/// A client, until it leaves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ClientId(u64);

/// What is told again until it is settled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Matter {
    Confirmation(ConfirmationId),
    Request(InvitationId),
    Message(LocalMessageId),
}

#[derive(Default)]
struct State {
    clients: BTreeMap<ClientId, Arc<Outbox>>,
    places: HashMap<ConnectionId, Place>,
    last: u64,
    /// Bytes of all that is held.
    held: usize,
}

/// Where the events of a connection go.
#[derive(Default)]
struct Place {
    client: Option<ClientId>,
    /// What this client was told and is not settled: it is not told twice.
    told: BTreeSet<Matter>,
    /// What nobody was told, as bytes.
    held: Vec<u8>,
}

impl Desk {
    pub(crate) fn new(agent: Agent) -> Arc<Self> {
        Arc::new(Self { agent, state: Mutex::default() })
    }

    /// A new client and what it is told, unless there are too many.
    pub(crate) fn enter(&self) -> Option<(ClientId, Arc<Outbox>)> {
        let mut state = self.lock();
        if state.clients.len() >= CLIENTS_MAX {
            return None;
        }
        state.last += 1;
        let (id, outbox) = (ClientId(state.last), Arc::new(Outbox::default()));
        state.clients.insert(id, Arc::clone(&outbox));
        Some((id, outbox))
    }

    /// A client is gone.
    pub(crate) fn leave(&self, client: ClientId) {
        self.lock().leave(client);
    }

    /// From now on this client has the events of a connection, if there is one: [`Self::subscribed`] is to be told. Who had
    /// them before.
    pub(crate) fn subscribe(&self, client: ClientId, connection: ConnectionId) -> Option<ClientId> {
        let mut state = self.lock();
        if !state.clients.contains_key(&client) {
            return None;
        }
        let place = state.places.entry(connection).or_default();
        let former = place.client.replace(client);
        place.told.clear();
        let held = std::mem::take(&mut place.held);
        state.held -= held.len();
        if let Some(outbox) = state.clients.get(&client) {
            outbox.put(&held);
        }
        former
    }

    /// Whether there is such a connection. If so, who had its events before is told that this has ended; if not, nobody has.
    pub(crate) fn subscribed(
        &self,
        client: ClientId,
        connection: ConnectionId,
        former: Option<ClientId>,
        is_there: bool,
    ) {
        let mut state = self.lock();
        let is_its = |place: &Place| place.client == Some(client);
        if let Some(former) = former.filter(|former| *former != client && is_there) {
            state.tell(former, connection, AgentEvent::End);
        } else if former.is_none() && !is_there && state.places.get(&connection).is_some_and(is_its) {
            state.places.remove(&connection);
        }
    }

    /// Something need not be told any more.
    pub(crate) fn settled(&self, connection: ConnectionId, matter: Matter) {
        if let Some(place) = self.lock().places.get_mut(&connection) {
            place.told.remove(&matter);
        }
    }

    /// Tells what happened. The connections whose clients missed something.
    pub(crate) fn tell(&self, event: Event) -> Vec<ConnectionId> {
        let has_missed = matches!(event, Event::Missed(_));
        let mut state = self.lock();
        news(event).into_iter().for_each(|news| state.pass(news));
        let owned = state.places.iter().filter(|(_, place)| has_missed && place.client.is_some());
        owned.map(|(connection, _)| *connection).collect()
    }

    /// Nothing that runs under this lock can panic half-way, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn leave(&mut self, client: ClientId) {
        self.clients.remove(&client);
        self.places.retain(|_, place| {
            if place.client == Some(client) {
                (place.client, place.told) = (None, BTreeSet::new());
            }
            place.client.is_some() || !place.held.is_empty()
        });
    }

    /// Tells a client, if it is still there and takes what it is told. An event that it did not take is given back.
    fn tell(&mut self, client: ClientId, connection: ConnectionId, event: AgentEvent) -> Option<AgentEvent> {
        let transmission = of(connection_id(connection), event);
        if self.clients.get(&client).is_some_and(|outbox| outbox.tell(&transmission)) {
            return None;
        }
        self.leave(client);
        Some(transmission.content)
    }

    fn pass(&mut self, News { connection, matter, event }: News) {
        let Some(connection) = connection else {
            let transmission = of(TextConnectionId::empty(), event);
            let cut: Vec<_> = self
                .clients
                .iter()
                .filter(|(_, outbox)| !outbox.tell(&transmission))
                .map(|(id, _)| *id)
                .collect();
            return cut.into_iter().for_each(|client| self.leave(client));
        };
        if event == AgentEvent::Deleted {
            return self.forget(connection, event);
        }
        let place = self.places.get_mut(&connection);
        let untold = match place.and_then(|place| Some((place.client?, place))) {
            Some((client, place)) => {
                if matter.is_some_and(|matter| !place.told.insert(matter)) {
                    return;
                }
                self.tell(client, connection, event)
            }
            None => Some(event),
        };
        let is_held =
            |event: &AgentEvent| matter.is_none() && !matches!(event, AgentEvent::Up | AgentEvent::Down);
        if let Some(event) = untold.filter(is_held) {
            self.hold(connection, event);
        }
    }

    /// There is no such connection any more: the last that is told of it.
    fn forget(&mut self, connection: ConnectionId, event: AgentEvent) {
        let Some(place) = self.places.remove(&connection) else { return };
        self.held -= place.held.len();
        place.client.into_iter().for_each(|client| _ = self.tell(client, connection, event.clone()));
    }

    /// For the next client.
    fn hold(&mut self, connection: ConnectionId, event: AgentEvent) {
        let mut bytes = Vec::new();
        of(connection_id(connection), event).encode(&mut bytes);
        if self.held + bytes.len() > HELD_MAX {
            return log::warn!("events that no client takes are thrown away: too many wait");
        }
        self.held += bytes.len();
        self.places.entry(connection).or_default().held.append(&mut bytes);
    }
}

fn of(connection: TextConnectionId, content: AgentEvent) -> Transmission<AgentEvent> {
    Transmission { correlation: TextCorrelation::default(), connection, content }
}

/// Clients at the same time.
pub(crate) const CLIENTS_MAX: usize = 256;
/// Bytes of events for connections that no client is subscribed to.
const HELD_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use smp_core::agent::UserServer;
    use smp_core::wire;
    use smp_runtime_tokio::TokioRuntime;
    use smp_storage::agent::MemoryAgentStore;

    use super::*;
    use crate::dispatch::USER;
    use crate::outbox::EVENTS_MAX;

    const CONNECTION: ConnectionId = ConnectionId::new([1; 12]);

    fn server() -> wire::ServerAddress {
        let host = "127.0.0.1".parse().expect("an address");
        wire::ServerAddress::new(vec![host], None, [1; 32]).expect("one host")
    }

    /// A desk whose agent does nothing.
    fn with_desk(test: impl FnOnce(&Desk)) {
        let tokio = tokio::runtime::Runtime::new().expect("a runtime");
        let runtime = TokioRuntime::new(tokio.handle().clone());
        let servers: Vec<UserServer> = Vec::new();
        let agent = Agent::builder(runtime, MemoryAgentStore::new()).user(USER, servers).start();
        let (agent, _events) = agent.expect("randomness and a thread");
        test(&Desk::new(agent.clone()));
        tokio.block_on(agent.stop());
    }

    fn taken(outbox: &Outbox) -> String {
        let now = &mut std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(outbox.next()).poll(now) {
            std::task::Poll::Ready(Some(bytes)) => String::from_utf8(bytes).expect("text"),
            std::task::Poll::Ready(None) => "cut".to_owned(),
            std::task::Poll::Pending => String::new(),
        }
    }

    /// One client that takes nothing is cut; what it was not told waits for the next one, and the others hear all the time.
    #[test]
    fn a_client_that_takes_no_events_is_cut() {
        with_desk(|desk| {
            let other_connection = ConnectionId::new([2; 12]);
            let ((slow, slow_box), (other, other_box)) =
                (desk.enter().expect("room"), desk.enter().expect("room"));
            assert_eq!(desk.subscribe(slow, CONNECTION), None);
            desk.subscribe(other, other_connection);
            let info = || bytes::Bytes::from(vec![b'x'; 15_000]);
            let mut told = 0;
            while desk.lock().places[&CONNECTION].client.is_some() {
                desk.tell(Event::Info(CONNECTION, info()));
                desk.tell(Event::Info(other_connection, info()));
                assert!(taken(&other_box).len() > 15_000);
                told += 1;
                assert!(told <= EVENTS_MAX / 15_000 + 2, "nobody is cut");
            }
            assert_eq!(taken(&slow_box), "cut");
            desk.tell(Event::Sent(CONNECTION, LocalMessageId(7), None));
            let (next, next_box) = desk.enter().expect("room");
            desk.subscribe(next, CONNECTION);
            let waited = taken(&next_box);
            assert!(waited.contains("INFO 15000") && waited.ends_with("SENT 7\r\n"), "{}", waited.len());
            assert_eq!(desk.lock().held, 0);
        });
    }

    /// However often the agent tells it, because another client subscribed or a session ended.
    #[test]
    fn a_client_is_told_once_of_what_is_to_be_settled() {
        with_desk(|desk| {
            let (client, outbox) = desk.enter().expect("room");
            desk.subscribe(client, CONNECTION);
            let confirmation = ConfirmationId::new([3; 12]);
            let tell = || {
                let info = "Bob".into();
                let told =
                    Event::Confirmation { connection: CONNECTION, confirmation, servers: Vec::new(), info };
                desk.tell(told);
                taken(&outbox)
            };
            assert_eq!(tell(), "\r\nAQEBAQEBAQEBAQEB\r\nCONF AwMDAwMDAwMDAwMD 3\r\nBob\r\n");
            assert_eq!(tell(), "");
            desk.subscribe(client, CONNECTION);
            assert_ne!(tell(), "", "it has asked");
            desk.settled(CONNECTION, Matter::Confirmation(confirmation));
            assert_ne!(tell(), "", "it is another one by now");
        });
    }

    /// However much happens while nobody is there.
    #[test]
    fn what_is_held_is_bounded() {
        with_desk(|desk| {
            for number in 0..3000_u16 {
                let [one, two] = number.to_be_bytes();
                let connection = ConnectionId::new([one, two, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                desk.tell(Event::Info(connection, vec![b'x'; 15_000].into()));
                desk.tell(Event::Up(server(), vec![connection]));
            }
            let state = desk.lock();
            let held: usize = state.places.values().map(|place| place.held.len()).sum();
            assert!(held == state.held && held <= HELD_MAX && held > HELD_MAX / 2, "{held}");
            assert!(state.places.len() < 1200, "connections of which nothing is held take nothing");
        });
    }

    #[test]
    fn what_concerns_no_connection_is_told_to_all() {
        with_desk(|desk| {
            let boxes = [desk.enter(), desk.enter()].map(|client| client.expect("room").1);
            desk.tell(Event::Error(None, wire::agent::AgentError::NoUser));
            for outbox in boxes {
                assert_eq!(taken(&outbox), "\r\n\r\nERR NO_USER\r\n");
            }
        });
    }

    /// After events were missed, what waits is to be told again of the connections that somebody is subscribed to.
    #[test]
    fn who_missed_something_is_named() {
        with_desk(|desk| {
            let (client, _outbox) = desk.enter().expect("room");
            desk.subscribe(client, CONNECTION);
            desk.tell(Event::Connected(ConnectionId::new([2; 12])));
            assert_eq!(desk.tell(Event::Missed(3)), [CONNECTION]);
            assert!(desk.tell(Event::Connected(CONNECTION)).is_empty());
            desk.leave(client);
            assert!(desk.tell(Event::Missed(3)).is_empty());
        });
    }

    #[test]
    fn of_a_deleted_connection_nothing_is_left() {
        with_desk(|desk| {
            let (client, outbox) = desk.enter().expect("room");
            desk.subscribe(client, CONNECTION);
            let held = ConnectionId::new([2; 12]);
            desk.tell(Event::Connected(held));
            for connection in [CONNECTION, held, ConnectionId::new([3; 12])] {
                desk.tell(Event::Deleted(connection));
            }
            assert_eq!(taken(&outbox), "\r\nAQEBAQEBAQEBAQEB\r\nDELD\r\n");
            assert!(desk.lock().places.is_empty() && desk.lock().held == 0);
        });
    }
}
