//! LMD-GHOST helpers: whether a block outweighs whatever could be voted for instead.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#lmd-ghost-helpers>

use super::rule::{BalanceSource, Rule, epoch_of};
use crate::{
    fork_choice::{Balances, Node, PayloadStatus},
    types::{preset::SLOTS_PER_EPOCH, *},
};

/// Per mille that an estimate of committees' weight grows by, so that it is safe with high probability.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#constants>
const COMMITTEE_WEIGHT_ESTIMATION_ADJUSTMENT_FACTOR: u64 = 5;

impl Rule<'_> {
    /// Weight of the votes for exactly `block`, by the members of the committees of these slots.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_block_support_between_slots>
    fn get_block_support_between_slots(
        &self,
        source: &BalanceSource,
        block: &Node,
        start_slot: Slot,
        end_slot: Slot,
    ) -> Gwei {
        let votes_for_block = |&(_, index): &(Slot, u32)| self.store.latest_message(index.into()) == Some(block.root);
        let voters = self.facts.slot_committees(start_slot, end_slot).filter(votes_for_block);
        distinct(voters.map(|(_, index)| index)).map(|index| source.balances.weight(index)).sum()
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_equivocation_score>
    fn get_equivocation_score(&self, balances: &Balances, start_slot: Slot, end_slot: Slot) -> Gwei {
        let in_range = self.equivocating.iter().filter(|(slot, _)| (start_slot..=end_slot).contains(slot));
        distinct(in_range.map(|(_, index)| *index)).map(|index| balances.active_balance(index)).sum()
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#compute_adversarial_weight>
    pub(super) fn compute_adversarial_weight(&self, balances: &Balances, start_slot: Slot, end_slot: Slot) -> Gwei {
        let maximum_weight =
            estimate_committee_weight_between_slots(balances.total_active_balance, start_slot, end_slot);
        let max_adversarial_weight = maximum_weight / 100 * self.byzantine_threshold();
        max_adversarial_weight.saturating_sub(self.get_equivocation_score(balances, start_slot, end_slot))
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_adversarial_weight>
    fn get_adversarial_weight(&self, source: &BalanceSource, block: &Node, parent: &Node) -> Gwei {
        let crosses_epoch = epoch_of(block) > epoch_of(parent);
        let start_slot = if crosses_epoch { compute_start_slot_at_epoch(epoch_of(block)) } else { block.slot };
        self.compute_adversarial_weight(source.balances, start_slot, self.current_slot.saturating_sub(1))
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#compute_empty_slot_support_discount>
    fn compute_empty_slot_support_discount(&self, source: &BalanceSource, block: &Node, parent: &Node) -> Gwei {
        // A block is always after its parent.
        let (first, last) = (parent.slot + 1, block.slot - 1);
        if first > last {
            return 0;
        }
        let parent_support = self.get_block_support_between_slots(source, parent, first, last);
        parent_support.saturating_sub(self.compute_adversarial_weight(source.balances, first, last))
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_support_discount>
    fn get_support_discount(&self, source: &BalanceSource, block: &Node, parent: &Node) -> Gwei {
        self.compute_empty_slot_support_discount(source, block, parent)
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#compute_safety_threshold>
    fn compute_safety_threshold(&self, source: &BalanceSource, block: &Node, parent: &Node) -> Gwei {
        let total_active_balance = source.balances.total_active_balance;
        let proposer_score = source.balances.calculate_committee_fraction(self.store.config.proposer_score_boost);
        let maximum_support = estimate_committee_weight_between_slots(
            total_active_balance,
            parent.slot + 1,
            self.current_slot.saturating_sub(1),
        );
        let support_discount = self.get_support_discount(source, block, parent);
        let adversarial_weight = self.get_adversarial_weight(source, block, parent);
        (maximum_support + proposer_score + 2 * adversarial_weight).saturating_sub(support_discount) / 2
    }

    /// Whether the block at this position is LMD-GHOST safe, which it is not as long as its payload is not known to be
    /// valid.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#is_one_confirmed>
    pub(super) fn is_one_confirmed(&self, source: &BalanceSource, at: usize) -> bool {
        let block = &self.store.nodes[at];
        let Some(parent) = self.parent(block) else { return false };
        block.payload_status == PayloadStatus::Valid
            && source.scores[at] > self.compute_safety_threshold(source, block, parent)
    }

    /// Whether all blocks of the confirmed chain, from the justified checkpoint on, are still LMD-GHOST safe.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#is_confirmed_chain_safe>
    pub(super) fn is_confirmed_chain_safe(&self, confirmed_root: &Hash256) -> bool {
        let variables = &self.store.fast_confirmation;
        let observed = variables.current_epoch_observed_justified.checkpoint;
        if self.get_checkpoint_for_block(confirmed_root, observed.epoch) != Some(observed) {
            return false;
        }
        let start_root_exclusive = if observed.epoch.saturating_add(1) >= self.current_epoch {
            observed.root
        } else {
            let start = compute_start_slot_at_epoch(self.current_epoch - 1);
            let Some(ancestor) = self.store.get_ancestor(confirmed_root, start) else { return false };
            let Some(node) = self.store.node(&ancestor) else { return false };
            // The first block of the previous epoch is checked, too, unless all before it is finalized and gone.
            let is_first_of_epoch = epoch_of(node) + 1 == self.current_epoch;
            if is_first_of_epoch { self.parent(node).map_or(ancestor, |parent| parent.root) } else { ancestor }
        };
        let chain = self.get_ancestor_roots(confirmed_root, &start_root_exclusive);
        if chain.is_empty() {
            return true;
        }
        let Some(source) = self.balance_source(&variables.previous_epoch_observed_justified) else { return false };
        chain.into_iter().all(|at| self.is_one_confirmed(&source, at))
    }
}

/// Each validator once: those whose committees of two epochs are both in a range come twice.
fn distinct(indices: impl Iterator<Item = u32>) -> impl Iterator<Item = ValidatorIndex> {
    let mut indices: Vec<u32> = indices.collect();
    indices.sort_unstable();
    indices.dedup();
    indices.into_iter().map(ValidatorIndex::from)
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#is_full_validator_set_covered>
fn is_full_validator_set_covered(start_slot: Slot, end_slot: Slot) -> bool {
    let start_full_epoch = compute_epoch_at_slot(start_slot.saturating_add(SLOTS_PER_EPOCH - 1));
    let end_full_epoch = compute_epoch_at_slot(end_slot.saturating_add(1));
    start_full_epoch < end_full_epoch
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#adjust_committee_weight_estimate_to_ensure_safety>
fn adjust_committee_weight_estimate_to_ensure_safety(estimate: Gwei) -> Gwei {
    estimate.div_ceil(1000) * (1000 + COMMITTEE_WEIGHT_ESTIMATION_ADJUSTMENT_FACTOR)
}

/// Weight of the committees of these slots (both included), if all committees weigh the same.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#estimate_committee_weight_between_slots>
pub(super) fn estimate_committee_weight_between_slots(
    total_active_balance: Gwei,
    start_slot: Slot,
    end_slot: Slot,
) -> Gwei {
    if start_slot > end_slot {
        return 0;
    }
    if is_full_validator_set_covered(start_slot, end_slot) {
        return total_active_balance;
    }
    let committee_weight = total_active_balance / SLOTS_PER_EPOCH;
    if compute_epoch_at_slot(start_slot) == compute_epoch_at_slot(end_slot) {
        return committee_weight * (end_slot - start_slot + 1);
    }
    let num_slots_in_end_epoch = end_slot % SLOTS_PER_EPOCH + 1;
    let remaining_slots_in_end_epoch = SLOTS_PER_EPOCH - num_slots_in_end_epoch;
    let num_slots_in_start_epoch = SLOTS_PER_EPOCH - start_slot % SLOTS_PER_EPOCH;
    let start_epoch_weight = committee_weight * num_slots_in_start_epoch;
    let end_epoch_weight = committee_weight * num_slots_in_end_epoch;
    // A member of the start epoch's committees may sit in those of the end epoch as well.
    let start_epoch_weight_pro_rated = start_epoch_weight / SLOTS_PER_EPOCH * remaining_slots_in_end_epoch;
    adjust_committee_weight_estimate_to_ensure_safety(start_epoch_weight_pro_rated + end_epoch_weight)
}
