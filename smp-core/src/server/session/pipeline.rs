//! Commands from their block to the broker: parsed, looked up, verified, carried out or refused, in order.

use std::sync::Arc;

use bytes::Bytes;

use super::answers::{GroupId, Pending, PendingKind};
use super::counting::Counted;
use super::relay::Via;
use super::service::check_form;
use super::verify::Right;
use super::{BREATH, LookUpId, Session, SessionOutput};
use crate::server::broker::{Request, Tag};
use crate::server::store::{
    Append, Found, QueueChange, QueueKey, QueueOp, QueueRecord, QueueStatus, StoreFailure, UnixDay,
};
use crate::transport::ServiceParameters;
use crate::wire::batch::decode_batch;
use crate::wire::command::Party;
use crate::wire::error::{CommandError, ErrorType};
use crate::wire::transmission::{Authorization, ClientTransmission};
use crate::wire::{AuthPublicKey, BrokerMessage, Command, CorrelationId, EntityId, Version};

/// A command that was read and not decided on.
pub(super) struct Entry {
    pub(super) group: GroupId,
    pub(super) from: ClientTransmission,
    pub(super) command: Command,
    pub(super) look_up: LookUp,
    /// What it adds to the session's `input_bytes`.
    pub(super) input_bytes: usize,
    /// How it came, if it was forwarded.
    pub(super) via: Option<Arc<Via>>,
}

/// What is known of the queue of a command.
pub(super) enum LookUp {
    /// The command is still in the layers of a proxy.
    Sealed,
    /// The command is refused whatever its queue is.
    Refused(ErrorType),
    /// It is about no queue that this server could have.
    None,
    /// It has not been asked for.
    Wanted,
    /// It has been asked for. `after` is the last command that the broker was given then, if all of them were answered.
    Asked {
        after: Option<Tag>,
    },
    Found {
        record: Option<Box<QueueRecord>>,
        after: Option<Tag>,
    },
    /// It was found too early, and is wanted again when the commands before it are answered.
    TooEarly,
    Failed,
}

impl Entry {
    /// What is remembered of it until its answer.
    pub(super) fn pending(&self, kind: PendingKind) -> Pending {
        Pending {
            group: self.group,
            correlation_id: self.from.correlation_id.clone(),
            entity_id: self.from.entity_id.clone(),
            input_bytes: self.input_bytes,
            via: self.via.clone(),
            counted: Counted::of(&self.command),
            kind,
        }
    }

    pub(super) const fn is_sealed(&self) -> bool {
        matches!(self.look_up, LookUp::Sealed)
    }

    /// The command, once it is known.
    pub(super) fn set_command(&mut self, command: Command) {
        self.look_up = match (&command, queue_key(&command, &self.from.entity_id)) {
            (Command::Rfwd(_), _) => LookUp::Sealed,
            (_, Some(_)) => LookUp::Wanted,
            (_, None) => LookUp::None,
        };
        self.command = command;
    }

    /// How many verifications deciding on it may cost now.
    fn verifications(&self) -> usize {
        let record = match &self.look_up {
            LookUp::None => None,
            LookUp::Found { record, .. } => record.as_deref(),
            LookUp::Sealed | LookUp::Refused(_) => return 0,
            LookUp::Wanted | LookUp::Asked { .. } | LookUp::TooEarly | LookUp::Failed => return 0,
        };
        if needs_no_right(&self.command) || self.from.authorization == Authorization::None {
            return usize::from(matches!(self.command, Command::Subs(_) | Command::NSubs(_)));
        }
        let of_service = usize::from(self.from.service_signature.is_some());
        of_service
            + match (self.command.party(), record) {
                (Party::Recipient, Some(record)) => record.recipient_keys.len().max(1),
                _ => 1,
            }
    }
}

impl Session {
    /// Reads the transmissions of a block. `None` for a block that could not be read.
    pub(super) fn take_block(&mut self, content: Option<&Bytes>) {
        let Some(version) = self.verifier.as_ref().map(|verifier| verifier.version()) else { return };
        self.part_since = None;
        let group = self.new_group();
        match content.and_then(|content| decode_batch(content).ok()) {
            None => self.refuse(group, &CorrelationId::empty(), &EntityId::empty(), ErrorType::Block),
            Some(transmissions) => {
                let before = self.pipeline.len();
                for bytes in transmissions {
                    self.take_transmission(version, group, &bytes);
                }
                self.count_batch(before);
            }
        }
        self.group_read(group);
    }

    fn take_transmission(&mut self, version: Version, group: GroupId, bytes: &Bytes) {
        let Some(verifier) = &self.verifier else { return };
        let from = match ClientTransmission::decode(version, verifier.session_id(), bytes) {
            Ok(from) => from,
            Err(error) => {
                let (correlation_id, error) = error.into_answer();
                return self.refuse(group, &correlation_id, &EntityId::empty(), error);
            }
        };
        match check(version, verifier.service(), &from) {
            Err(error) => self.refuse(group, &from.correlation_id, &from.entity_id, error),
            Ok(command) => {
                let input_bytes = bytes.len();
                self.input_bytes += input_bytes;
                self.group_expects(group);
                let look_up = LookUp::None;
                let mut entry =
                    Entry { group, from, command: Command::Ping, look_up, input_bytes, via: None };
                entry.set_command(command);
                self.pipeline.push_back(entry);
            }
        }
    }

    /// The store's answer to a look-up: for the entries that it was asked for, which are still the first.
    pub(super) fn looked_up(&mut self, id: LookUpId, found: Result<Vec<Found>, StoreFailure>) {
        if self.look_up != Some(id) {
            return;
        }
        self.look_up = None;
        let mut found = found.unwrap_or_default().into_iter();
        for entry in &mut self.pipeline {
            if let LookUp::Asked { after } = entry.look_up {
                entry.look_up = match found.next() {
                    Some(Ok(record)) => LookUp::Found { record: record.map(Box::new), after },
                    Some(Err(StoreFailure)) | None => LookUp::Failed,
                };
            }
        }
    }

    /// Decides on commands, as far as is possible now.
    ///
    /// A few dozen verifications at a time: a block of commands with wrong authorisations, on queues with many keys, would
    /// else take a processor from all other connections for more than a thousand of them.
    pub(super) fn decide(&mut self) {
        let limit = self.config.limits.verifications_in_turn.max(1);
        let mut verifications = 0;
        if !self.open_forwards(&mut verifications, limit) {
            self.work_due = Some(self.now.mono + BREATH);
        }
        while let Some(entry) = self.pipeline.pop_front() {
            let cost = entry.verifications();
            if cost > 0 && verifications >= limit {
                self.pipeline.push_front(entry);
                self.work_due = Some(self.now.mono + BREATH);
                return;
            }
            verifications += cost;
            self.verifications += cost as u64;
            let too_early = match entry.look_up {
                LookUp::None | LookUp::Found { .. } | LookUp::Failed | LookUp::Refused(_) => {
                    self.decide_one(entry)
                }
                LookUp::Sealed | LookUp::Asked { .. } | LookUp::Wanted | LookUp::TooEarly => Some(entry),
            };
            if let Some(entry) = too_early {
                let wanted = match entry.look_up {
                    LookUp::Wanted => true,
                    LookUp::TooEarly => self.pending.is_empty(),
                    _ => false,
                };
                self.pipeline.push_front(entry);
                if wanted {
                    self.ask();
                }
                return;
            }
        }
    }

    /// Looks up the queues of all commands that have not been looked up, if no look-up is under way.
    fn ask(&mut self) {
        if self.look_up.is_some() {
            return;
        }
        let after = self.pending.is_empty().then_some(self.last_tag);
        let mut keys = Vec::new();
        for entry in &mut self.pipeline {
            if let LookUp::Wanted | LookUp::TooEarly = entry.look_up
                && let Some(key) = queue_key(&entry.command, &entry.from.entity_id)
            {
                keys.push(key);
                entry.look_up = LookUp::Asked { after };
            }
        }
        self.last_look_up += 1;
        let id = LookUpId(self.last_look_up);
        self.look_up = Some(id);
        self.outputs.push_back(SessionOutput::LookUp(id, keys));
    }

    /// Carries a command out or refuses it. Returns it when it is too early to refuse it: a command before it may still
    /// give it the right that it lacks.
    fn decide_one(&mut self, mut entry: Entry) -> Option<Entry> {
        let Some(verifier) = &mut self.verifier else { return None };
        let (record, settled) = match &entry.look_up {
            LookUp::Found { record, after } => (record.as_deref(), *after == Some(self.last_tag)),
            LookUp::Failed => {
                self.finish(&entry, &BrokerMessage::Err(store_failed()));
                return None;
            }
            LookUp::Refused(error) => {
                self.finish(&entry, &BrokerMessage::Err(error.clone()));
                return None;
            }
            LookUp::None | LookUp::Sealed | LookUp::Wanted | LookUp::Asked { .. } | LookUp::TooEarly => {
                (None, true)
            }
        };
        if !verifier.is_signed_by_service(&entry.from, &entry.command) {
            self.finish(&entry, &BrokerMessage::Err(ErrorType::Service));
            return None;
        }
        if let Command::Subs(expected) | Command::NSubs(expected) = entry.command {
            let request = Request::SubscribeService { tag: self.next_tag(), expected };
            self.give(&entry, request, PendingKind::Plain);
            return None;
        }
        if let Command::Rslv(name) = &entry.command {
            self.resolve(&entry, name);
            return None;
        }
        if let Command::Prxy(_) | Command::Pfwd(_) = entry.command {
            self.take_proxied(entry);
            return None;
        }
        if let Command::Ping = entry.command {
            self.finish(&entry, &BrokerMessage::Pong);
            return None;
        }
        match verifier.right(&entry.from, &entry.command, record, entry.via.is_some()) {
            Some(right) => {
                if let Err(error) = self.carry_out(&entry, right, record) {
                    self.finish(&entry, &BrokerMessage::Err(error));
                }
            }
            None if settled => self.finish(&entry, &BrokerMessage::Err(ErrorType::Auth)),
            None => {
                entry.look_up = LookUp::TooEarly;
                return Some(entry);
            }
        }
        None
    }

    /// Gives a verified command to the broker, or says why not.
    fn carry_out(
        &mut self,
        entry: &Entry,
        right: Right,
        record: Option<&QueueRecord>,
    ) -> Result<(), ErrorType> {
        let tag = self.next_tag();
        let queue = record.map(|record| record.recipient.clone()).unwrap_or_default();
        let key = match right {
            Right::Key(key) => Some(key),
            Right::Anybody => None,
        };
        let (request, kind) = match (&entry.command, key) {
            (Command::New(new), Some(_)) => return self.create(entry, new),
            (Command::Send { flags, body }, by) => {
                let version = entry.via.as_ref().map_or_else(|| self.version(), |via| via.version);
                if body.len() > version.message_length_max() {
                    return Err(ErrorType::LargeMessage);
                }
                // The store would say so too. Here it costs a stranger's SEND as much as for a queue that does not exist.
                if record.is_some_and(|record| record.status == QueueStatus::Off) {
                    return Err(ErrorType::Auth);
                }
                let append = Append {
                    queue,
                    by,
                    id: self.new_message_id(),
                    sent_at: self.now.unix,
                    notification: flags.notification,
                    body: body.clone(),
                    capacity: self.config.message_quota,
                    notification_capacity: self.config.limits.notifications,
                };
                (Request::Append { tag, append: Box::new(append) }, PendingKind::Plain)
            }
            (Command::RKey(keys), Some(_)) if keys.len() > self.config.limits.recipient_keys => {
                return Err(ErrorType::Internal);
            }
            (Command::SKey(key), Some(_)) => {
                let change = QueueChange::SecureBySender { key: *key };
                (self.store(tag, QueueOp::Change { queue, change, today: self.today() }), PendingKind::Plain)
            }
            (Command::LKey(_) | Command::LGet, secure) => {
                let link = entry.from.entity_id.clone();
                let op = QueueOp::ReadLink { queue, link, secure, today: self.today() };
                (self.store(tag, op), PendingKind::Plain)
            }
            (Command::NSub, Some(by)) => {
                let notifier = entry.from.entity_id.clone();
                (Request::SubscribeNotifier { tag, queue, notifier, by }, PendingKind::Plain)
            }
            (Command::NKey(keys), Some(by)) => return self.create_notifier(entry, queue, by, keys),
            (command, Some(by)) => {
                let is_secured = record.is_some_and(|record| record.sender_key.is_some());
                (self.recipient_request(command, tag, (queue, is_secured), by)?, PendingKind::Plain)
            }
            (_, None) => return Err(ErrorType::Auth),
        };
        self.give(entry, request, kind);
        Ok(())
    }

    fn recipient_request(
        &self,
        command: &Command,
        tag: Tag,
        (queue, is_secured): (EntityId, bool),
        by: AuthPublicKey,
    ) -> Result<Request, ErrorType> {
        let today = self.today();
        let change = |change| QueueOp::Change { queue: queue.clone(), change, today };
        let op = match command {
            Command::Sub => return Ok(Request::Subscribe { tag, queue, by }),
            Command::Get => return Ok(Request::Get { tag, queue, by }),
            Command::Ack(message) => {
                return Ok(Request::Acknowledge { tag, queue, by, message: message.clone() });
            }
            Command::Del => return Ok(Request::Delete { tag, queue, by, is_secured }),
            Command::Que => return Ok(Request::Inspect { tag, queue, by }),
            Command::NDel => return Ok(Request::SetNotifier { tag, queue, by, notifier: None }),
            Command::Key(key) => change(QueueChange::SecureByRecipient { by, key: *key }),
            Command::RKey(keys) => change(QueueChange::ReplaceRecipientKeys { by, keys: keys.clone() }),
            Command::Off => change(QueueChange::Suspend { by }),
            Command::LSet { link_id, data } => {
                let data = Box::new(data.clone());
                QueueOp::SetLink { queue, by, link: link_id.clone(), data, today }
            }
            Command::LDel => QueueOp::RemoveLink { queue, by, today },
            _ => return Err(ErrorType::Command(CommandError::Prohibited)),
        };
        Ok(self.store(tag, op))
    }

    fn store(&self, tag: Tag, op: QueueOp) -> Request {
        Request::Store { tag, op: Box::new(op) }
    }

    fn today(&self) -> UnixDay {
        self.now.unix.into()
    }

    /// Hands a request to the broker and remembers whom to answer.
    pub(super) fn give(&mut self, entry: &Entry, request: Request, kind: PendingKind) {
        self.last_tag += 1;
        self.pending.insert(self.last_tag, entry.pending(kind));
        self.requests.push(request);
        self.group_decided(entry.group);
    }

    /// Answers a command without the broker.
    pub(super) fn finish(&mut self, entry: &Entry, answer: &BrokerMessage) {
        self.input_bytes -= entry.input_bytes;
        self.count_refusal(Counted::of(&entry.command), answer);
        let (correlation, entity) = (&entry.from.correlation_id, &entry.from.entity_id);
        self.group_answer(entry.group, correlation, entity, entry.via.as_deref(), answer);
        self.group_decided(entry.group);
    }

    pub(super) const fn next_tag(&self) -> Tag {
        self.last_tag + 1
    }

    pub(super) fn service_id(&self) -> Option<EntityId> {
        self.verifier.as_ref()?.service().map(|service| service.id.clone())
    }

    fn version(&self) -> Version {
        self.verifier.as_ref().map_or(Version::MIN, |verifier| verifier.version())
    }
}

/// Reads the command and checks what can be checked without a queue.
pub(super) fn check(
    version: Version,
    service: Option<&ServiceParameters>,
    from: &ClientTransmission,
) -> Result<Command, ErrorType> {
    let command = Command::decode(version, &from.command)?;
    command.check_credentials(from.authorization.is_some(), &from.entity_id)?;
    check_form(service, from, &command)?;
    Ok(command)
}

/// The queue that a command is about, if it is one of the ids that queues have.
fn queue_key(command: &Command, entity: &EntityId) -> Option<QueueKey> {
    match command.party() {
        Party::Recipient => Some(QueueKey::Recipient(entity.clone())),
        Party::Sender => Some(QueueKey::Sender(entity.clone())),
        Party::SenderLink => Some(QueueKey::Link(entity.clone())),
        Party::Notifier => Some(QueueKey::Notifier(entity.clone())),
        _ => None,
    }
}

/// Commands that are answered without verification.
const fn needs_no_right(command: &Command) -> bool {
    matches!(
        command,
        Command::Ping
            | Command::Prxy(_)
            | Command::Pfwd(_)
            | Command::Rfwd(_)
            | Command::Rslv(_)
            | Command::Subs(_)
            | Command::NSubs(_)
    )
}

/// What a client is told when the store failed; the operator finds the cause in the log.
pub(super) fn store_failed() -> ErrorType {
    ErrorType::Store("unavailable".to_owned())
}
