//! Ratchets that part, because one side was set back to an earlier state or messages were lost, and how both sides agree on a new
//! one.
//!
//! ```text
//!   one side                                         the other
//!   keys (no ratchet encrypts them) ───────────────▶
//!                                   ◀─────────────── keys, at once
//!   both have a new ratchet; whose keys have the greater hash can send with it
//!                                   ◀── EREADY ──▶   from there on
//! ```
//!
//! When both begin at once their keys cross, and it goes on as if each were an answer. Keys may cross in more ways, when apps
//! insist. An agent that has agreed answers keys that come then, because who sent them waits for an answer; and our answers say
//! that they are, so that no answer is answered: whoever has agreed takes one with its own last keys. So both sides end with
//! the last keys that each has sent. Older agents do neither: they want a new beginning when keys come that they did not
//! expect ([`SyncState::Required`]), and agree when one side then asks once more.
//!
//! Who has no ratchet to send with, and whose queue was full and is not any more, sends its keys once more. They are known, and say
//! that the other side may go on sending.
//!
//! Messages of the old ratchet that come later cannot be read any more. But a queue keeps its order: what went before the keys
//! comes before them, and nothing is sent until the new ratchet is in use. So where nothing was wrong before, nothing is lost.

use bytes::Bytes;

use super::effect::Effect;
use super::receive::{PROHIBITED_MESSAGE, Taken};
use super::seal::OpenedMessage;
use super::step::{PROHIBITED, Step};
use super::store::{
    AgentOp, AgentQuery, Agreement, Delivery, Found, Outgoing, OutgoingContent, Progress, ReceiptState,
    SyncState,
};
use super::{CallId, Event, LocalMessageId, Reply};
use crate::crypto::X448PrivateKey;
use crate::crypto::hash::sha256;
use crate::crypto::ratchet::{KemOffer, Ratchet, ResyncRole, X3dhKeys, keys_hash};
use crate::wire::Version;
use crate::wire::agent::{
    AMessage, AgentEnvelope, AgentError, AgentMessage, EnvelopeBody, MessageHash, PeerError, RatchetError,
    version,
};
use crate::wire::codec::decode_all;
use crate::wire::command::MessageFlags;
use crate::wire::link::{E2eParameters, KemParameters};

impl Step<'_> {
    /// The app wants a new ratchet.
    pub(super) fn synchronize(&mut self, id: CallId, force: bool) -> Result<(), AgentError> {
        let max = self.shared.config.versions.ratchet.max();
        let connection = self.connection()?;
        let state = &connection.state;
        let is_wanted = force || matches!(state.sync, SyncState::Allowed | SyncState::Required);
        if state.progress != Progress::Connected || state.version < version::RATCHET_SYNC || !is_wanted {
            return Err(PROHIBITED);
        }
        let ratchet = connection.agreement.ratchet().ok_or(PROHIBITED)?.clone();
        // The newest version that both know: a newer one would be refused.
        let keys = self.new_keys(ratchet.parts().version.min(max))?;
        self.enqueue_keys(&keys.public(), false)?;
        let connection = self.agreement_mut().ok_or(PROHIBITED)?;
        connection.agreement = Agreement::Renewing(Box::new(ratchet), Box::new(keys));
        connection.state.sync = SyncState::Started;
        self.reply(id, Ok(Reply::Done));
        Ok(())
    }

    /// The other side wants a new ratchet, or answers us.
    pub(super) fn ratchet_keys(
        &mut self,
        opened: &OpenedMessage,
        theirs: &E2eParameters,
        info: &Bytes,
    ) -> Result<Taken, AgentError> {
        // Who was allowed may be connected before we know that he heard of it.
        let progress = self.connection()?.state.progress;
        let is_connected = matches!(progress, Progress::Allowed | Progress::Connected);
        if !is_connected || opened.sender_key.is_some() || opened.e2e_key.is_some() {
            return Err(PROHIBITED_MESSAGE);
        }
        if !self.shared.config.versions.ratchet.contains(theirs.version) {
            return Err(AgentError::Peer(PeerError::Version));
        }
        let hash = keys_hash::<X448PrivateKey>(theirs);
        match self.ask(AgentQuery::Seen(self.id, hash)) {
            Some(Found::Seen(false)) => {}
            _ => {
                self.go_on_everywhere()?;
                return Ok(Taken::Done);
            }
        }
        self.ops.push(AgentOp::PutSeen(self.id, hash, self.now()));
        let connection = self.connection()?;
        let sent = match (connection.state.sync, &connection.agreement) {
            (SyncState::Started, Agreement::Renewing(_, keys)) => Some((**keys).clone()),
            // The last keys of the other side count, with the last of ours.
            (SyncState::Agreed, Agreement::Renewing(_, keys)) if is_answer(info) => Some((**keys).clone()),
            _ => None,
        };
        let is_to_answer = sent.is_none();
        let ours = match sent {
            Some(keys) => keys,
            None => self.new_keys(theirs.version)?,
        };
        let (ratchet, role) = self.new_ratchet(&ours.for_version(theirs.version), theirs)?;
        // Not before it is sure that theirs are good: the other side would use ours.
        if is_to_answer {
            self.enqueue_keys(&ours.public(), true)?;
        }
        self.agree(ratchet, ours, role)?;
        self.go_on_everywhere()?;
        Ok(Taken::Done)
    }

    /// The other side has the new ratchet. If it is the one that could send first, it waits for the same from us.
    pub(super) fn ratchet_ready(&mut self, could_send: bool) -> Result<Taken, AgentError> {
        if !could_send {
            let last = self.connection()?.state.counters.received;
            self.enqueue(AMessage::RatchetReady(last), MessageFlags { notification: true })?;
        }
        self.go_on_everywhere()?;
        Ok(Taken::Done)
    }

    /// Whether our ratchet can send: one that waits for the first message of the other side cannot.
    pub(super) fn has_sending_chain(&self) -> bool {
        let ratchet = self.connection.as_ref().and_then(|connection| connection.agreement.ratchet());
        ratchet.is_some_and(|ratchet| ratchet.parts().sending.is_some())
    }

    /// A message could be read: nothing is wrong. True if messages could not be sent before.
    pub(super) fn is_in_sync(&mut self) -> bool {
        let Some(sync) = self.connection.as_ref().map(|connection| connection.state.sync) else {
            return false;
        };
        if matches!(sync, SyncState::Allowed | SyncState::Required | SyncState::Agreed) {
            self.sync_is(SyncState::Ok, None);
            self.forget_keys();
        }
        matches!(sync, SyncState::Required | SyncState::Agreed)
    }

    /// The keys of which the ratchet was made are not needed any more.
    fn forget_keys(&mut self) {
        let agreement = self.connection.as_ref().map(|connection| &connection.agreement);
        let Some(Agreement::Renewing(ratchet, _)) = agreement else { return };
        let ratchet = Agreement::Ratchet(ratchet.clone());
        self.agreement_mut().into_iter().for_each(|connection| connection.agreement = ratchet.clone());
    }

    /// A message could not be read. What came before is not told again: its key is gone, because it was used.
    pub(super) fn not_decrypted(&mut self, hash: [u8; 32], error: AgentError) -> Result<Taken, AgentError> {
        match self.ask(AgentQuery::Seen(self.id, hash)) {
            Some(Found::Seen(false)) => {}
            _ => return Ok(Taken::Again),
        }
        self.ops.push(AgentOp::PutSeen(self.id, hash, self.now()));
        let state = &self.connection()?.state;
        let (progress, sync) = (state.progress, state.sync);
        match error {
            AgentError::Peer(PeerError::Crypto(fault)) if progress == Progress::Connected => {
                let next = match fault {
                    RatchetError::Body | RatchetError::Queue | RatchetError::Earlier(_) => SyncState::Allowed,
                    RatchetError::Header | RatchetError::Skipped(_) | RatchetError::Sync => {
                        SyncState::Required
                    }
                };
                // While keys are exchanged, what was encrypted with the old ones comes late.
                if sync <= SyncState::Required {
                    self.sync_is(next.max(sync), Some(fault));
                }
                Ok(Taken::Unreadable)
            }
            error => Err(error),
        }
    }

    fn sync_is(&mut self, sync: SyncState, error: Option<RatchetError>) {
        self.connection.iter_mut().for_each(|connection| connection.state.sync = sync);
        self.event(Event::RatchetSync { connection: self.id, state: sync, error });
    }

    fn new_keys(&mut self, version: Version) -> Result<X3dhKeys, AgentError> {
        let offer = if self.connection()?.state.pq_support { KemOffer::Propose } else { KemOffer::Nothing };
        Ok(X3dhKeys::generate(version, offer, &mut self.shared.entropy))
    }

    /// Makes the new ratchet of the keys of both sides.
    fn new_ratchet(
        &mut self,
        ours: &X3dhKeys,
        theirs: &E2eParameters,
    ) -> Result<(Ratchet, ResyncRole), AgentError> {
        let bad = |_| AgentError::Peer(PeerError::Crypto(RatchetError::Sync));
        let max = self.shared.config.versions.ratchet.max();
        let role = ResyncRole::of::<X448PrivateKey>(&ours.public(), theirs);
        let pq = self.connection()?.state.pq_support;
        let ratchet = match role {
            ResyncRole::Accept => Ratchet::accept(ours, theirs, max, pq),
            ResyncRole::Initiate => Ratchet::initiate(ours, theirs, max, &mut self.shared.entropy),
        };
        Ok((ratchet.map_err(bad)?, role))
    }

    /// The new ratchet takes the place of the old one. Our keys are kept until it is sure that the other side has the same.
    fn agree(&mut self, ratchet: Ratchet, ours: X3dhKeys, role: ResyncRole) -> Result<(), AgentError> {
        self.ops.push(AgentOp::ClearSkipped(self.id));
        self.take_back_introductions();
        let connection = self.agreement_mut().ok_or(PROHIBITED)?;
        connection.agreement = Agreement::Renewing(Box::new(ratchet), Box::new(ours));
        connection.state.skipped = 0;
        let last = connection.state.counters.received;
        self.sync_is(SyncState::Agreed, None);
        if role == ResyncRole::Initiate {
            self.enqueue(AMessage::RatchetReady(last), MessageFlags { notification: true })?;
        }
        Ok(())
    }

    /// Our keys once more, if they are not agreed on, or nothing was sent with what they agreed on.
    pub(super) fn repeat_keys(&mut self) -> Result<(), AgentError> {
        let connection = self.connection()?;
        let is_answer = connection.state.sync == SyncState::Agreed;
        let Agreement::Renewing(_, keys) = &connection.agreement else { return Ok(()) };
        let keys = keys.public();
        self.enqueue_keys(&keys, is_answer)
    }

    /// Our keys, which no ratchet encrypts. They have a number of the sender's like other messages.
    fn enqueue_keys(&mut self, keys: &E2eParameters, is_answer: bool) -> Result<(), AgentError> {
        let created_at = self.now();
        let mut info = Vec::new();
        let said = if is_answer { ANSWER } else { b"" };
        AgentMessage::RatchetInfo(Bytes::from_static(said)).encode(&mut info);
        let hash = MessageHash::from(sha256(&info));
        let body = EnvelopeBody::RatchetKeys { keys: Box::new(keys.clone()), info: info.into() };
        let mut envelope = Vec::new();
        AgentEnvelope { version: self.shared.config.versions.agent.max(), body }.encode(&mut envelope);
        let connection = self.connection()?;
        let queue = connection.send.first().ok_or(PROHIBITED)?.number;
        let counters = &mut connection.state.counters;
        counters.last = LocalMessageId(counters.last.0 + 1);
        counters.sent += 1;
        counters.sent_hash = hash.clone();
        let outgoing = Outgoing {
            connection: connection.id,
            id: counters.last,
            sender_id: counters.sent,
            created_at,
            flags: MessageFlags { notification: true },
            content: OutgoingContent::Plain(envelope.into()),
            hash,
            receipt: ReceiptState::NotExpected,
        };
        let delivery = Delivery { connection: outgoing.connection, queue, message: outgoing.id };
        self.ops.extend([AgentOp::PutOutgoing(Box::new(outgoing)), AgentOp::PutDelivery(delivery)]);
        self.effects.push(Effect::Deliver(queue));
        Ok(())
    }
}

/// Whether keys say that they are an answer.
fn is_answer(info: &Bytes) -> bool {
    let info = decode_all(info, AgentMessage::decode);
    matches!(info, Ok(AgentMessage::RatchetInfo(said)) if said == ANSWER)
}

/// What our answers say beside the keys, where other agents say nothing and read nothing.
const ANSWER: &[u8] = b"A";

impl X3dhKeys {
    /// The same keys for a ratchet of this version.
    fn for_version(&self, version: Version) -> Self {
        let kem = self.kem.clone().filter(|_| version >= KemParameters::SINCE);
        Self { version, kem, ..self.clone() }
    }
}
