//! The queues of a connection.

use crate::agent::LocalMessageId;
use crate::crypto::{AuthPrivateKey, DhSecret, X25519PrivateKey};
use crate::wire::{DhPublicKey, EntityId, MessageId, QueueMode, ServerAddress, Version};

use super::LinkCredentials;

/// Names a queue within its connection: receive queues and send queues are counted apart, from 1, and no number is used
/// again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueNumber(pub u32);

/// How far a queue is.
///
/// ```text
/// receive   New ──▶ Confirmed ──▶ Secured ──▶ Active
///                   the sender    KEY was     a message
///                   is known      done        came
/// send      New ──▶ Secured ────▶ Active
///                   SKEY or KEY   a message went
/// ```
///
/// A queue that its sender secures goes from `Confirmed` to `Active`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum QueueStage {
    /// Nothing was received or sent.
    New,
    /// The other side is known, and its encryption.
    Confirmed,
    /// Nobody else can send to it.
    Secured,
    /// In use.
    Active,
    /// No longer.
    Disabled,
}

/// A queue from which the agent receives.
#[derive(Clone)]
pub struct ReceiveQueue {
    /// Its name in the connection.
    pub number: QueueNumber,
    /// The server that holds it.
    pub server: ServerAddress,
    /// Its id for us.
    pub recipient_id: EntityId,
    /// Its id for the sender.
    pub sender_id: EntityId,
    /// Authorises our commands.
    pub key: AuthPrivateKey,
    /// For the encryption between the server and us.
    pub server_secret: DhSecret,
    /// Our key for the encryption between the sender and us.
    pub e2e_key: X25519PrivateKey,
    /// What it makes with the sender's key, which comes with the confirmation.
    pub e2e_secret: Option<DhSecret>,
    /// How far it is.
    pub stage: QueueStage,
    /// What the server knows it for.
    pub mode: Option<QueueMode>,
    /// The client version that is spoken in it.
    pub version: Version,
    /// The short link to it.
    pub link: Option<Box<LinkCredentials>>,
    /// The queue whose place it is to take.
    pub replaces: Option<QueueNumber>,
    /// How far that is.
    pub switch: Option<ReceiveSwitch>,
    /// The last message that the app got from it: if it comes again it is told again, or acknowledged again.
    pub last_told: Option<(MessageId, LocalMessageId)>,
}

/// How far a receive queue is in taking the place of another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ReceiveSwitch {
    /// It was made; the sender was not told.
    Started,
    /// QADD is on its way, or was sent.
    Adding,
    /// It was secured; QUSE is on its way, or was sent.
    Using,
    /// A message came through it: the other queue goes.
    Received,
}

/// A queue to which the agent sends.
#[derive(Clone)]
pub struct SendQueue {
    /// Its name in the connection.
    pub number: QueueNumber,
    /// The server that holds it.
    pub server: ServerAddress,
    /// Its id for us.
    pub sender_id: EntityId,
    /// Authorises our commands, once the queue is secured.
    pub key: AuthPrivateKey,
    /// Our key for the encryption between us and the recipient, which the confirmation carries.
    pub e2e_key: DhPublicKey,
    /// What its private half makes with the recipient's key.
    pub e2e_secret: DhSecret,
    /// How far it is.
    pub stage: QueueStage,
    /// What it is for, as its address says: whether we can secure it.
    pub mode: Option<QueueMode>,
    /// The client version that is spoken in it.
    pub version: Version,
    /// The queue whose place it is to take.
    pub replaces: Option<QueueNumber>,
    /// How far that is.
    pub switch: Option<SendSwitch>,
}

/// How far a send queue is in taking the place of another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SendSwitch {
    /// QKEY is on its way, or was sent.
    Keying,
    /// QTEST is on its way.
    Testing,
}
