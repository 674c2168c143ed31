//! The operator in a world: queues are blocked, unblocked and deleted, of which those who use them are told.

use smp_core::server::store::StoreFailure;
use smp_core::server::{Moderation, ModerationId};
use smp_core::wire::Version;
use smp_core::wire::error::{BlockingInfo, BlockingReason, ErrorType, Notice};

use super::client::Link;
use super::commands::Sent;
use super::shared::Shared;
use super::world::World;

/// What the operator was not told the end of: the site, the queue, and what it is blocked for then.
pub(super) struct Order {
    site: usize,
    queue: usize,
    /// `None` for deleting it.
    block: Option<Option<BlockingInfo>>,
}

impl World {
    /// While there are faults, the operator may do something to a queue.
    pub(super) fn perhaps_moderate(&mut self, site: usize) {
        if !self.shared.dice.fault(self.shared.options.features.moderation) {
            return;
        }
        let here: Vec<_> =
            (0..self.shared.queues.len()).filter(|at| self.shared.queues[*at].site == site).collect();
        let Some(queue) = here.get(self.shared.dice.below(here.len())).copied() else { return };
        let block = match self.shared.dice.below(20) {
            0 => None,
            1..10 => Some(None),
            choice => Some(Some(BlockingInfo {
                reason: if choice % 2 == 0 { BlockingReason::Spam } else { BlockingReason::Content },
                notice: (choice > 14).then_some(Notice { ttl: (choice > 17).then_some(86_400) }),
            })),
        };
        self.moderate(Order { site, queue, block });
    }

    /// When faults end, about half of the queues that are blocked are not any more.
    pub(super) fn unblock_some(&mut self) {
        for queue in 0..self.shared.queues.len() {
            let state = &self.shared.queues[queue];
            let site = state.site;
            let is_blocked = self.sites[site].store.model.is_blocked(&state.recipient_id);
            if is_blocked && self.shared.dice.chance(5_000) {
                self.moderate(Order { site, queue, block: Some(None) });
            }
        }
    }

    fn moderate(&mut self, order: Order) {
        if !self.sites[order.site].is_up() {
            return;
        }
        let (site, at) = (order.site, order.queue);
        let queue = &mut self.shared.queues[at];
        let id = queue.recipient_id.clone();
        let moderation = match order.block {
            None => {
                queue.delete_asked = true;
                self.shared.asked.deletes.insert(id.clone());
                Moderation::Delete(id)
            }
            Some(block) => {
                queue.blocks_asked.push(block);
                block.map_or(Moderation::Unblock(id.clone()), |info| Moderation::Block(id, info))
            }
        };
        let kind = order.block.map_or(2, |block| block.is_some().into());
        self.shared.trace.note("operator unblocks, blocks or deletes: queue", &[kind, at as u64]);
        self.last_order += 1;
        let number = ModerationId(self.last_order);
        self.orders.insert(number, order);
        if let Some(shell) = &self.sites[site].shell {
            shell.moderate(number, moderation);
            self.wake_shell(site);
        } else {
            let delay = self.shared.dice.delay(self.shared.options.inside_delay);
            self.inside(site, delay, super::network::Inside::Moderate(number, moderation));
        }
    }

    /// The operator is told what came of an order: if it was carried out, for good.
    pub(super) fn moderated(&mut self, number: ModerationId, result: Result<bool, StoreFailure>) {
        let Some(Order { site, queue, block }) = self.orders.remove(&number) else { return };
        self.shared.trace.note("operator hears of queue", &[queue as u64, result.map_or(2, u64::from)]);
        let id = &self.shared.queues[queue].recipient_id;
        let store = &self.sites[site].store;
        let place =
            match block {
                _ if result != Ok(true) => None,
                None => store.model.deleted.get(id).copied(),
                Some(block) => store.model.blocks.get(id).and_then(|blocks| {
                    blocks.iter().find(|(known, _)| *known == block).map(|(_, place)| *place)
                }),
            };
        let is_durable = place.is_some_and(|at| at < store.durable);
        let holds = match result {
            Ok(true) => is_durable,
            Ok(false) => store.model.deleted.contains_key(id),
            Err(StoreFailure) => true,
        };
        self.shared
            .trace
            .expect(holds, || format!("the operator was told wrongly what became of queue {queue}"));
    }
}

/// Whether a command was refused because the operator blocked its queue, which must be so then.
pub(super) fn refused(shared: &mut Shared, version: Version, sent: &Sent, error: &ErrorType) -> bool {
    let Some(index) = sent.queue() else { return false };
    let queue = &shared.queues[index];
    let ignores_blocks = matches!(sent, Sent::Off(_) | Sent::Del(_));
    match error {
        ErrorType::Blocked(info) => {
            let may = !ignores_blocks && queue.was_blocked(*info, version);
            shared.trace.expect(may, || format!("queue {index} was said to be blocked"));
            true
        }
        // All that old versions are told. A queue that may be deleted is taken for that.
        ErrorType::Auth => {
            let may_be_blocked = !queue.blocks_asked.is_empty() && !queue.delete_asked;
            version < Version::BLOCKED && !ignores_blocks && may_be_blocked
        }
        _ => false,
    }
}

/// ERR as an event: a queue was blocked.
pub(super) fn event(shared: &mut Shared, link: &Link, index: usize, error: &ErrorType) {
    shared.trace.note("client hears that a queue is blocked", &[index as u64]);
    let version = link.parameters.as_ref().map_or(Version::MIN, |parameters| parameters.version);
    let queue = &shared.queues[index];
    let may = match error {
        ErrorType::Blocked(info) => queue.was_blocked(*info, version),
        ErrorType::Auth => version < Version::BLOCKED && !queue.blocks_asked.is_empty(),
        _ => false,
    };
    shared.trace.expect(may, || format!("an error about queue {index} came from nowhere"));
}

impl super::shared::SimQueue {
    /// Whether the operator ever asked to block it for this reason, as a version tells it.
    fn was_blocked(&self, info: BlockingInfo, version: Version) -> bool {
        let notice = |asked: BlockingInfo| asked.notice.filter(|_| version >= Version::BLOCKED_NOTICE);
        let is_it = |asked: BlockingInfo| asked.reason == info.reason && notice(asked) == info.notice;
        self.blocks_asked.iter().flatten().any(|asked| is_it(*asked))
    }
}
