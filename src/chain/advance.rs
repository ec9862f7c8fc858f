//! The head's state, advanced to an epoch that has begun without a block, or is about to begin: duties, votes and the first
//! block of the epoch need it.

use std::sync::{Arc, PoisonError};

use super::{Shared, Snapshot, limits::MAX_EPOCHS_ADVANCED, rebuild::prepare};
use crate::{
    metrics::{self, FIRST_BLOCKS},
    transition::{Context, TransitionError, get_sync_committee_indices, get_total_active_balance, process_slots},
    types::{BeaconBlock, BeaconState, Epoch, ForkName, Hash256, compute_epoch_at_slot, compute_start_slot_at_epoch},
};

/// A head's state at the start of an epoch after it.
pub(crate) struct Advanced {
    head: Hash256,
    state: Arc<BeaconState>,
}

/// Takes a state to the start of `epoch`, which must be after its own, and finds all that a block of that epoch needs: hashes,
/// committees, the active balance, the sync committee.
///
/// # Errors
/// Those of the transition.
pub fn take_to_epoch(state: &mut BeaconState, epoch: Epoch, ctx: &Context) -> Result<(), TransitionError> {
    process_slots(state, compute_start_slot_at_epoch(epoch), ctx)?;
    prepare(state)?;
    get_total_active_balance(state)?;
    if state.fork_name >= ForkName::Altair {
        get_sync_committee_indices(state)?;
    }
    Ok(())
}

impl Shared {
    /// The head's state, advanced to the start of `epoch` if it is of an earlier one. Hashed, with its shufflings. The latest
    /// is kept; the next epoch's is made of it. Costs a second or more at mainnet's size where it is not at hand.
    ///
    /// # Errors
    /// Those of the transition.
    pub fn head_state_at(&self, snapshot: &Snapshot, epoch: Epoch) -> Result<Arc<BeaconState>, TransitionError> {
        if snapshot.head_state.current_epoch() >= epoch {
            return Ok(snapshot.head_state.clone());
        }
        let _advancing = self.advancing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.advanced.load_full().filter(|known| known.head == snapshot.head_root);
        let base = known.map(|known| known.state.clone()).filter(|state| state.current_epoch() <= epoch);
        let base = base.unwrap_or_else(|| snapshot.head_state.clone());
        if base.current_epoch() == epoch {
            return Ok(base);
        }
        let mut state = (*base).clone();
        take_to_epoch(&mut state, epoch, &self.context())?;
        self.shufflings.share(&mut state);
        let state = Arc::new(state);
        self.advanced.store(Some(Arc::new(Advanced { head: snapshot.head_root, state: state.clone() })));
        Ok(state)
    }

    /// The state from which a block is imported: its parent's, or that one at the start of the block's epoch, if it was prepared
    /// and no epoch lies between.
    pub fn base_for(&self, block: &BeaconBlock, parent_state: &Arc<BeaconState>) -> Arc<BeaconState> {
        let epoch = compute_epoch_at_slot(block.slot);
        if epoch <= parent_state.current_epoch() {
            return parent_state.clone();
        }
        let prepared = self.advanced.load_full().filter(|known| {
            // Each epoch that begins makes the parent a checkpoint, so none must be passed over.
            known.head == block.parent_root && known.state.current_epoch() == parent_state.current_epoch() + 1
        });
        if !self.snapshot.load().is_syncing {
            let outcome = if prepared.is_some() { "yes" } else { "no" };
            metrics::inc(&FIRST_BLOCKS, &[("prepared", outcome)]);
        }
        prepared.map_or_else(|| parent_state.clone(), |known| known.state.clone())
    }

    /// Drops the advanced state if it is not of the snapshot's head, or not after it.
    pub fn drop_prepared_unless_of(&self, snapshot: &Snapshot) {
        let Some(known) = self.advanced.load_full() else { return };
        if known.head != snapshot.head_root || known.state.slot <= snapshot.head_state.slot {
            self.advanced.store(None);
        }
    }

    /// Forgets the advanced state and the committees kept for other states: they are found again if they are needed.
    pub fn forget_prepared(&self) {
        self.advanced.store(None);
        self.shufflings.clear();
    }

    /// What the advanced state, and the committees kept for other states, cost beside the head's state.
    pub fn advanced_bytes(&self, snapshot: &Snapshot) -> usize {
        let state = &snapshot.head_state;
        let advanced = self.advanced.load_full().map_or(0, |known| known.state.bytes_beside(state));
        advanced + self.shufflings.bytes_beside(state)
    }

    /// The head's state for the checks of gossip: as it is, while it knows the committees of this epoch and the one before, or
    /// while we are far behind.
    pub fn head_state_for_gossip(&self, snapshot: &Snapshot) -> Arc<BeaconState> {
        let soon = self.clock.now_ms().saturating_add(self.config.maximum_gossip_clock_disparity);
        let (epoch, known) = (compute_epoch_at_slot(self.clock.slot_at(soon)), snapshot.head_state.current_epoch());
        if epoch <= known.saturating_add(1) || snapshot.is_syncing || epoch - known > MAX_EPOCHS_ADVANCED {
            return snapshot.head_state.clone();
        }
        self.head_state_at(snapshot, epoch).unwrap_or_else(|_| snapshot.head_state.clone())
    }
}
