//! The server's side: one thread has all machines, others accept and read (`sockets.rs`).
//!
//! It writes where it works, so a peer that takes nothing holds up the others for [`PATIENCE`]: it is to show what the machines need. The shells of
//! `smp-runtime` do better, and bound what peers may do besides.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use smp_core::SeededEntropy;
use smp_core::server::store::MemoryStore;
use smp_core::server::{
    Broker, BrokerInput, BrokerOutput, ConnectionId, ServerConfig, Session, SessionInput, SessionOutput,
};
use smp_core::transport::identity::ServerIdentity;
use smp_core::transport::{ServerOptions, ServerTransportConfig, Transport};
use smp_examples::{Clock, Outcome, entropy};

use crate::sockets::{News, Told, accept};

/// Serves on a free port of this machine, until the program ends.
pub(crate) fn start(identity: ServerIdentity) -> Outcome<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (clock, mut config) = (Clock::start(), ServerConfig::default());
    config.proxy = false;
    let config = Arc::new(config);
    let machines = Machines {
        broker: Broker::new(config.clone(), clock.now()),
        config,
        transport: ServerTransportConfig::new(identity, ServerOptions::default())?,
        store: MemoryStore::new(),
        connections: BTreeMap::new(),
        entropy: entropy()?,
        clock,
    };
    // Bounded: who reads waits while the machines are behind, and so do the peers.
    let (tell, told) = sync_channel(64);
    thread::spawn(move || machines.run(&told));
    thread::spawn(move || accept(&listener, &tell));
    Ok(address)
}

/// The machines of a server, and what they have not themselves.
struct Machines {
    config: Arc<ServerConfig>,
    transport: ServerTransportConfig,
    broker: Broker,
    store: MemoryStore,
    connections: BTreeMap<ConnectionId, (Session, TcpStream)>,
    entropy: SeededEntropy,
    clock: Clock,
}

impl Machines {
    fn run(mut self, told: &Receiver<Told>) {
        loop {
            let sessions = self.connections.values().filter_map(|(session, _)| session.poll_timeout());
            let due = sessions.chain(self.broker.poll_timeout()).min();
            let wait = due.map_or(PATIENCE, |due| due.since(self.clock.now().mono));
            match told.recv_timeout(wait) {
                Ok((id, News::Accepted(stream))) => self.accept(id, stream),
                Ok((id, News::Read(bytes))) if bytes.is_empty() => self.session(id, SessionInput::Eof),
                Ok((id, News::Read(bytes))) => self.session(id, SessionInput::Received(&bytes)),
                Err(RecvTimeoutError::Timeout) => {
                    self.broker(BrokerInput::Timeout);
                    let ids: Vec<_> = self.connections.keys().copied().collect();
                    ids.into_iter().for_each(|id| self.session(id, SessionInput::Timeout));
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn accept(&mut self, id: ConnectionId, stream: TcpStream) {
        // Without it a peer could hold up the others for longer, or its answers come late, and that is all.
        _ = stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        let (now, seed) = (self.clock.now(), self.entropy.fork_seed());
        let transport = Transport::server(self.transport.clone(), self.entropy.fork_seed(), now);
        let session = Session::new(self.config.clone(), transport, seed, now);
        self.connections.insert(id, (session, stream));
    }

    /// Gives a session an input, and carries out what it wants, in order.
    fn session(&mut self, id: ConnectionId, input: SessionInput<'_>) {
        let now = self.clock.now();
        if let Some((session, _)) = self.connections.get_mut(&id) {
            session.handle(now, input);
        }
        while let Some((session, stream)) = self.connections.get_mut(&id)
            && let Some(output) = session.poll_output()
        {
            match output {
                SessionOutput::Send(bytes) => match stream.write_all(&bytes) {
                    Ok(()) => session.handle(now, SessionInput::Sent(bytes.len())),
                    Err(_) => session.handle(now, SessionInput::Eof),
                },
                SessionOutput::LookUp(number, keys) => {
                    let found = keys.iter().map(|key| Ok(self.store.look_up(key))).collect();
                    session.handle(now, SessionInput::LookedUp(number, Ok(found)));
                }
                SessionOutput::ToBroker(request) => self.broker(BrokerInput::Request(id, request)),
                SessionOutput::Close(_) => {
                    // Whoever reads from it hears that it is over; it may be over already.
                    _ = stream.shutdown(Shutdown::Both);
                    self.connections.remove(&id);
                    self.broker(BrokerInput::Disconnected(id));
                }
                // Nothing is counted, and by the configuration no names are resolved and it is no proxy.
                SessionOutput::Event(_) | SessionOutput::Resolve(..) | SessionOutput::ToProxy(_) => {}
            }
        }
    }

    /// Likewise for the broker. The store answers at once.
    fn broker(&mut self, input: BrokerInput) {
        let now = self.clock.now();
        self.broker.handle(now, input);
        while let Some(output) = self.broker.poll_output() {
            match output {
                BrokerOutput::Store(batch) => {
                    let results = self.store.run(batch.ops);
                    self.broker.handle(now, BrokerInput::StoreDone(batch.id, Ok(results)));
                }
                BrokerOutput::Reply(id, reply) => self.session(id, SessionInput::FromBroker(reply)),
                BrokerOutput::Moderated(..) => {}
            }
        }
    }
}

/// How long a peer may take nothing.
const PATIENCE: Duration = Duration::from_secs(5);
