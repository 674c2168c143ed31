//! The shell of the client, against the shell of the server, on a runtime in memory.

mod connecting;
mod links;
mod reconnecting;
mod serving;
mod talking;

use std::sync::Arc;
use std::time::Duration;

use smp_core::SeededEntropy;
use smp_core::client::{ClientLimits, QueueKeys};
use smp_core::crypto::{AuthPrivateKey, Ed25519PrivateKey};
use smp_core::server::ServerConfig;
use smp_core::wire::broker::CreatedQueue;
use smp_core::wire::command::{MessageFlags, SubscriptionMode};

use super::*;
use crate::server::{Server, ServerHandle};
use crate::testing::TestRuntime;
use crate::tests::{LISTENS_ON, TestStore, server_address, transport};

/// A server and the runtime that its clients share with it.
struct World {
    runtime: TestRuntime,
    store: TestStore,
    server: Option<ServerHandle<TestRuntime, TestStore>>,
}

impl World {
    fn new() -> Self {
        Self::with(ServerConfig::default())
    }

    fn with(config: ServerConfig) -> Self {
        let mut world = Self { runtime: TestRuntime::default(), store: TestStore::default(), server: None };
        world.start(config);
        world
    }

    fn start(&mut self, config: ServerConfig) {
        let server = Server::new(self.runtime.clone(), self.store.clone(), transport(), config).seed([7; 32]);
        let server = self.run(async move { server.serve(&[LISTENS_ON]).await.unwrap() });
        self.server = Some(server);
    }

    /// Ends the server as a crash does; its store is kept.
    fn crash(&mut self) {
        self.server = None;
        self.runtime.run();
    }

    fn connector(&self, seed: u8) -> Connector<TestRuntime> {
        Connector::new(self.runtime.clone()).seed([seed; 32])
    }

    fn connect(&self, seed: u8) -> (Client, Events) {
        self.connect_with(seed, ClientLimits::default(), EventLimits::default())
    }

    fn connect_with(&self, seed: u8, limits: ClientLimits, events: EventLimits) -> (Client, Events) {
        let connect = ConnectLimits { events, ..ConnectLimits::default() };
        let connector = self.connector(seed).limits(limits).connect_limits(connect);
        self.run(async move { connector.connect(&server_address()).await.unwrap() })
    }

    fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.block_on(future)
    }

    fn connections(&self) -> usize {
        self.server.as_ref().unwrap().connections()
    }
}

/// A queue and the keys of its recipient.
#[derive(Clone)]
struct Queue {
    keys: Arc<QueueKeys>,
    ids: CreatedQueue,
}

impl Queue {
    async fn create(client: &Client, seed: u8, subscribe: SubscriptionMode) -> Self {
        let keys = QueueKeys::generate(&mut SeededEntropy::new([seed; 32]));
        let ids = client.create_queue(keys.new_queue(subscribe), keys.auth.clone()).await.unwrap();
        Self { keys: Arc::new(keys), ids }
    }

    fn recipient(&self) -> (smp_core::wire::EntityId, AuthPrivateKey) {
        (self.ids.recipient_id.clone(), self.keys.auth.clone())
    }

    async fn send(&self, client: &Client, body: &'static [u8]) -> Result<(), smp_core::client::RequestError> {
        client.send(self.ids.sender_id.clone(), None, NO_FLAGS, body.into()).await
    }
}

fn auth_key(seed: u8) -> AuthPrivateKey {
    AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut SeededEntropy::new([seed; 32])))
}

const NO_FLAGS: MessageFlags = MessageFlags { notification: false };
const SECOND: Duration = Duration::from_secs(1);
