//! A server behind its handshake: the input is a program of what its peers do, with good signatures and bad ones.
//!
//! Beside the assertions of `world`, each block that the server sends is read as a client reads it and compared with
//! what is known of the queues: who is subscribed, which message was acknowledged, which command waits for its answer.

mod newer;
mod peer;
mod queues;
pub(crate) mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use smp_core::server::{ConnectionId, Moderation, SessionInput};
use smp_core::wire::command::{MessageFlags, NewQueue, QueueRequestData, SubscriptionMode};
use smp_core::wire::error::{BlockingInfo, BlockingReason};
use smp_core::wire::{Command, CorrelationId, EntityId, MessageId, ServiceRole};

use self::peer::Peer;
use self::queues::{Asked, Fate, NewKeys, Queues, body};
use self::world::World;
use crate::input::Input;

/// What peers do to a server.
///
/// # Panics
/// When the server breaks a promise.
pub fn server(bytes: &[u8]) {
    let mut run = Run { world: World::new(), peers: BTreeMap::new(), queues: Queues::default() };
    let mut input = Input::new(bytes);
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        run.step(&mut input);
        run.check();
    }
    run.end();
}

struct Run {
    world: World,
    peers: BTreeMap<ConnectionId, Peer>,
    queues: Queues,
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.u8();
        let Some(id) = self.choose(input) else { return self.connect(input) };
        match operation % 16 {
            // High, so that older inputs say what they said.
            _ if operation >= 240 => self.moderate(input),
            _ if operation >= 224 => self.connect_service(input),
            0 => self.connect(input),
            1 => self.raw(id, input),
            2 => self.world.set_slow(id, input.below(2) == 1),
            3 => self.world.pass(Duration::from_millis(1 << input.below(28))),
            4 => self.world.store_fails = input.below(4) == 3,
            5 if input.below(2) == 0 => self.world.input(id, SessionInput::Eof),
            5 => self.world.input(id, SessionInput::Stop),
            6 => self.content(id, input.slice()),
            _ => self.commands(id, input),
        }
    }

    /// One of the peers, if there is any.
    fn choose(&self, input: &mut Input<'_>) -> Option<ConnectionId> {
        if self.peers.is_empty() {
            return None;
        }
        self.peers.keys().nth(input.below(self.peers.len())).copied()
    }

    fn connect(&mut self, input: &mut Input<'_>) {
        if self.peers.len() >= PEERS_MAX {
            return;
        }
        let version = input.version();
        self.say_hello(Peer::new(version));
    }

    fn connect_service(&mut self, input: &mut Input<'_>) {
        if self.peers.len() >= PEERS_MAX {
            return;
        }
        let role = if input.below(2) == 0 { ServiceRole::Messaging } else { ServiceRole::Notifier };
        let version = input.version();
        let peer = Peer::new_service(version, role, &mut self.world.entropy);
        self.say_hello(peer);
    }

    fn say_hello(&mut self, mut peer: Peer) {
        let id = self.world.accept(Peer::SESSION_ID, peer.certificates());
        self.world.receive(id, &peer.hello());
        let is_welcome = peer.be_welcomed(self.world.take_greeting(id));
        // A service is turned away when the store cannot say who it is.
        assert!(is_welcome || self.world.store_fails, "a service was turned away");
        if is_welcome {
            self.peers.insert(id, peer);
        }
    }

    /// The operator blocks a queue, ends that, or deletes it.
    fn moderate(&mut self, input: &mut Input<'_>) {
        let (kind, index) = (input.below(8), input.below(self.queues.len().max(1)));
        let Some(queue) = self.queues.at_mut(index) else { return };
        let id = queue.recipient.clone();
        let reason = if kind == 0 { BlockingReason::Spam } else { BlockingReason::Content };
        let (moderation, fate) = match kind {
            0..4 => (Moderation::Block(id, BlockingInfo { reason, notice: None }), Fate::Blocked),
            4..7 => (Moderation::Unblock(id), Fate::Unblocked),
            _ => (Moderation::Delete(id), Fate::Deleted),
        };
        if self.world.moderate(moderation) {
            self.queues.moderated(index, fate);
        }
    }

    /// Bytes that need not be a block. Nothing is known of the connection any more.
    fn raw(&mut self, id: ConnectionId, input: &mut Input<'_>) {
        let bytes = input.slice();
        if !bytes.is_empty() {
            self.queues.forget_answers(id);
            self.peers.entry(id).and_modify(|peer| peer.is_garbled = true);
            self.world.receive(id, bytes);
        }
    }

    fn content(&mut self, id: ConnectionId, content: &[u8]) {
        if let Some(block) = Peer::block(content) {
            self.world.receive(id, &block);
        }
    }

    /// Commands that share blocks.
    fn commands(&mut self, id: ConnectionId, input: &mut Input<'_>) {
        let count = 1 + input.below(6);
        let items: Vec<_> = (0..count).map(|_| self.command(id, input)).collect();
        for content in Peer::batches(&items) {
            // What the server does not read has no answer.
            if Peer::block(&content).is_none_or(|block| !self.world.receive(id, &block)) {
                self.check();
                self.queues.forget_answers(id);
            }
        }
    }

    fn command(&mut self, id: ConnectionId, input: &mut Input<'_>) -> Vec<u8> {
        let kind = input.u8();
        if kind >= NEWER {
            return self.newer_command(id, kind - NEWER, input);
        }
        let kind = kind % 16;
        if kind == 0 {
            return self.create(id, input);
        }
        let index = input.below(self.queues.len().max(1));
        let version = self.peers.get(&id).expect("it was chosen").version;
        let Some(queue) = self.queues.at_mut(index) else { return self.create(id, input) };
        let (mut key, mut entity, mut asked) = (Some(&queue.key), &queue.recipient, Asked::Other);
        let command = match kind {
            1 | 2 => {
                asked = Asked::Subscribe(index);
                Command::Sub
            }
            3..=6 => {
                entity = &queue.sender;
                key = queue.sender_key.as_ref().filter(|_| kind != 6);
                queue.sent += 1;
                let flags = MessageFlags { notification: kind == 5 };
                Command::Send { flags, body: body(queue.sent, input) }
            }
            7 | 8 => {
                let (message, number) = queue.received.get(&id).cloned().unwrap_or_default();
                asked = Asked::Acknowledge(index, number);
                Command::Ack(message)
            }
            9 => Command::Ack(MessageId::empty()),
            10 => Command::Get,
            11 => {
                let sender_key = queues::new_key(&mut self.world.entropy);
                let public = sender_key.public();
                // Whoever wins, SENDs with either key are tried.
                queue.sender_key = Some(sender_key);
                Command::Key(public)
            }
            12 => match input.below(4) {
                0 => Command::Off,
                1 => Command::Que,
                2 => Command::Ping,
                _ => Command::NDel,
            },
            13 => {
                asked = Asked::Delete(index);
                Command::Del
            }
            14 => {
                let new_key = || queues::new_key(&mut self.world.entropy);
                let sender_key = queue.sender_key.get_or_insert_with(new_key);
                key = Some(&*sender_key);
                entity = &queue.sender;
                Command::SKey(sender_key.public())
            }
            _ => match Command::decode(version, &Bytes::copy_from_slice(input.slice())) {
                Ok(command) => {
                    asked = Asked::of(&command, index);
                    command
                }
                Err(_) => Command::Que,
            },
        };
        let (key, entity) = match command {
            Command::Ping => (None, NO_ENTITY),
            _ => (key.cloned(), entity.clone()),
        };
        self.transmission(id, key.as_ref(), &entity, &command, asked)
    }

    fn create(&mut self, id: ConnectionId, input: &mut Input<'_>) -> Vec<u8> {
        let (key, dh) = queues::new_keys(&mut self.world.entropy);
        let subscribes = input.below(2) == 1;
        let new = NewQueue {
            recipient_key: key.public(),
            dh_key: dh.public(),
            password: None,
            subscribe: if subscribes { SubscriptionMode::Subscribe } else { SubscriptionMode::OnlyCreate },
            queue_data: Some(QueueRequestData::Messaging(None)),
            notifier: None,
        };
        let keys = NewKeys { key: key.clone(), dh, subscribes, has_link: None, notifier: None };
        let asked = Asked::Create(Box::new(keys));
        self.transmission(id, Some(&key), &NO_ENTITY, &Command::New(Box::new(new)), asked)
    }

    fn transmission(
        &mut self,
        id: ConnectionId,
        key: Option<&smp_core::crypto::AuthPrivateKey>,
        entity: &EntityId,
        command: &Command,
        asked: Asked,
    ) -> Vec<u8> {
        let peer = self.peers.get(&id).expect("it was chosen");
        let mut bytes = Vec::new();
        command.encode(peer.version, &mut bytes);
        let (correlation_id, item) = peer.transmission(&mut self.world.entropy, key, entity, &bytes);
        self.ask(id, correlation_id, asked);
        item
    }

    fn ask(&mut self, id: ConnectionId, correlation_id: CorrelationId, asked: Asked) {
        if self.peers.get(&id).is_some_and(|peer| !peer.is_garbled) {
            self.queues.ask(id, correlation_id, asked);
        }
    }

    /// Reads what the server sent.
    fn check(&mut self) {
        for (id, block) in std::mem::take(&mut self.world.sent) {
            let peer = self.peers.get(&id).expect("it is connected");
            let is_service = peer.service.is_some();
            for (from, message) in peer.read(block) {
                self.queues.take((id, is_service), &from, message);
            }
        }
        self.peers.retain(|id, _| self.world.is_open(*id));
        self.queues.retain_subscribers(|id| self.world.is_open(id));
        self.queues.check_messages();
        assert!(self.world.subscriptions() <= self.queues.iter().filter(|queue| !queue.is_deleted).count());
    }

    /// Every command was answered, once those who do not read have read, and nothing is left of connections that ended.
    fn end(&mut self) {
        let ids: Vec<_> = self.peers.keys().copied().collect();
        ids.into_iter().for_each(|id| self.world.set_slow(id, false));
        self.check();
        for id in self.peers.keys() {
            assert_eq!(self.queues.unanswered(*id), 0, "commands without an answer");
        }
        let ids: Vec<_> = self.peers.keys().copied().collect();
        ids.into_iter().for_each(|id| self.world.input(id, SessionInput::Eof));
        assert_eq!(self.world.subscriptions(), 0, "subscriptions of nobody");
    }
}

const NO_ENTITY: EntityId = EntityId::empty();
const PEERS_MAX: usize = 4;
/// Commands from here on came later: high, so that older inputs say what they said.
const NEWER: u8 = 224;
/// Enough to fill a queue and empty it; more makes the fuzzer slow.
const STEPS_MAX: usize = 64;
