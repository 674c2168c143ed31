//! What goes into SEND, and what comes out of MSG: the layers between the ratchet and the queue.

use bytes::Bytes;

use super::store::{Outgoing, OutgoingContent, ReceiveQueue, SendQueue};
use crate::Entropy;
use crate::client::ReceivedMessage;
use crate::crypto::{CryptoError, DhSecret, Nonce, X25519PrivateKey};
use crate::time::UnixTime;
use crate::wire::agent::{AgentEnvelope, EnvelopeBody};
use crate::wire::codec::{Reader, decode_all};
use crate::wire::command::MessageFlags;
use crate::wire::link::E2eParameters;
use crate::wire::message::ReceivedBody;
use crate::wire::{AuthPublicKey, ClientMessage, ClientMessageEnvelope, DhPublicKey, QueueInfo};

/// A message of a queue, without the encryption of server and queue.
pub(super) enum Opened {
    /// A message of the other side.
    Message(Box<OpenedMessage>),
    /// The queue was full, and is drained up to here.
    QuotaExceeded,
}

pub(super) struct OpenedMessage {
    pub(super) server_time: UnixTime,
    pub(super) flags: MessageFlags,
    /// The sender's key of the queue's encryption, if he sent it, and the secret.
    pub(super) e2e_key: Option<DhPublicKey>,
    pub(super) e2e_secret: DhSecret,
    /// What the queue is to be secured with.
    pub(super) sender_key: Option<AuthPublicKey>,
    pub(super) envelope: AgentEnvelope,
}

/// What cannot be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SealFault {
    /// Not encrypted for this queue.
    Crypto,
    /// Encrypted for it, but no message.
    Malformed,
    /// The queue's encryption is not known, and the message does not bring it.
    NoKey,
}

/// Opens a message of a queue.
pub(super) fn open(queue: &ReceiveQueue, message: &ReceivedMessage) -> Result<Opened, SealFault> {
    let body = message.open(&queue.server_secret).map_err(|_| SealFault::Crypto)?;
    let ReceivedBody::Message { received_at, flags, body } = body else { return Ok(Opened::QuotaExceeded) };
    let envelope = decode_all(&body, ClientMessageEnvelope::decode).map_err(|_| SealFault::Malformed)?;
    let secret = match (envelope.dh_key, &queue.e2e_secret) {
        (Some(key), _) => queue.e2e_key.diffie_hellman(&key).map_err(|_| SealFault::Crypto)?,
        (None, Some(secret)) => secret.clone(),
        (None, None) => return Err(SealFault::NoKey),
    };
    let nonce = Nonce::from_bytes(envelope.nonce);
    let content = secret.box_key().open_padded(&nonce, &envelope.encrypted).map_err(|_| SealFault::Crypto)?;
    let ClientMessage { sender_key, body } =
        decode_all(&content.into(), ClientMessage::decode).map_err(|_| SealFault::Malformed)?;
    let agent = decode_all(&body, AgentEnvelope::decode).map_err(|_| SealFault::Malformed)?;
    Ok(Opened::Message(Box::new(OpenedMessage {
        server_time: received_at,
        flags,
        e2e_key: envelope.dh_key,
        e2e_secret: secret,
        sender_key,
        envelope: agent,
    })))
}

/// The body of SEND for a message. A message is sealed with the same keys whenever it is tried again; only the nonce of the
/// queue's encryption is another one. None if it was delivered, or does not fit.
pub(super) fn seal(queue: &SendQueue, message: &Outgoing, entropy: &mut impl Entropy) -> Option<Bytes> {
    let (envelope, is_confirmation) = match &message.content {
        OutgoingContent::Delivered => return None,
        // New keys of the ratchet go through a queue whose encryption is known; an invitation tells it.
        OutgoingContent::Plain(envelope) => (envelope.clone(), envelope.get(2) != Some(&b'R')),
        OutgoingContent::Ratchet { plaintext, key, padded_len, version, confirmation } => {
            let ciphertext = key.encrypt(*padded_len, plaintext).ok()?.into();
            let body = match confirmation {
                None => EnvelopeBody::Message(ciphertext),
                Some(keys) => {
                    let keys = match keys.is_empty() {
                        true => None,
                        false => Some(Box::new(E2eParameters::decode(&mut Reader::new(keys)).ok()?)),
                    };
                    EnvelopeBody::Confirmation { keys, ciphertext }
                }
            };
            let mut out = Vec::new();
            AgentEnvelope { version: *version, body }.encode(&mut out);
            (out.into(), confirmation.is_some())
        }
    };
    let can_secure = queue.mode.is_some_and(crate::wire::QueueMode::sender_can_secure);
    let sender_key = (is_confirmation && !can_secure).then(|| queue.key.public());
    let mut content = Vec::new();
    ClientMessage { sender_key, body: envelope }.encode(&mut content);
    let padded_len = if is_confirmation {
        ClientMessageEnvelope::CONFIRMATION_PADDED_LENGTH
    } else {
        ClientMessageEnvelope::MESSAGE_PADDED_LENGTH
    };
    let nonce = Nonce::generate(entropy);
    let encrypted = queue.e2e_secret.box_key().seal_padded(&nonce, &content, padded_len).ok()?.into();
    let dh_key = is_confirmation.then_some(queue.e2e_key);
    let mut out = Vec::new();
    ClientMessageEnvelope { version: queue.version, dh_key, nonce: *nonce.as_bytes(), encrypted }
        .encode(&mut out);
    Some(out.into())
}

/// The body of SEND to a contact address: an envelope that is encrypted with a key that is used once, and no key to secure the
/// queue with.
pub(super) fn seal_once(
    queue: &QueueInfo,
    envelope: Bytes,
    entropy: &mut impl Entropy,
) -> Result<Bytes, CryptoError> {
    let key = X25519PrivateKey::generate(entropy);
    let secret = key.diffie_hellman(&queue.address.dh_key)?;
    let mut content = Vec::new();
    ClientMessage { sender_key: None, body: envelope }.encode(&mut content);
    let nonce = Nonce::generate(entropy);
    let padded_len = ClientMessageEnvelope::CONFIRMATION_PADDED_LENGTH;
    let encrypted = secret.box_key().seal_padded(&nonce, &content, padded_len)?.into();
    let mut out = Vec::new();
    let (version, dh_key) = (queue.version, Some(key.public()));
    ClientMessageEnvelope { version, dh_key, nonce: *nonce.as_bytes(), encrypted }.encode(&mut out);
    Ok(out.into())
}
