//! What an operator does to queues.

use super::*;
use crate::wire::error::{BlockingInfo, BlockingReason};

pub(super) const SPAM: BlockingInfo = BlockingInfo { reason: BlockingReason::Spam, notice: None };

impl World {
    pub(super) fn moderate(&mut self, moderation: Moderation) -> Result<bool, StoreFailure> {
        self.input(BrokerInput::Moderate(ModerationId(7), moderation));
        self.settle();
        let (id, done) = self.moderated.take().expect("an answer");
        assert_eq!(id, ModerationId(7));
        done
    }
}

#[test]
fn a_blocked_queue_delivers_again_when_that_ends() {
    let mut world = World::new(|_| ());
    world.subscribe(A, 1);
    world.take();
    assert_eq!(world.moderate(Moderation::Block(queue(1), SPAM)), Ok(true));
    assert_eq!(world.take(), [(A, Said::Blocked(SPAM))]);
    world.send(B, 1);
    world.subscribe(A, 1);
    world.get(B, 1);
    let blocked = |connection| (connection, Said::Refused(SPAM));
    assert_eq!(world.take(), [blocked(B), blocked(A), blocked(B)]);
    assert_eq!(world.moderate(Moderation::Unblock(queue(1))), Ok(true));
    world.send(B, 1);
    assert_eq!(world.take(), [(A, Said::Event(2)), (B, Said::Done)]);
    // Messages that waited come as soon as it ends.
    assert_eq!(world.moderate(Moderation::Block(queue(1), SPAM)), Ok(true));
    assert_eq!(world.take(), [(A, Said::Blocked(SPAM))]);
    world.input(BrokerInput::Disconnected(A));
    assert_eq!(world.moderate(Moderation::Unblock(queue(1))), Ok(true));
    world.subscribe(A, 1);
    assert_eq!(world.take(), [(A, Said::Subscribed(Some(2)))]);
}

#[test]
fn a_blocked_queue_can_be_deleted_by_its_recipient() {
    let mut world = World::new(|_| ());
    assert_eq!(world.moderate(Moderation::Block(queue(1), SPAM)), Ok(true));
    world.ask(A, Request::Delete { tag: 0, queue: queue(1), by: KEY, is_secured: false });
    assert_eq!(world.take(), [(A, Said::Done)]);
    for moderation in [Moderation::Block(queue(1), SPAM), Moderation::Unblock(queue(1))] {
        assert_eq!(world.moderate(moderation), Ok(false));
    }
}

#[test]
fn an_operator_deletes_a_queue() {
    let mut world = World::new(|config| config.end_interval = Duration::ZERO);
    world.subscribe(A, 1);
    world.take();
    assert_eq!(world.moderate(Moderation::Delete(queue(1))), Ok(true));
    assert_eq!(world.take(), [(A, Said::Ended(Ending::Deleted))]);
    assert_eq!(world.moderate(Moderation::Delete(queue(1))), Ok(false));
    assert!(world.broker.connections[&A].subscriptions.is_empty());
}

#[test]
fn a_store_that_fails_is_told_of() {
    let mut world = World::new(|_| ());
    world.input(BrokerInput::Moderate(ModerationId(1), Moderation::Delete(queue(1))));
    let batch = world.batches.pop_front().unwrap();
    world.input(BrokerInput::StoreDone(batch.id, Err(StoreFailure)));
    assert_eq!(world.moderated, Some((ModerationId(1), Err(StoreFailure))));
}
