//! Data of links.

use bytes::Bytes;

use super::{MemoryStore, Queue};
use crate::server::store::{OpResult, QueueChange, Refusal, UnixDay};
use crate::wire::command::LinkData;
use crate::wire::{AuthPublicKey, EntityId};

impl MemoryStore {
    pub(super) fn set_link(
        &mut self,
        queue: &EntityId,
        by: &AuthPublicKey,
        link: EntityId,
        data: LinkData,
        today: UnixDay,
    ) -> Result<OpResult, Refusal> {
        let is_of_another = self.links.get(&link).is_some_and(|of| of != queue);
        let found = self.queue(queue)?;
        found.record.recipient_may_set_link(by, &link)?;
        let same_fixed = found.link.as_ref().is_none_or(|known| known.fixed == data.fixed);
        if is_of_another || !same_fixed {
            return Err(Refusal::Unauthorized);
        }
        found.record.used_on = today;
        found.record.link = Some(link.clone());
        found.link = Some(detached(&data));
        self.links.insert(link, queue.clone());
        Ok(OpResult::Done)
    }

    pub(super) fn remove_link(
        &mut self,
        queue: &EntityId,
        by: &AuthPublicKey,
        today: UnixDay,
    ) -> Result<OpResult, Refusal> {
        let link = self.used_queue(queue, Some(by), today)?.take_link();
        link.iter().for_each(|link| _ = self.links.remove(link));
        Ok(OpResult::Done)
    }

    pub(super) fn read_link(
        &mut self,
        queue: &EntityId,
        link: &EntityId,
        secure: Option<AuthPublicKey>,
        today: UnixDay,
    ) -> Result<OpResult, Refusal> {
        let queue = self.queue(queue)?;
        let data = queue.link.clone().filter(|_| queue.record.link.as_ref() == Some(link));
        let data = data.ok_or(Refusal::Unauthorized)?;
        match secure {
            Some(key) => queue.record.apply(QueueChange::SecureBySender { key })?,
            None => queue.record.anybody_may_read_link(link)?,
        }
        queue.record.used_on = today;
        Ok(OpResult::Link { sender: queue.record.sender.clone(), data: Box::new(data) })
    }
}

impl Queue {
    /// Forgets the data; the id that led to it.
    pub(super) fn take_link(&mut self) -> Option<EntityId> {
        self.link = None;
        self.record.link.take()
    }
}

/// A copy that does not keep the block alive that it was read from.
pub(super) fn detached(data: &LinkData) -> LinkData {
    LinkData { fixed: Bytes::copy_from_slice(&data.fixed), user: Bytes::copy_from_slice(&data.user) }
}
