//! Rewards and penalties of phase 0.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#rewards-and-penalties-1>

use super::{
    Delta, PendingParticipation,
    pending_attestations::is_unslashed_attesting,
    rewards::{apply, is_eligible},
};
use crate::{
    ssz::CHUNK,
    transition::{TransitionError, get_finality_delay, get_total_active_balance, is_in_inactivity_leak},
    types::{preset::*, *},
};

/// The parts of which a full reward consists.
const BASE_REWARDS_PER_EPOCH: u64 = 4;

/// Pays every validator for the previous epoch: all rewards first, then all penalties.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#process_rewards_and_penalties>
pub(super) fn process_with(
    state: &mut BeaconState,
    participation: &PendingParticipation,
) -> Result<(), TransitionError> {
    let deltas = AttestationDeltas::new(state, participation)?;
    // Taken out, so that the rest of the state can be read while the balances are written.
    let mut balances = std::mem::take(&mut state.balances);
    let mut overflows = false;
    balances.update_each(|index, balance| {
        let new = deltas.get_attestation_deltas(state, index).and_then(|delta| apply(*balance, &[delta]));
        overflows |= new.is_none();
        new.unwrap_or(*balance)
    });
    state.balances = balances;
    if overflows { Err(TransitionError::Overflow("a reward")) } else { Ok(()) }
}

/// Phase 0's rewards and penalties by validator: the sibling of [`super::RewardTerms`].
#[derive(Clone, Debug)]
pub struct AttestationDeltas<'a> {
    participation: &'a PendingParticipation,
    previous_epoch: Epoch,
    root_of_total_balance: u64,
    active_increments: u64,
    is_leak: bool,
    finality_delay: u64,
    /// By validator, for having included others' votes.
    proposer_rewards: Vec<Gwei>,
}

impl<'a> AttestationDeltas<'a> {
    /// Of the state at its epoch's end, after justification.
    pub fn new(state: &mut BeaconState, participation: &'a PendingParticipation) -> Result<Self, TransitionError> {
        let total_balance = get_total_active_balance(state)?;
        let mut deltas = AttestationDeltas {
            participation,
            previous_epoch: state.previous_epoch(),
            root_of_total_balance: total_balance.isqrt(),
            active_increments: total_balance / EFFECTIVE_BALANCE_INCREMENT,
            is_leak: is_in_inactivity_leak(state),
            finality_delay: get_finality_delay(state),
            proposer_rewards: vec![0; state.validators.len()],
        };
        for (index, inclusion) in participation.inclusions.iter().enumerate() {
            if let Some(inclusion) = inclusion
                && !state.validators.slashed(index)
            {
                let overflow = TransitionError::Overflow("a proposer's reward");
                let reward = deltas.get_proposer_reward(state, index).ok_or(overflow.clone())?;
                let proposer = usize::try_from(inclusion.proposer_index).ok();
                let sum = proposer.and_then(|proposer| deltas.proposer_rewards.get_mut(proposer));
                let sum = sum.ok_or(TransitionError::UnknownValidator(inclusion.proposer_index))?;
                *sum = sum.checked_add(reward).ok_or(overflow)?;
            }
        }
        Ok(deltas)
    }

    /// A validator's deltas: for source, target, head, inclusion delay and inactivity. `None` if one overflows.
    pub fn components(&self, state: &BeaconState, index: usize) -> Option<[Delta; 5]> {
        Some([
            self.get_attestation_component_delta(state, index, TIMELY_SOURCE_FLAG_INDEX)?,
            self.get_attestation_component_delta(state, index, TIMELY_TARGET_FLAG_INDEX)?,
            self.get_attestation_component_delta(state, index, TIMELY_HEAD_FLAG_INDEX)?,
            self.get_inclusion_delay_delta(state, index)?,
            self.get_inactivity_penalty_delta(state, index)?,
        ])
    }

    /// The sum of a validator's deltas. `None` if it overflows.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_attestation_deltas>
    fn get_attestation_deltas(&self, state: &BeaconState, index: usize) -> Option<Delta> {
        self.components(state, index)?.iter().try_fold(Delta::default(), |sum, delta| {
            Some(Delta {
                reward: sum.reward.checked_add(delta.reward)?,
                penalty: sum.penalty.checked_add(delta.penalty)?,
            })
        })
    }

    fn get_base_reward(&self, state: &BeaconState, index: usize) -> Option<Gwei> {
        let factored = state.validators.effective_balance(index).checked_mul(BASE_REWARD_FACTOR)?;
        Some(factored / self.root_of_total_balance / BASE_REWARDS_PER_EPOCH)
    }

    fn get_proposer_reward(&self, state: &BeaconState, attesting_index: usize) -> Option<Gwei> {
        Some(self.get_base_reward(state, attesting_index)? / PROPOSER_REWARD_QUOTIENT)
    }

    fn attests(&self, state: &BeaconState, index: usize, flag_index: usize) -> bool {
        is_unslashed_attesting(&state.validators, index, &self.participation.previous, flag_index)
    }

    fn get_attestation_component_delta(&self, state: &BeaconState, index: usize, flag_index: usize) -> Option<Delta> {
        let mut delta = Delta::default();
        if !is_eligible(&state.validators.chunk(index / CHUNK), index % CHUNK, self.previous_epoch) {
            return Some(delta);
        }
        let base_reward = self.get_base_reward(state, index)?;
        if !self.attests(state, index, flag_index) {
            delta.penalty = base_reward;
        } else if self.is_leak {
            // The penalty for inactivity takes all of it away again.
            delta.reward = base_reward;
        } else {
            let attesting_increments = self.participation.totals.previous[flag_index] / EFFECTIVE_BALANCE_INCREMENT;
            delta.reward = base_reward.checked_mul(attesting_increments)? / self.active_increments;
        }
        Some(delta)
    }

    fn get_inclusion_delay_delta(&self, state: &BeaconState, index: usize) -> Option<Delta> {
        let mut reward = self.proposer_rewards[index];
        if let Some(inclusion) = self.participation.inclusions[index]
            && !state.validators.slashed(index)
        {
            let max_reward = self.get_base_reward(state, index)? - self.get_proposer_reward(state, index)?;
            reward = reward.checked_add(max_reward.checked_div(inclusion.delay)?)?;
        }
        Some(Delta { reward, penalty: 0 })
    }

    fn get_inactivity_penalty_delta(&self, state: &BeaconState, index: usize) -> Option<Delta> {
        let mut delta = Delta::default();
        if !self.is_leak || !is_eligible(&state.validators.chunk(index / CHUNK), index % CHUNK, self.previous_epoch) {
            return Some(delta);
        }
        let full_reward = self.get_base_reward(state, index)?.checked_mul(BASE_REWARDS_PER_EPOCH)?;
        delta.penalty = full_reward - self.get_proposer_reward(state, index)?;
        if !self.attests(state, index, TIMELY_TARGET_FLAG_INDEX) {
            let numerator = state.validators.effective_balance(index).checked_mul(self.finality_delay)?;
            delta.penalty = delta.penalty.checked_add(numerator / INACTIVITY_PENALTY_QUOTIENT)?;
        }
        Some(delta)
    }
}
