//! What is left to do at servers.

use bytes::Bytes;

use super::QueueNumber;
use crate::crypto::AuthPrivateKey;
use crate::wire::link::ShortLink;
use crate::wire::{AuthPublicKey, EntityId, QueueInfo, ServerAddress};

/// Something that a connection has to do at a server before it can go on, kept until it is done: so that after a crash it is
/// done again. Each may be done twice without harm.
#[derive(Clone)]
pub struct Task {
    /// What.
    pub kind: TaskKind,
    /// Who wants it.
    pub origin: Origin,
}

impl Task {
    /// Whether what comes behind it waits for it.
    pub(in crate::agent) const fn holds_others(&self) -> bool {
        !self.is_deletion() && !self.kind.is_background() && !self.kind.is_command()
    }

    /// Whether it deletes a queue: nothing waits for that.
    #[must_use]
    pub const fn is_deletion(&self) -> bool {
        matches!(self.kind, TaskKind::DeleteQueue { .. })
    }
}

/// Who wants a task to be done, which says what becomes of it when it fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A call that waits for it: when it fails the call does, and the task waits for the call to be repeated.
    Call,
    /// An asynchronous command of the app: it is tried again while the failure may pass, also after a restart, and then told by
    /// an event with this correlation.
    Durable(Box<str>),
    /// The agent itself: it is tried again while the failure may pass.
    Agent,
}

/// What is to be done.
#[derive(Clone)]
pub enum TaskKind {
    /// SKEY: secure a send queue, if its address says that its sender can.
    SecureSend(QueueNumber),
    /// NEW: a receive queue for replies, then the confirmation, which names it.
    CreateReply {
        /// What we say of ourselves in it.
        info: Bytes,
        /// Our keys for the ratchet, encoded, which it carries.
        keys: Bytes,
    },
    /// NEW: a receive queue, if there is none; then SEND of an invitation to it, once, to the queue of a contact address. Not a
    /// delivery, because the connection has no send queue until its invitation is used.
    Invite {
        /// The queue of the address.
        queue: QueueInfo,
        /// What we say of ourselves.
        info: Bytes,
    },
    /// LKEY or LGET: ask what a short link leads to. It stays until the link is used, for the key and in case it is asked again.
    OpenLink {
        /// The link, with the whole address of its server.
        link: Box<ShortLink>,
        /// Secures the queue of an invitation.
        key: Box<AuthPrivateKey>,
        /// The queue that it led to; empty while that is not known.
        sender_id: EntityId,
    },
    /// KEY: secure a receive queue with the key that came with a confirmation.
    SecureReceive(QueueNumber, AuthPublicKey),
    /// KEY: secure a receive queue that takes the place of another, with the key that came with QKEY.
    SecureAdded(QueueNumber, AuthPublicKey),
    /// SKEY: secure a send queue that the other side announced beside the first.
    SecureSpare(QueueNumber),
    /// DEL of a receive queue that was left; before, unless it is disabled, it is emptied.
    Retire {
        /// The queue.
        queue: QueueNumber,
        /// How often it failed.
        attempts: u32,
    },
    /// A call that the app wants to be carried out, in a form that the agent alone reads. Nothing waits for it.
    Command(Bytes),
    /// Tell the app that a command was carried out, which is not done again.
    Tell,
    /// DEL: the queue is no longer in the connection.
    DeleteQueue {
        /// The server that holds it.
        server: ServerAddress,
        /// Its id for us.
        recipient_id: EntityId,
        /// Authorises it, as PKCS #8.
        key: Box<AuthPrivateKey>,
        /// How often it failed.
        attempts: u32,
    },
}

impl TaskKind {
    /// Whether it is what the app wants to be done, not what the connection has to do for it.
    #[must_use]
    pub const fn is_command(&self) -> bool {
        matches!(self, Self::Command(_) | Self::Tell)
    }

    /// Whether messages go out while it is not done, and other tasks are.
    #[must_use]
    pub const fn is_background(&self) -> bool {
        matches!(self, Self::SecureAdded(..) | Self::SecureSpare(_) | Self::Retire { .. })
    }
}
