//! The keys of a queue, and what they open.

use core::fmt;

use bytes::Bytes;

use crate::crypto::{AuthPrivateKey, CryptoError, DhSecret, Ed25519PrivateKey, Nonce, X25519PrivateKey};
use crate::entropy::Entropy;
use crate::wire::broker::CreatedQueue;
use crate::wire::codec::decode_all;
use crate::wire::command::{NewQueue, QueueRequestData, SubscriptionMode};
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

    /// The parameters of a messaging queue with these keys, without password, link and notifier. A contact queue has
    /// another [`NewQueue::queue_data`].
    #[must_use]
    pub fn new_queue(&self, subscribe: SubscriptionMode) -> NewQueue {
        NewQueue {
            recipient_key: self.auth.public(),
            dh_key: self.dh.public(),
            password: None,
            subscribe,
            queue_data: Some(QueueRequestData::Messaging(None)),
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
#[non_exhaustive]
pub enum OpenError {
    /// It was not encrypted with this secret, or was changed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// What was encrypted is not a message.
    #[error(transparent)]
    Content(#[from] DecodeError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::time::UnixTime;
    use crate::wire::command::MessageFlags;
    use crate::wire::{DhPublicKey, EntityId};

    /// A queue of these keys and the secret that the server has of it.
    fn created(keys: &QueueKeys) -> (CreatedQueue, DhSecret) {
        let server = X25519PrivateKey::from_bytes(&[5; 32]);
        let secret = server.diffie_hellman(&keys.new_queue(SubscriptionMode::Subscribe).dh_key).unwrap();
        let queue = CreatedQueue {
            recipient_id: EntityId::from([1; 24]),
            sender_id: EntityId::from([2; 24]),
            dh_key: server.public(),
            mode: None,
            link_id: None,
            service_id: None,
            notifier: None,
        };
        (queue, secret)
    }

    fn message(secret: &DhSecret, content: &[u8]) -> ReceivedMessage {
        let id = MessageId::from([8; 24]);
        let nonce = Nonce::from_slice(id.as_bytes());
        let sealed = secret.box_key().seal_padded(&nonce, content, ReceivedBody::PADDED_LENGTH).unwrap();
        ReceivedMessage { id, encrypted: sealed.into() }
    }

    #[test]
    fn what_the_server_encrypts_the_recipient_opens() {
        let keys = QueueKeys::generate(&mut SeededEntropy::new([1; 32]));
        let (queue, theirs) = created(&keys);
        let secret = keys.secret(&queue).unwrap();
        let received_at = UnixTime::from_secs(7);
        for body in [
            ReceivedBody::Message {
                received_at,
                flags: MessageFlags { notification: true },
                body: "hi".into(),
            },
            ReceivedBody::QuotaExceeded { received_at },
        ] {
            let mut content = Vec::new();
            body.encode(&mut content);
            let message = message(&theirs, &content);
            assert!(message.open(&secret) == Ok(body));
            // Another id is another nonce.
            let other = ReceivedMessage { id: MessageId::from([9; 24]), ..message };
            assert_eq!(other.open(&secret).err(), Some(OpenError::Crypto(CryptoError::Open)));
        }
        let malformed = message(&theirs, b"no time");
        assert_eq!(malformed.open(&secret).err(), Some(OpenError::Content(DecodeError)));
        let empty = ReceivedMessage { id: MessageId::empty(), encrypted: Bytes::new() };
        assert_eq!(empty.open(&secret).err(), Some(OpenError::Crypto(CryptoError::Open)));
    }

    #[test]
    fn notifications_open() {
        let secret = DhSecret::new([3; 32]);
        let meta =
            NotificationMeta { message_id: MessageId::from([8; 24]), received_at: UnixTime::from_secs(7) };
        let mut content = Vec::new();
        meta.encode(&mut content);
        let nonce = [4; 24];
        let sealed = secret
            .box_key()
            .seal_padded(&Nonce::from_bytes(nonce), &content, NotificationMeta::PADDED_LENGTH)
            .unwrap();
        let notification = Notification { nonce, encrypted: sealed.into() };
        assert_eq!(notification.open(&secret), Ok(meta));
        let other = DhSecret::new([4; 32]);
        assert_eq!(notification.open(&other).err(), Some(OpenError::Crypto(CryptoError::Open)));
    }

    #[test]
    fn a_server_key_of_low_order_makes_no_secret() {
        let keys = QueueKeys::generate(&mut SeededEntropy::new([1; 32]));
        let queue = CreatedQueue { dh_key: DhPublicKey([0; 32]), ..created(&keys).0 };
        assert_eq!(keys.secret(&queue).err(), Some(CryptoError::LowOrder));
    }
}
