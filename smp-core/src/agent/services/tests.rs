//! An agent with a service, and a server that says what the test tells it to.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::store::{
    AgentQuery, Agreement, ConnectionState, Counters, Found, MemoryAgentStore, Progress, QueueStage,
    ReceiveQueue, SyncState, User,
};
use super::super::{AgentInput, Call, NetworkConfig, UserServer};
use super::*;
use crate::client::{ClientEvent, CommandId};
use crate::crypto::{AuthPrivateKey, DhSecret, Ed25519PrivateKey, X25519PrivateKey};
use crate::entropy::SeededEntropy;
use crate::time::{Now, UnixTime};
use crate::wire::{Command, IdsHash, Version};

struct World {
    agent: Agent,
    store: MemoryAgentStore,
    /// The store fails.
    is_broken: bool,
    now: Now,
    outputs: VecDeque<AgentOutput>,
    starts: u8,
}

impl World {
    /// Somebody with a service and so many queues on one server.
    fn new(queues: u8) -> Self {
        let mut store = MemoryAgentStore::new();
        store.run(vec![AgentOp::PutUser(User { id: USER, is_deleted: false })]).unwrap();
        (1..=queues).for_each(|number| store.run(queue(number)).unwrap());
        let now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_700_000_000) };
        let mut world = Self {
            agent: Agent::new(config(true).into(), [0; 32], now),
            store,
            is_broken: false,
            now,
            outputs: VecDeque::new(),
            starts: 0,
        };
        world.restart(true);
        world
    }

    fn restart(&mut self, has_service: bool) {
        self.starts += 1;
        self.outputs.clear();
        self.agent = Agent::new(config(has_service).into(), [self.starts; 32], self.now);
        self.drain();
    }

    fn input(&mut self, input: AgentInput) {
        self.agent.handle(self.now, input);
        assert_eq!(self.agent.check(), Ok(()));
        self.drain();
    }

    /// The store answers at once.
    fn drain(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                AgentOutput::Store(batch) => {
                    let result = if self.is_broken { Err(StoreFailure) } else { self.store.run(batch.ops) };
                    self.agent.handle(self.now, AgentInput::Stored(batch.id, result));
                }
                AgentOutput::Read(id, query) => {
                    let found = self.store.read(&query);
                    self.agent.handle(self.now, AgentInput::Read(id, Ok(found)));
                }
                output => self.outputs.push_back(output),
            }
        }
    }

    /// Lets the next thing happen that has a time.
    fn wait(&mut self) -> Duration {
        let due = self.agent.poll_timeout().expect("a time");
        let passed = due.since(self.now.mono);
        self.now = self.now.advanced_to(due);
        self.input(AgentInput::Timeout);
        passed
    }

    /// The session that is wanted next, and the certificate that it shows.
    fn connect(&mut self) -> (LinkId, Option<Vec<u8>>) {
        for _ in 0..1000 {
            while let Some(output) = self.outputs.pop_front() {
                if let AgentOutput::Connect(link, _, _, service) = output {
                    return (link, service.map(|service| service.chain[0].to_vec()));
                }
            }
            self.wait();
        }
        panic!("no session is made");
    }

    /// A session of the service that the server knows by this number.
    fn session(&mut self, service: u8) -> LinkId {
        let (link, certificate) = self.connect();
        assert!(certificate.is_some(), "no certificate");
        self.input(AgentInput::LinkReady(link, Some(service_id(service))));
        link
    }

    /// What was asked for.
    fn requests(&mut self) -> Vec<(CommandId, Asked)> {
        let mut asked = Vec::new();
        self.outputs.retain(|output| match output {
            AgentOutput::Request(_, id, request) => {
                asked.push((
                    *id,
                    match request.command() {
                        Command::Sub => Asked::One,
                        Command::Subs(queues) => Asked::All(*queues),
                        command => panic!("{command:?}"),
                    },
                ));
                false
            }
            _ => true,
        });
        asked
    }

    fn answer(&mut self, command: CommandId, answer: Result<Answer, RequestError>) {
        self.input(AgentInput::Answer(command, answer));
    }

    /// SOK to all, of this service. How many there were.
    fn accept(&mut self, service: Option<u8>) -> usize {
        let asked = self.requests();
        for (command, asked) in &asked {
            assert_eq!(*asked, Asked::One);
            let service = service.map(service_id);
            self.answer(*command, Ok(Answer::Subscribed { service, message: None }));
        }
        asked.len()
    }

    /// SUBS alone, and what it expects.
    fn asked_for_all(&mut self) -> (CommandId, QueueSet) {
        match self.requests().as_slice() {
            [(command, Asked::All(queues))] => (*command, *queues),
            asked => panic!("{asked:?}"),
        }
    }

    /// What the app was told.
    fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        self.outputs.retain(|output| {
            let AgentOutput::Event(event) = output else { return true };
            told.push(match event {
                Event::Up(_, connections) => format!("up {}", connections.len()),
                Event::Down(_, connections) => format!("down {}", connections.len()),
                Event::ServiceUp { expected, subscribed, .. } => {
                    format!("service up {} of {}", subscribed.count, expected.count)
                }
                Event::ServiceDown { queues, .. } => format!("service down {}", queues.count),
                Event::ServiceEnd { queues, .. } => format!("service end {}", queues.count),
                event => format!("{event:?}"),
            });
            false
        });
        told
    }

    fn call(&mut self, call: Call) -> Result<Reply, AgentError> {
        self.input(AgentInput::Call(CallId(1), call));
        let place = self.outputs.iter().position(|output| matches!(output, AgentOutput::Reply(..)));
        match place.and_then(|place| self.outputs.remove(place)) {
            Some(AgentOutput::Reply(_, reply)) => reply,
            _ => panic!("no reply"),
        }
    }

    /// Of the queues that are kept, how many are of the service.
    fn associated(&self) -> usize {
        let Found::Queues(queues) = self.store.read(&AgentQuery::Queues) else { panic!("no queues") };
        queues.iter().filter(|queue| queue.is_associated).count()
    }

    fn services(&self) -> Vec<UserService> {
        let Found::Services(services) = self.store.read(&AgentQuery::Services) else { panic!("no services") };
        services
    }

    /// All queues become the service's, and the agent is started again.
    fn of_service(queues: u8) -> Self {
        let mut world = Self::new(queues);
        world.session(1);
        assert_eq!(world.accept(Some(1)), usize::from(queues));
        assert_eq!(world.associated(), usize::from(queues));
        world.restart(true);
        world
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    One,
    All(QueueSet),
}

fn config(has_service: bool) -> AgentConfig {
    let mut config = AgentConfig::default();
    config.servers.insert(USER, vec![UserServer::new(server())]);
    config.services.extend(has_service.then_some(USER));
    config
}

fn server() -> ServerAddress {
    ServerAddress::new(vec!["127.0.0.1".parse().unwrap()], None, [1; 32]).unwrap()
}

fn service_id(number: u8) -> EntityId {
    EntityId::from([number; 24])
}

fn queue_id(number: u8) -> EntityId {
    EntityId::from([100 + number; 24])
}

fn set_of(numbers: std::ops::RangeInclusive<u8>) -> QueueSet {
    numbers.fold(QueueSet::EMPTY, |set, number| {
        let hash = IdsHash(crate::crypto::hash::md5(queue_id(number).as_bytes()));
        set.plus(QueueSet { count: 1, hash })
    })
}

/// A connection with one queue.
fn queue(number: u8) -> Vec<AgentOp> {
    let id = ConnectionId::new([number; 12]);
    let mut entropy = SeededEntropy::new([number; 32]);
    let state = ConnectionState {
        receive_queues: 0,
        user: USER,
        progress: Progress::Connected,
        version: Version(7),
        pq_support: false,
        counters: Counters::default(),
        sync: SyncState::Ok,
        deleted_at: None,
        delete_after_delivery: false,
        skipped: 0,
        queues: 0,
    };
    let queue = ReceiveQueue {
        number: QueueNumber(1),
        server: server(),
        recipient_id: queue_id(number),
        sender_id: EntityId::from([number; 24]),
        key: AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut entropy)),
        server_secret: DhSecret::new([number; 32]),
        e2e_key: X25519PrivateKey::generate(&mut entropy),
        e2e_secret: None,
        stage: QueueStage::Active,
        mode: None,
        version: Version(4),
        link: None,
        replaces: None,
        switch: None,
        last_told: None,
    };
    vec![
        AgentOp::PutConnection(id, Box::new(state)),
        AgentOp::PutAgreement(id, Agreement::None),
        AgentOp::PutReceiveQueue(id, Box::new(queue)),
    ]
}

fn refused() -> Result<Answer, RequestError> {
    Err(RequestError::Server(ErrorType::Service))
}

#[test]
fn queues_become_those_of_the_service_and_are_subscribed_at_once_from_then_on() {
    let mut world = World::new(3);
    let (link, first) = world.connect();
    assert_eq!(world.services().len(), 1, "the certificate is kept before it is shown");
    world.input(AgentInput::LinkReady(link, Some(service_id(1))));
    assert_eq!(world.accept(Some(1)), 3);
    assert_eq!((world.told(), world.associated()), (vec!["up 3".to_owned()], 3));
    for _ in 0..2 {
        world.restart(true);
        let (link, certificate) = world.connect();
        assert_eq!(certificate, first, "it is the same service");
        world.input(AgentInput::LinkReady(link, Some(service_id(1))));
        let (command, expected) = world.asked_for_all();
        assert_eq!(expected, set_of(1..=3));
        assert_eq!(world.agent.subscriptions().waiting, 3, "nothing is known of the queues");
        world.answer(command, Ok(Answer::ServiceSubscribed(expected)));
        assert_eq!(world.told(), ["service up 3 of 3", "up 3"]);
        assert_eq!(world.agent.subscriptions().subscribed, 3);
        // The server ends: the app hears of the service and of its queues.
        world.input(AgentInput::LinkLost(link, BrokerErrorType::Timeout));
        assert_eq!(world.told(), ["down 3", "service down 3"]);
    }
}

/// Queues that are none of the service are subscribed one by one, after SUBS.
#[test]
fn other_queues_join_the_service() {
    let mut world = World::of_service(2);
    world.store.run(queue(3)).unwrap();
    world.restart(true);
    world.session(1);
    let (command, expected) = world.asked_for_all();
    assert_eq!(expected, set_of(1..=2));
    world.answer(command, Ok(Answer::ServiceSubscribed(expected)));
    assert_eq!(world.told(), ["service up 2 of 2", "up 2"]);
    assert_eq!(world.accept(Some(1)), 1);
    assert_eq!((world.told(), world.associated()), (vec!["up 1".to_owned()], 3));
}

/// Another count or hash than expected says nothing of any queue: each is asked for. The server is asked once more then, not for
/// ever, and what it has beyond ours is expected the next time.
#[test]
fn a_server_that_has_another_set_is_asked_for_each_queue_once() {
    let more = set_of(1..=5);
    let hash = QueueSet { hash: IdsHash([9; 16]), ..set_of(1..=3) };
    let lies =
        [QueueSet::EMPTY, set_of(1..=2), more, hash, QueueSet::UNKNOWN, QueueSet { count: i64::MAX, ..hash }];
    for lie in lies {
        let mut world = World::of_service(3);
        world.session(1);
        let (command, _) = world.asked_for_all();
        world.answer(command, Ok(Answer::ServiceSubscribed(lie)));
        assert_eq!(world.told(), [format!("service up {} of 3", lie.count)]);
        assert_eq!(world.agent.subscriptions().subscribed, 0, "nothing is believed");
        assert_eq!(world.accept(Some(1)), 3);
        assert_eq!((world.told(), world.associated()), (vec!["up 3".to_owned()], 3));
        let (command, expected) = world.asked_for_all();
        assert_eq!(expected, set_of(1..=3));
        world.answer(command, Ok(Answer::ServiceSubscribed(lie)));
        assert!(world.requests().is_empty() && world.told().is_empty(), "it is enough");
        world.restart(true);
        world.session(1);
        let (command, expected) = world.asked_for_all();
        let expects_lie = lie.count > 3;
        assert_eq!(expected, if expects_lie { lie } else { set_of(1..=3) });
        world.answer(command, Ok(Answer::ServiceSubscribed(lie)));
        assert_eq!(world.agent.subscriptions().subscribed, if expects_lie { 3 } else { 0 });
    }
}

/// One of them is gone at the server: it alone is refused, and is none of the service any more.
#[test]
fn a_queue_that_the_server_does_not_know_is_found_out() {
    let mut world = World::of_service(3);
    world.session(1);
    let (command, _) = world.asked_for_all();
    world.answer(command, Ok(Answer::ServiceSubscribed(set_of(2..=3))));
    let asked = world.requests();
    world.answer(asked[0].0, Err(RequestError::Server(ErrorType::Auth)));
    for (command, _) in &asked[1..] {
        let subscribed = Answer::Subscribed { service: Some(service_id(1)), message: None };
        world.answer(*command, Ok(subscribed));
    }
    assert_eq!(world.told(), ["service up 2 of 3", "Error", "up 2"]);
    assert_eq!(world.associated(), 2);
    assert_eq!(world.asked_for_all().1, set_of(2..=3));
}

/// What the server says of services that are not ours is not ours.
#[test]
fn a_subscription_of_another_service_is_none_of_ours() {
    let mut world = World::new(2);
    world.session(1);
    assert_eq!(world.accept(Some(2)), 2);
    assert_eq!((world.told(), world.associated()), (vec!["up 2".to_owned()], 0));
}

/// SUBS, SUB: an error that is about the service ends its use for an hour, and no queue is given up.
#[test]
fn a_server_that_refuses_the_service_is_used_without() {
    for is_new in [true, false] {
        let mut world = if is_new { World::new(2) } else { World::of_service(2) };
        world.session(1);
        let asked = world.requests();
        world.answer(asked[0].0, refused());
        assert_eq!(world.told(), ["Error"]);
        let (link, certificate) = world.connect();
        assert_eq!(certificate, None, "again as a service");
        world.input(AgentInput::LinkReady(link, None));
        // The answers of the other session come too late.
        asked[1..].iter().for_each(|(command, _)| world.answer(*command, refused()));
        assert_eq!(world.accept(None), 2);
        assert_eq!((world.told(), world.associated()), (vec!["up 2".to_owned()], 0));
        world.now = world.now.advanced_to(world.now.mono + Duration::from_secs(3599));
        world.input(AgentInput::LinkLost(link, BrokerErrorType::Timeout));
        let (link, certificate) = world.connect();
        assert!(certificate.is_some(), "never again as a service");
        world.input(AgentInput::LinkReady(link, Some(service_id(1))));
        assert_eq!(world.accept(Some(1)), 2);
        assert_eq!(world.associated(), 2);
    }
}

#[test]
fn a_certificate_that_is_refused_is_not_shown_the_next_time() {
    use crate::wire::error::{ErrorText, HandshakeError};
    for reason in [
        BrokerErrorType::NoService,
        BrokerErrorType::Transport(TransportError::Handshake(HandshakeError::BadService)),
        BrokerErrorType::Network(NetworkError::Tls(ErrorText::new("bad certificate".to_owned()))),
    ] {
        let mut world = World::new(1);
        let (link, certificate) = world.connect();
        assert!(certificate.is_some());
        world.input(AgentInput::LinkLost(link, reason));
        let (link, certificate) = world.connect();
        assert_eq!(certificate, None);
        world.input(AgentInput::LinkReady(link, None));
        assert_eq!(world.accept(None), 1);
    }
    // A failure that says nothing of it changes nothing.
    let mut world = World::new(1);
    let (link, _) = world.connect();
    world.input(AgentInput::LinkLost(link, BrokerErrorType::Timeout));
    assert!(world.connect().1.is_some());
}

/// The server lost the service, or does not know services any more.
#[test]
fn another_service_id_or_none_takes_the_queues_away() {
    for other in [Some(2), None] {
        let mut world = World::of_service(2);
        let (link, _) = world.connect();
        world.input(AgentInput::LinkReady(link, other.map(service_id)));
        assert_eq!(world.accept(other), 2, "each is asked for");
        assert_eq!(world.told(), ["up 2"]);
        assert_eq!(world.associated(), if other.is_some() { 2 } else { 0 });
        world.restart(true);
        let (link, _) = world.connect();
        world.input(AgentInput::LinkReady(link, other.map(service_id)));
        match other {
            Some(_) => assert_eq!(world.asked_for_all().1, set_of(1..=2)),
            None => assert_eq!(world.accept(None), 2),
        }
    }
}

#[test]
fn errors_and_silence_lead_to_a_subscription_of_each() {
    for error in [
        RequestError::Timeout,
        RequestError::Malformed,
        RequestError::Server(ErrorType::Auth),
        RequestError::Server(ErrorType::Store("full".into())),
    ] {
        let mut world = World::of_service(2);
        world.session(1);
        let (command, _) = world.asked_for_all();
        world.answer(command, Err(error));
        world.told();
        assert_eq!(world.accept(Some(1)), 2);
        assert_eq!(world.told(), ["up 2"]);
        assert!(world.requests().is_empty(), "it is not asked again");
    }
    // Another answer, which belongs to another command.
    let mut world = World::of_service(2);
    world.session(1);
    let (command, _) = world.asked_for_all();
    world.answer(command, Ok(Answer::Done));
    assert_eq!((world.told(), world.accept(Some(1))), (vec!["Error".to_owned()], 2));
}

/// The session ended before the answer: the next one asks again.
#[test]
fn a_session_that_ends_before_its_answer_leaves_nothing_behind() {
    let mut world = World::of_service(2);
    let link = world.session(1);
    let (command, _) = world.asked_for_all();
    world.input(AgentInput::LinkLost(link, BrokerErrorType::Timeout));
    assert!(world.told().is_empty(), "the app was told nothing that is not so any more");
    world.session(1);
    let (again, expected) = world.asked_for_all();
    world.answer(command, Ok(Answer::ServiceSubscribed(expected)));
    assert_eq!(world.agent.subscriptions().subscribed, 0);
    world.answer(again, Ok(Answer::ServiceSubscribed(expected)));
    assert_eq!(world.told(), ["service up 2 of 2", "up 2"]);
}

#[test]
fn a_service_that_another_took_over_is_taken_back_when_the_app_wants_it() {
    let mut world = World::of_service(3);
    let link = world.session(1);
    let (command, expected) = world.asked_for_all();
    world.answer(command, Ok(Answer::ServiceSubscribed(expected)));
    world.told();
    // Not of this service.
    world.input(AgentInput::Told(link, ClientEvent::ServiceEnd(service_id(2), expected)));
    world.input(AgentInput::Told(link, ClientEvent::ServiceEnd(EntityId::empty(), expected)));
    assert!(world.told().is_empty());
    for _ in 0..2 {
        world.input(AgentInput::Told(link, ClientEvent::ServiceEnd(service_id(1), expected)));
    }
    assert_eq!(world.told(), ["service end 3", "down 3"]);
    assert_eq!(world.agent.subscriptions().ended, 3);
    assert!(world.requests().is_empty(), "it is not taken back by itself");
    assert_eq!(world.call(Call::ResubscribeService(USER)), Ok(Reply::Done));
    let (command, expected) = world.asked_for_all();
    world.answer(command, Ok(Answer::ServiceSubscribed(expected)));
    assert_eq!(world.told(), ["service up 3 of 3", "up 3"]);
    assert!(world.call(Call::ResubscribeService(UserId(7))).is_err());
}

/// Without a service what belongs to services means nothing.
#[test]
fn a_session_of_no_service_takes_nothing_of_services() {
    let mut world = World::new(2);
    world.restart(false);
    assert_eq!(world.services().len(), 0, "what was kept of the service is forgotten");
    let (link, certificate) = world.connect();
    assert_eq!(certificate, None);
    world.input(AgentInput::LinkReady(link, None));
    assert_eq!(world.accept(Some(1)), 2);
    world.told();
    for event in [
        ClientEvent::ServiceEnd(service_id(1), set_of(1..=2)),
        ClientEvent::ServiceEnd(EntityId::empty(), set_of(1..=2)),
        ClientEvent::AllDelivered,
        ClientEvent::Error(queue_id(1), ErrorType::Internal),
    ] {
        world.input(AgentInput::Told(link, event));
    }
    assert!(world.told().is_empty() && world.requests().is_empty());
    assert_eq!((world.agent.subscriptions().subscribed, world.associated()), (2, 0));
}

/// What the server could not deliver is asked for, in pauses that a server cannot shorten.
#[test]
fn errors_of_queues_of_the_service_are_looked_into() {
    let mut world = World::of_service(2);
    let link = world.session(1);
    let (command, expected) = world.asked_for_all();
    world.answer(command, Ok(Answer::ServiceSubscribed(expected)));
    world.input(AgentInput::Told(link, ClientEvent::AllDelivered));
    assert_eq!(world.told(), ["service up 2 of 2", "up 2", "ServiceAll"]);
    for _ in 0..50 {
        world.input(AgentInput::Told(link, ClientEvent::Error(queue_id(1), ErrorType::Internal)));
        world.input(AgentInput::Told(link, ClientEvent::Error(queue_id(9), ErrorType::Internal)));
    }
    assert_eq!(world.told(), ["down 1"]);
    assert!(world.requests().is_empty());
    assert_eq!(world.wait(), Duration::from_secs(2));
    assert_eq!(world.accept(Some(1)), 1);
    assert_eq!(world.told(), ["up 1"]);
}

#[test]
fn a_service_is_switched_off_and_on() {
    let mut world = World::of_service(2);
    world.session(1);
    let (command, expected) = world.asked_for_all();
    world.answer(command, Ok(Answer::ServiceSubscribed(expected)));
    world.told();
    let switch = |is_enabled| Call::SetUserService { user: USER, is_enabled };
    assert_eq!(world.call(switch(true)), Ok(Reply::Done), "it is on");
    assert!(world.outputs.is_empty());
    let first = world.services()[0].certificate.to_vec();
    assert_eq!(world.call(switch(false)), Ok(Reply::Done));
    assert!(world.services().is_empty(), "its certificate is gone");
    let (link, certificate) = world.connect();
    assert_eq!(certificate, None);
    world.input(AgentInput::LinkReady(link, None));
    assert_eq!((world.accept(None), world.associated()), (2, 0));
    assert_eq!(world.call(switch(true)), Ok(Reply::Done));
    let (_, certificate) = world.connect();
    assert!(certificate.is_some_and(|certificate| certificate != first));
    let unknown = Call::SetUserService { user: UserId(9), is_enabled: true };
    assert_eq!(world.call(unknown), Err(AgentError::NoUser));
}

/// Sessions of single connections cannot be those of a service of many.
#[test]
fn a_service_needs_sessions_that_connections_share() {
    let mut world = World::new(1);
    let network = NetworkConfig { sessions: SessionMode::Entity, ..NetworkConfig::default() };
    world.outputs.clear();
    world.agent = Agent::new(AgentConfig { network, ..config(true) }.into(), [9; 32], world.now);
    world.drain();
    assert_eq!(world.connect().1, None);
    let call = Call::SetUserService { user: USER, is_enabled: true };
    assert_eq!(world.call(call), Err(PROHIBITED));
}

/// A certificate that is not kept is never shown.
#[test]
fn a_store_that_fails_delays_the_session() {
    let mut world = World::new(1);
    world.store.run(vec![AgentOp::DeleteService(USER, server())]).unwrap();
    world.restart(true);
    world.outputs.clear();
    world.call(Call::SetUserService { user: USER, is_enabled: false }).unwrap();
    world.outputs.clear();
    world.is_broken = true;
    world.call(Call::SetUserService { user: USER, is_enabled: true }).unwrap();
    for _ in 0..3 {
        let has_begun = world.outputs.iter().any(|output| matches!(output, AgentOutput::Connect(..)));
        assert!(!has_begun, "a session without what it needs");
        world.wait();
    }
    world.is_broken = false;
    let (_, certificate) = world.connect();
    assert_eq!(certificate, Some(world.services()[0].certificate.to_vec()));
}

/// Servers that only get messages learn nothing of the service.
#[test]
fn other_servers_see_no_certificate() {
    let mut world = World::new(1);
    world.connect();
    let other = ServerAddress::new(vec!["127.0.0.2".parse().unwrap()], None, [2; 32]).unwrap();
    let link = world.agent.links.at(USER, &other, None);
    world.agent.connect(link);
    world.drain();
    assert_eq!(world.connect().1, None);
    assert_eq!(world.services().len(), 1);
}

const USER: UserId = UserId(1);
