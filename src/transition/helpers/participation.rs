//! Changes of the registry that keep the sums of participating balances true, so that they need not be counted again.

use super::has_flag;
use crate::types::{preset::PARTICIPATION_FLAG_WEIGHTS, *};

/// Writes a validator's record; the state's sums, if it remembers any, follow.
///
/// A change that is made without this function is no mistake: the sums are forgotten then.
pub fn set_validator(state: &mut BeaconState, index: usize, validator: Validator) {
    let sums = state.participation_sums();
    let before = sums.map(|_| part_of(state, index));
    state.validators.set(index, validator);
    if let (Some(sums), Some(before)) = (sums, before) {
        let after = part_of(state, index);
        let replace = |sums: Sums, before: Sums, after: Sums| {
            std::array::from_fn(|flag| sums[flag].saturating_sub(before[flag]).saturating_add(after[flag]))
        };
        let sums = ParticipationSums {
            previous: replace(sums.previous, before.previous, after.previous),
            current: replace(sums.current, before.current, after.current),
        };
        state.note_participation_sums(state.current_epoch(), sums);
    }
}

type Sums = [Gwei; PARTICIPATION_FLAG_WEIGHTS.len()];

/// What one validator adds to the sums.
fn part_of(state: &BeaconState, index: usize) -> ParticipationSums {
    let validators = &state.validators;
    let part = |epoch: Epoch, flags: Option<&ParticipationFlags>| {
        let counts = validators.is_active(index, epoch) && !validators.slashed(index);
        let balance = if counts { validators.effective_balance(index) } else { 0 };
        let flags = flags.copied().unwrap_or(0);
        std::array::from_fn(|flag| if has_flag(flags, flag) { balance } else { 0 })
    };
    ParticipationSums {
        previous: part(state.previous_epoch(), state.previous_epoch_participation.get(index)),
        current: part(state.current_epoch(), state.current_epoch_participation.get(index)),
    }
}
