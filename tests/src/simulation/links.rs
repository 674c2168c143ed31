//! Links in a world: each queue has one id for its link, whose data the owner sets, changes and removes.

use bytes::Bytes;
use smp_core::crypto::AuthPrivateKey;
use smp_core::wire::command::LinkData;
use smp_core::wire::{BrokerMessage, Command, EntityId, QueueMode};

use super::client::{Mark, Peer};
use super::commands::Sent;
use super::model::Model;
use super::shared::Shared;

/// LSET: the fixed part is the same for a queue, the user's part new each time.
pub(super) fn set_link(link: &EntityId, fixed: &Bytes, user: &Bytes) -> Command {
    let data = LinkData { fixed: fixed.clone(), user: user.clone() };
    Command::LSet { link_id: link.clone(), data }
}

impl Peer {
    pub(super) fn set_link(&mut self, shared: &mut Shared, index: usize) -> Option<Vec<u8>> {
        let user = Bytes::from(format!("data {}", shared.counts.commands));
        self.recipient(shared, index, Sent::SetLink(index, user))
    }

    /// LKEY of a messaging queue, LGET of another.
    pub(super) fn read_link(&mut self, shared: &mut Shared, index: usize) -> Option<Vec<u8>> {
        let is_messaging = shared.queues[index].mode == Some(QueueMode::Messaging);
        let key = is_messaging.then(|| self.new_sender_key(shared, index));
        let queue = &shared.queues[index];
        let link_id = queue.link_id.clone();
        let command = match &key {
            Some(key) => {
                shared.asked.keys.insert((queue.recipient_id.clone(), key.public()));
                Command::LKey(key.public())
            }
            None => Command::LGet,
        };
        shared.trace.note("client sends LKEY or LGET: queue", &[self.index as u64, index as u64]);
        let link = self.link.as_mut()?;
        link.transmission(shared, key.as_ref(), &link_id, &command, Sent::ReadLink(index, key.clone()))
    }
}

/// LNK: data that the owner set, and whoever read it with a key has secured the queue.
pub(super) fn read(
    shared: &mut Shared,
    model: &Model,
    (index, key): (usize, Option<AuthPrivateKey>),
    answer: &BrokerMessage,
    mark: Mark,
) {
    let BrokerMessage::Lnk { sender_id, data } = answer else {
        return shared.trace.expect(false, || "LGET or LKEY was answered wrongly".into());
    };
    let queue = &mut shared.queues[index];
    let is_durable = |at: Option<&usize>| at.is_some_and(|at| *at < mark.durable);
    let is_set = is_durable(model.linked.get(&(queue.recipient_id.clone(), data.user.to_vec())));
    let is_its_own = *sender_id == queue.sender_id && data.fixed == queue.link_fixed;
    let secured = key.is_none_or(|key| {
        let at = model.secured.get(&(queue.recipient_id.clone(), key.public()));
        queue.is_secured = true;
        queue.sender_key = Some(key);
        is_durable(at)
    });
    shared
        .trace
        .expect(is_set && is_its_own, || format!("the link of queue {index} leads to what it does not have"));
    shared.trace.expect(secured, || format!("LKEY of queue {index} was answered before it was durable"));
}
