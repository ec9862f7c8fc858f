//! Post-states in memory: few, each for a reason, and how others are rebuilt.

use std::{collections::VecDeque, sync::Arc};

use super::limits::{BOUNDARY_STATES, REBUILT_STATES, RECENT_STATES};
use crate::types::{BeaconState, Hash256};

pub(super) type Entry = (Hash256, Arc<BeaconState>);

/// Post-states by block root. The store task changes it; a copy in each snapshot is read by all.
#[derive(Clone, Debug)]
pub(crate) struct HotStates {
    /// From which everything else can be rebuilt: the finalized block's, or an older one on its branch.
    base: Entry,
    /// The latest blocks'.
    recent: VecDeque<Entry>,
    /// Of the last block before, or at, an epoch's first slot: the next justified and finalized ones.
    boundaries: VecDeque<Entry>,
    /// What somebody asked for.
    rebuilt: VecDeque<Entry>,
}

impl HotStates {
    pub fn new(root: Hash256, state: Arc<BeaconState>) -> HotStates {
        HotStates {
            base: (root, state),
            recent: VecDeque::new(),
            boundaries: VecDeque::new(),
            rebuilt: VecDeque::new(),
        }
    }

    pub fn get(&self, root: &Hash256) -> Option<Arc<BeaconState>> {
        self.iter().find(|(known, _)| known == root).map(|(_, state)| state.clone())
    }

    fn iter(&self) -> impl Iterator<Item = &Entry> {
        let others = self.recent.iter().chain(&self.boundaries).chain(&self.rebuilt);
        std::iter::once(&self.base).chain(others)
    }

    pub fn base(&self) -> &Entry {
        &self.base
    }

    /// The newest of those at epoch boundaries for which `is_wanted` is true.
    pub fn newest_boundary(&self, is_wanted: impl Fn(&Hash256, &BeaconState) -> bool) -> Option<&Entry> {
        self.boundaries.iter().filter(|(root, state)| is_wanted(root, state)).max_by_key(|(_, state)| state.slot)
    }

    pub fn insert_recent(&mut self, root: Hash256, state: Arc<BeaconState>) {
        push(&mut self.recent, root, state, RECENT_STATES);
    }

    pub fn insert_boundary(&mut self, root: Hash256, state: Arc<BeaconState>) {
        push(&mut self.boundaries, root, state, BOUNDARY_STATES);
    }

    pub fn insert_rebuilt(&mut self, root: Hash256, state: Arc<BeaconState>) {
        push(&mut self.rebuilt, root, state, REBUILT_STATES);
    }

    /// Makes the state of `root` the base, if it is here, and drops those that `keep` does not want.
    pub fn finalize(&mut self, root: &Hash256, keep: impl Fn(&Hash256) -> bool) {
        if let Some(state) = self.get(root) {
            self.base = (*root, state);
        }
        for entries in [&mut self.recent, &mut self.boundaries, &mut self.rebuilt] {
            entries.retain(|(root, _)| keep(root));
        }
    }
}

/// The newest is at the back; the oldest makes room.
fn push(entries: &mut VecDeque<Entry>, root: Hash256, state: Arc<BeaconState>, limit: usize) {
    entries.retain(|(known, _)| *known != root);
    entries.push_back((root, state));
    if entries.len() > limit {
        entries.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(slot: u64) -> Arc<BeaconState> {
        Arc::new(BeaconState { slot, ..BeaconState::default() })
    }

    fn root(n: u8) -> Hash256 {
        Hash256::repeat_byte(n)
    }

    #[test]
    fn the_oldest_make_room_and_the_base_stays() {
        let mut states = HotStates::new(root(255), state(0));
        for n in 0..=RECENT_STATES as u8 {
            states.insert_recent(root(n), state(n.into()));
        }
        assert!(states.get(&root(0)).is_none());
        assert!(states.get(&root(1)).is_some() && states.get(&root(255)).is_some());
        // What is inserted again counts as new.
        states.insert_recent(root(1), state(1));
        states.insert_recent(root(100), state(100));
        assert!(states.get(&root(1)).is_some() && states.get(&root(2)).is_none());
    }

    #[test]
    fn finality_moves_the_base_only_to_a_state_that_is_here() {
        let mut states = HotStates::new(root(1), state(1));
        states.insert_boundary(root(8), state(8));
        states.insert_recent(root(9), state(9));
        states.finalize(&root(5), |_| true);
        assert_eq!(states.base().0, root(1));
        states.finalize(&root(8), |known| *known == root(8));
        assert_eq!(states.base().1.slot, 8);
        assert!(states.get(&root(1)).is_none() && states.get(&root(9)).is_none());
    }
}
