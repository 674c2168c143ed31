//! Commands that wait to become blocks.

use std::collections::{BTreeMap, VecDeque};

use super::CommandId;
use crate::wire::EntityId;

/// Commands that wait, in lanes.
///
/// A server may run the commands of one block in any order and checks all of them before it runs the first, so a
/// block takes at most one command of a lane. Lanes take turns in the order in which they began to wait: nothing is
/// reordered within a queue, and independent commands share blocks.
pub(super) struct Outbox<T> {
    lanes: BTreeMap<Lane, VecDeque<(CommandId, T)>>,
    /// The lanes that have commands, each once, in the order of their turns.
    turns: VecDeque<Lane>,
    len: usize,
    alone: u64,
}

/// What must stay in order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// The commands about one entity.
    Entity(EntityId),
    /// A command that is about none.
    Alone(u64),
}

impl<T> Outbox<T> {
    pub(super) const fn new() -> Self {
        Self { lanes: BTreeMap::new(), turns: VecDeque::new(), len: 0, alone: 0 }
    }

    /// Adds a command behind the others of its entity, and returns where it waits.
    pub(super) fn push(&mut self, entity: &EntityId, id: CommandId, command: T) -> Lane {
        let lane = if entity.is_empty() {
            self.alone = self.alone.wrapping_add(1);
            Lane::Alone(self.alone)
        } else {
            Lane::Entity(entity.clone())
        };
        let waiting = self.lanes.entry(lane.clone()).or_default();
        if waiting.is_empty() {
            self.turns.push_back(lane.clone());
        }
        waiting.push_back((id, command));
        self.len += 1;
        lane
    }

    /// Takes a command out before its turn.
    pub(super) fn remove(&mut self, lane: &Lane, id: CommandId) -> Option<T> {
        let waiting = self.lanes.get_mut(lane)?;
        let (_, command) =
            waiting.iter().position(|(other, _)| *other == id).and_then(|at| waiting.remove(at))?;
        if waiting.is_empty() {
            self.lanes.remove(lane);
            self.turns.retain(|other| other != lane);
        }
        self.len -= 1;
        Some(command)
    }

    /// Gives commands to `take`, one of each lane in turn, until it refuses one or each lane had its turn. A refused
    /// command keeps its place.
    pub(super) fn fill(&mut self, mut take: impl FnMut(CommandId, &mut T) -> Taken) {
        let mut behind = VecDeque::new();
        while let Some(lane) = self.turns.pop_front() {
            let Some(waiting) = self.lanes.get_mut(&lane) else { continue };
            let taken = waiting.front_mut().map_or(Taken::Dropped, |(id, command)| take(*id, command));
            if taken == Taken::Full {
                self.turns.push_front(lane);
                break;
            }
            if waiting.pop_front().is_some() {
                self.len -= 1;
            }
            if waiting.is_empty() {
                self.lanes.remove(&lane);
            } else if taken == Taken::Dropped {
                self.turns.push_front(lane);
            } else {
                behind.push_back(lane);
            }
        }
        self.turns.append(&mut behind);
    }

    /// Takes out everything; commands of one lane in their order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (CommandId, T)> + use<T> {
        self.turns.clear();
        self.len = 0;
        core::mem::take(&mut self.lanes).into_values().flatten()
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// What became of a command that was offered to a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// It is in the block.
    InBlock,
    /// It cannot be sent, and was answered.
    Dropped,
    /// It does not fit beside the others.
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn entity(name: u8) -> EntityId {
        EntityId::new(if name == 0 { &[] } else { core::slice::from_ref(&name) }).unwrap()
    }

    /// Blocks of at most `size` commands until nothing waits.
    fn blocks(outbox: &mut Outbox<u64>, size: usize) -> Vec<Vec<u64>> {
        let mut blocks = Vec::new();
        while !outbox.is_empty() {
            let mut block = Vec::new();
            outbox.fill(|_, command| {
                if block.len() == size {
                    return Taken::Full;
                }
                block.push(*command);
                Taken::InBlock
            });
            blocks.push(block);
        }
        blocks
    }

    fn outbox(commands: &[(u8, u64)]) -> Outbox<u64> {
        let mut outbox = Outbox::new();
        for (name, command) in commands {
            outbox.push(&entity(*name), CommandId(*command), *command);
        }
        outbox
    }

    #[test]
    fn independent_commands_share_a_block_and_those_of_one_queue_do_not() {
        let commands = [(1, 10), (1, 11), (0, 1), (2, 20), (0, 2), (1, 12), (2, 21)];
        assert_eq!(blocks(&mut outbox(&commands), 9), [vec![10, 1, 20, 2], vec![11, 21], vec![12]]);
        assert_eq!(blocks(&mut outbox(&commands), 2), [[10, 1], [20, 2], [11, 21], [12, 0]].map(trim));
    }

    fn trim(block: [u64; 2]) -> Vec<u64> {
        block.into_iter().filter(|command| *command != 0).collect()
    }

    #[test]
    fn a_dropped_command_lets_the_next_of_its_queue_through() {
        let mut outbox = outbox(&[(1, 10), (1, 11), (2, 20)]);
        let mut block = Vec::new();
        outbox.fill(|_, command| {
            if *command == 10 {
                return Taken::Dropped;
            }
            block.push(*command);
            Taken::InBlock
        });
        assert_eq!(block, [11, 20]);
        assert!(outbox.is_empty());
    }

    quickcheck! {
        fn keeps_the_order_of_each_queue_and_loses_nothing(names: Vec<u8>, size: u8, cancelled: Vec<usize>) -> bool {
            let mut outbox = Outbox::new();
            let mut waiting: Vec<(u8, u64, Lane)> = (1..)
                .zip(names)
                .map(|(number, name)| (name % 4, number, outbox.push(&entity(name % 4), CommandId(number), number)))
                .collect();
            for at in cancelled {
                if at < waiting.len() {
                    let (_, number, lane) = waiting.remove(at);
                    assert_eq!(outbox.remove(&lane, CommandId(number)), Some(number));
                    assert_eq!(outbox.remove(&lane, CommandId(number)), None);
                }
            }
            assert_eq!(outbox.len(), waiting.len());
            let blocks = blocks(&mut outbox, usize::from(size % 5) + 1);
            let name_of = |number: u64| waiting.iter().find(|one| one.1 == number).map_or(0, |one| one.0);
            let alone_in_block = blocks.iter().all(|block| {
                let mut names: Vec<u8> = block.iter().map(|number| name_of(*number)).filter(|name| *name != 0).collect();
                let all = names.len();
                names.sort_unstable();
                names.dedup();
                names.len() == all
            });
            let sent: Vec<u64> = blocks.into_iter().flatten().collect();
            let in_order = (0..4).all(|name| {
                let of = |numbers: &[u64]| -> Vec<u64> {
                    numbers.iter().copied().filter(|number| name_of(*number) == name).collect()
                };
                of(&sent) == of(&waiting.iter().map(|one| one.1).collect::<Vec<_>>())
            });
            alone_in_block && in_order && sent.len() == waiting.len()
        }
    }
}
