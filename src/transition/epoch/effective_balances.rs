//! Effective balances follow balances, with hysteresis.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_effective_balance_updates>

use crate::{
    transition::{TransitionError, get_max_effective_balance},
    types::{preset::*, *},
};

const HYSTERESIS_INCREMENT: Gwei = EFFECTIVE_BALANCE_INCREMENT / HYSTERESIS_QUOTIENT;
const DOWNWARD_THRESHOLD: Gwei = HYSTERESIS_INCREMENT * HYSTERESIS_DOWNWARD_MULTIPLIER;
const UPWARD_THRESHOLD: Gwei = HYSTERESIS_INCREMENT * HYSTERESIS_UPWARD_MULTIPLIER;

/// Walks over the registry once.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#effective-balances-updates>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_effective_balance_updates>
pub fn process_effective_balance_updates(state: &mut BeaconState) -> Result<(), TransitionError> {
    let validators = &mut state.validators;
    for (index, balance) in state.balances.iter().enumerate() {
        let effective_balance = validators.effective_balance(index);
        let threshold = |of: Gwei, by| of.checked_add(by).ok_or(TransitionError::Overflow("an effective balance"));
        if threshold(*balance, DOWNWARD_THRESHOLD)? < effective_balance
            || threshold(effective_balance, UPWARD_THRESHOLD)? < *balance
        {
            let max = get_max_effective_balance(state.fork_name, &validators.withdrawal_credentials(index));
            validators.set_effective_balance(index, max.min(balance - balance % EFFECTIVE_BALANCE_INCREMENT));
        }
    }
    Ok(())
}
