//! Expiry of messages and notifications, a few queues at a time.

use std::ops::Bound;

use bytes::Bytes;
use fjall::Keyspace;
use smp_core::UnixTime;
use smp_core::server::store::{Notification, OpResult};
use smp_core::wire::EntityId;
use smp_core::wire::codec::Decoded;

use super::engine::{EngineError, Result};
use super::executor::{Batch, Executor, Outcome};
use super::layout::{self, Backlog};

impl<'a> Executor<'a> {
    /// Visits backlogs, so queues without messages cost nothing.
    pub(super) fn expire(&mut self, before: UnixTime, after: Option<&EntityId>, limit: u32) -> Outcome {
        let visit = Visit {
            keyspace: &self.engine.backlogs,
            name: "backlogs",
            decode: Backlog::decode,
            expire: Self::expire_backlog,
        };
        self.visit(&visit, before, after, limit)
    }

    pub(super) fn expire_queue(&mut self, queue: &EntityId, before: UnixTime) -> Outcome {
        let mut deleted = 0;
        if let Some(backlog) = self.backlog(queue)? {
            let mut batch = self.batch();
            deleted = self.expire_backlog(&mut batch, queue, backlog, before)?;
            self.commit(batch)?;
        }
        Ok(OpResult::Expired { deleted, next: None })
    }

    /// Visits the lists of notifications, so queues for whose notifier none wait cost nothing.
    pub(super) fn expire_notifications(
        &mut self,
        before: UnixTime,
        after: Option<&EntityId>,
        limit: u32,
    ) -> Outcome {
        let visit = Visit {
            keyspace: &self.engine.notifications,
            name: "notifications",
            decode: layout::notifications,
            expire: Self::expire_list,
        };
        self.visit(&visit, before, after, limit)
    }

    /// Goes on behind what cannot be read.
    fn visit<T>(
        &mut self,
        visit: &Visit<'a, T>,
        before: UnixTime,
        after: Option<&EntityId>,
        limit: u32,
    ) -> Outcome {
        let start = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes()));
        let mut batch = self.batch();
        let (mut deleted, mut visited) = (0, 0);
        let mut next = None;
        for entry in visit.keyspace.range::<&[u8], _>((start, Bound::Unbounded)) {
            let (key, value) = entry.into_inner()?;
            visited += 1;
            let Ok(queue) = EntityId::new(&key) else {
                self.damage = Some(visit.name);
                continue;
            };
            match (visit.decode)(&value.into()) {
                Ok(value) => deleted += (visit.expire)(self, &mut batch, &queue, value, before)?,
                Err(_) => self.damage = Some(visit.name),
            }
            if visited >= limit || deleted >= EXPIRED_MAX {
                next = Some(queue);
                break;
            }
        }
        self.commit(batch)?;
        Ok(OpResult::Expired { deleted, next })
    }

    /// Deletes the old messages of a queue. They are in the order of their times, so the old ones are in
    /// front. What is behind a damaged one stays.
    fn expire_backlog(
        &mut self,
        batch: &mut Batch,
        queue: &EntityId,
        backlog: Backlog,
        before: UnixTime,
    ) -> Result<u64> {
        let mut deleted = 0;
        let mut rest = Some(backlog);
        while let Some(backlog) = rest.filter(|backlog| backlog.first_sent_at < before) {
            rest = match self.pop(batch, queue, backlog) {
                Ok(rest) => rest.map(|(backlog, _)| backlog),
                Err(EngineError::Corrupt(keyspace)) => {
                    self.damage = Some(keyspace);
                    break;
                }
                Err(error) => return Err(error),
            };
            deleted += 1;
        }
        Ok(deleted)
    }

    /// Deletes the old notifications of a queue, which are in front.
    fn expire_list(
        &mut self,
        batch: &mut Batch,
        queue: &EntityId,
        notifications: Vec<Notification>,
        before: UnixTime,
    ) -> Result<u64> {
        let old = notifications.iter().take_while(|waiting| waiting.sent_at < before).count();
        if old > 0 {
            self.put_rest(batch, queue, &notifications[old..], old)?;
        }
        Ok(old as u64)
    }
}

/// What a visit of expiry goes through.
struct Visit<'a, T> {
    keyspace: &'a Keyspace,
    name: &'static str,
    decode: fn(&Bytes) -> Decoded<T>,
    /// Deletes what is old of one value, and says how much.
    expire: fn(&mut Executor<'a>, &mut Batch, &EntityId, T, UnixTime) -> Result<u64>,
}

/// How much a visit deletes at most, so that clients do not wait long for their turn. A queue is finished first.
const EXPIRED_MAX: u64 = 5000;
