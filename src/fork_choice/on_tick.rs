//! Time.

use super::Store;
use crate::types::{Hash256, compute_epoch_at_slot};

impl Store {
    /// Sets the store's clock, in milliseconds of Unix time; a time that is not later is ignored. The slots in between
    /// need no ticks of their own: between two epochs' starts nothing happens, and what an epoch's start does is the
    /// same for all that were missed.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#on_tick>
    pub fn on_tick(&mut self, time_ms: u64) {
        if time_ms <= self.time_ms {
            return;
        }
        let previous_slot = self.get_current_slot();
        self.time_ms = time_ms;
        let current_slot = self.get_current_slot();
        if current_slot == previous_slot {
            return;
        }
        self.proposer_boost_root = Hash256::ZERO;
        if compute_epoch_at_slot(current_slot) > compute_epoch_at_slot(previous_slot) {
            self.update_checkpoints(self.unrealized_justified_checkpoint, self.unrealized_finalized_checkpoint);
        }
    }
}
