//! What the order of inputs must not change. Conversations are played with the shell, in the runtime crate.

use super::store::{AgentOp, BatchId, MemoryAgentStore};
use super::*;
use crate::crypto::X25519PrivateKey;
use crate::time::UnixTime;
use crate::wire::agent::{LinkDataError, PeerError};
use crate::wire::broker::CreatedQueue;
use crate::wire::link::ContactDetails;
use crate::wire::{ConnectionRequest, EntityId, Host, QueueMode};

const NOW: Now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_700_000_000) };

/// An agent whose store answers when the test says so.
struct World {
    agent: Agent,
    store: MemoryAgentStore,
    outputs: VecDeque<AgentOutput>,
}

impl World {
    /// One that does not know yet what there is.
    fn fresh() -> Self {
        let address = ServerAddress::new(vec!["127.0.0.1".parse::<Host>().unwrap()], None, [1; 32]).unwrap();
        let users = [UserId(1), UserId(2)].map(|user| (user, vec![UserServer::new(address.clone())]));
        let config = AgentConfig { servers: users.into(), ..AgentConfig::default() };
        let agent = Agent::new(Arc::new(config), [7; 32], NOW);
        let mut world = Self { agent, store: MemoryAgentStore::new(), outputs: VecDeque::new() };
        world.drain();
        world
    }

    fn new() -> Self {
        let mut world = Self::fresh();
        assert!(world.serve_all().is_empty(), "a start asks the store alone");
        world
    }

    fn input(&mut self, input: AgentInput) {
        self.agent.handle(NOW, input);
        self.drain();
    }

    fn drain(&mut self) {
        self.outputs.extend(std::iter::from_fn(|| self.agent.poll_output()));
    }

    /// The store does what is next.
    fn serve(&mut self) {
        match self.outputs.pop_front() {
            Some(AgentOutput::Store(batch)) => self.store_batch(batch.id, batch.ops),
            Some(AgentOutput::Read(id, query)) => {
                let found = self.store.read(&query);
                self.input(AgentInput::Read(id, Ok(found)));
            }
            _ => panic!("nothing for the store"),
        }
    }

    fn store_batch(&mut self, id: BatchId, ops: Vec<AgentOp>) {
        self.store.run(ops).unwrap();
        self.input(AgentInput::Stored(id, Ok(())));
    }

    /// The store does all that it is asked; what else is asked.
    fn serve_all(&mut self) -> Vec<AgentOutput> {
        let mut others = Vec::new();
        while let Some(output) = self.outputs.pop_front() {
            match output {
                output @ (AgentOutput::Store(_) | AgentOutput::Read(..)) => {
                    self.outputs.push_front(output);
                    self.serve();
                }
                output => others.push(output),
            }
        }
        others
    }

    fn connect(&mut self) -> LinkId {
        let Some(AgentOutput::Connect(link, ..)) = self.outputs.pop_front() else {
            panic!("no session wanted")
        };
        self.input(AgentInput::LinkReady(link, None));
        link
    }

    /// Makes an invitation; its session and its connection.
    fn invite(&mut self) -> (LinkId, ConnectionId) {
        let (link, connection, _) = self.invitation();
        (link, connection)
    }

    fn invitation(&mut self) -> (LinkId, ConnectionId, Box<ConnectionRequest>) {
        self.input(AgentInput::Call(CallId(1), Call::Invite { user: UserId(1), pq: false.into() }));
        let link = self.connect();
        let command = self.request();
        self.input(AgentInput::Answer(command, Ok(created())));
        let made = self.serve_all().into_iter().find_map(|output| match output {
            AgentOutput::Reply(_, Ok(Reply::Invitation(connection, request))) => Some((connection, request)),
            _ => None,
        });
        let (connection, request) = made.expect("an invitation");
        (link, connection, request)
    }

    fn request(&mut self) -> CommandId {
        let Some(AgentOutput::Request(_, command, _)) = self.outputs.pop_front() else {
            panic!("no request")
        };
        command
    }
}

fn created() -> Answer {
    Answer::Created(Box::new(CreatedQueue {
        recipient_id: EntityId::new(&[1; 24]).unwrap(),
        sender_id: EntityId::new(&[2; 24]).unwrap(),
        dh_key: X25519PrivateKey::generate(&mut SeededEntropy::new([3; 32])).public(),
        mode: Some(QueueMode::Messaging),
        link_id: None,
        service_id: None,
        notifier: None,
    }))
}

/// The session that made a queue ends while the queue is stored, and there is another one before it is: the queue is subscribed
/// there.
#[test]
fn a_queue_is_subscribed_again_when_its_session_ended_before_it_was_stored() {
    for is_back in [false, true] {
        let mut world = World::new();
        world.input(AgentInput::Call(CallId(1), Call::Invite { user: UserId(1), pq: false.into() }));
        let link = world.connect();
        let command = world.request();
        world.input(AgentInput::Answer(command, Ok(created())));
        let Some(AgentOutput::Store(batch)) = world.outputs.pop_front() else { panic!("nothing is stored") };
        world.input(AgentInput::LinkLost(link, BrokerErrorType::Timeout));
        if is_back {
            // Else the failure is remembered.
            world.input(AgentInput::Call(CallId(3), Call::Reconnect(None)));
            assert!(matches!(world.outputs.pop_front(), Some(AgentOutput::Reply(CallId(3), Ok(_)))));
            world.input(AgentInput::Call(CallId(2), Call::Invite { user: UserId(1), pq: false.into() }));
            world.connect();
            world.request();
        }
        world.store_batch(batch.id, batch.ops);
        match world.outputs.pop_front() {
            Some(AgentOutput::Request(_, _, _)) if is_back => {}
            Some(AgentOutput::Connect(again, ..)) if !is_back => assert_eq!(again, link),
            _ => panic!("the queue waits for nothing"),
        }
        assert!(matches!(world.outputs.pop_front(), Some(AgentOutput::Reply(CallId(1), Ok(_)))));
    }
}

/// A server that knows no links makes a queue to which a prepared link does not lead: the call fails, and the queue is deleted, also
/// after a crash.
#[test]
fn a_queue_to_which_a_prepared_link_does_not_lead_is_deleted() {
    let mut world = World::new();
    let prepare = Call::PrepareLink { user: UserId(1), identity: Box::default() };
    world.input(AgentInput::Call(CallId(1), prepare));
    let Some(AgentOutput::Reply(_, Ok(Reply::Prepared(prepared)))) = world.outputs.pop_front() else {
        panic!("nothing was prepared")
    };
    let contact = ContactDetails { direct: true, owners: Vec::new(), relays: Vec::new() };
    let content = Box::new(LinkContent { contact: Some(Box::new(contact)), data: "data".into() });
    world.input(AgentInput::Call(CallId(2), Call::CreateForLink { prepared: prepared.clone(), content }));
    world.serve();
    world.connect();
    let command = world.request();
    world.input(AgentInput::Answer(command, Ok(created())));
    assert_eq!(world.store.connections(), 0);
    world.serve();
    assert_eq!(world.store.connections(), 1, "it is kept until its queue is deleted");
    let mut answered = None;
    let mut deleted = None;
    while let Some(output) = world.outputs.pop_front() {
        match output {
            AgentOutput::Reply(CallId(2), reply) => answered = Some(reply),
            AgentOutput::Request(_, command, _) => deleted = Some(command),
            _ => {}
        }
    }
    assert_eq!(answered, Some(Err(AgentError::Peer(PeerError::Link(LinkDataError::Address)))));
    world.input(AgentInput::Answer(deleted.expect("DEL"), Ok(Answer::Done)));
    world.serve();
    assert_eq!(world.store.connections(), 0);
}

/// A queue is given to another user and back: what ended before its last SUB, and is told behind that, does not end it.
#[test]
fn what_ended_before_a_subscription_does_not_end_it() {
    let mut world = World::new();
    let (link, connection) = world.invite();
    let give = |world: &mut World, user| {
        world.input(AgentInput::Call(CallId(2), Call::ChangeUser { connection, user: UserId(user) }));
        let outputs = world.serve_all();
        assert!(outputs.iter().any(|output| matches!(output, AgentOutput::Reply(_, Ok(Reply::Done)))));
        outputs
    };
    give(&mut world, 2);
    let outputs = give(&mut world, 1);
    let subscribe = outputs.iter().find_map(|output| match output {
        AgentOutput::Request(of, command, _) if *of == link => Some(*command),
        _ => None,
    });
    world.input(AgentInput::Told(link, ClientEvent::End(EntityId::new(&[1; 24]).unwrap())));
    let answer = Answer::Subscribed { service: None, message: None };
    world.input(AgentInput::Answer(subscribe.expect("SUB"), Ok(answer)));
    assert_eq!(world.agent.subscriptions().subscribed, 1);
    // But what ends behind it does.
    world.input(AgentInput::Told(link, ClientEvent::End(EntityId::new(&[1; 24]).unwrap())));
    assert_eq!(world.agent.subscriptions().subscribed, 0);
}

/// The call came before the agent knew what there is.
#[test]
fn a_user_who_is_deleted_at_the_start_is_deleted_once() {
    let mut world = World::fresh();
    let delete = Call::DeleteUser { user: UserId(2), keep_queues: false };
    world.input(AgentInput::Call(CallId(1), delete));
    let told = world.serve_all();
    let is_told = |output: &&AgentOutput| matches!(output, AgentOutput::Event(Event::UserDeleted(UserId(2))));
    assert_eq!(told.iter().filter(is_told).count(), 1);
}

/// The same, and the SUB of the former user's session comes to the server last.
#[test]
fn a_subscription_that_the_agent_took_from_itself_is_made_anew() {
    let mut world = World::new();
    let (link, connection) = world.invite();
    let mut commands = Vec::new();
    for user in [2, 1] {
        world.input(AgentInput::Call(CallId(2), Call::ChangeUser { connection, user: UserId(user) }));
        for output in world.serve_all() {
            match output {
                AgentOutput::Connect(of, ..) => world.input(AgentInput::LinkReady(of, None)),
                AgentOutput::Request(_, command, _) => commands.push(command),
                _ => {}
            }
        }
        let more = world.serve_all().into_iter();
        commands.extend(more.filter_map(|output| match output {
            AgentOutput::Request(_, command, _) => Some(command),
            _ => None,
        }));
    }
    assert_eq!(commands.len(), 2);
    for command in commands.into_iter().rev() {
        let answer = Answer::Subscribed { service: None, message: None };
        world.input(AgentInput::Answer(command, Ok(answer)));
    }
    world.input(AgentInput::Told(link, ClientEvent::End(EntityId::new(&[1; 24]).unwrap())));
    assert_eq!(world.agent.subscriptions().waiting, 1);
}

/// The command that is about to be carried out is given up with its connection, and makes no other one.
#[test]
fn a_command_that_was_given_up_makes_no_connection() {
    let mut world = World::new();
    let (_, _, request) = world.invitation();
    let at = ConnectionId::new([9; 12]);
    let join = Call::Join { connection: at, user: UserId(1), request, info: "bob".into(), pq: false };
    let durable = |number: &str, call| Call::Durable { correlation: number.into(), call: Box::new(call) };
    world.input(AgentInput::Call(CallId(2), durable("1", join)));
    world.input(AgentInput::Call(CallId(3), durable("2", Call::Rejoin(at))));
    // The first is kept, and carried out when the second is kept too, if the connection is not deleted before.
    while world.outputs.iter().all(|output| !matches!(output, AgentOutput::Reply(CallId(2), _))) {
        world.serve();
    }
    let is_reply = |output: &AgentOutput| matches!(output, AgentOutput::Reply(..));
    world.outputs.retain(|output| !is_reply(output));
    world.input(AgentInput::Call(CallId(4), Call::Delete { connection: at, wait_delivery: false }));
    let others = world.serve_all();
    assert!(others.iter().any(|output| matches!(output, AgentOutput::Reply(CallId(4), Ok(Reply::Done)))));
    assert!(!others.iter().any(|output| matches!(output, AgentOutput::Request(..))), "it is not carried out");
    assert!(matches!(world.store.read(&AgentQuery::Connection(at)), Found::Connection(None)));
}
