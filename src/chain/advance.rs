//! The head's state, advanced to an epoch that has begun without a block: duties and votes of the epoch need it.

use std::sync::Arc;

use super::{Shared, Snapshot, limits::MAX_EPOCHS_ADVANCED};
use crate::{
    transition::{TransitionError, get_shuffling, process_slots},
    types::{BeaconState, Epoch, Hash256, compute_epoch_at_slot, compute_start_slot_at_epoch},
};

/// A head's state at the start of an epoch after it.
pub(crate) struct Advanced {
    head: Hash256,
    state: Arc<BeaconState>,
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
        let known = self.advanced.load_full().filter(|known| known.head == snapshot.head_root);
        let base = known.map(|known| known.state.clone()).filter(|state| state.current_epoch() <= epoch);
        let base = base.unwrap_or_else(|| snapshot.head_state.clone());
        if base.current_epoch() == epoch {
            return Ok(base);
        }
        let mut state = (*base).clone();
        process_slots(&mut state, compute_start_slot_at_epoch(epoch), &self.context())?;
        for epoch in [state.previous_epoch(), epoch, epoch.saturating_add(1)] {
            get_shuffling(&mut state, epoch)?;
        }
        state.hash_tree_root();
        let state = Arc::new(state);
        self.advanced.store(Some(Arc::new(Advanced { head: snapshot.head_root, state: state.clone() })));
        Ok(state)
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
