//! Messages that come: opened with a copy of the ratchet, kept, told to the app, and then acknowledged.
//!
//! A server holds a message until it is acknowledged and sends no other one of the queue meanwhile. What is not for the app is
//! acknowledged when the step is durable, what is for the app when the app has acknowledged it.

use super::effect::{Asked, Effect};
use super::establish::FIRST;
use super::redundancy::is_unknown;
use super::seal::{self, Opened, OpenedMessage, SealFault};
use super::statistics::Counter;
use super::step::Step;
use super::store::{AgentOp, AgentQuery, Found, Progress, QueueNumber};
use crate::client::ReceivedMessage;
use crate::crypto::hash::sha256;
use crate::crypto::ratchet::{Decrypted, RatchetFault, SkippedKeys};
use crate::wire::MessageId;
use crate::wire::agent::{AgentError, EnvelopeBody, PeerError, RatchetError};

impl Step<'_> {
    /// A message of a server.
    pub(super) fn receive(&mut self, number: QueueNumber, message: &ReceivedMessage) {
        self.is_not_drained(number);
        if let Some(Found::Incoming(incoming)) = &self.found {
            // It came before.
            let incoming = incoming.clone();
            self.count_received(number, |of| &mut of.received_again);
            return match incoming {
                Some(incoming) if incoming.body.is_some() => self.repeated(*incoming),
                _ => self.acknowledge_now(number, &message.id),
            };
        }
        let Some(queue) = self.receive_queue(number) else { return };
        let taken = match seal::open(queue, message) {
            // Only the other side can have made it: what somebody else puts there changes nothing.
            Ok(Opened::Message(opened))
                if matches!(opened.envelope.body, EnvelopeBody::Message(_))
                    && self.is_early(number, message) =>
            {
                return;
            }
            Ok(Opened::Message(opened)) => self.opened(number, &message.id, &opened),
            Ok(Opened::QuotaExceeded) => self.drained(number),
            Err(SealFault::Crypto | SealFault::NoKey) => {
                Err(AgentError::Peer(PeerError::Crypto(RatchetError::Queue)))
            }
            Err(SealFault::Malformed) => Err(AgentError::Peer(PeerError::Message)),
        };
        match taken {
            Ok(Taken::Early(sender_id)) => return self.hold(number, message, sender_id),
            Ok(Taken::ByApp) => {}
            Ok(Taken::Done) => self.acknowledge_now(number, &message.id),
            Ok(Taken::Again) => {
                self.count_received(number, |of| &mut of.received_again);
                self.acknowledge_now(number, &message.id);
            }
            Ok(Taken::Unreadable) => {
                self.count_received(number, |of| &mut of.received_unreadable);
                self.acknowledge_now(number, &message.id);
            }
            Err(error) => {
                let is_unreadable = matches!(error, AgentError::Peer(PeerError::Crypto(_)));
                self.count_received(
                    number,
                    match is_unreadable {
                        true => |of| &mut of.received_unreadable,
                        false => |of| &mut of.received_wrong,
                    },
                );
                self.error(error);
                self.acknowledge_now(number, &message.id);
            }
        }
        self.was_taken(number);
    }

    fn count_received(&mut self, number: QueueNumber, counter: Counter) {
        let server = self.receive_queue(number).map(|queue| queue.server.clone());
        self.count(server, counter);
    }

    pub(super) fn acknowledge_now(&mut self, number: QueueNumber, message: &MessageId) {
        let queue = self.connection.as_ref().and_then(|connection| connection.waiting_queue(number));
        let asked = |queue| Effect::Ask(Box::new(queue), Asked::Acknowledge(message.clone()));
        self.effects.extend(queue.map(asked));
    }

    fn opened(
        &mut self,
        number: QueueNumber,
        id: &MessageId,
        opened: &OpenedMessage,
    ) -> Result<Taken, AgentError> {
        let is_address = self.connection()?.state.progress == Progress::Contact;
        match &opened.envelope.body {
            EnvelopeBody::Invitation { request, info } if is_address => {
                self.request_came(number, id, request, info)
            }
            _ if is_address => Err(PROHIBITED_MESSAGE),
            EnvelopeBody::Confirmation { keys: Some(keys), ciphertext } if number == FIRST => {
                self.confirmation(number, opened, keys, ciphertext)
            }
            EnvelopeBody::Confirmation { keys: None, ciphertext } if number != FIRST => {
                self.introduced(number, opened, ciphertext)
            }
            // Nobody else could be kept from sending there.
            _ if self.receive_queue(number).is_some_and(is_unknown) => Err(PROHIBITED_MESSAGE),
            EnvelopeBody::Confirmation { keys: None, ciphertext } => {
                let Some(message) = self.decrypt_once(ciphertext)? else { return Ok(Taken::Done) };
                self.reply_confirmed(number, opened, &message.plaintext)
            }
            EnvelopeBody::Message(ciphertext) => {
                self.raise_version(opened);
                let hash = sha256(ciphertext);
                let could_send = self.has_sending_chain();
                match self.decrypt(ciphertext) {
                    Ok(Some(Ok(message))) => {
                        self.ops.push(AgentOp::PutSeen(self.id, hash, self.now()));
                        let could_not = self.is_in_sync();
                        let taken = self.message(number, id, opened, message, could_send);
                        if could_not && !matches!(taken, Ok(Taken::Early(_))) {
                            self.take_up_again();
                        }
                        taken
                    }
                    Ok(None) => Ok(Taken::Again),
                    Ok(Some(Err(error))) | Err(error) => self.not_decrypted(hash, error),
                }
            }
            EnvelopeBody::RatchetKeys { .. } if self.must_wait(number, UNNUMBERED) => {
                Ok(Taken::Early(UNNUMBERED))
            }
            EnvelopeBody::RatchetKeys { keys, info } => {
                self.raise_version(opened);
                self.ratchet_keys(opened, keys, info)
            }
            EnvelopeBody::Confirmation { .. } | EnvelopeBody::Invitation { .. } => Err(PROHIBITED_MESSAGE),
        }
    }

    /// Takes off the ratchet's encryption. The ratchet goes on even when the body cannot be read: see [`Ratchet::decrypt`].
    /// Nothing, if the message was received before.
    pub(super) fn decrypt(
        &mut self,
        ciphertext: &bytes::Bytes,
    ) -> Result<Option<Result<Plain, AgentError>>, AgentError> {
        let skipped = match self.found.take() {
            Some(Found::Skipped(skipped)) => skipped,
            _ => SkippedKeys::new(),
        };
        let ratchet = self.connection()?.agreement.ratchet().ok_or(PROHIBITED_MESSAGE)?.clone();
        let decrypted = match ratchet.decrypt(&skipped, ciphertext, &mut self.shared.entropy) {
            Ok(decrypted) => decrypted,
            Err(RatchetFault::Duplicate) => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        let Decrypted { ratchet, skipped: changes, body } = decrypted;
        let pq = ratchet.pq_receiving();
        let (added, removed) = (changes.added.len(), changes.removed.len());
        if let Some(connection) = self.agreement_mut() {
            if let Some(kept) = connection.agreement.ratchet_mut() {
                *kept = ratchet;
            }
            let kept = usize::try_from(connection.state.skipped).unwrap_or(0) + added;
            connection.state.skipped = u32::try_from(kept.saturating_sub(removed)).unwrap_or(u32::MAX);
        }
        if added + removed > 0 {
            self.ops.push(AgentOp::ChangeSkipped(self.id, changes));
        }
        Ok(Some(body.map(|plaintext| Plain { plaintext, pq }).map_err(fault)))
    }

    /// The same for what has no number: nothing, if it came before. What its sender believes to be lost comes again, and the ratchet
    /// may have gone on by then with what came through another queue.
    pub(super) fn decrypt_once(&mut self, ciphertext: &bytes::Bytes) -> Result<Option<Plain>, AgentError> {
        let hash = sha256(ciphertext);
        match self.decrypt(ciphertext) {
            Ok(message) => {
                self.ops.push(AgentOp::PutSeen(self.id, hash, self.now()));
                message.transpose()
            }
            Err(error) => match self.ask(AgentQuery::Seen(self.id, hash)) {
                Some(Found::Seen(false)) => Err(error),
                _ => Ok(None),
            },
        }
    }

    /// The other side may speak a newer version by now.
    pub(super) fn raise_version(&mut self, opened: &OpenedMessage) {
        let max = self.shared.config.versions.agent.max();
        if let Some(connection) = &mut self.connection {
            let theirs = max.min(opened.envelope.version);
            connection.state.version = connection.state.version.max(theirs);
        }
    }

    /// The next message of a queue came with the answer to an acknowledgement.
    pub(super) fn receive_next(&mut self, number: QueueNumber, message: &ReceivedMessage) {
        self.effects.push(Effect::Received(number, message.clone()));
    }
}

/// Keys for a new ratchet come after all messages: with them, what the old one encrypted cannot be read any more.
const UNNUMBERED: i64 = i64::MAX;

/// Who is to acknowledge a message.
pub(super) enum Taken {
    ByApp,
    /// Nobody now: others with lower numbers than this one may be in another queue.
    Early(i64),
    /// Nobody now: it was taken before.
    Again,
    /// It could not be decrypted, which the app was told.
    Unreadable,
    Done,
}

/// What was in the ratchet's encryption.
pub(super) struct Plain {
    pub(super) plaintext: Vec<u8>,
    pub(super) pq: bool,
}

/// A message that does not belong here.
pub(super) const PROHIBITED_MESSAGE: AgentError = AgentError::Peer(PeerError::Prohibited);

pub(super) fn fault(fault: RatchetFault) -> AgentError {
    AgentError::Peer(match fault {
        RatchetFault::Malformed => PeerError::Message,
        RatchetFault::Decrypt => PeerError::Crypto(RatchetError::Body),
        RatchetFault::Earlier(count) => PeerError::Crypto(RatchetError::Earlier(count)),
        RatchetFault::Duplicate => PeerError::Duplicate,
        RatchetFault::Skipped(count) => PeerError::Crypto(RatchetError::Skipped(count)),
        RatchetFault::Header | RatchetFault::Kem | RatchetFault::Key => {
            PeerError::Crypto(RatchetError::Header)
        }
    })
}
