//! Random operations, compared with the reference.

use smp_core::server::store::{
    Append, MemoryStore, OpResult, QueueChange, QueueKey, QueueOp, QueueRecord, QueueStatus, UnixDay,
};
use smp_core::wire::{AuthPublicKey, EntityId, MessageId, QueueMode};
use smp_core::{Entropy, SeededEntropy, UnixTime};

use super::samples::{body, message_id, queue, recipient, recipient_key, sender, sender_key};
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

/// Compares what a store and the reference hold of the queues of [`RandomOps`], without changing either.
///
/// # Panics
/// When they differ.
pub fn compare_state(store: &impl Backend, reference: &mut MemoryStore, context: &str) {
    for number in 0..QUEUES {
        for key in [QueueKey::Recipient(recipient(number)), QueueKey::Sender(sender(number))] {
            let found = pollster::block_on(store.look_up(vec![key.clone()])).expect("the store works");
            let expected = reference.look_up(&key);
            let found = found.iter().flatten().flatten().map(describe_record).collect::<Vec<_>>();
            assert_eq!(found, expected.iter().map(describe_record).collect::<Vec<_>>(), "{context}");
        }
        let by =
            reference.look_up(&QueueKey::Recipient(recipient(number))).map(|record| record.recipient_keys[0]);
        let by = by.unwrap_or_else(|| recipient_key(number));
        let inspect = || vec![QueueOp::Inspect { queue: recipient(number), by }, QueueOp::Count];
        let found = run_now(store, inspect()).expect("the store works");
        let expected = reference.run(inspect());
        assert_eq!(
            found.iter().map(describe).collect::<Vec<_>>(),
            expected.iter().map(describe).collect::<Vec<_>>(),
            "{context}"
        );
    }
}

/// How many queues the operations are about: few, so that they meet.
const QUEUES: u64 = 6;

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
        match self.below(100) {
            0..12 => QueueOp::Create(Box::new(self.record(number))),
            12..24 => QueueOp::Change { queue, change: self.change(by), today },
            24..28 => QueueOp::Delete { queue, by },
            28..60 => self.append(queue, record.as_ref()),
            60..66 => QueueOp::Peek { queue, by: Some(by).filter(|_| !self.one_in(4)), today },
            66..69 => QueueOp::Check { queue, by, today },
            69..90 => QueueOp::Acknowledge { message: self.message(reference, &queue, by), queue, by, today },
            90..92 => QueueOp::Inspect { queue, by },
            92..95 => QueueOp::Expire {
                before: self.old_time(),
                after: Some(recipient(self.below(QUEUES))).filter(|_| self.one_in(3)),
                limit: u32::try_from(self.below(4)).unwrap_or(0),
            },
            95..97 => QueueOp::ExpireQueue { queue, before: self.old_time() },
            _ => QueueOp::Count,
        }
    }

    /// A queue that may share its sender id with another.
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
