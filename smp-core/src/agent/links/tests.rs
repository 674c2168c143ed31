//! Subscriptions in batches, pauses, and failures that are remembered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::super::store::{AgentQuery, Found, QueueNumber, WaitingQueue};
use super::super::{
    Agent, AgentConfig, AgentInput, AgentOutput, Call, CallId, ConnectionId, Event, UserId, UserServer,
};
use super::LinkId;
use crate::client::{Answer, ClientEvent, CommandId, RequestError};
use crate::crypto::{AuthPrivateKey, Ed25519PrivateKey};
use crate::entropy::SeededEntropy;
use crate::time::{Now, Timestamp, UnixTime};
use crate::wire::agent::AgentError;
use crate::wire::error::{BrokerErrorType, ErrorType, NetworkError};
use crate::wire::{EntityId, ServerAddress};

/// An agent that has these many queues on one server.
struct World {
    agent: Agent,
    now: Now,
    outputs: VecDeque<AgentOutput>,
}

impl World {
    fn new(queues: u8, seed: u8) -> Self {
        let mut config = AgentConfig::default();
        config.limits.subscriptions = 2;
        config.servers.insert(UserId(1), vec![UserServer::new(server())]);
        let now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_700_000_000) };
        let agent = Agent::new(Arc::new(config), [seed; 32], now);
        let mut world = Self { agent, now, outputs: VecDeque::new() };
        world.drain();
        let mut others = VecDeque::new();
        while let Some(output) = world.outputs.pop_front() {
            match output {
                AgentOutput::Read(id, AgentQuery::LastUser) => {
                    world.input(AgentInput::Read(id, Ok(Found::LastUser(UserId(0)))));
                }
                AgentOutput::Read(id, AgentQuery::Users) => {
                    world.input(AgentInput::Read(id, Ok(Found::Users(Vec::new()))));
                }
                AgentOutput::Read(id, AgentQuery::Queues) => {
                    let queues = (0..queues).map(queue).collect();
                    world.input(AgentInput::Read(id, Ok(Found::Queues(queues))));
                }
                AgentOutput::Read(id, AgentQuery::Services) => {
                    world.input(AgentInput::Read(id, Ok(Found::Services(Vec::new()))));
                }
                AgentOutput::Read(id, AgentQuery::Notices) => {
                    world.input(AgentInput::Read(id, Ok(Found::Notices(Vec::new()))));
                }
                AgentOutput::Read(id, _) => {
                    world.input(AgentInput::Read(id, Ok(Found::Connections(Vec::new()))));
                }
                other => others.push_back(other),
            }
        }
        world.outputs = others;
        world
    }

    fn input(&mut self, input: AgentInput) {
        self.agent.handle(self.now, input);
        assert_eq!(self.agent.links.check(), Ok(()));
        self.drain();
    }

    /// What is to be kept is kept at once.
    fn drain(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                AgentOutput::Store(batch) => {
                    self.agent.handle(self.now, AgentInput::Stored(batch.id, Ok(())));
                }
                output => self.outputs.push_back(output),
            }
        }
    }

    /// When something is due of a session.
    fn due(&self) -> Option<Timestamp> {
        self.agent.links.next_due()
    }

    /// Lets the time of a session come; how long that took.
    fn wait(&mut self) -> Duration {
        assert!(self.outputs.is_empty(), "something is to be done before");
        let due = self.due().expect("a time");
        let passed = due.since(self.now.mono);
        self.now = self.now.advanced_to(due);
        self.input(AgentInput::Timeout);
        passed
    }

    fn connect(&mut self) -> LinkId {
        match self.outputs.pop_front() {
            Some(AgentOutput::Connect(link, ..)) => link,
            _ => panic!("no session is made"),
        }
    }

    /// The requests that were given out.
    fn requests(&mut self) -> Vec<CommandId> {
        let mut requests = Vec::new();
        while let Some(AgentOutput::Request(_, command, _)) = self.outputs.front() {
            requests.push(*command);
            self.outputs.pop_front();
        }
        requests
    }

    fn subscribe(&mut self, commands: &[CommandId]) {
        for command in commands {
            let answer = Answer::Subscribed { service: None, message: None };
            self.input(AgentInput::Answer(*command, Ok(answer)));
        }
    }

    /// The session is there, and the only queue is subscribed.
    fn subscribe_all(&mut self) -> LinkId {
        let link = self.connect();
        self.input(AgentInput::LinkReady(link, None));
        let batch = self.requests();
        self.subscribe(&batch);
        assert_eq!(self.up(), 1);
        link
    }

    /// The server says that somebody else subscribed the first queue.
    fn end(&mut self, link: LinkId) {
        self.input(AgentInput::Told(link, ClientEvent::End(queue(0).recipient_id)));
        assert!(matches!(self.outputs.pop_front(), Some(AgentOutput::Event(Event::Down(..)))));
    }

    fn refuse(&mut self, command: CommandId, error: ErrorType) {
        self.input(AgentInput::Answer(command, Err(RequestError::Server(error))));
    }

    fn up(&mut self) -> usize {
        match self.outputs.pop_front() {
            Some(AgentOutput::Event(Event::Up(_, connections))) => connections.len(),
            _ => panic!("not told that they are up"),
        }
    }
}

fn server() -> ServerAddress {
    ServerAddress::new(vec!["127.0.0.1".parse().unwrap()], None, [1; 32]).unwrap()
}

fn queue(number: u8) -> WaitingQueue {
    let key = Ed25519PrivateKey::generate(&mut SeededEntropy::new([number; 32]));
    WaitingQueue {
        connection: ConnectionId::new([number; 12]),
        user: UserId(1),
        number: QueueNumber(1),
        server: server(),
        recipient_id: EntityId::new(&[number; 24]).unwrap(),
        key: AuthPrivateKey::Ed25519(key),
        is_associated: false,
    }
}

/// A batch begins when the one before has its answers; a queue that cannot be subscribed waits alone, longer each time.
#[test]
fn queues_are_subscribed_in_batches_and_one_that_fails_waits_alone() {
    let mut world = World::new(5, 1);
    let link = world.connect();
    world.input(AgentInput::LinkReady(link, None));
    let batch = world.requests();
    world.subscribe(&batch[..1]);
    assert!(batch.len() == 2 && world.outputs.is_empty(), "the next batch waits");
    world.subscribe(&batch[1..]);
    assert_eq!(world.up(), 2);
    let batch = world.requests();
    world.refuse(batch[0], ErrorType::Internal);
    world.input(AgentInput::Answer(batch[1], Err(RequestError::Timeout)));
    let batch = world.requests();
    assert_eq!(batch.len(), 1);
    world.subscribe(&batch);
    assert_eq!(world.up(), 1);
    assert_eq!(world.wait(), Duration::from_secs(2));
    let mut batch = world.requests();
    world.subscribe(&batch[..1]);
    let mut last = Duration::from_secs(2);
    for _ in 0..20 {
        world.refuse(batch.pop().unwrap(), ErrorType::Store("full".into()));
        world
            .outputs
            .retain(|output| !matches!(output, AgentOutput::Event(Event::Up(_, up)) if up.len() == 1));
        let waited = world.wait();
        let expected = (last * 3 / 2).min(Duration::from_secs(180));
        assert!(waited.abs_diff(expected) < Duration::from_millis(1), "{waited:?} of {expected:?}");
        last = waited;
        batch = world.requests();
    }
    world.subscribe(&batch);
    assert_eq!(world.up(), 1);
    assert!(world.outputs.is_empty(), "nothing else happened to the session");
}

/// What the server will never take is told, and is tried again when the app wants it.
#[test]
fn a_queue_that_is_refused_is_told_and_the_others_are_not_concerned() {
    let mut world = World::new(2, 1);
    let link = world.connect();
    world.input(AgentInput::LinkReady(link, None));
    let batch = world.requests();
    world.refuse(batch[0], ErrorType::Auth);
    assert!(matches!(
        world.outputs.pop_front(),
        Some(AgentOutput::Event(Event::Error(Some(_), AgentError::Smp { error: ErrorType::Auth, .. })))
    ));
    world.subscribe(&batch[1..]);
    assert_eq!(world.up(), 1);
    assert_eq!(world.due(), None, "it is not tried again");
}

#[test]
fn a_server_that_ends_is_tried_after_pauses_that_grow_and_differ() {
    let pauses = |seed: u8| -> Vec<Duration> {
        let mut world = World::new(1, seed);
        let mut link = world.connect();
        let mut expected = Duration::from_secs(2);
        let pauses = (0..20).map(|_| {
            world.input(AgentInput::LinkLost(link, BrokerErrorType::Timeout));
            let mut passed = Duration::ZERO;
            while world.outputs.is_empty() {
                passed += world.wait();
            }
            assert!(passed >= expected * 3 / 4 && passed <= expected * 5 / 4, "{passed:?} of {expected:?}");
            expected = (expected * 3 / 2).min(Duration::from_secs(180));
            link = world.connect();
            passed
        });
        pauses.collect()
    };
    let (one, two) = (pauses(1), pauses(2));
    assert!(one.iter().zip(&two).all(|(one, two)| one != two));
}

/// Requests do not begin a storm of attempts, and say why they fail; after a moment one begins an attempt before the pause is
/// over.
#[test]
fn a_failure_is_remembered_for_a_moment() {
    let mut world = World::new(1, 1);
    let mut link = world.connect();
    for _ in 0..12 {
        world.input(AgentInput::LinkLost(link, BrokerErrorType::Network(NetworkError::Failed)));
        let due = world.due().unwrap();
        if due.since(world.now.mono) > Duration::from_secs(20) {
            break;
        }
        world.wait();
        link = world.connect();
    }
    let invite = |world: &mut World, id: u64| {
        world.input(AgentInput::Call(CallId(id), Call::Invite { user: UserId(1), pq: false.into() }));
        world.outputs.pop_front()
    };
    for id in 1..50 {
        match invite(&mut world, id) {
            Some(AgentOutput::Reply(_, Err(AgentError::Broker { error, .. }))) => {
                assert_eq!(error, BrokerErrorType::Network(NetworkError::Failed));
            }
            _ => panic!("a storm"),
        }
    }
    world.now = world.now.advanced_to(world.now.mono + Duration::from_secs(3));
    assert!(matches!(invite(&mut world, 50), Some(AgentOutput::Connect(..))));
    assert!(invite(&mut world, 51).is_none(), "it waits for that attempt");
}

/// What can only be told once is told once, though the server is tried for ever.
#[test]
fn a_server_that_cannot_be_used_is_told_once() {
    let mut world = World::new(1, 1);
    let mut link = world.connect();
    let mut told = 0;
    for _ in 0..5 {
        world.input(AgentInput::LinkLost(link, BrokerErrorType::NoService));
        told += usize::from(matches!(world.outputs.front(), Some(AgentOutput::Event(Event::Error(None, _)))));
        world.outputs.clear();
        while world.outputs.is_empty() {
            world.wait();
        }
        link = world.connect();
    }
    assert_eq!(told, 1);
}

/// A session that ended may have left a SUB that comes to the server later than that of the next one, also one of the process before.
/// What it takes is subscribed once more. If that is taken again, another agent has the queue, and the app was told.
#[test]
fn what_an_earlier_session_asks_late_does_not_leave_a_queue_unsubscribed() {
    let mut world = World::new(1, 1);
    let link = world.subscribe_all();
    world.end(link);
    assert_eq!(world.wait(), Duration::from_secs(2));
    assert_eq!(world.requests().len(), 1, "SUB once more");
    // That one has no answer, and may come late too.
    world.input(AgentInput::LinkLost(link, BrokerErrorType::Timeout));
    while world.outputs.is_empty() {
        world.wait();
    }
    let link = world.subscribe_all();
    world.end(link);
    world.wait();
    let batch = world.requests();
    world.subscribe(&batch);
    assert_eq!(world.up(), 1);
    world.end(link);
    assert_eq!(world.agent.subscriptions().ended, 1, "another agent has it");
}

/// After a while nothing of an earlier session is on its way: another agent has the queue.
#[test]
fn what_ends_later_was_taken_by_another_agent() {
    for (seconds, ended) in [(119, 0), (120, 1)] {
        let mut world = World::new(1, 1);
        let link = world.subscribe_all();
        world.now = world.now.advanced_to(world.now.mono + Duration::from_secs(seconds));
        world.end(link);
        assert_eq!(world.agent.subscriptions().ended, ended, "after {seconds} s");
    }
}

/// An earlier session whose SUB was answered has nothing on its way.
#[test]
fn a_session_whose_subscriptions_were_answered_takes_nothing_later() {
    let mut world = World::new(1, 1);
    let mut link = world.subscribe_all();
    world.end(link);
    world.wait();
    let batch = world.requests();
    world.subscribe(&batch);
    assert_eq!(world.up(), 1);
    world.input(AgentInput::LinkLost(link, BrokerErrorType::Timeout));
    assert!(matches!(world.outputs.pop_front(), Some(AgentOutput::Event(Event::Down(..)))));
    while world.outputs.is_empty() {
        world.wait();
    }
    link = world.subscribe_all();
    world.end(link);
    assert_eq!(world.agent.subscriptions().ended, 1);
}

/// A queue goes to the session of another user while its SUB is on its way, and comes back. The answer to that SUB says nothing of the
/// subscription, which the other session may have ended since; that to the next one does.
#[test]
fn the_answer_to_an_earlier_request_is_not_that_to_the_last() {
    let mut world = World::new(1, 1);
    let link = world.connect();
    world.input(AgentInput::LinkReady(link, None));
    let first = world.requests();
    world.agent.links.unwatch(UserId(1), &server(), &queue(0).recipient_id);
    world.agent.links.add_queue(queue(0), None);
    world.agent.subscribe(link);
    world.drain();
    let second = world.requests();
    world.subscribe(&first);
    assert_eq!(world.agent.subscriptions().subscribed, 0);
    world.input(AgentInput::Told(link, ClientEvent::End(queue(0).recipient_id)));
    assert!(world.outputs.is_empty(), "what ended came before the SUB that is on its way");
    world.subscribe(&second);
    assert_eq!((world.up(), world.agent.subscriptions().subscribed), (1, 1));
}
