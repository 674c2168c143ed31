//! What leaves agents: opened, to see that it was kept before, and that no key of a ratchet encrypts two messages.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use smp_core::agent::store::{Outgoing, OutgoingContent, ReceiptState};
use smp_core::agent::{ConnectionId, LocalMessageId};
use smp_core::client::Request;
use smp_core::crypto::Nonce;
use smp_core::crypto::ratchet::RatchetMessage;
use smp_core::wire::agent::{AgentEnvelope, EnvelopeBody};
use smp_core::wire::codec::{Reader, decode_all};
use smp_core::wire::command::Command;
use smp_core::wire::{ClientMessage, ClientMessageEnvelope, EntityId};

use super::keeping::{Keeping, SendPlace};

/// Everything that left.
#[derive(Default)]
pub(super) struct Ciphers {
    /// What was encrypted with each key of a ratchet. The chain that gives a message its key gives its header an
    /// initialisation vector too, which both sides see: whoever uses the one again uses the other. With the sender's number.
    by_key: BTreeMap<[u8; 16], (Bytes, i64)>,
    /// Which bytes left for a message of a person, at most as often as it was sent.
    left: BTreeMap<(usize, ConnectionId, LocalMessageId), Vec<Bytes>>,
    /// Queues of contact addresses: what goes there no ratchet encrypts.
    pub(super) addresses: BTreeSet<EntityId>,
}

impl Ciphers {
    /// A request leaves an agent.
    ///
    /// # Errors
    /// If a message leaves that is not kept as it leaves, or with a key that was used for another one.
    pub(super) fn leaves(
        &mut self,
        person: usize,
        keeping: &Keeping,
        request: &Request,
    ) -> Result<(), String> {
        let Command::Send { body, .. } = request.command() else { return Ok(()) };
        if self.addresses.contains(request.entity()) {
            return Ok(());
        }
        let place =
            keeping.send_place(request.entity()).ok_or("a message left for a queue that is not kept")?;
        let kept = keeping.next_deliveries(place);
        if kept.is_empty() && keeping.is_deleted(place.connection) {
            // It waited for a session when its connection was deleted.
            return Ok(());
        }
        let message = open(place, body).ok_or("a message left that cannot be opened")?;
        let envelope = decode_all(&message, AgentEnvelope::decode);
        let ciphertext = match envelope.map_err(|_| "a message left that cannot be read")?.body {
            EnvelopeBody::Confirmation { ciphertext, .. } | EnvelopeBody::Message(ciphertext) => ciphertext,
            // Keys of a new ratchet, which no ratchet encrypts.
            EnvelopeBody::RatchetKeys { .. } => {
                let is_it = |kept: &Outgoing| matches!(&kept.content, OutgoingContent::Plain(plain) if *plain == message);
                let is_kept = kept.iter().any(is_it);
                return is_kept.then_some(()).ok_or_else(|| "keys left that are kept otherwise".into());
            }
            EnvelopeBody::Invitation { .. } => return Err("an invitation left for a connection".into()),
        };
        let is_it = |kept: &Outgoing| encrypted(kept).is_some_and(|again| again == ciphertext);
        let (_, header) = RatchetMessage::decode(&mut Reader::new(&ciphertext))
            .map_err(|_| "a message of a ratchet cannot be read")?;
        let kept = match kept.into_iter().find(is_it) {
            Some(kept) => kept,
            None => {
                let left = self.by_key.get(&header.iv).filter(|(first, _)| *first == ciphertext);
                let sent = left.and_then(|(_, number)| keeping.sent(place.connection, *number));
                // It waited for a session when the other side said that it has it.
                let sent = sent.filter(|sent| sent.receipt == ReceiptState::Received);
                sent.ok_or("a message left that is not kept, or otherwise")?
            }
        };
        let (first, _) = self.by_key.entry(header.iv).or_insert_with(|| (ciphertext.clone(), kept.sender_id));
        if *first != ciphertext {
            return Err("a key of a ratchet encrypted two messages".into());
        }
        self.left.entry((person, place.connection, kept.id)).or_default().push(body.clone());
        Ok(())
    }

    /// All that left for a message.
    pub(super) fn of_message(&self, message: (usize, ConnectionId, LocalMessageId)) -> &[Bytes] {
        self.left.get(&message).map_or(&[], |left| &left[..])
    }
}

/// What is kept of a message, encrypted with its key.
fn encrypted(kept: &Outgoing) -> Option<Bytes> {
    let OutgoingContent::Ratchet { plaintext, key, padded_len, .. } = &kept.content else { return None };
    key.encrypt(*padded_len, plaintext).ok().map(Bytes::from)
}

/// What an agent put into the body of SEND.
fn open(place: &SendPlace, body: &Bytes) -> Option<Bytes> {
    let envelope = decode_all(body, ClientMessageEnvelope::decode).ok()?;
    let nonce = Nonce::from_bytes(envelope.nonce);
    let content = place.secret.box_key().open_padded(&nonce, &envelope.encrypted).ok()?;
    Some(decode_all(&content.into(), ClientMessage::decode).ok()?.body)
}
