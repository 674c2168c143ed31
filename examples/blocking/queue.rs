//! A queue from both of its ends.

use std::collections::VecDeque;

use bytes::Bytes;
use smp_core::client::{Answer, ClientEvent, QueueKeys, ReceivedMessage, Request};
use smp_core::crypto::{AuthPrivateKey, DhSecret, Ed25519PrivateKey};
use smp_core::wire::command::{MessageFlags, SubscriptionMode};
use smp_core::wire::message::ReceivedBody;
use smp_core::wire::{EntityId, MessageId};
use smp_examples::{Outcome, entropy};

use crate::client::Connection;

/// A queue, for its recipient.
pub(crate) struct Queue {
    id: EntityId,
    key: AuthPrivateKey,
    secret: DhSecret,
    /// What came with answers and was not looked at.
    waiting: VecDeque<ReceivedMessage>,
}

impl Queue {
    /// Makes a queue and subscribes to it. The other id is for the one who is to send.
    pub(crate) fn create(connection: &mut Connection) -> Outcome<(Self, EntityId)> {
        let keys = QueueKeys::generate(&mut entropy()?);
        let new = keys.new_queue(SubscriptionMode::Subscribe);
        let Answer::Created(made) = connection.ask(Request::create(new, keys.auth.clone()))? else {
            return Err("no queue was made".into());
        };
        let secret = keys.secret(&made)?;
        Ok((Self { id: made.recipient_id, key: keys.auth, secret, waiting: VecDeque::new() }, made.sender_id))
    }

    /// Subscribes again, on a new connection.
    pub(crate) fn subscribe(&mut self, connection: &mut Connection) -> Outcome<()> {
        self.waiting.clear();
        match connection.ask(Request::subscribe(self.id.clone(), self.key.clone()))? {
            Answer::Subscribed { message, .. } => self.waiting.extend(message),
            _ => return Err("not subscribed".into()),
        }
        Ok(())
    }

    /// Waits for the next message. There is none before this one is acknowledged.
    pub(crate) fn next(&mut self, connection: &mut Connection) -> Outcome<(MessageId, Bytes)> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                let ReceivedBody::Message { body, .. } = message.open(&self.secret)? else {
                    return Err("the queue was full".into());
                };
                return Ok((message.id, body));
            }
            match connection.event()? {
                ClientEvent::Message(queue, message) if queue == self.id => self.waiting.push_back(message),
                _ => return Err("that was not to be told".into()),
            }
        }
    }

    /// The server may forget the message. With the answer may come the next one.
    pub(crate) fn acknowledge(&mut self, connection: &mut Connection, message: MessageId) -> Outcome<()> {
        match connection.ask(Request::acknowledge(self.id.clone(), self.key.clone(), message))? {
            Answer::Message(next) => self.waiting.extend(next),
            _ => return Err("not acknowledged".into()),
        }
        Ok(())
    }

    /// Deletes the queue, in which nothing may be left.
    pub(crate) fn delete(self, connection: &mut Connection) -> Outcome<()> {
        if !self.waiting.is_empty() {
            return Err("more messages than were sent".into());
        }
        done(connection.ask(Request::delete(self.id, self.key))?)
    }
}

/// A queue, for its sender.
pub(crate) struct Outbox(EntityId, AuthPrivateKey);

impl Outbox {
    /// Secures a queue with a new key: from now on whoever has that may send, and nobody else.
    pub(crate) fn secure(connection: &mut Connection, queue: EntityId) -> Outcome<Self> {
        let key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut entropy()?));
        done(connection.ask(Request::secure_by_sender(queue.clone(), key.clone()))?)?;
        Ok(Self(queue, key))
    }

    /// Sends a message. When this is done the server has it.
    pub(crate) fn send(&self, connection: &mut Connection, body: Bytes) -> Outcome<()> {
        let flags = MessageFlags { notification: false };
        done(connection.ask(Request::send(self.0.clone(), Some(self.1.clone()), flags, body))?)
    }
}

fn done(answer: Answer) -> Outcome<()> {
    if answer == Answer::Done { Ok(()) } else { Err("another answer than OK".into()) }
}
