//! The end of an epoch in one pass over the registry, since Electra.
//!
//! Each chunk goes through all steps while it is in the processor's caches. The steps are those of the files beside this
//! one; the specification takes the whole registry through one after the other.

use super::{
    ParticipationTotals, effective_balances,
    inactivity::InactivityTerms,
    registry::RegistryTerms,
    rewards::RewardTerms,
    slashings::SlashingTerms,
    standing::{ACTIVE_IN_CURRENT, ACTIVE_IN_NEXT, Epochs, SLASHED, Standings},
    totals,
};
use crate::{
    ssz::{CHUNK, Chunks},
    transition::{Context, TransitionError, checked_sum, has_flag},
    types::{preset::*, *},
};

/// What is left to do after the pass.
pub(super) struct Swept {
    epochs: Epochs,
    /// By chunk: whether a balance left the range around its effective balance.
    is_off: Vec<bool>,
    /// The balances that this is said of.
    balances: Chunks<Gwei>,
    /// Effective balances of those active in the next epoch.
    active: Gwei,
    /// Participation in the epoch that ends, by flag.
    participation: [Gwei; PARTICIPATION_FLAG_WEIGHTS.len()],
}

/// Inactivity updates, rewards and penalties, registry updates and slashings.
pub(super) fn sweep(
    state: &mut BeaconState,
    totals: &ParticipationTotals,
    ctx: &Context,
) -> Result<Swept, TransitionError> {
    let steps = Steps::new(state, totals, ctx)?;
    let mut swept = Swept {
        epochs: Epochs::around(state.current_epoch()),
        is_off: Vec::with_capacity(state.validators.len().div_ceil(CHUNK)),
        balances: Chunks::default(),
        active: 0,
        participation: Default::default(),
    };
    let mut scratch = Vec::new();
    for number in 0..state.validators.len().div_ceil(CHUNK) {
        let standings = steps.pay_chunk(state, number, &mut swept, &mut scratch)?;
        if steps.registry.concern(&state.validators.chunk(number)) {
            steps.registry.update_chunk(state, number, ctx)?;
        }
        let chunk = state.validators.chunk(number);
        if let Some(slashings) = steps.slashings.as_ref().filter(|_| standings.any(SLASHED)) {
            state.balances.update_chunk(number, &mut scratch, |balances| slashings.charge(&chunk, balances))?;
        }
        swept.is_off.push(effective_balances::is_any_off(&chunk, state.balances.items().slice(number)));
    }
    swept.balances = state.balances.items().clone();
    Ok(swept)
}

/// The steps, each with what it has to know of the whole state.
struct Steps {
    /// Nobody is paid for the epoch before the first.
    paying: Option<(InactivityTerms, RewardTerms)>,
    registry: RegistryTerms,
    slashings: Option<SlashingTerms>,
}

impl Steps {
    fn new(state: &mut BeaconState, totals: &ParticipationTotals, ctx: &Context) -> Result<Self, TransitionError> {
        let paying = if state.current_epoch() == GENESIS_EPOCH {
            None
        } else {
            Some((InactivityTerms::new(state, ctx), RewardTerms::new(state, totals, ctx)?))
        };
        Ok(Steps { paying, registry: RegistryTerms::new(state, ctx), slashings: SlashingTerms::new(state)? })
    }

    /// Inactivity updates, rewards and penalties of a chunk, and its part in the next epoch's sums.
    fn pay_chunk(
        &self,
        state: &mut BeaconState,
        number: usize,
        swept: &mut Swept,
        scratch: &mut Vec<Gwei>,
    ) -> Result<Standings, TransitionError> {
        let chunk = state.validators.chunk(number);
        let standings = Standings::of(&chunk, &swept.epochs);
        if !standings.any(u8::MAX) {
            // All have left, or none has come yet: nobody is paid, nobody counts.
            return Ok(standings);
        }
        let current_flags = state.current_epoch_participation.items().slice(number);
        totals::add_chunk(&mut swept.participation, &chunk, &standings, ACTIVE_IN_CURRENT, current_flags)?;
        swept.active = checked_sum(swept.active, active_in_next(&chunk, &standings), "the total active balance")?;
        if let Some((inactivity, rewards)) = &self.paying {
            let flags = state.previous_epoch_participation.items().slice(number);
            inactivity.update_chunk(&mut state.inactivity_scores, number, &standings, flags)?;
            let scores = state.inactivity_scores.items().slice(number);
            let pay = |balances: &mut [Gwei]| rewards.pay(&chunk, &standings, flags, scores, balances);
            state.balances.update_chunk(number, scratch, pay)?;
        }
        Ok(standings)
    }
}

/// The effective balances of a chunk's validators that are active in the next epoch.
fn active_in_next(chunk: &RegistryChunk<'_>, standings: &Standings) -> Gwei {
    let is_active = |bits: &u8| bits & ACTIVE_IN_NEXT != 0;
    let Some(narrow) = chunk.narrow() else {
        let active = standings.bits().iter().enumerate().filter(|(_, bits)| is_active(bits));
        return active.fold(0, |sum: Gwei, (i, _)| sum.saturating_add(chunk.effective_balance(i)));
    };
    let validators = standings.bits().iter().zip(narrow.effective_balances);
    // Far from wrapping: a chunk of numbers of 16 bits.
    let increments =
        validators.fold(0u32, |sum, (bits, own)| sum.wrapping_add(if is_active(bits) { u32::from(*own) } else { 0 }));
    u64::from(increments) * EFFECTIVE_BALANCE_INCREMENT
}

impl Swept {
    /// Effective balance updates: in chunks where the pass saw a reason, and in those whose balances were written since.
    pub fn process_effective_balance_updates(&mut self, state: &mut BeaconState) -> Result<(), TransitionError> {
        let (fork, epochs) = (state.fork_name, &self.epochs);
        let (active, participation) = (&mut self.active, &mut self.participation);
        for number in 0..state.validators.len().div_ceil(CHUNK) {
            let balances = state.balances.items().slice(number);
            let is_settled =
                self.is_off.get(number) == Some(&false) && state.balances.items().is_same_chunk(&self.balances, number);
            if is_settled || !effective_balances::is_any_off(&state.validators.chunk(number), balances) {
                continue;
            }
            let standings = Standings::of(&state.validators.chunk(number), epochs);
            let flags = state.current_epoch_participation.items().slice(number);
            let changed = |i: usize, old: Gwei, new: Gwei| {
                let bits = standings.bits()[i];
                if bits & ACTIVE_IN_NEXT != 0 {
                    *active = active.saturating_sub(old).saturating_add(new);
                }
                let counts = bits & (ACTIVE_IN_CURRENT | SLASHED) == ACTIVE_IN_CURRENT;
                for (flag, sum) in participation.iter_mut().enumerate() {
                    if counts && has_flag(flags[i], flag) {
                        *sum = sum.saturating_sub(old).saturating_add(new);
                    }
                }
            };
            effective_balances::update_chunk(fork, &mut state.validators, balances, number, changed)?;
        }
        Ok(())
    }

    /// Notes the sums of the epoch that begins, when all else is done: nothing since has changed who is active in it, who is
    /// slashed, or any effective balance.
    pub fn note_sums(self, state: &mut BeaconState) {
        let next_epoch = state.current_epoch() + 1;
        state.caches.total_active_balance = Some((next_epoch, self.active.max(EFFECTIVE_BALANCE_INCREMENT)));
        let sums = ParticipationSums { previous: self.participation, ..ParticipationSums::default() };
        state.note_participation_sums(next_epoch, sums);
    }
}
