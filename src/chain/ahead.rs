//! Work of the next epoch, done in the quiet seconds before it: the sums of its committees' keys, a few slots' in each slot, and
//! in the epoch's last slot the epoch's end itself, on the head's state.
//!
//! All of it is found again where it is needed: the sums with the committees, the state by its head. Should the head move away,
//! its block is imported the usual way.

use std::sync::Arc;

use super::{Shared, Snapshot, TaskError, limits::SLOTS_SUMMED_AT_ONCE};
use crate::{
    metrics::{self, PREPARED_BYTES},
    transition::{TransitionError, find_committee_keys},
    types::{
        CommitteeIndex, Shuffling, Slot, compute_epoch_at_slot, compute_start_slot_at_epoch, preset::SLOTS_PER_EPOCH,
    },
};

/// When to work, in twelfths of a slot: when its block and votes have come, and most aggregates; and once more before it ends,
/// should a late block have moved the head.
const MOMENTS: [u64; 2] = [9, 11];

/// Works in the quiet part of each slot.
pub(super) async fn run(shared: Arc<Shared>) -> Result<(), TaskError> {
    let mut next = shared.clock.slot();
    loop {
        for twelfths in MOMENTS {
            shared.clock.until(shared.clock.start_of(next) + shared.clock.slot_ms() * twelfths / 12).await;
            // Should the clock have jumped, this is not the moment any more.
            if shared.clock.slot() == next {
                let shared = shared.clone();
                smol::unblock(move || shared.work_ahead(next)).await;
            }
        }
        next = shared.clock.slot().max(next + 1);
    }
}

impl Shared {
    /// What is to be done in `slot`.
    pub fn work_ahead(&self, slot: Slot) {
        let snapshot = self.snapshot.load_full();
        if snapshot.is_syncing || snapshot.head_slot + SLOTS_PER_EPOCH < slot {
            return self.forget_prepared();
        }
        self.drop_prepared_unless_of(&snapshot);
        let epoch = compute_epoch_at_slot(slot);
        let result = if (slot + 1).is_multiple_of(SLOTS_PER_EPOCH) {
            self.head_state_at(&snapshot, epoch + 1).map(drop)
        } else if self.are_keys_ready(&snapshot.head_state) {
            self.sum_committees_ahead(&snapshot, slot)
        } else {
            Ok(())
        };
        if let Err(error) = result {
            tracing::debug!(slot, %error, "the next epoch can't be prepared");
        }
        metrics::set(&PREPARED_BYTES, &[], self.advanced_bytes(&snapshot) as f64);
    }

    /// Sums the keys of the next committees from `slot` on that are not summed yet.
    fn sum_committees_ahead(&self, snapshot: &Snapshot, slot: Slot) -> Result<(), TransitionError> {
        let state = &snapshot.head_state;
        let epoch = compute_epoch_at_slot(slot);
        let mut left = SLOTS_SUMMED_AT_ONCE;
        for shuffling in [epoch, epoch + 1].into_iter().filter_map(|epoch| state.caches.shuffling(epoch)) {
            let start = compute_start_slot_at_epoch(shuffling.epoch);
            let slots = (start..start + SLOTS_PER_EPOCH).filter(|of| *of >= slot);
            let unknown: Vec<Vec<_>> =
                slots.map(|slot| unknown(shuffling, slot)).filter(|slot| !slot.is_empty()).take(left).collect();
            find_committee_keys(state, shuffling, &unknown.concat(), &self.context())?;
            left -= unknown.len();
        }
        Ok(())
    }
}

/// The committees of a slot whose joint keys are not known.
fn unknown(shuffling: &Shuffling, slot: Slot) -> Vec<(Slot, CommitteeIndex)> {
    let committees = (0..shuffling.committees_per_slot).map(|index| (slot, index));
    let is_known = |(slot, index)| shuffling.joint_key(slot, index).is_some_and(|key| key.get().is_some());
    committees.filter(|committee| !is_known(*committee)).collect()
}
