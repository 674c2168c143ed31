//! The keys of messages that were skipped: they may come late.

use std::collections::BTreeMap;

use super::chain::BodyKey;
use super::header::{EncryptedHeader, MessageHeader};
use super::{HeaderKey, RatchetFault, RatchetKey};

/// The keys of the messages of a ratchet that were skipped, oldest chain first.
///
/// At most [`Self::MAX`]: when more come, the oldest go, as if their messages were lost.
#[derive(Clone, Default)]
pub struct SkippedKeys {
    chains: Vec<SkippedChain>,
}

/// The key of a message that was skipped.
#[derive(Clone)]
pub struct SkippedKey {
    /// The header key of its chain.
    pub header: HeaderKey,
    /// Its number in the chain.
    pub number: u32,
    /// What opens its body.
    pub key: BodyKey,
}

/// What changes among skipped keys: first the ones that go, then those that come.
#[derive(Clone, Default)]
pub struct SkippedChanges {
    /// Header key of the chain and number of what is used up or forgotten.
    pub removed: Vec<(HeaderKey, u32)>,
    /// What was skipped now.
    pub added: Vec<SkippedKey>,
}

#[derive(Clone)]
pub(super) struct SkippedChain {
    header: HeaderKey,
    keys: BTreeMap<u32, BodyKey>,
}

impl SkippedKeys {
    /// How many keys are kept: eight times what may be skipped at once. A queue loses no messages and holds a few hundred at
    /// most, so that an honest message is never that late; a malicious peer makes us hold less than a megabyte.
    pub const MAX: usize = 4096;

    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { chains: Vec::new() }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chains.iter().map(|chain| chain.keys.len()).sum()
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.chains.is_empty()
    }

    /// All of them, in the order in which they can be inserted again.
    pub fn iter(&self) -> impl Iterator<Item = SkippedKey> {
        self.chains.iter().flat_map(|chain| {
            let keys = chain.keys.iter();
            keys.map(|(&number, key)| SkippedKey { header: chain.header.clone(), number, key: key.clone() })
        })
    }

    /// Adds a key, behind those of older chains.
    pub fn insert(&mut self, added: SkippedKey) {
        let SkippedKey { header, number, key } = added;
        match self.chains.iter_mut().rev().find(|chain| chain.header == header) {
            Some(chain) => {
                chain.keys.insert(number, key);
            }
            None => self.chains.push(SkippedChain { header, keys: BTreeMap::from([(number, key)]) }),
        }
    }

    /// Makes the changes that a message led to.
    pub fn apply(&mut self, changes: SkippedChanges) {
        for (header, number) in changes.removed {
            if let Some(chain) = self.chains.iter_mut().find(|chain| chain.header == header) {
                chain.keys.remove(&number);
            }
        }
        self.chains.retain(|chain| !chain.keys.is_empty());
        changes.added.into_iter().for_each(|added| self.insert(added));
    }

    /// The changes when these are added: as many of the oldest as are too many are forgotten.
    pub(super) fn changes(&self, added: Vec<SkippedKey>) -> SkippedChanges {
        let surplus = (self.len() + added.len()).saturating_sub(Self::MAX);
        let oldest = self
            .chains
            .iter()
            .flat_map(|chain| chain.keys.keys().map(|&number| (chain.header.clone(), number)));
        SkippedChanges { removed: oldest.take(surplus).collect(), added }
    }

    /// The chain that a header belongs to, and the header.
    pub(super) fn open<K: RatchetKey>(
        &self,
        header: &EncryptedHeader,
        associated: &[u8],
    ) -> Option<(&SkippedChain, Result<MessageHeader<K>, RatchetFault>)> {
        let mut chains = self.chains.iter();
        chains.find_map(|chain| header.open(&chain.header, associated).map(|header| (chain, header)))
    }
}

impl SkippedChain {
    pub(super) const fn header(&self) -> &HeaderKey {
        &self.header
    }

    pub(super) fn key(&self, number: u32) -> Option<&BodyKey> {
        self.keys.get(&number)
    }
}

impl SkippedChanges {
    pub(super) fn used(header: HeaderKey, number: u32) -> Self {
        Self { removed: vec![(header, number)], added: Vec::new() }
    }
}
