//! Receipts: the recipient of a message tells its sender that the app has it.
//!
//! ```text
//!   recipient                                        sender
//!   ACK, and a receipt (A_RCVD) ───────────────────▶ is it what was sent under this number? RCVD
//! ```
//!
//! A receipt has the hash of the message as it came. It is told once, or twice if it was wrong at first; nobody gives a receipt
//! for a receipt. One that comes before the server of the message has answered says that it was sent, too.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::receive::Taken;
use super::step::Step;
use super::store::{AgentOp, AgentQuery, Found, OutgoingContent, ReceiptState};
use super::{CallId, Event, ReceivedReceipt};
use crate::wire::agent::{AMessage, AgentCommandError, AgentError, NonEmpty, Receipt, sizes, version};
use crate::wire::command::MessageFlags;

impl Step<'_> {
    /// The app has a message, and the other side is to be told.
    pub(super) fn acknowledge_with_receipt(&mut self, id: CallId, info: &Bytes) -> Result<(), AgentError> {
        let state = &self.connection()?.state;
        if info.len() > sizes::receipt_info_len_max(state.version, state.pq_support) {
            return Err(AgentError::Command(AgentCommandError::Large));
        }
        let is_understood = state.version >= version::RECEIPTS;
        // Whoever acknowledges once more gave a receipt the first time.
        let message = match &self.found {
            Some(Found::Incoming(Some(incoming))) => Some(incoming.clone()).filter(|of| of.body.is_some()),
            _ => None,
        };
        self.acknowledge(id)?;
        if let Some(incoming) = message.filter(|_| is_understood && self.can_send()) {
            let (message_id, hash) = (incoming.sender_id, incoming.hash);
            let receipts = NonEmpty::one(Receipt { message_id, hash, info: info.clone() });
            self.enqueue(AMessage::Receipts(receipts), MessageFlags { notification: false })?;
        }
        Ok(())
    }

    /// The other side has messages. Of some nothing is known any more, or nobody asked.
    pub(super) fn receipts(&mut self, receipts: NonEmpty<Receipt>) -> Result<Taken, AgentError> {
        let receipts = receipts.into_vec();
        let numbers: BTreeSet<_> = receipts.iter().map(|receipt| receipt.message_id).collect();
        let query = AgentQuery::SentAll(self.id, numbers.into_iter().collect());
        let Some(Found::SentAll(mut sent)) = self.ask(query) else { return Ok(Taken::Done) };
        let mut told = Vec::new();
        for receipt in receipts {
            let Some(message) = sent.iter_mut().find(|message| message.sender_id == receipt.message_id)
            else {
                continue;
            };
            let is_intact = message.hash == receipt.hash;
            let is_sent = matches!(message.content, OutgoingContent::Delivered);
            let state = match (message.receipt, is_intact) {
                (ReceiptState::None | ReceiptState::BadHash, true) => ReceiptState::Received,
                // It has not got this one yet.
                (ReceiptState::None, false) if is_sent => ReceiptState::BadHash,
                _ => continue,
            };
            message.receipt = state;
            self.heard_of(message);
            told.push(ReceivedReceipt { message: message.id, is_intact });
            self.ops.push(AgentOp::PutOutgoing(Box::new(message.clone())));
        }
        if !told.is_empty() {
            self.event(Event::Received(self.id, told));
        }
        Ok(Taken::Done)
    }
}
