//! How much stake took part, summed in one walk over the registry.

use crate::{
    transition::{TransitionError, checked_sum, ensure, has_flag},
    types::{preset::*, *},
};

/// Effective balances in Gwei of the active validators that are not slashed and have a flag; at least one increment each.
///
/// The specification collects the validators' indices first, and again in each function.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#get_unslashed_participating_indices>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParticipationTotals {
    /// In the previous epoch, by flag.
    pub previous: [Gwei; PARTICIPATION_FLAG_WEIGHTS.len()],
    /// With the target flag, in the current epoch.
    pub current_target: Gwei,
}

impl ParticipationTotals {
    /// Of the state as it is.
    ///
    /// # Errors
    /// When a sum overflows, or when not every validator has a place in each list: the specification would miss an index.
    pub fn new(state: &BeaconState) -> Result<Self, TransitionError> {
        let (previous_epoch, current_epoch) = (state.previous_epoch(), state.current_epoch());
        let validators = &state.validators;
        let participation = [&state.previous_epoch_participation, &state.current_epoch_participation];
        let complete = state.balances.len() == validators.len()
            && state.inactivity_scores.len() == validators.len()
            && participation.iter().all(|flags| flags.len() == validators.len());
        ensure(complete, "epoch", "every validator must have a balance, flags and a score")?;
        let mut totals = ParticipationTotals { previous: [0; 3], current_target: 0 };
        let flags = participation[0].slices().zip(participation[1].slices());
        for (chunk, (previous, current)) in validators.chunks().zip(flags) {
            totals.add_chunk(&chunk, previous, current, [previous_epoch, current_epoch])?;
        }
        for total in totals.previous.iter_mut().chain([&mut totals.current_target]) {
            *total = EFFECTIVE_BALANCE_INCREMENT.max(*total);
        }
        Ok(totals)
    }

    /// Adds a chunk of validators with their flags of both epochs.
    fn add_chunk(
        &mut self,
        chunk: &RegistryChunk,
        previous: &[ParticipationFlags],
        current: &[ParticipationFlags],
        [previous_epoch, current_epoch]: [Epoch; 2],
    ) -> Result<(), TransitionError> {
        for (i, (previous, current)) in previous.iter().zip(current).enumerate() {
            if (*previous == 0 && *current == 0) || chunk.slashed(i) {
                continue;
            }
            let balance = chunk.effective_balance(i);
            if *previous != 0 && chunk.is_active(i, previous_epoch) {
                for (flag_index, total) in self.previous.iter_mut().enumerate() {
                    add_if(has_flag(*previous, flag_index), total, balance)?;
                }
            }
            if has_flag(*current, TIMELY_TARGET_FLAG_INDEX) && chunk.is_active(i, current_epoch) {
                add_if(true, &mut self.current_target, balance)?;
            }
        }
        Ok(())
    }
}

fn add_if(condition: bool, total: &mut Gwei, balance: Gwei) -> Result<(), TransitionError> {
    if condition {
        *total = checked_sum(*total, balance, "the participating balance")?;
    }
    Ok(())
}
