//! FFG helpers: whether the current target will be justified, whatever comes.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#ffg-helpers>

use super::{lmd_ghost::estimate_committee_weight_between_slots, rule::Rule};
use crate::{fork_choice::Balances, types::*};

impl Rule<'_> {
    /// Weight of the latest messages whose target is the current one.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_current_target_score>
    fn get_current_target_score(&self, pulled_up: &Balances) -> Gwei {
        let target = self.get_current_target().and_then(|target| self.store.position(&target.root));
        let start = compute_start_slot_at_epoch(self.current_epoch);
        // Each block's checkpoint of this epoch; parents come first.
        let mut checkpoints: Vec<usize> = Vec::with_capacity(self.store.nodes.len());
        for (at, node) in self.store.nodes.iter().enumerate() {
            let of_parent = node.parent.filter(|_| node.slot > start).map(|parent| checkpoints[parent as usize]);
            checkpoints.push(of_parent.unwrap_or(at));
        }
        let votes = self.store.votes.of_epoch(self.current_epoch);
        let for_target = votes.filter(|(_, at)| Some(checkpoints[*at]) == target);
        for_target.map(|(index, _)| pulled_up.weight(index)).sum()
    }

    /// Least weight of the honest votes for the current target, when the epoch ends.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#compute_honest_ffg_support_for_current_target>
    fn compute_honest_ffg_support_for_current_target(&self, pulled_up: &Balances) -> Gwei {
        let total_active_balance = pulled_up.total_active_balance;
        let ffg_support_for_checkpoint = self.get_current_target_score(pulled_up);
        let (start, last) = (compute_start_slot_at_epoch(self.current_epoch), self.current_slot.saturating_sub(1));
        let ffg_weight_till_now = estimate_committee_weight_between_slots(total_active_balance, start, last);
        let remaining_ffg_weight = total_active_balance.saturating_sub(ffg_weight_till_now);
        let remaining_honest_ffg_weight = remaining_ffg_weight / 100 * (100 - self.byzantine_threshold());
        let adversarial_weight = self.compute_adversarial_weight(pulled_up, start, last);
        ffg_support_for_checkpoint.saturating_sub(adversarial_weight) + remaining_honest_ffg_weight
    }

    /// Assumes that all honest validators vote for the current target from now on.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#will_no_conflicting_checkpoint_be_justified>
    pub(super) fn will_no_conflicting_checkpoint_be_justified(&self) -> bool {
        if self.get_current_target() == Some(self.store.unrealized_justified_checkpoint) {
            return true;
        }
        let Some(pulled_up) = &self.facts.pulled_up_balances else { return false };
        3 * self.compute_honest_ffg_support_for_current_target(pulled_up) > pulled_up.total_active_balance
    }

    /// Assumes that all honest validators vote for the current target from now on.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#will_current_target_be_justified>
    pub(super) fn will_current_target_be_justified(&self) -> bool {
        let Some(pulled_up) = &self.facts.pulled_up_balances else { return false };
        3 * self.compute_honest_ffg_support_for_current_target(pulled_up) >= 2 * pulled_up.total_active_balance
    }
}
