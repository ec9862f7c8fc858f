//! Rewards and penalties since Altair.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#rewards-and-penalties>

use super::{ParticipationTotals, PendingParticipation, attestation_deltas};
use crate::{
    ssz::CHUNK,
    transition::{
        Context, TransitionError, get_base_reward_per_increment, get_total_active_balance, has_flag,
        is_in_inactivity_leak,
    },
    types::{preset::*, *},
};

/// Pays every eligible validator for the previous epoch.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#rewards-and-penalties>
pub fn process_rewards_and_penalties(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    if state.current_epoch() == GENESIS_EPOCH {
        return Ok(());
    }
    if state.fork_name == ForkName::Phase0 {
        let participation = PendingParticipation::new(state)?;
        return attestation_deltas::process_with(state, &participation);
    }
    let totals = ParticipationTotals::new(state)?;
    process_with(state, &totals, ctx)
}

/// As [`process_rewards_and_penalties`], with the sums at hand.
pub(super) fn process_with(
    state: &mut BeaconState,
    totals: &ParticipationTotals,
    ctx: &Context,
) -> Result<(), TransitionError> {
    if state.current_epoch() == GENESIS_EPOCH {
        return Ok(());
    }
    let terms = RewardTerms::new(state, totals, ctx)?;
    // Taken out, so that the rest of the state can be read while the balances are written.
    let mut balances = std::mem::take(&mut state.balances);
    let mut overflows = false;
    balances.update_chunks(|number, old, new| {
        let chunk = state.validators.chunk(number);
        let flags = state.previous_epoch_participation.items().slice(number);
        let scores = state.inactivity_scores.items().slice(number);
        new.extend(old.iter().enumerate().map(|(i, balance)| {
            let paid = terms.chunk_deltas(&chunk, i, flags[i], scores[i]).and_then(|deltas| apply(*balance, &deltas));
            overflows |= paid.is_none();
            paid.unwrap_or(*balance)
        }));
    });
    state.balances = balances;
    if overflows { Err(TransitionError::Overflow("a reward")) } else { Ok(()) }
}

/// Applies the sets of deltas one after the other, as the specification does: a balance stops at zero in between.
pub(super) fn apply(balance: Gwei, deltas: &[Delta]) -> Option<Gwei> {
    deltas.iter().try_fold(balance, |balance, delta| {
        balance.checked_add(delta.reward).map(|balance| balance.saturating_sub(delta.penalty))
    })
}

/// What one set of rules gives and takes, in Gwei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// To be added.
    pub reward: Gwei,
    /// To be taken, at most down to zero.
    pub penalty: Gwei,
}

/// What all validators' rewards for the previous epoch have in common.
#[derive(Clone, Debug)]
pub struct RewardTerms {
    previous_epoch: Epoch,
    base_reward_per_increment: Gwei,
    active_increments: u64,
    participating_increments: [u64; PARTICIPATION_FLAG_WEIGHTS.len()],
    is_leak: bool,
    inactivity_denominator: u64,
    // By increments, up to the largest effective balance: a division for each flag and balance instead of each validator.
    rows: Vec<Row>,
}

/// A balance's deltas by flag, first when it is missed and then when it is earned; `None` where one overflows.
type Row = [[Option<Delta>; 2]; PARTICIPATION_FLAG_WEIGHTS.len()];

impl RewardTerms {
    /// Of the state at its epoch's end, after justification and inactivity updates.
    pub fn new(state: &mut BeaconState, totals: &ParticipationTotals, ctx: &Context) -> Result<Self, TransitionError> {
        let is_altair = state.fork_name == ForkName::Altair;
        let quotient =
            if is_altair { INACTIVITY_PENALTY_QUOTIENT_ALTAIR } else { INACTIVITY_PENALTY_QUOTIENT_BELLATRIX };
        let denominator = ctx.config.inactivity_score_bias.checked_mul(quotient);
        let mut terms = RewardTerms {
            previous_epoch: state.previous_epoch(),
            base_reward_per_increment: get_base_reward_per_increment(state)?,
            active_increments: get_total_active_balance(state)? / EFFECTIVE_BALANCE_INCREMENT,
            participating_increments: totals.previous.map(|balance| balance / EFFECTIVE_BALANCE_INCREMENT),
            is_leak: is_in_inactivity_leak(state),
            inactivity_denominator: denominator.ok_or(TransitionError::Overflow("the inactivity penalty"))?,
            rows: Vec::new(),
        };
        let increments = 0..=MAX_EFFECTIVE_BALANCE_ELECTRA / EFFECTIVE_BALANCE_INCREMENT;
        terms.rows = increments.map(|increments| terms.row(increments)).collect();
        Ok(terms)
    }

    /// A validator's deltas: for source, target and head, and for inactivity. `None` if one overflows.
    pub fn deltas(&self, state: &BeaconState, index: usize) -> Option<[Delta; 4]> {
        let flags = state.previous_epoch_participation[index];
        let score = state.inactivity_scores[index];
        self.chunk_deltas(&state.validators.chunk(index / CHUNK), index % CHUNK, flags, score)
    }

    /// As [`RewardTerms::deltas`], for the `i`th validator of a chunk, with its flags and score at hand.
    fn chunk_deltas(
        &self,
        chunk: &RegistryChunk,
        i: usize,
        flags: ParticipationFlags,
        score: u64,
    ) -> Option<[Delta; 4]> {
        let is_active = chunk.is_active(i, self.previous_epoch);
        let is_slashed = chunk.slashed(i);
        if !is_active && !is_eligible(chunk, i, self.previous_epoch) {
            return Some([Delta::default(); 4]);
        }
        let effective_balance = chunk.effective_balance(i);
        let increments = effective_balance / EFFECTIVE_BALANCE_INCREMENT;
        let beyond_table;
        let row = match self.rows.get(increments as usize) {
            Some(row) => row,
            None => {
                beyond_table = self.row(increments);
                &beyond_table
            }
        };
        let counted = if is_active && !is_slashed { flags } else { 0 };
        let delta = |flag_index: usize| row[flag_index][usize::from(has_flag(counted, flag_index))];
        Some([
            delta(TIMELY_SOURCE_FLAG_INDEX)?,
            delta(TIMELY_TARGET_FLAG_INDEX)?,
            delta(TIMELY_HEAD_FLAG_INDEX)?,
            self.inactivity_delta(effective_balance, score, has_flag(counted, TIMELY_TARGET_FLAG_INDEX))?,
        ])
    }

    fn row(&self, increments: u64) -> Row {
        let base_reward = increments.checked_mul(self.base_reward_per_increment);
        let delta = |flag_index, earned| base_reward.and_then(|base| self.flag_delta(base, flag_index, earned));
        [TIMELY_SOURCE_FLAG_INDEX, TIMELY_TARGET_FLAG_INDEX, TIMELY_HEAD_FLAG_INDEX]
            .map(|flag_index| [delta(flag_index, false), delta(flag_index, true)])
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#get_flag_index_deltas>
    fn flag_delta(&self, base_reward: Gwei, flag_index: usize, earned: bool) -> Option<Delta> {
        let weighted = base_reward.checked_mul(PARTICIPATION_FLAG_WEIGHTS[flag_index])?;
        let mut delta = Delta::default();
        if earned && !self.is_leak {
            let numerator = weighted.checked_mul(self.participating_increments[flag_index])?;
            delta.reward = numerator / self.active_increments.checked_mul(WEIGHT_DENOMINATOR)?;
        } else if !earned && flag_index != TIMELY_HEAD_FLAG_INDEX {
            delta.penalty = weighted / WEIGHT_DENOMINATOR;
        }
        Some(delta)
    }

    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/beacon-chain.md#modified-get_inactivity_penalty_deltas>
    fn inactivity_delta(&self, effective_balance: Gwei, score: u64, target: bool) -> Option<Delta> {
        if target || score == 0 {
            return Some(Delta::default());
        }
        let numerator = effective_balance.checked_mul(score)?;
        Some(Delta { reward: 0, penalty: numerator / self.inactivity_denominator })
    }
}

/// Whether a validator is paid for `previous_epoch`.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#helpers-2>
pub(super) fn is_eligible(chunk: &RegistryChunk, i: usize, previous_epoch: Epoch) -> bool {
    chunk.is_active(i, previous_epoch) || (chunk.slashed(i) && previous_epoch + 1 < chunk.withdrawable_epoch(i))
}

/// Whether a validator with these `flags` counts for a flag in `epoch`.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#get_unslashed_participating_indices>
pub(super) fn is_unslashed_participating(
    chunk: &RegistryChunk,
    i: usize,
    epoch: Epoch,
    flags: ParticipationFlags,
    flag_index: usize,
) -> bool {
    has_flag(flags, flag_index) && !chunk.slashed(i) && chunk.is_active(i, epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_stops_at_zero_between_the_sets() {
        let deltas = [Delta { reward: 1, penalty: 10 }, Delta { reward: 7, penalty: 0 }];
        assert_eq!(apply(5, &deltas), Some(7));
        assert_eq!(apply(u64::MAX, &deltas), None);
    }
}
