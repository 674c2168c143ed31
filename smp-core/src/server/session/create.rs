//! NEW: a queue with its ids and keys.

use super::Session;
use super::answers::PendingKind;
use super::pipeline::Entry;
use crate::crypto::X25519PrivateKey;
use crate::entropy::Entropy;
use crate::server::broker::{Request, Tag};
use crate::server::store::{QueueRecord, QueueStatus};
use crate::wire::broker::CreatedQueue;
use crate::wire::command::{NewQueue, QueueRequestData, SubscriptionMode};
use crate::wire::error::{CommandError, ErrorType};
use crate::wire::{EntityId, MessageId};

/// A queue that is being created.
pub(super) struct Creation {
    record: QueueRecord,
    subscribe: bool,
    /// What its creator is told.
    pub(super) created: CreatedQueue,
    /// How often ids may be drawn again.
    attempts: u8,
}

impl Session {
    /// Creates a queue for a verified NEW.
    pub(super) fn create(&mut self, entry: &Entry, new: &NewQueue) -> Result<(), ErrorType> {
        if !self.may_create(new) {
            return Err(ErrorType::Auth);
        }
        if has_link(new) || new.notifier.is_some() {
            return Err(ErrorType::Command(CommandError::Prohibited));
        }
        let key = X25519PrivateKey::generate(&mut self.entropy);
        let secret = key.diffie_hellman(&new.dh_key).map_err(|_| ErrorType::Crypto)?;
        let mode = new.queue_data.as_ref().map(QueueRequestData::mode);
        let record = QueueRecord {
            recipient: self.new_id(),
            sender: self.new_id(),
            recipient_keys: vec![new.recipient_key],
            secret,
            sender_key: None,
            mode,
            status: QueueStatus::Active,
            used_on: self.now.unix.into(),
        };
        let created = CreatedQueue {
            recipient_id: record.recipient.clone(),
            sender_id: record.sender.clone(),
            dh_key: key.public(),
            mode,
            link_id: None,
            service_id: None,
            notifier: None,
        };
        let subscribe = new.subscribe == SubscriptionMode::Subscribe;
        let creation = Creation { record, subscribe, created, attempts: ATTEMPTS };
        let request = creation.request(self.next_tag());
        self.give(entry, request, PendingKind::Create(Box::new(creation)));
        Ok(())
    }

    /// Draws other ids, if that has not been done too often.
    pub(super) fn create_again(&mut self, tag: Tag, creation: &mut Creation) -> Option<Request> {
        creation.attempts = creation.attempts.checked_sub(1).filter(|left| *left > 0)?;
        creation.record.recipient = self.new_id();
        creation.record.sender = self.new_id();
        creation.created.recipient_id = creation.record.recipient.clone();
        creation.created.sender_id = creation.record.sender.clone();
        Some(creation.request(tag))
    }

    pub(super) fn new_id(&mut self) -> EntityId {
        let mut id = [0; 32];
        let id = &mut id[..self.config.id_bytes.clamp(16, 32)];
        self.entropy.fill(id);
        EntityId::new(id).unwrap_or_default()
    }

    pub(super) fn new_message_id(&mut self) -> MessageId {
        MessageId::from(self.entropy.bytes::<24>())
    }

    fn may_create(&self, new: &NewQueue) -> bool {
        self.config.new_queues
            && match &self.config.password {
                None => true,
                Some(password) => new.password.as_ref() == Some(password),
            }
    }
}

impl Creation {
    fn request(&self, tag: Tag) -> Request {
        Request::Create { tag, record: Box::new(self.record.clone()), subscribe: self.subscribe }
    }
}

const fn has_link(new: &NewQueue) -> bool {
    matches!(new.queue_data, Some(QueueRequestData::Messaging(Some(_)) | QueueRequestData::Contact(Some(_))))
}

/// How many times ids are drawn for one queue. That even the second are taken does not happen by chance.
const ATTEMPTS: u8 = 3;
