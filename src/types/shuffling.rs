//! Derived values that the transition keeps beside a state. The types only hold them; `transition` fills them.

use std::sync::Arc;

use super::{Epoch, Gwei, Hash256, preset::SLOTS_PER_EPOCH};

/// Shufflings kept with a state: the previous, the current and the next epoch's.
const SHUFFLINGS: usize = 3;

/// An epoch's committees: the active validators in shuffled order, cut into equal parts.
#[derive(Debug, PartialEq, Eq)]
pub struct Shuffling {
    /// The epoch.
    pub epoch: Epoch,
    /// The seed that ordered it. With the epoch and the active set it names the shuffling.
    pub seed: Hash256,
    /// Active validators, shuffled.
    pub shuffled: Vec<u32>,
    /// Committees in each slot of the epoch.
    pub committees_per_slot: u64,
}

impl Shuffling {
    /// Members of a committee; `index` counts within the slot. `None` when there is no such committee in this epoch.
    pub fn committee(&self, slot: u64, index: u64) -> Option<&[u32]> {
        if slot / SLOTS_PER_EPOCH != self.epoch || index >= self.committees_per_slot {
            return None;
        }
        let count = self.committees_per_slot * SLOTS_PER_EPOCH;
        let nth = (slot % SLOTS_PER_EPOCH) * self.committees_per_slot + index;
        let bound = |n: u64| (self.shuffled.len() as u64 * n / count) as usize;
        Some(&self.shuffled[bound(nth)..bound(nth + 1)])
    }
}

/// What a state remembers of what was derived from it; copies share it. Everything here can be derived again.
#[derive(Clone, Debug, Default)]
pub struct Caches {
    shufflings: Vec<Arc<Shuffling>>,
    /// Total active balance, and the epoch that it is of.
    pub total_active_balance: Option<(Epoch, Gwei)>,
    /// Members' indices of the current sync committee, and that committee's root.
    pub sync_committee_indices: Option<(Hash256, Arc<[u32]>)>,
}

impl Caches {
    /// The remembered shuffling of an epoch.
    pub fn shuffling(&self, epoch: Epoch) -> Option<&Arc<Shuffling>> {
        self.shufflings.iter().find(|shuffling| shuffling.epoch == epoch)
    }

    /// Remembers a shuffling; the oldest epochs are forgotten.
    pub fn remember(&mut self, shuffling: Arc<Shuffling>) {
        self.shufflings.retain(|known| known.epoch != shuffling.epoch);
        self.shufflings.push(shuffling);
        self.shufflings.sort_by_key(|known| known.epoch);
        if self.shufflings.len() > SHUFFLINGS {
            self.shufflings.remove(0);
        }
    }
}
