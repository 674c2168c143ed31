//! What an agent holds for connections in which nothing happens, and how many blocks it sends to subscribe to them: the machines of
//! the agent, its clients and the servers, without sockets. The numbers do not depend on the machine that counts them.
#![allow(clippy::print_stdout, reason = "figures for whoever asks with --nocapture")]

use std::alloc::System;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use smp_core::SeededEntropy;
use smp_core::agent::store::{AgentQuery, Found, MemoryAgentStore, QueueNumber, WaitingQueue};
use smp_core::agent::{Agent, AgentConfig, AgentInput, AgentOutput, ConnectionId, Event, LinkId, UserId};
use smp_core::client::{
    Answer, Client, ClientInput, ClientLimits, ClientOutput, CommandId, QueueKeys, Request,
};
use smp_core::server::{ConnectionId as SessionId, ServerConfig, SessionInput};
use smp_core::transport::{ClientOptions, ClientTransportConfig, ServerOptions, Transport};
use smp_core::wire::ServerAddress;
use smp_core::wire::command::SubscriptionMode;
use smp_tests::in_memory::InMemoryServer;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 10_000;
const SERVERS: usize = 3;
/// Bytes of an idle connection in the agent.
const CONNECTION_MAX: usize = 1024;
/// Subscriptions in a block.
const SUBSCRIPTIONS_MIN: usize = 80;

/// A client machine, and the server machine that it is connected to.
struct Wire {
    client: Client,
    session: SessionId,
    blocks: usize,
}

impl Wire {
    fn new(server: &mut InMemoryServer, seed: u8) -> Self {
        let config = ClientTransportConfig::new(server.key_hash(), ClientOptions::default());
        let transport = Transport::client(config.expect("a usable configuration"), [seed; 32], server.now);
        let client = Client::new(ClientLimits::default(), transport, [seed + 100; 32], server.now);
        let mut wire = Self { client, session: server.accept(), blocks: 0 };
        wire.exchange(server);
        // The rest of the handshakes is of no interest.
        wire.blocks = 0;
        wire
    }

    /// Gives it requests that are made together; lets both talk until neither has anything to say. The answers.
    fn ask(
        &mut self,
        server: &mut InMemoryServer,
        requests: impl IntoIterator<Item = (CommandId, Request)>,
    ) -> Vec<(CommandId, Answer)> {
        for (id, request) in requests {
            self.client.handle(server.now, ClientInput::Command(id, request));
        }
        self.exchange(server)
    }

    fn exchange(&mut self, server: &mut InMemoryServer) -> Vec<(CommandId, Answer)> {
        let mut answers = Vec::new();
        loop {
            while let Some(output) = self.client.poll_output() {
                match output {
                    ClientOutput::Send(bytes) => {
                        self.blocks += 1;
                        self.client.handle(server.now, ClientInput::Sent(bytes.len()));
                        server.input(self.session, SessionInput::Received(&bytes));
                    }
                    ClientOutput::Answer(id, answer) => answers.push((id, answer.expect("nothing fails"))),
                    ClientOutput::Close(reason) => panic!("{reason}"),
                    ClientOutput::Connected(_) | ClientOutput::Event(_) => {}
                }
            }
            let heard = server.take_output(self.session);
            if heard.is_empty() {
                return answers;
            }
            heard.iter().for_each(|bytes| self.client.handle(server.now, ClientInput::Received(bytes)));
        }
    }
}

fn servers() -> Vec<InMemoryServer> {
    let server = |_| InMemoryServer::new(ServerConfig::default(), ServerOptions::default());
    (0..SERVERS).map(server).collect()
}

fn address(server: &InMemoryServer, number: usize) -> ServerAddress {
    let port = 5223 + u16::try_from(number).expect("few servers");
    ServerAddress::new(vec!["127.0.0.1".parse().expect("an address")], Some(port), server.key_hash())
        .expect("one host")
}

/// Makes queues on the servers in turn, as the agent finds them in its store when it starts.
fn queues(servers: &mut [InMemoryServer]) -> Vec<WaitingQueue> {
    let mut entropy = SeededEntropy::new([1; 32]);
    let mut queues = Vec::new();
    for (at, server) in servers.iter_mut().enumerate() {
        let mut wire = Wire::new(server, 50);
        let own: Vec<_> = (at..CONNECTIONS).step_by(SERVERS).collect();
        for numbers in own.chunks(1000) {
            let keys: BTreeMap<_, _> = numbers
                .iter()
                .map(|number| (CommandId(*number as u64), QueueKeys::generate(&mut entropy)))
                .collect();
            let request = |keys: &QueueKeys| {
                Request::create(keys.new_queue(SubscriptionMode::OnlyCreate), keys.auth.clone())
            };
            let made = wire.ask(server, keys.iter().map(|(id, keys)| (*id, request(keys))));
            for (id, answer) in made {
                let Answer::Created(created) = answer else { panic!("no queue") };
                queues.push(WaitingQueue {
                    connection: ConnectionId::generate(&mut entropy),
                    user: UserId(1),
                    number: QueueNumber(1),
                    server: address(server, at),
                    recipient_id: created.recipient_id,
                    key: keys[&id].auth.clone(),
                    is_associated: false,
                });
            }
        }
    }
    queues
}

/// An agent with servers.
struct World {
    servers: Vec<InMemoryServer>,
    agent: Agent,
    outputs: VecDeque<AgentOutput>,
    wires: BTreeMap<LinkId, (usize, Wire)>,
    up: usize,
}

impl World {
    fn input(&mut self, input: AgentInput) {
        self.agent.handle(self.servers[0].now, input);
        self.outputs.extend(std::iter::from_fn(|| self.agent.poll_output()));
    }

    /// Carries out what the agent wants until it wants nothing more.
    fn run(&mut self, mut queues: Option<Vec<WaitingQueue>>) {
        self.outputs.extend(std::iter::from_fn(|| self.agent.poll_output()));
        while let Some(output) = self.outputs.pop_front() {
            match output {
                AgentOutput::Store(batch) => self.input(AgentInput::Stored(batch.id, Ok(()))),
                AgentOutput::Read(id, AgentQuery::Queues) => {
                    let queues = queues.take().expect("read once");
                    self.input(AgentInput::Read(id, Ok(Found::Queues(queues))));
                }
                // There is nothing else.
                AgentOutput::Read(id, query) => {
                    let found = MemoryAgentStore::default().read(&query);
                    self.input(AgentInput::Read(id, Ok(found)));
                }
                AgentOutput::Connect(link, server, ..) => {
                    let at = usize::from(server.port().expect("a port") - 5223);
                    let wire = Wire::new(&mut self.servers[at], u8::try_from(at).expect("few servers"));
                    self.wires.insert(link, (at, wire));
                    self.input(AgentInput::LinkReady(link, None));
                }
                AgentOutput::Request(link, id, request) => self.ask(link, id, *request),
                AgentOutput::Event(Event::Up(_, connections)) => self.up += connections.len(),
                AgentOutput::Event(event) => panic!("{event:?}"),
                AgentOutput::Reply(..) | AgentOutput::Disconnect(_) => {}
            }
        }
    }

    /// Requests that were given out together are made together, as the shell does.
    fn ask(&mut self, link: LinkId, id: CommandId, request: Request) {
        let mut requests = vec![(id, request)];
        while let Some(AgentOutput::Request(of, ..)) = self.outputs.front()
            && *of == link
            && let Some(AgentOutput::Request(_, id, request)) = self.outputs.pop_front()
        {
            requests.push((id, *request));
        }
        let (at, wire) = self.wires.get_mut(&link).expect("a session");
        for (id, answer) in wire.ask(&mut self.servers[*at], requests) {
            self.input(AgentInput::Answer(id, Ok(answer)));
        }
    }
}

#[test]
fn idle_connections_are_small_and_share_blocks() {
    let mut servers = servers();
    let queues = queues(&mut servers);
    let config = AgentConfig::default();
    let now = servers[0].now;
    let agent = Agent::new(Arc::new(config), [9; 32], now);
    let (outputs, wires) = (VecDeque::new(), BTreeMap::new());
    let mut world = World { servers, agent, outputs, wires, up: 0 };
    world.run(Some(queues));
    assert_eq!((world.up, world.wires.len(), world.agent.active_connections()), (CONNECTIONS, SERVERS, 0));

    let blocks: usize = world.wires.values().map(|(_, wire)| wire.blocks).sum();
    println!("{CONNECTIONS} connections on {SERVERS} servers are subscribed with {blocks} blocks");
    assert!(blocks * SUBSCRIPTIONS_MIN <= CONNECTIONS + SERVERS * SUBSCRIPTIONS_MIN * 3, "{blocks}");

    // What the agent holds is what is given back with it.
    let region = Region::new(ALLOCATOR);
    drop((std::mem::take(&mut world.outputs), world.agent));
    let freed = region.change();
    let held = freed.bytes_deallocated - freed.bytes_allocated;
    println!("an idle connection holds {} bytes", held / CONNECTIONS);
    assert!((100..=CONNECTION_MAX).contains(&(held / CONNECTIONS)), "{held}");
}
