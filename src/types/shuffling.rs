//! Derived values that the transition keeps beside a state. The types only hold them; `transition` fills them.

use std::sync::{Arc, OnceLock};

use super::{Epoch, Gwei, Hash256, participation::KnownParticipation, preset::SLOTS_PER_EPOCH};

/// Shufflings kept with a state: the previous, the current and the next epoch's.
const SHUFFLINGS: usize = 3;

/// A sum of public keys: both coordinates, of 48 bytes each.
pub type JointKey = [u8; 96];

/// An epoch's committees: the active validators in shuffled order, cut into equal parts.
#[derive(Debug)]
pub struct Shuffling {
    /// The epoch.
    pub epoch: Epoch,
    /// The seed that ordered it. With the epoch and the active set it names the shuffling.
    pub seed: Hash256,
    /// Active validators, shuffled.
    pub shuffled: Vec<u32>,
    /// Committees in each slot of the epoch.
    pub committees_per_slot: u64,
    /// One for each committee of the epoch, in order: at most 2,048, 200 KiB.
    joint_keys: Box<[OnceLock<JointKey>]>,
}

impl Shuffling {
    /// The committees of `epoch`; none of their joint keys is known yet.
    pub fn new(epoch: Epoch, seed: Hash256, shuffled: Vec<u32>, committees_per_slot: u64) -> Shuffling {
        let count = (committees_per_slot * SLOTS_PER_EPOCH) as usize;
        let joint_keys = std::iter::repeat_with(OnceLock::new).take(count).collect();
        Shuffling { epoch, seed, shuffled, committees_per_slot, joint_keys }
    }

    /// Members of a committee; `index` counts within the slot. `None` when there is no such committee in this epoch.
    pub fn committee(&self, slot: u64, index: u64) -> Option<&[u32]> {
        let nth = self.nth(slot, index)?;
        let count = self.committees_per_slot * SLOTS_PER_EPOCH;
        let bound = |n: u64| (self.shuffled.len() as u64 * n / count) as usize;
        Some(&self.shuffled[bound(nth)..bound(nth + 1)])
    }

    /// Where the sum of all keys of a committee is kept, once somebody computed it. `None` as for [`Shuffling::committee`].
    ///
    /// All states that share this shuffling descend from the one that it was made for, and a validator's key never
    /// changes, so they agree on it.
    pub fn joint_key(&self, slot: u64, index: u64) -> Option<&OnceLock<JointKey>> {
        self.joint_keys.get(self.nth(slot, index)? as usize)
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.shuffled.capacity() * size_of::<u32>() + size_of_val(&*self.joint_keys)
    }

    /// Which committee of the epoch it is.
    fn nth(&self, slot: u64, index: u64) -> Option<u64> {
        let exists = slot / SLOTS_PER_EPOCH == self.epoch && index < self.committees_per_slot;
        exists.then(|| (slot % SLOTS_PER_EPOCH) * self.committees_per_slot + index)
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
    /// The root of the state as it is now, from the block that made it. Only a replay of stored blocks says it, right before
    /// the next slot, whose processing takes it instead of hashing.
    pub known_root: Option<Hash256>,
    /// Written and read by the state itself, which knows what it is of.
    pub(super) participation: Option<KnownParticipation>,
}

impl Caches {
    /// The remembered shuffling of an epoch.
    pub fn shuffling(&self, epoch: Epoch) -> Option<&Arc<Shuffling>> {
        self.shufflings.iter().find(|shuffling| shuffling.epoch == epoch)
    }

    /// Bytes on the heap that keeping `self` beside `other` costs.
    pub fn bytes_beside(&self, other: &Self) -> usize {
        let is_shared = |shuffling: &Arc<Shuffling>| other.shufflings.iter().any(|own| Arc::ptr_eq(own, shuffling));
        let unshared = self.shufflings.iter().filter(|shuffling| !is_shared(shuffling));
        let shufflings: usize = unshared.map(|shuffling| shuffling.bytes()).sum();
        let members = match (&self.sync_committee_indices, &other.sync_committee_indices) {
            (Some((_, ours)), Some((_, theirs))) if Arc::ptr_eq(ours, theirs) => 0,
            (ours, _) => ours.as_ref().map_or(0, |(_, members)| size_of_val(&**members)),
        };
        shufflings + members
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
