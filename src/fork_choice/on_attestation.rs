//! Attestations and attester slashings.

use super::{Store, votes::NO_NODE};
use crate::types::*;

/// Votes whose weights are looked up before the votes are: two short loops keep more accesses to memory under way at
/// once than a long one.
const VOTES_AT_ONCE: usize = 64;

/// Why an attestation does not count, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnAttestationError {
    /// Only votes of this epoch and the one before count on the wire.
    #[error("its target epoch {target} is neither this epoch {current} nor the one before")]
    TargetNotNear {
        /// The target's epoch.
        target: Epoch,
        /// The store's epoch.
        current: Epoch,
    },
    /// Slot and target contradict each other.
    #[error("its slot {slot} is not in its target's epoch {target}")]
    SlotOutsideTarget {
        /// The attestation's slot.
        slot: Slot,
        /// The target's epoch.
        target: Epoch,
    },
    /// The block may come later.
    #[error("its target block {0} is unknown")]
    UnknownTarget(Hash256),
    /// The block may come later.
    #[error("its block {0} is unknown")]
    UnknownBlock(Hash256),
    /// It votes for a block that could not be there yet.
    #[error("its block is of slot {block}, after its own slot {slot}")]
    BlockAfterSlot {
        /// The block's slot.
        block: Slot,
        /// The attestation's slot.
        slot: Slot,
    },
    /// Block and target are on different chains.
    #[error("its target is not the checkpoint of its block's chain")]
    TargetNotOfBlock,
    /// Hold it back until the next slot.
    #[error("its slot {slot} is not over, this is slot {current}")]
    SlotNotOver {
        /// The attestation's slot.
        slot: Slot,
        /// The store's slot.
        current: Slot,
    },
}

impl Store {
    /// The checks of an attestation that need no state.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#validate_on_attestation>
    ///
    /// # Errors
    /// Says which rule it breaks; several mean that it may count later.
    pub fn validate_on_attestation(
        &self,
        data: &AttestationData,
        is_from_block: bool,
    ) -> Result<(), OnAttestationError> {
        let (target, slot) = (data.target, data.slot);
        if !is_from_block {
            let current = self.get_current_store_epoch();
            if target.epoch != current && target.epoch != current.saturating_sub(1) {
                return Err(OnAttestationError::TargetNotNear { target: target.epoch, current });
            }
        }
        if target.epoch != compute_epoch_at_slot(slot) {
            return Err(OnAttestationError::SlotOutsideTarget { slot, target: target.epoch });
        }
        if !self.contains(&target.root) {
            return Err(OnAttestationError::UnknownTarget(target.root));
        }
        let unknown = OnAttestationError::UnknownBlock(data.beacon_block_root);
        let block = self.node(&data.beacon_block_root).ok_or(unknown)?;
        if block.slot > slot {
            return Err(OnAttestationError::BlockAfterSlot { block: block.slot, slot });
        }
        if self.get_checkpoint_block(&block.root, target.epoch) != Some(target.root) {
            return Err(OnAttestationError::TargetNotOfBlock);
        }
        let current = self.get_current_slot();
        if current <= slot {
            return Err(OnAttestationError::SlotNotOver { slot, current });
        }
        Ok(())
    }

    /// Counts the votes of an attestation. The caller has verified it: that these validators are in its committees and
    /// signed it.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#on_attestation>
    ///
    /// # Errors
    /// As [`Store::validate_on_attestation`]; nothing was counted then.
    pub fn on_attestation(
        &mut self,
        data: &AttestationData,
        attesting_indices: &[ValidatorIndex],
        is_from_block: bool,
    ) -> Result<(), OnAttestationError> {
        self.validate_on_attestation(data, is_from_block)?;
        if let Some(node) = self.position(&data.beacon_block_root) {
            self.update_latest_messages(attesting_indices, node, data.target.epoch);
        }
        Ok(())
    }

    /// Moves each vote's weight from the block that it supported to `node`. Neighbours mostly come from the same block, so
    /// what leaves a block is summed up as long as it is the same one.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#update_latest_messages>
    fn update_latest_messages(&mut self, attesting_indices: &[ValidatorIndex], node: usize, epoch: Epoch) {
        let (mut gained, mut left, mut leaving) = (0, NO_NODE, 0);
        let nodes = &mut self.nodes;
        let mut leave = |at: u32, weight: Gwei| {
            if at != NO_NODE {
                nodes[at as usize].votes -= weight;
            }
        };
        let mut weights = [0; VOTES_AT_ONCE];
        for indices in attesting_indices.chunks(VOTES_AT_ONCE) {
            if !self.votes.any_earlier(indices, epoch) {
                continue;
            }
            for (weight, index) in weights.iter_mut().zip(indices) {
                *weight = self.balances.weight(*index);
            }
            self.votes.update(indices, node as u32, epoch, |n, before| {
                gained += weights[n];
                if before != left {
                    leave(left, std::mem::take(&mut leaving));
                    left = before;
                }
                leaving += weights[n];
            });
        }
        leave(left, leaving);
        self.nodes[node].votes += gained;
    }

    /// Votes of validators that contradicted themselves count no more, now and ever. The caller has verified both
    /// attestations.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#on_attester_slashing>
    pub fn on_attester_slashing(&mut self, slashing: &AttesterSlashing) {
        self.discard_votes(&equivocating_indices(slashing));
    }

    pub(super) fn discard_votes(&mut self, indices: &[ValidatorIndex]) {
        for &index in indices {
            let before = self.votes.discard(index).unwrap_or(NO_NODE);
            if before != NO_NODE {
                self.nodes[before as usize].votes -= self.balances.weight(index);
            }
        }
    }
}

/// The validators that signed both attestations of a slashing.
pub fn equivocating_indices(slashing: &AttesterSlashing) -> Vec<ValidatorIndex> {
    let second = &slashing.attestation_2.attesting_indices;
    let first = slashing.attestation_1.attesting_indices.iter();
    // Verified attestations name their attesters in order.
    first.filter(|index| second.binary_search(index).is_ok()).copied().collect()
}
