//! Data of links. It is only read or written by operations that are about it.

use smp_core::server::store::{OpResult, QueueChange, Refusal, UnixDay};
use smp_core::wire::command::LinkData;
use smp_core::wire::{AuthPublicKey, EntityId};

use super::engine::{Engine, EngineError, Result, decoded};
use super::executor::{Batch, Executor, Outcome};
use super::layout;

impl Executor<'_> {
    pub(super) fn set_link(
        &mut self,
        queue: &EntityId,
        by: &AuthPublicKey,
        link: EntityId,
        data: &LinkData,
        today: UnixDay,
    ) -> Outcome {
        let engine = self.engine;
        let mut record = self.queue(queue)?;
        record.recipient_may_set_link(by, &link)?;
        let is_allowed = match &record.link {
            Some(_) => self.link_data(queue)?.fixed == data.fixed,
            None => Engine::led_to("links", &engine.links, &link)?.is_none(),
        };
        if !is_allowed {
            return Err(Refusal::Unauthorized.into());
        }
        let mut batch = self.batch();
        batch.put(&engine.link_data, queue.as_bytes(), layout::put_link_data(data));
        let is_new = record.link.is_none();
        if is_new {
            batch.put_id(&engine.links, &link, queue);
            record.link = Some(link);
        }
        batch.put_used(engine, &mut record, today, is_new);
        self.commit(batch)?;
        Ok(OpResult::Done)
    }

    pub(super) fn remove_link(&mut self, queue: &EntityId, by: &AuthPublicKey, today: UnixDay) -> Outcome {
        let mut record = self.queue(queue)?;
        record.recipient_may_use(Some(by))?;
        let mut batch = self.batch();
        let link = record.link.take();
        batch.put_used(self.engine, &mut record, today, link.is_some());
        if let Some(link) = link {
            batch.delete_link(self.engine, queue, &link);
        }
        self.commit(batch)?;
        Ok(OpResult::Done)
    }

    pub(super) fn read_link(
        &mut self,
        queue: &EntityId,
        link: &EntityId,
        secure: Option<AuthPublicKey>,
        today: UnixDay,
    ) -> Outcome {
        let mut record = self.queue(queue)?;
        if record.link.as_ref() != Some(link) {
            return Err(Refusal::Unauthorized.into());
        }
        let was_secured = record.sender_key.is_some();
        match secure {
            Some(key) => record.apply(QueueChange::SecureBySender { key })?,
            None => record.anybody_may_read_link(link)?,
        }
        let mut batch = self.batch();
        let is_secured = record.sender_key.is_some();
        batch.put_used(self.engine, &mut record, today, is_secured != was_secured);
        let data = Box::new(self.link_data(queue)?);
        self.commit(batch)?;
        Ok(OpResult::Link { sender: record.sender, data })
    }

    /// The data of a queue that has a link id.
    fn link_data(&self, queue: &EntityId) -> Result<LinkData> {
        let bytes = Engine::value(&self.engine.link_data, queue.as_bytes())?;
        decoded("link_data", layout::link_data(&bytes.ok_or(EngineError::Corrupt("link_data"))?))
    }
}

impl Batch {
    /// Deletes the data of a queue's link and the way to it.
    pub(super) fn delete_link(&mut self, engine: &Engine, queue: &EntityId, link: &EntityId) {
        self.delete(&engine.links, link.as_bytes());
        self.delete(&engine.link_data, queue.as_bytes());
    }
}
