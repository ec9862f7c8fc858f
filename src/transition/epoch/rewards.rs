//! Rewards and penalties since Altair.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#rewards-and-penalties>

use super::{
    ParticipationTotals, PendingParticipation, attestation_deltas,
    standing::{ELIGIBLE, Epochs, Standings, counted_flags},
};
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
    let (terms, epochs) = (RewardTerms::new(state, totals, ctx)?, Epochs::around(state.current_epoch()));
    let mut scratch = Vec::new();
    for chunk in state.validators.chunks() {
        let standings = Standings::of(&chunk, &epochs);
        let flags = state.previous_epoch_participation.items().slice(chunk.number());
        let scores = state.inactivity_scores.items().slice(chunk.number());
        let pay = |balances: &mut [Gwei]| terms.pay(&chunk, &standings, flags, scores, balances);
        state.balances.update_chunk(chunk.number(), &mut scratch, pay)?;
    }
    Ok(())
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
    // By increments, up to the largest effective balance, and by the flags earned: no division for each validator.
    payments: Vec<[Payment; FLAG_SETS]>,
}

/// Sets of flags that there are.
const FLAG_SETS: usize = 1 << PARTICIPATION_FLAG_WEIGHTS.len();

/// What all flags together give and take. No balance is as large as the penalty of what overflows.
#[derive(Clone, Copy, Debug)]
struct Payment {
    reward: Gwei,
    penalty: Gwei,
}

impl Payment {
    const OVERFLOW: Payment = Payment { reward: 0, penalty: u64::MAX };
}

/// Balances and rewards below this do not overflow when they are added.
const FAR_FROM_OVERFLOW: Gwei = 1 << 62;

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
            payments: Vec::new(),
        };
        let increments = 0..=MAX_EFFECTIVE_BALANCE_ELECTRA / EFFECTIVE_BALANCE_INCREMENT;
        terms.payments = increments.map(|increments| terms.payments_of(increments)).collect();
        Ok(terms)
    }

    /// A validator's deltas: for source, target and head, and for inactivity. `None` if one overflows.
    pub fn deltas(&self, state: &BeaconState, index: usize) -> Option<[Delta; 4]> {
        let flags = state.previous_epoch_participation[index];
        let score = state.inactivity_scores[index];
        self.chunk_deltas(&state.validators.chunk(index / CHUNK), index % CHUNK, flags, score)
    }

    /// Pays the validators of a chunk, whose flags of the previous epoch, scores and balances these are.
    ///
    /// # Errors
    /// When a balance overflows.
    pub(super) fn pay(
        &self,
        chunk: &RegistryChunk<'_>,
        standings: &Standings,
        flags: &[ParticipationFlags],
        scores: &[u64],
        balances: &mut [Gwei],
    ) -> Result<(), TransitionError> {
        let narrow = chunk.narrow();
        let validators = standings.bits().iter().zip(flags).zip(scores).zip(balances).enumerate();
        for (i, (((bits, flags), score), balance)) in validators {
            if bits & ELIGIBLE == 0 {
                continue;
            }
            let increments = narrow.map(|narrow| narrow.effective_balances[i]);
            let payment = increments.map(|increments| self.payment(increments, counted_flags(*bits, *flags), *score));
            *balance = match payment {
                // The balance covers all that is taken, so it does not matter in which order.
                Some(Payment { reward, penalty }) if penalty <= *balance && *balance < FAR_FROM_OVERFLOW => {
                    *balance - penalty + reward
                }
                _ => {
                    let deltas = self.chunk_deltas(chunk, i, *flags, *score);
                    let paid = deltas.and_then(|deltas| apply(*balance, &deltas));
                    paid.ok_or(TransitionError::Overflow("a reward"))?
                }
            };
        }
        Ok(())
    }

    /// All that an eligible validator gets and loses.
    fn payment(&self, increments: u16, counted: ParticipationFlags, score: u64) -> Payment {
        let known = self.payments.get(usize::from(increments)).map(|by_flags| by_flags[usize::from(counted)]);
        let mut payment = known.unwrap_or(Payment::OVERFLOW);
        if score != 0 && !has_flag(counted, TIMELY_TARGET_FLAG_INDEX) {
            let effective_balance = u64::from(increments) * EFFECTIVE_BALANCE_INCREMENT;
            let lost = self.inactivity_delta(effective_balance, score, false);
            payment.penalty = payment.penalty.saturating_add(lost.map_or(u64::MAX, |lost| lost.penalty));
        }
        payment
    }

    /// A validator's deltas as the specification has them: one set after the other.
    fn chunk_deltas(
        &self,
        chunk: &RegistryChunk,
        i: usize,
        flags: ParticipationFlags,
        score: u64,
    ) -> Option<[Delta; 4]> {
        if !is_eligible(chunk, i, self.previous_epoch) {
            return Some([Delta::default(); 4]);
        }
        let effective_balance = chunk.effective_balance(i);
        let base_reward = self.base_reward(effective_balance / EFFECTIVE_BALANCE_INCREMENT)?;
        let counts = chunk.is_active(i, self.previous_epoch) && !chunk.slashed(i);
        let counted = if counts { flags } else { 0 };
        let delta = |flag_index: usize| self.flag_delta(base_reward, flag_index, has_flag(counted, flag_index));
        Some([
            delta(TIMELY_SOURCE_FLAG_INDEX)?,
            delta(TIMELY_TARGET_FLAG_INDEX)?,
            delta(TIMELY_HEAD_FLAG_INDEX)?,
            self.inactivity_delta(effective_balance, score, has_flag(counted, TIMELY_TARGET_FLAG_INDEX))?,
        ])
    }

    fn base_reward(&self, increments: u64) -> Option<Gwei> {
        increments.checked_mul(self.base_reward_per_increment)
    }

    /// The sums of the flags' deltas for an effective balance, by the set of flags earned.
    fn payments_of(&self, increments: u64) -> [Payment; FLAG_SETS] {
        let mut sums = [Payment::OVERFLOW; FLAG_SETS];
        let flags = [TIMELY_SOURCE_FLAG_INDEX, TIMELY_TARGET_FLAG_INDEX, TIMELY_HEAD_FLAG_INDEX];
        let Some(base_reward) = self.base_reward(increments) else { return sums };
        let deltas = flags.map(|flag| [false, true].map(|earned| self.flag_delta(base_reward, flag, earned)));
        for (set, sum) in sums.iter_mut().enumerate() {
            let deltas = flags.map(|flag| deltas[flag][set >> flag & 1]);
            let total = deltas.iter().try_fold(Delta::default(), |sum, delta| {
                let reward = sum.reward.checked_add((*delta)?.reward)?;
                Some(Delta { reward, penalty: sum.penalty.checked_add((*delta)?.penalty)? })
            });
            if let Some(Delta { reward, penalty }) = total.filter(|total| total.reward < FAR_FROM_OVERFLOW) {
                *sum = Payment { reward, penalty };
            }
        }
        sums
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
