//! What everybody may know of the chain, published by the store task as a whole and never changed afterwards.

use std::{collections::HashMap, sync::Arc};

use super::{
    memory::hash_map_bytes,
    states::{Cost, HotStates},
};
use crate::types::{BeaconState, Checkpoint, Hash256, Slot, compute_epoch_at_slot};

/// Blocks in the newer of the two maps of [`KnownBlocks`] before they move to the older: what publishing copies at most.
const NEW_BLOCKS: usize = 256;

/// What is known of a block without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its slot.
    pub slot: Slot,
    /// Root of its parent.
    pub parent_root: Hash256,
    /// Root of its post-state.
    pub state_root: Hash256,
}

/// The blocks in the fork-choice store: the finalized one and its descendants. Copies share nearly all.
#[derive(Clone, Debug, Default)]
pub struct KnownBlocks {
    old: Arc<HashMap<Hash256, BlockInfo>>,
    new: Arc<HashMap<Hash256, BlockInfo>>,
}

impl KnownBlocks {
    /// The block, if it is known.
    pub fn get(&self, root: &Hash256) -> Option<&BlockInfo> {
        self.new.get(root).or_else(|| self.old.get(root))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.old.len() + self.new.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Hash256, &BlockInfo)> {
        self.old.iter().chain(self.new.iter())
    }

    /// What they take, in bytes: the maps' places, full or not.
    pub fn bytes(&self) -> usize {
        hash_map_bytes::<Hash256, BlockInfo>(self.old.capacity())
            + hash_map_bytes::<Hash256, BlockInfo>(self.new.capacity())
    }

    /// Adds a block.
    pub(super) fn insert(&mut self, root: Hash256, info: BlockInfo) {
        if self.old.contains_key(&root) {
            return;
        }
        let new = Arc::make_mut(&mut self.new);
        new.insert(root, info);
        if new.len() > NEW_BLOCKS {
            Arc::make_mut(&mut self.old).extend(new.drain());
        }
    }

    /// Keeps the blocks for which `keep` is true.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Hash256, &BlockInfo) -> bool) {
        let kept = self.iter().filter(|(root, info)| keep(root, info)).map(|(root, info)| (*root, *info)).collect();
        *self = KnownBlocks { old: Arc::new(kept), new: Arc::default() };
    }
}

/// The chain at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The slot of the clock when this was published; it is published in every slot.
    pub slot: Slot,
    /// The head.
    pub head_root: Hash256,
    /// Slot of the head.
    pub head_slot: Slot,
    /// The post-state of the head, hashed, with the shufflings of its epoch and the epochs beside it.
    pub head_state: Arc<BeaconState>,
    /// Root of the head's post-state.
    pub head_state_root: Hash256,
    /// The justified checkpoint of the fork-choice store.
    pub justified: Checkpoint,
    /// The finalized checkpoint of the fork-choice store.
    pub finalized: Checkpoint,
    /// The latest block that the fast confirmation rule confirms; the finalized one while it can't say more.
    pub confirmed_root: Hash256,
    /// Whether the execution client has not validated the head's payload, or there is none.
    pub is_optimistic: bool,
    /// Whether the execution client does not answer, or there is none.
    pub el_offline: bool,
    /// Whether ranges of blocks are being fetched, so that the head is behind.
    pub is_syncing: bool,
    /// The first slot from which on all blocks of the chain are stored.
    pub earliest_slot: Slot,
    /// The finalized block and its descendants.
    pub blocks: KnownBlocks,
    pub(super) states: HotStates,
}

impl Snapshot {
    /// A chain of one block, which is its head and finalized, with the state after it.
    pub fn of_anchor(root: Hash256, info: BlockInfo, state: Arc<BeaconState>) -> Snapshot {
        let finalized = Checkpoint { epoch: compute_epoch_at_slot(info.slot), root };
        let mut blocks = KnownBlocks::default();
        blocks.insert(root, info);
        Snapshot {
            slot: info.slot,
            head_root: root,
            head_slot: info.slot,
            states: HotStates::new(root, state.clone()),
            head_state: state,
            head_state_root: info.state_root,
            justified: finalized,
            finalized,
            confirmed_root: root,
            is_optimistic: false,
            el_offline: false,
            is_syncing: false,
            earliest_slot: info.slot,
            blocks,
        }
    }

    /// Adds a block with the state after it. The head stays.
    pub fn add(&mut self, root: Hash256, info: BlockInfo, state: Arc<BeaconState>) {
        self.blocks.insert(root, info);
        let (base_root, base) = self.states.base();
        let cost = Cost::measure(&state, *base_root, base);
        self.states.insert_recent(root, state, cost);
    }

    /// Whether the fork-choice store has the block.
    pub fn contains(&self, root: &Hash256) -> bool {
        self.blocks.get(root).is_some()
    }

    /// The post-state of a block, if it is in memory.
    pub fn state(&self, block_root: &Hash256) -> Option<Arc<BeaconState>> {
        self.states.get(block_root)
    }

    /// The last block at or before `slot` on the branch of `root`. `None` if the branch is not known, or if it is known
    /// from a later slot on only.
    pub fn ancestor(&self, root: Hash256, slot: Slot) -> Option<Hash256> {
        let mut at = root;
        loop {
            let info = self.blocks.get(&at)?;
            if info.slot <= slot {
                return Some(at);
            }
            at = info.parent_root;
        }
    }

    /// The branch of `root` back to the oldest block known, newest first.
    pub fn branch(&self, root: Hash256) -> impl Iterator<Item = (Hash256, BlockInfo)> {
        let step = |root: Hash256| self.blocks.get(&root).map(|info| (root, *info));
        std::iter::successors(step(root), move |(_, info)| step(info.parent_root))
    }

    /// Blocks without children, with their slots.
    pub fn heads(&self) -> Vec<(Hash256, Slot)> {
        let parents: std::collections::HashSet<_> = self.blocks.iter().map(|(_, info)| info.parent_root).collect();
        let leaves = self.blocks.iter().filter(|(root, _)| !parents.contains(*root));
        leaves.map(|(root, info)| (*root, info.slot)).collect()
    }

    /// Slots between the head and the clock.
    pub fn distance(&self) -> u64 {
        self.slot.saturating_sub(self.head_slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(n: u64) -> Hash256 {
        Hash256::left_padding_from(&n.to_be_bytes())
    }

    /// Blocks 1 to n in a line, in the slots 2, 4, 6 and so on.
    fn line(n: u64) -> KnownBlocks {
        let mut blocks = KnownBlocks::default();
        for i in 1..=n {
            blocks
                .insert(root(i), BlockInfo { slot: 2 * i, parent_root: root(i - 1), state_root: root(i + 1_000_000) });
        }
        blocks
    }

    fn snapshot(blocks: KnownBlocks) -> Snapshot {
        let first = BlockInfo { slot: 2, parent_root: root(0), state_root: Hash256::ZERO };
        Snapshot { slot: 50, blocks, ..Snapshot::of_anchor(root(1), first, Arc::default()) }
    }

    #[test]
    fn known_blocks_are_found_in_both_maps_and_copies_do_not_change() {
        let mut blocks = line(NEW_BLOCKS as u64 + 10);
        let copy = blocks.clone();
        blocks.insert(root(100_000), BlockInfo { slot: 9, parent_root: root(1), state_root: root(2) });
        assert_eq!((copy.len(), blocks.len()), (NEW_BLOCKS + 10, NEW_BLOCKS + 11));
        assert!(copy.get(&root(100_000)).is_none() && blocks.get(&root(100_000)).is_some());
        assert_eq!(blocks.get(&root(3)).unwrap().slot, 6);
        blocks.retain(|_, info| info.slot > 100);
        assert!(blocks.get(&root(50)).is_none() && blocks.get(&root(51)).is_some());
        // A block that is known already is not counted twice.
        let before = blocks.len();
        blocks.insert(root(51), BlockInfo { slot: 102, parent_root: root(50), state_root: root(0) });
        assert_eq!(blocks.len(), before);
    }

    #[test]
    fn ancestors_and_branches() {
        let mut blocks = line(10);
        blocks.insert(root(77), BlockInfo { slot: 13, parent_root: root(5), state_root: root(0) });
        let snapshot = snapshot(blocks);
        assert_eq!(snapshot.ancestor(root(10), 20), Some(root(10)));
        assert_eq!(snapshot.ancestor(root(10), 13), Some(root(6)));
        assert_eq!(snapshot.ancestor(root(77), 12), Some(root(5)));
        assert_eq!(snapshot.ancestor(root(10), 1), None);
        assert_eq!(snapshot.ancestor(root(99), 1), None);
        let branch: Vec<_> = snapshot.branch(root(77)).map(|(_, info)| info.slot).collect();
        assert_eq!(branch, [13, 10, 8, 6, 4, 2]);
        let mut heads = snapshot.heads();
        heads.sort_by_key(|(_, slot)| *slot);
        assert_eq!(heads, [(root(77), 13), (root(10), 20)]);
        assert_eq!(snapshot.distance(), 48);
    }
}
