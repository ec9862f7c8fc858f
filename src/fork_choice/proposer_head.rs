//! Whether a proposer builds on the head, or on its parent because the head came late and has few votes.

use super::Store;
use crate::types::{preset::SLOTS_PER_EPOCH, *};

impl Store {
    /// The block that the proposer of `slot` builds on: the head, or its parent. `head_committees` are the members of all
    /// committees of the head's slot, by the head's state.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#get_proposer_head>
    pub fn get_proposer_head(&mut self, head: &Hash256, slot: Slot, head_committees: &[u32]) -> Hash256 {
        self.sum_up_weights();
        let Some(at) = self.position(head) else { return *head };
        let Some(parent_at) = self.nodes[at].parent.map(|parent| parent as usize) else { return *head };
        // The boost must have worn off.
        if self.proposer_boost_root == *head {
            return *head;
        }
        let (node, parent) = (&self.nodes[at], &self.nodes[parent_at]);
        let head_weak = self.is_head_weak(at, head_committees);
        let current_time_ok = node.slot + 1 == slot;
        let single_slot_reorg = parent.slot + 1 == node.slot && current_time_ok;
        let ffg_competitive = node.unrealized_justified_checkpoint == parent.unrealized_justified_checkpoint;
        let late_and_weak = !node.is_timely
            && is_not_epoch_boundary(slot)
            && ffg_competitive
            && self.is_finalization_ok(slot)
            && self.is_proposing_on_time()
            && single_slot_reorg
            && head_weak
            && self.is_parent_strong(parent_at);
        if late_and_weak || (head_weak && current_time_ok && self.is_proposer_equivocation(at)) {
            parent.root
        } else {
            node.root
        }
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#is_finalization_ok>
    fn is_finalization_ok(&self, slot: Slot) -> bool {
        let epochs = compute_epoch_at_slot(slot).saturating_sub(self.finalized_checkpoint.epoch);
        epochs <= self.config.reorg_max_epochs_since_finalization
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#is_proposing_on_time>
    fn is_proposing_on_time(&self) -> bool {
        self.time_into_slot_ms() <= self.get_slot_component_duration_ms(self.config.proposer_reorg_cutoff_bps)
    }

    /// Counts the equivocating members of the slot's committees, too, so that more votes never make a head weaker.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#is_head_weak>
    fn is_head_weak(&self, head: usize, head_committees: &[u32]) -> bool {
        let equivocating = head_committees.iter().map(|&index| ValidatorIndex::from(index));
        let equivocating = equivocating.filter(|&index| self.votes.is_equivocating(index));
        let extra: Gwei = equivocating.map(|index| self.balances.effective_balance(index)).sum();
        self.nodes[head].weight + extra
            < self.balances.calculate_committee_fraction(self.config.reorg_head_weight_threshold)
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#is_parent_strong>
    fn is_parent_strong(&self, parent: usize) -> bool {
        self.nodes[parent].weight
            > self.balances.calculate_committee_fraction(self.config.reorg_parent_weight_threshold)
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#is_proposer_equivocation>
    fn is_proposer_equivocation(&self, head: usize) -> bool {
        let of = |at: usize| (self.nodes[at].proposer_index, self.nodes[at].slot);
        (0..self.nodes.len()).any(|other| other != head && of(other) == of(head))
    }
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#is_not_epoch_boundary>
fn is_not_epoch_boundary(slot: Slot) -> bool {
    !slot.is_multiple_of(SLOTS_PER_EPOCH)
}
