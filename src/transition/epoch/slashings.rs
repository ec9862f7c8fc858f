//! Slashings: the penalty that grows with what was slashed around the same time.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_slashings>

use crate::{
    transition::{TransitionError, checked_sum, decrease_balance, get_total_active_balance},
    types::{preset::*, *},
};

/// Walks over the registry once, and only if something was slashed lately. Before Electra a penalty is rounded after it was
/// multiplied out, since then before.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#slashings>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_slashings>
pub fn process_slashings(state: &mut BeaconState) -> Result<(), TransitionError> {
    let total_balance = get_total_active_balance(state)?;
    let slashed =
        state.slashings.iter().try_fold(0, |sum, slashed| checked_sum(sum, *slashed, "the slashed balance"))?;
    let multiplier = match state.fork_name {
        ForkName::Phase0 => PROPORTIONAL_SLASHING_MULTIPLIER,
        ForkName::Altair => PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR,
        _ => PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX,
    };
    let multiplied = slashed.checked_mul(multiplier);
    let adjusted_total = multiplied.ok_or(TransitionError::Overflow("the slashed balance"))?.min(total_balance);
    if adjusted_total == 0 {
        return Ok(());
    }
    let is_electra = state.fork_name >= ForkName::Electra;
    let penalty_per_increment = adjusted_total / (total_balance / EFFECTIVE_BALANCE_INCREMENT);
    let middle_of_wait = state.current_epoch() + EPOCHS_PER_SLASHINGS_VECTOR as u64 / 2;
    for index in 0..state.validators.len() {
        let validators = &state.validators;
        if validators.slashed(index) && validators.withdrawable_epoch(index) == middle_of_wait {
            let increments = validators.effective_balance(index) / EFFECTIVE_BALANCE_INCREMENT;
            let penalty = if is_electra {
                penalty_per_increment.checked_mul(increments)
            } else {
                increments.checked_mul(adjusted_total).map(|n| n / total_balance * EFFECTIVE_BALANCE_INCREMENT)
            };
            let penalty = penalty.ok_or(TransitionError::Overflow("a slashing penalty"))?;
            decrease_balance(state, index as ValidatorIndex, penalty)?;
        }
    }
    Ok(())
}
