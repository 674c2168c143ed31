//! The keys of a queue, and what they open.

use core::fmt;

use bytes::Bytes;

use crate::crypto::{AuthPrivateKey, CryptoError, DhSecret, Ed25519PrivateKey, Nonce, X25519PrivateKey};
use crate::entropy::Entropy;
use crate::wire::broker::CreatedQueue;
use crate::wire::codec::decode_all;
use crate::wire::command::{NewQueue, SubscriptionMode};
use crate::wire::message::{NotificationMeta, ReceivedBody};
use crate::wire::{DecodeError, MessageId};

/// The private keys of the recipient of a queue.
#[derive(Clone)]
pub struct QueueKeys {
    /// Authorises the recipient's commands.
    pub auth: AuthPrivateKey,
    /// With the server's key, makes the secret that messages are encrypted with between server and recipient.
    pub dh: X25519PrivateKey,
}

impl QueueKeys {
    /// New keys, Ed25519 and X25519.
    pub fn generate(entropy: &mut impl Entropy) -> Self {
        Self {
            auth: AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(entropy)),
            dh: X25519PrivateKey::generate(entropy),
        }
    }

    /// The parameters of a queue with these keys, without password, mode, link and notifier.
    #[must_use]
    pub fn new_queue(&self, subscribe: SubscriptionMode) -> NewQueue {
        NewQueue {
            recipient_key: self.auth.public(),
            dh_key: self.dh.public(),
            password: None,
            subscribe,
            queue_data: None,
            notifier: None,
        }
    }

    /// The secret that opens the messages of the queue that the server made.
    ///
    /// # Errors
    /// When the server's key is of low order.
    pub fn secret(&self, queue: &CreatedQueue) -> Result<DhSecret, CryptoError> {
        self.dh.diffie_hellman(&queue.dh_key)
    }
}

/// A message of a queue, encrypted by the server for the recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Names the message in ACK.
    pub id: MessageId,
    /// A crypto box of the padded [`ReceivedBody`], its nonce made of the id.
    pub encrypted: Bytes,
}

impl ReceivedMessage {
    /// The content, opened with the secret of the queue.
    ///
    /// # Errors
    /// When the message is not the server's for this queue, or malformed.
    pub fn open(&self, secret: &DhSecret) -> Result<ReceivedBody, OpenError> {
        let nonce = Nonce::from_slice(self.id.as_bytes());
        let content = secret.box_key().open_padded(&nonce, &self.encrypted)?;
        Ok(decode_all(&content.into(), ReceivedBody::decode)?)
    }
}

/// Nothing: it has an id and a message.
impl fmt::Debug for ReceivedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceivedMessage")
    }
}

/// News for a notifier that a message waits, encrypted by the server for the recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct Notification {
    /// The nonce of the encryption.
    pub nonce: [u8; 24],
    /// A crypto box of the padded [`NotificationMeta`].
    pub encrypted: Bytes,
}

impl Notification {
    /// The content, opened with the secret of the recipient's and the server's notification keys.
    ///
    /// # Errors
    /// When the notification is not the server's for this queue, or malformed.
    pub fn open(&self, secret: &DhSecret) -> Result<NotificationMeta, OpenError> {
        let content = secret.box_key().open_padded(&Nonce::from_bytes(self.nonce), &self.encrypted)?;
        Ok(decode_all(&content.into(), NotificationMeta::decode)?)
    }
}

/// Nothing: it names a message.
impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notification")
    }
}

/// Why a message does not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// It was not encrypted with this secret, or was changed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// What was encrypted is not a message.
    #[error(transparent)]
    Content(#[from] DecodeError),
}
