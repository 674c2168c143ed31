//! Random operations, compared with the reference.

use smp_core::server::store::{
    Append, MemoryStore, NotifierRecord, OpResult, QueueChange, QueueKey, QueueOp, QueueRecord, QueueStatus,
    UnixDay,
};
use smp_core::wire::{AuthPublicKey, EntityId, MessageId, QueueMode, ServiceRole};
use smp_core::{Entropy, SeededEntropy, UnixTime};

use super::samples::{
    blocking, body, count_service, fingerprint, link, link_data, message_id, notifier, notifier_id,
    notifier_key, queue, recipient, recipient_key, scan_service, sender, sender_key, service_id,
};
use super::{describe, describe_record, run_now};
use crate::Backend;

/// Carries out batches of random operations on an empty store and on the reference, and compares every
/// result; at random points the store is given to `reopen`. At last the states are compared.
///
/// # Panics
/// When the store differs from the reference. The message names the seed.
pub fn compare_random<B: Backend>(mut store: B, mut reopen: impl FnMut(B) -> B, seed: u64, batches: u32) {
    let mut ops = RandomOps::new(seed);
    let mut reference = MemoryStore::new();
    for batch in 0..batches {
        let batch_ops = ops.batch(&mut reference);
        let expected = reference.run(batch_ops.clone());
        let results = run_now(&store, batch_ops.clone()).expect("the store works");
        assert_eq!(results.len(), expected.len(), "results of seed {seed}, batch {batch}");
        for ((op, result), expected) in batch_ops.iter().zip(&results).zip(&expected) {
            assert_eq!(describe(result), describe(expected), "seed {seed}, batch {batch}, {op:?}");
        }
        if ops.one_in(40) {
            store = reopen(store);
        }
    }
    compare_state(&store, &mut reference, &format!("seed {seed}"));
    compare_state(&reopen(store), &mut reference, &format!("seed {seed}, opened again"));
}

/// Compares what a store and the reference hold of the queues and services of [`RandomOps`], without changing either.
///
/// # Panics
/// When they differ.
pub fn compare_state(store: &impl Backend, reference: &mut MemoryStore, context: &str) {
    for number in 0..QUEUES {
        let keys = [
            QueueKey::Recipient(recipient(number)),
            QueueKey::Sender(sender(number)),
            QueueKey::Link(link(number)),
            QueueKey::Notifier(notifier_id(number)),
        ];
        for key in keys {
            let found = pollster::block_on(store.look_up(vec![key.clone()])).expect("the store works");
            let expected = reference.look_up(&key);
            let found = found.iter().flatten().flatten().map(describe_record).collect::<Vec<_>>();
            assert_eq!(found, expected.iter().map(describe_record).collect::<Vec<_>>(), "{context}");
        }
        let ops = harmless_ops(number, reference.look_up(&QueueKey::Recipient(recipient(number))));
        compare_results(store, reference, ops, context);
    }
    for number in 0..=SERVICES {
        let ops = vec![count_service(number), scan_service(number, None, 100), scan_service(number, None, 1)];
        compare_results(store, reference, ops, context);
    }
}

fn compare_results(store: &impl Backend, reference: &mut MemoryStore, ops: Vec<QueueOp>, context: &str) {
    let found = run_now(store, ops.clone()).expect("the store works");
    let expected = reference.run(ops);
    assert_eq!(
        found.iter().map(describe).collect::<Vec<_>>(),
        expected.iter().map(describe).collect::<Vec<_>>(),
        "{context}"
    );
}

/// Operations on a queue that change nothing and show what they can.
fn harmless_ops(number: u64, record: Option<QueueRecord>) -> Vec<QueueOp> {
    let record = record.unwrap_or_else(|| queue(number));
    let queue = recipient(number);
    let mut ops =
        vec![QueueOp::Inspect { queue: queue.clone(), by: record.recipient_keys[0] }, QueueOp::Count];
    if let Some(notifier) = record.notifier {
        let notifier = notifier.id;
        ops.push(QueueOp::TakeNotifications { queue: queue.clone(), notifier, limit: 0 });
    }
    if let Some(link) = record.link {
        // The key that the queue is secured with already, or none: a reader, who changes nothing.
        let secure = record.sender_key.filter(|_| record.mode == Some(QueueMode::Messaging));
        ops.push(QueueOp::ReadLink { queue, link, secure, today: record.used_on });
    }
    ops
}

/// How many queues the operations are about: few, so that they meet.
const QUEUES: u64 = 6;
/// How many services may be made. The one with the next number never is.
const SERVICES: u64 = 5;

/// A source of operations that is a function of its seed and of the reference's state.
pub struct RandomOps {
    entropy: SeededEntropy,
    messages: u64,
}

impl RandomOps {
    /// A source.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self { entropy: SeededEntropy::new(bytes), messages: 0 }
    }

    /// A few operations. `reference` is where they will be carried out; it is asked for first messages, so
    /// that acknowledgements hit.
    pub fn batch(&mut self, reference: &mut MemoryStore) -> Vec<QueueOp> {
        (0..=self.below(5)).map(|_| self.op(reference)).collect()
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn op(&mut self, reference: &mut MemoryStore) -> QueueOp {
        let number = self.below(QUEUES);
        let record = reference.look_up(&QueueKey::Recipient(recipient(number)));
        let queue = recipient(number);
        let by = self.recipient_key(number, record.as_ref());
        let today = UnixDay(u32::try_from(self.below(3)).unwrap_or(0));
        match self.below(150) {
            0..12 => self.create(number),
            12..24 => QueueOp::Change { queue, change: self.change(by), today },
            24..28 => QueueOp::Delete { queue, by: Some(by).filter(|_| !self.one_in(4)) },
            28..60 => self.append(queue, record.as_ref()),
            60..66 => QueueOp::Peek { queue, by: Some(by).filter(|_| !self.one_in(4)), today },
            66..69 => {
                let service = self.service(ServiceRole::Messaging);
                QueueOp::Subscribe { queue, by, service, peek: self.one_in(2), today }
            }
            69..90 => QueueOp::Acknowledge { message: self.message(reference, &queue, by), queue, by, today },
            90..92 => QueueOp::Inspect { queue, by },
            92..95 => {
                let (before, after, limit) = self.visit();
                QueueOp::Expire { before, after, limit }
            }
            95..97 => QueueOp::ExpireQueue { queue, before: self.old_time() },
            97..99 => {
                let (before, after, limit) = self.visit();
                QueueOp::ExpireNotifications { before, after, limit }
            }
            99..107 => self.link_op(queue, by, record.as_ref(), today),
            107..117 => self.notifier_op(queue, by, record.as_ref(), today),
            117..126 => self.take_notifications(queue, record.as_ref()),
            130..150 => self.service_op(queue, by, record.as_ref(), today),
            126..128 => QueueOp::Block { queue, info: self.one_in(3).then(blocking) },
            _ => QueueOp::Count,
        }
    }

    /// A queue that may share ids with another.
    fn create(&mut self, number: u64) -> QueueOp {
        let mut record = self.record(number);
        let data = self.one_in(2).then(|| Box::new(link_data(self.below(2), self.below(9))));
        record.link = (data.is_some() != self.one_in(10)).then(|| self.id(number, link));
        record.notifier =
            self.one_in(2).then(|| NotifierRecord { id: self.id(number, notifier_id), ..self.notifier() });
        record.service = self.service(ServiceRole::Messaging);
        QueueOp::Create { record: Box::new(record), link: data }
    }

    fn link_op(
        &mut self,
        queue: EntityId,
        by: AuthPublicKey,
        record: Option<&QueueRecord>,
        today: UnixDay,
    ) -> QueueOp {
        let known = record.and_then(|record| record.link.clone());
        let other = self.id(QUEUES, link);
        let link = known.filter(|_| !self.one_in(4)).unwrap_or(other);
        match self.below(8) {
            0..3 => {
                let data = Box::new(link_data(self.below(2), self.below(9)));
                QueueOp::SetLink { queue, by, link, data, today }
            }
            3 => QueueOp::RemoveLink { queue, by, today },
            _ => {
                let is_messaging = record.is_some_and(|record| record.mode == Some(QueueMode::Messaging));
                let known = record.and_then(|record| record.sender_key).filter(|_| !self.one_in(4));
                let key = known.unwrap_or_else(|| sender_key(self.below(2)));
                let secure = (is_messaging != self.one_in(4)).then_some(key);
                QueueOp::ReadLink { queue, link, secure, today }
            }
        }
    }

    fn notifier_op(
        &mut self,
        queue: EntityId,
        by: AuthPublicKey,
        record: Option<&QueueRecord>,
        today: UnixDay,
    ) -> QueueOp {
        if record.is_some_and(|record| record.notifier.is_some()) && self.one_in(3) {
            return QueueOp::RemoveNotifier { queue, by, today };
        }
        let id = self.id(QUEUES, notifier_id);
        let notifier = Box::new(NotifierRecord { id, ..self.notifier() });
        QueueOp::SetNotifier { queue, by, notifier, today }
    }

    fn take_notifications(&mut self, queue: EntityId, record: Option<&QueueRecord>) -> QueueOp {
        let known = record.and_then(|record| record.notifier.clone());
        let known = known.map_or_else(|| notifier_id(0), |notifier| notifier.id);
        let notifier = if self.one_in(6) { self.id(QUEUES, notifier_id) } else { known };
        QueueOp::TakeNotifications { queue, notifier, limit: u32::try_from(self.below(4)).unwrap_or(0) }
    }

    fn service_op(
        &mut self,
        queue: EntityId,
        by: AuthPublicKey,
        record: Option<&QueueRecord>,
        today: UnixDay,
    ) -> QueueOp {
        let number = self.below(SERVICES);
        let limit = u32::try_from(self.below(4)).unwrap_or(0);
        match self.below(20) {
            0..4 => {
                let id = if self.one_in(6) { self.below(SERVICES) } else { number };
                let id = if self.one_in(20) { EntityId::empty() } else { service_id(id) };
                let role = if self.one_in(6) { self.below(SERVICES) } else { number };
                QueueOp::FindService {
                    fingerprint: fingerprint(number),
                    role: role_of(role),
                    id,
                    capacity: self.below(7),
                }
            }
            4..6 => count_service(self.below(SERVICES + 1)),
            6..9 => {
                let after = Some(recipient(self.below(QUEUES))).filter(|_| self.one_in(2));
                scan_service(self.below(SERVICES + 1), after, limit)
            }
            9..13 => {
                let service = self.service(ServiceRole::Messaging);
                QueueOp::Subscribe { queue, by, service, peek: self.one_in(2), today }
            }
            _ => {
                let known = record.and_then(|record| record.notifier.clone());
                let known = known.unwrap_or_else(|| notifier(0));
                let notifier = if self.one_in(8) { self.id(QUEUES, notifier_id) } else { known.id };
                let by = if self.one_in(8) { notifier_key(self.below(2)) } else { known.key };
                let service = self.service(ServiceRole::Notifier);
                QueueOp::SubscribeNotifier { queue, notifier, by, service }
            }
        }
    }

    /// A notifier with any id.
    fn notifier(&mut self) -> NotifierRecord {
        NotifierRecord { service: self.service(ServiceRole::Notifier), ..notifier(self.below(2)) }
    }

    /// No service, or mostly one that was made for this role, if it was made.
    fn service(&mut self, role: ServiceRole) -> Option<EntityId> {
        let any = self.below(SERVICES + 1);
        let is_fitting = any < SERVICES && role_of(any) == role;
        Some(service_id(any)).filter(|_| is_fitting || self.one_in(6))
    }

    /// The id with this number, sometimes that of any queue, or none.
    fn id(&mut self, number: u64, of: fn(u64) -> EntityId) -> EntityId {
        match self.below(12) {
            0 => EntityId::empty(),
            1..4 => of(self.below(QUEUES)),
            _ if number < QUEUES => of(number),
            _ => of(self.below(2 * QUEUES)),
        }
    }

    fn visit(&mut self) -> (UnixTime, Option<EntityId>, u32) {
        let after = Some(recipient(self.below(QUEUES))).filter(|_| self.one_in(3));
        (self.old_time(), after, u32::try_from(self.below(4)).unwrap_or(0))
    }

    /// A queue without a link or a notifier, which may share its sender id with another.
    fn record(&mut self, number: u64) -> QueueRecord {
        let shared = self.one_in(6);
        QueueRecord {
            sender: sender(if shared { self.below(QUEUES) } else { number }),
            recipient_keys: (0..=self.below(2)).map(|key| recipient_key(number + 100 * key)).collect(),
            sender_key: self.one_in(4).then(|| sender_key(0)),
            mode: [None, Some(QueueMode::Messaging), Some(QueueMode::Contact)][self.below(3) as usize],
            status: if self.one_in(8) { QueueStatus::Off } else { QueueStatus::Active },
            ..queue(number)
        }
    }

    fn change(&mut self, by: AuthPublicKey) -> QueueChange {
        let key = sender_key(self.below(2));
        match self.below(8) {
            0 | 1 => QueueChange::SecureByRecipient { by, key },
            2 | 3 => QueueChange::SecureBySender { key },
            4 | 5 => QueueChange::ReplaceRecipientKeys {
                by,
                keys: (0..self.below(3)).map(|key| recipient_key(1000 + key)).collect(),
            },
            6 if self.one_in(3) => QueueChange::Suspend { by },
            _ => QueueChange::SecureBySender { key },
        }
    }

    fn append(&mut self, queue: EntityId, record: Option<&QueueRecord>) -> QueueOp {
        self.messages += 1;
        let known = record.and_then(|record| record.sender_key);
        let length = [0, 1, 100, 16_048][self.below(4) as usize];
        QueueOp::Append(Box::new(Append {
            queue,
            by: if self.one_in(8) { Some(sender_key(self.below(2))) } else { known },
            id: message_id(self.messages),
            sent_at: UnixTime::from_secs(i64::try_from(self.messages).unwrap_or(0)),
            notification: self.one_in(2),
            body: body(self.messages, length),
            capacity: u32::try_from(self.below(5)).unwrap_or(0),
            notification_capacity: u32::try_from(self.below(4)).unwrap_or(0),
        }))
    }

    fn recipient_key(&mut self, number: u64, record: Option<&QueueRecord>) -> AuthPublicKey {
        let key = record.and_then(|record| record.recipient_keys.last().copied());
        key.filter(|_| !self.one_in(10)).unwrap_or_else(|| recipient_key(number))
    }

    /// Mostly the first message of the queue.
    fn message(&mut self, reference: &mut MemoryStore, queue: &EntityId, by: AuthPublicKey) -> MessageId {
        let inspect = QueueOp::Inspect { queue: queue.clone(), by };
        let first = match reference.run(vec![inspect]).pop() {
            Some(OpResult::Inspected(inspected)) => inspected.first.map(|message| message.id),
            _ => None,
        };
        first.filter(|_| !self.one_in(6)).unwrap_or_else(|| message_id(self.messages))
    }

    /// A time before the last few messages.
    fn old_time(&mut self) -> UnixTime {
        let seconds = self.messages.saturating_sub(self.below(20));
        UnixTime::from_secs(i64::try_from(seconds).unwrap_or(0))
    }

    fn below(&mut self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        u64::from_be_bytes(bytes) % limit
    }
}

/// What most services with this number are made for.
const fn role_of(service: u64) -> ServiceRole {
    match service {
        0 | 1 => ServiceRole::Messaging,
        2 | 3 => ServiceRole::Notifier,
        _ => ServiceRole::Proxy,
    }
}
