//! Committees that several states need: a fork's states and those that are rebuilt have the same as the head's, if they parted
//! after the block that decided them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::limits::SHUFFLINGS_KEPT;
use crate::{
    transition::get_block_root_at_slot,
    types::{BeaconState, Epoch, Hash256, Shuffling, compute_start_slot_at_epoch, preset::MIN_SEED_LOOKAHEAD},
};

/// The latest committees that were found, by their epoch and the block that decided them.
///
/// That block is the last before the epoch before theirs: with it, the seed is complete, nobody can become active or leave
/// before the epoch is over, and the registry's keys are there. So states that share it share the committees, and the sums of
/// their keys. The lock is held for a look at a handful of entries.
#[derive(Default)]
pub(crate) struct RecentShufflings(Mutex<VecDeque<Entry>>);

struct Entry {
    epoch: Epoch,
    decided_by: Hash256,
    shuffling: Arc<Shuffling>,
}

impl RecentShufflings {
    /// Gives the state the committees that other states have found, of its epoch and of those beside it, and takes over those
    /// that only this state has.
    pub fn share(&self, state: &mut BeaconState) {
        for epoch in state.previous_epoch()..=state.current_epoch() + 1 {
            let Some(decided_by) = deciding_block(state, epoch) else { continue };
            let own = state.caches.shuffling(epoch).cloned();
            let mut entries = self.entries();
            let known = entries.iter().find(|entry| (entry.epoch, entry.decided_by) == (epoch, decided_by));
            match (known.map(|entry| entry.shuffling.clone()), own) {
                (Some(known), own) if own.as_ref().is_none_or(|own| !Arc::ptr_eq(own, &known)) => {
                    state.caches.remember(known);
                }
                (None, Some(shuffling)) => {
                    entries.push_back(Entry { epoch, decided_by, shuffling });
                    if entries.len() > SHUFFLINGS_KEPT {
                        entries.pop_front();
                    }
                }
                _ => {}
            }
        }
    }

    /// Bytes on the heap of those that this state does not hold.
    pub fn bytes_beside(&self, state: &BeaconState) -> usize {
        let is_held =
            |entry: &Entry| state.caches.shuffling(entry.epoch).is_some_and(|own| Arc::ptr_eq(own, &entry.shuffling));
        self.entries().iter().filter(|entry| !is_held(entry)).map(|entry| entry.shuffling.bytes()).sum()
    }

    /// Forgets all; states keep theirs.
    pub fn clear(&self) {
        self.entries().clear();
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The root of the last block before the epoch before `epoch`, on the state's branch. None for the first epochs, and for one that
/// the state does not know the blocks of.
fn deciding_block(state: &BeaconState, epoch: Epoch) -> Option<Hash256> {
    let decided_before = compute_start_slot_at_epoch(epoch.checked_sub(MIN_SEED_LOOKAHEAD)?);
    get_block_root_at_slot(state, decided_before.checked_sub(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ssz::Column,
        types::preset::{SLOTS_PER_EPOCH, SLOTS_PER_HISTORICAL_ROOT},
    };

    /// A state of epoch 5 whose blocks before epoch 4 and before epoch 5 have these roots.
    fn state(before_4: u8, before_5: u8) -> BeaconState {
        let block_roots = Column::filled(Hash256::ZERO, SLOTS_PER_HISTORICAL_ROOT);
        let mut state = BeaconState { slot: 5 * SLOTS_PER_EPOCH + 1, block_roots, ..BeaconState::default() };
        state.block_roots.set(4 * SLOTS_PER_EPOCH as usize - 1, Hash256::repeat_byte(before_4));
        state.block_roots.set(5 * SLOTS_PER_EPOCH as usize - 1, Hash256::repeat_byte(before_5));
        state
    }

    fn with_shuffling(mut state: BeaconState, epoch: Epoch) -> BeaconState {
        state.caches.remember(Arc::new(Shuffling::new(epoch, Hash256::ZERO, vec![1, 2, 3], 1)));
        state
    }

    fn is_shared(a: &BeaconState, b: &BeaconState, epoch: Epoch) -> bool {
        match (a.caches.shuffling(epoch), b.caches.shuffling(epoch)) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    #[test]
    fn states_share_what_the_same_block_decided() {
        let recent = RecentShufflings::default();
        let mut first = with_shuffling(with_shuffling(state(1, 2), 5), 6);
        recent.share(&mut first);
        let (mut same, mut later_fork, mut early_fork) = (state(1, 2), state(1, 3), state(4, 2));
        [&mut same, &mut later_fork, &mut early_fork].into_iter().for_each(|state| recent.share(state));
        assert!(is_shared(&first, &same, 5) && is_shared(&first, &same, 6));
        assert!(is_shared(&first, &later_fork, 5) && !is_shared(&first, &later_fork, 6));
        assert!(!is_shared(&first, &early_fork, 5));
        // A state that found its own takes the others', so that there is one of each.
        let mut late = with_shuffling(state(1, 2), 5);
        recent.share(&mut late);
        assert!(is_shared(&first, &late, 5));
        recent.clear();
        let mut after = state(1, 2);
        recent.share(&mut after);
        assert!(after.caches.shuffling(5).is_none() && recent.bytes_beside(&after) == 0);
    }

    #[test]
    fn the_oldest_make_room() {
        let recent = RecentShufflings::default();
        for n in 0..=SHUFFLINGS_KEPT as u8 {
            recent.share(&mut with_shuffling(state(n, 0), 5));
        }
        let one = with_shuffling(state(0, 0), 5).caches.shuffling(5).unwrap().bytes();
        assert_eq!(recent.bytes_beside(&BeaconState::default()), SHUFFLINGS_KEPT * one);
        let (mut oldest, mut newest) = (state(0, 0), state(SHUFFLINGS_KEPT as u8, 0));
        [&mut oldest, &mut newest].into_iter().for_each(|state| recent.share(state));
        assert!(oldest.caches.shuffling(5).is_none() && newest.caches.shuffling(5).is_some());
        assert_eq!(recent.bytes_beside(&newest), (SHUFFLINGS_KEPT - 1) * one, "a state's own are counted with it");
    }
}
