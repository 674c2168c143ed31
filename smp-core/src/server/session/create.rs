//! NEW: a queue with its ids and keys.

use super::Session;
use super::answers::PendingKind;
use super::pipeline::Entry;
use crate::crypto::{X25519PrivateKey, chosen_sender_id};
use crate::entropy::Entropy;
use crate::server::broker::{Request, Tag};
use crate::server::store::{NotifierRecord, QueueRecord, QueueStatus};
use crate::wire::broker::{CreatedNotifier, CreatedQueue};
use crate::wire::command::{LinkData, NewQueue, NotifierKeys, QueueRequestData, SubscriptionMode};
use crate::wire::error::{CommandError, ErrorType};
use crate::wire::{AuthPublicKey, EntityId, MessageId};

/// A queue that is being created.
pub(super) struct Creation {
    record: QueueRecord,
    link: Option<Box<LinkData>>,
    subscribe: bool,
    /// What its creator is told.
    pub(super) created: CreatedQueue,
    /// The creator chose an id, so others are not drawn.
    has_chosen_id: bool,
    /// How often ids may be drawn again.
    attempts: u8,
}

/// A notifier that a queue is being given.
pub(super) struct NewNotifier {
    queue: EntityId,
    by: AuthPublicKey,
    record: NotifierRecord,
    pub(super) created: CreatedNotifier,
    attempts: u8,
}

/// The ids that the creator of a queue with link data chose, and the data.
struct ChosenLink<'a> {
    sender: &'a EntityId,
    link: Option<&'a EntityId>,
    data: &'a LinkData,
}

impl Session {
    /// Creates a queue for a verified NEW.
    pub(super) fn create(&mut self, entry: &Entry, new: &NewQueue) -> Result<(), ErrorType> {
        if !self.may_create(new) {
            return Err(ErrorType::Auth);
        }
        let service = self.service_id();
        if service.is_some() && new.subscribe == SubscriptionMode::OnlyCreate {
            return Err(ErrorType::Command(CommandError::Prohibited));
        }
        let chosen = chosen_link(new);
        if chosen
            .as_ref()
            .is_some_and(|chosen| *chosen.sender != chosen_sender_id(&entry.from.correlation_id))
        {
            return Err(ErrorType::Command(CommandError::Prohibited));
        }
        let key = X25519PrivateKey::generate(&mut self.entropy);
        let secret = key.diffie_hellman(&new.dh_key).map_err(|_| ErrorType::Crypto)?;
        let notifier = new.notifier.as_ref().map(|keys| self.new_notifier(keys)).transpose()?;
        let (notifier, created_notifier) = notifier.unzip();
        let mode = new.queue_data.as_ref().map(QueueRequestData::mode);
        let record = QueueRecord {
            recipient: self.new_id(),
            sender: chosen.as_ref().map_or_else(|| self.new_id(), |chosen| chosen.sender.clone()),
            recipient_keys: vec![new.recipient_key],
            secret,
            sender_key: None,
            mode,
            status: QueueStatus::Active,
            link: chosen.as_ref().map(|chosen| chosen.link.cloned().unwrap_or_else(|| self.new_id())),
            notifier,
            service: service.clone(),
            used_on: self.now.unix.into(),
        };
        let created = CreatedQueue {
            recipient_id: record.recipient.clone(),
            sender_id: record.sender.clone(),
            dh_key: key.public(),
            mode,
            link_id: record.link.clone(),
            service_id: service,
            notifier: created_notifier,
        };
        let creation = Creation {
            record,
            link: chosen.as_ref().map(|chosen| Box::new(chosen.data.clone())),
            subscribe: new.subscribe == SubscriptionMode::Subscribe,
            created,
            has_chosen_id: chosen.is_some(),
            attempts: ATTEMPTS,
        };
        let request = creation.request(self.next_tag());
        self.give(entry, request, PendingKind::Create(Box::new(creation)));
        Ok(())
    }

    /// Draws other ids, if that has not been done too often.
    pub(super) fn create_again(&mut self, tag: Tag, creation: &mut Creation) -> Option<Request> {
        if creation.has_chosen_id {
            return None;
        }
        creation.attempts = creation.attempts.checked_sub(1).filter(|left| *left > 0)?;
        creation.record.recipient = self.new_id();
        creation.record.sender = self.new_id();
        creation.created.recipient_id = creation.record.recipient.clone();
        creation.created.sender_id = creation.record.sender.clone();
        if let (Some(record), Some(created)) = (&mut creation.record.notifier, &mut creation.created.notifier)
        {
            record.id = self.new_id();
            created.notifier_id = record.id.clone();
        }
        Some(creation.request(tag))
    }

    /// Gives a queue a notifier for a verified NKEY.
    pub(super) fn create_notifier(
        &mut self,
        entry: &Entry,
        queue: EntityId,
        by: AuthPublicKey,
        keys: &NotifierKeys,
    ) -> Result<(), ErrorType> {
        let (record, created) = self.new_notifier(keys)?;
        let notifier = NewNotifier { queue, by, record, created, attempts: ATTEMPTS };
        let request = notifier.request(self.next_tag());
        self.give(entry, request, PendingKind::SetNotifier(Box::new(notifier)));
        Ok(())
    }

    /// Draws another id, if that has not been done too often.
    pub(super) fn create_notifier_again(&mut self, tag: Tag, notifier: &mut NewNotifier) -> Option<Request> {
        notifier.attempts = notifier.attempts.checked_sub(1).filter(|left| *left > 0)?;
        notifier.record.id = self.new_id();
        notifier.created.notifier_id = notifier.record.id.clone();
        Some(notifier.request(tag))
    }

    fn new_notifier(&mut self, keys: &NotifierKeys) -> Result<(NotifierRecord, CreatedNotifier), ErrorType> {
        let key = X25519PrivateKey::generate(&mut self.entropy);
        let secret = key.diffie_hellman(&keys.dh_key).map_err(|_| ErrorType::Crypto)?;
        let record = NotifierRecord { id: self.new_id(), key: keys.auth_key, secret, service: None };
        let created = CreatedNotifier { notifier_id: record.id.clone(), dh_key: key.public() };
        Ok((record, created))
    }

    pub(super) fn new_id(&mut self) -> EntityId {
        let mut id = [0; 32];
        let (id, _) = id.split_at_mut(self.config.id_bytes.clamp(16, 32));
        self.entropy.fill(id);
        EntityId::new(id).unwrap_or_default()
    }

    pub(super) fn new_message_id(&mut self) -> MessageId {
        MessageId::from(self.entropy.bytes::<24>())
    }

    fn may_create(&self, new: &NewQueue) -> bool {
        self.config.new_queues && self.config.accepts(new.password.as_ref())
    }
}

impl Creation {
    /// What it means that an id is in use.
    pub(super) const fn id_taken(&self) -> ErrorType {
        if self.has_chosen_id { ErrorType::Auth } else { ErrorType::Internal }
    }

    fn request(&self, tag: Tag) -> Request {
        let (record, link) = (Box::new(self.record.clone()), self.link.clone());
        Request::Create { tag, record, link, subscribe: self.subscribe }
    }
}

impl NewNotifier {
    fn request(&self, tag: Tag) -> Request {
        let notifier = Some(Box::new(self.record.clone()));
        Request::SetNotifier { tag, queue: self.queue.clone(), by: self.by, notifier }
    }
}

const fn chosen_link(new: &NewQueue) -> Option<ChosenLink<'_>> {
    match &new.queue_data {
        Some(QueueRequestData::Messaging(Some(link))) => {
            Some(ChosenLink { sender: &link.sender_id, link: None, data: &link.data })
        }
        Some(QueueRequestData::Contact(Some(link))) => {
            Some(ChosenLink { sender: &link.sender_id, link: Some(&link.link_id), data: &link.data })
        }
        _ => None,
    }
}
/// How many times ids are drawn for one queue. That even the second are taken does not happen by chance.
const ATTEMPTS: u8 = 3;
