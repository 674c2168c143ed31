//! What the programs do that use the client shell: one sends numbers, the other one receives them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smp_core::client::{ClientEvent, QueueKeys, ReceivedMessage, RequestError};
use smp_core::wire::ServerAddress;
use smp_core::wire::broker::CreatedQueue;
use smp_core::wire::command::{MessageFlags, SubscriptionMode};
use smp_core::wire::error::ErrorType;
use smp_core::wire::message::ReceivedBody;
use smp_runtime::Runtime;
use smp_runtime::client::{Client, Connector, ReconnectEvent, Reconnecting, ReconnectingClient};
use smp_runtime::testing::TestRuntime;

/// What the programs have come to.
#[derive(Default)]
pub(super) struct State {
    pub(super) queue: Option<CreatedQueue>,
    /// Numbers below this one were answered OK.
    pub(super) sent: u64,
    /// Numbers that were received, in order and as often as they came.
    pub(super) received: Vec<u64>,
    pub(super) connected: u64,
    pub(super) subscribed: u64,
    /// How many numbers there are to be.
    pub(super) count: u64,
    pub(super) fault: Option<&'static str>,
}

/// The two programs, on one machine. Clones share everything.
#[derive(Clone)]
pub(super) struct App {
    pub(super) runtime: TestRuntime,
    pub(super) keys: Arc<QueueKeys>,
    pub(super) state: Arc<Mutex<State>>,
}

impl App {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The recipient: makes a queue and receives from it, through all reconnections.
    pub(super) async fn receive(self, client: ReconnectingClient, mut events: Reconnecting<TestRuntime>) {
        loop {
            match events.next().await {
                ReconnectEvent::Connected(_) => {
                    self.state().connected += 1;
                    if self.state().queue.is_none() {
                        self.runtime.spawn(self.clone().create(client.clone()));
                    }
                }
                ReconnectEvent::Subscribed(_, message) => {
                    self.state().subscribed += 1;
                    message.into_iter().for_each(|message| self.take(&client, message));
                }
                ReconnectEvent::Server(ClientEvent::Message(_, message)) => self.take(&client, message),
                ReconnectEvent::NotSubscribed { again: false, .. } => {
                    self.state().fault = Some("a subscription was forgotten");
                }
                ReconnectEvent::Server(ClientEvent::End(_) | ClientEvent::Deleted(_)) => {
                    self.state().fault = Some("a subscription was ended");
                }
                _ => {}
            }
        }
    }

    /// The sender: sends numbers one after the other, each until it is answered OK.
    pub(super) async fn send(self, connector: Connector<TestRuntime>, server: ServerAddress, count: u64) {
        while self.state().sent < count {
            let Ok((client, _events)) = connector.connect(&server).await else {
                self.pause().await;
                continue;
            };
            while self.state().sent < count {
                let number = self.state().sent;
                let queue = self.state().queue.clone();
                let Some(queue) = queue else {
                    self.pause().await;
                    continue;
                };
                let body = number.to_be_bytes().to_vec().into();
                let flags = MessageFlags { notification: false };
                match client.send(queue.sender_id, None, flags, body).await {
                    Ok(()) => self.state().sent += 1,
                    Err(RequestError::Server(_) | RequestError::Timeout) => self.pause().await,
                    Err(_) => break,
                }
            }
        }
    }

    /// Makes the queue, unless the connection ends before.
    async fn create(self, desk: ReconnectingClient) {
        let Some(client) = desk.client() else { return };
        while self.state().queue.is_none() {
            let new = self.keys.new_queue(SubscriptionMode::OnlyCreate);
            match client.create_queue(new, self.keys.auth.clone()).await {
                Ok(queue) => {
                    let id = queue.recipient_id.clone();
                    if self.state().queue.replace(queue).is_none() {
                        desk.subscribe(id, self.keys.auth.clone());
                    }
                }
                Err(RequestError::Server(_) | RequestError::Timeout) => self.pause().await,
                Err(_) => return,
            }
        }
    }

    fn take(&self, client: &ReconnectingClient, message: ReceivedMessage) {
        self.note(&message);
        if let Some(client) = client.client() {
            self.runtime.spawn(self.clone().acknowledge(client, message));
        }
    }

    /// Acknowledges a message and those that come with the answers, unless the connection ends.
    async fn acknowledge(self, client: Client, mut message: ReceivedMessage) {
        let Some(queue) = self.state().queue.as_ref().map(|queue| queue.recipient_id.clone()) else { return };
        loop {
            match client.acknowledge(queue.clone(), self.keys.auth.clone(), message.id.clone()).await {
                Ok(Some(next)) => {
                    self.note(&next);
                    message = next;
                }
                Err(RequestError::Server(ErrorType::Store(_)) | RequestError::Timeout) => self.pause().await,
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn note(&self, message: &ReceivedMessage) {
        let mut state = self.state();
        let secret = state.queue.as_ref().and_then(|queue| self.keys.secret(queue).ok());
        match secret.and_then(|secret| message.open(&secret).ok()) {
            Some(ReceivedBody::Message { body, .. }) => match body.as_ref().try_into() {
                Ok(number) => state.received.push(u64::from_be_bytes(number)),
                Err(_) => state.fault = Some("a message is not what was sent"),
            },
            Some(ReceivedBody::QuotaExceeded { .. }) => {}
            None => state.fault = Some("a message cannot be opened"),
        }
    }

    async fn pause(&self) {
        self.runtime.sleep_until(self.runtime.now().mono + Duration::from_secs(1)).await;
    }
}
