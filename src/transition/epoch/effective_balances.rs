//! Effective balances follow balances, with hysteresis.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_effective_balance_updates>

use crate::{
    ssz::CHUNK,
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
    for number in 0..state.validators.len().div_ceil(CHUNK) {
        let balances = state.balances.items().slice(number);
        if is_any_off(&state.validators.chunk(number), balances) {
            update_chunk(state.fork_name, &mut state.validators, balances, number, |_, _, _| ())?;
        }
    }
    Ok(())
}

/// Whether a balance of a chunk may have left the range around its effective balance. Never misses one.
pub(super) fn is_any_off(chunk: &RegistryChunk<'_>, balances: &[Gwei]) -> bool {
    let Some(narrow) = chunk.narrow() else { return true };
    let validators = balances.iter().zip(narrow.effective_balances);
    validators.fold(false, |any, (balance, increments)| {
        let effective_balance = u64::from(*increments).wrapping_mul(EFFECTIVE_BALANCE_INCREMENT);
        // Neither wraps: increments have 16 bits.
        let is_low = *balance < effective_balance.saturating_sub(DOWNWARD_THRESHOLD);
        any | is_low | (*balance > effective_balance.wrapping_add(UPWARD_THRESHOLD))
    })
}

/// Updates the effective balances of the chunk with this number, and tells `changed` the validator's place in the chunk, the
/// old and the new one.
pub(super) fn update_chunk(
    fork: ForkName,
    validators: &mut Validators,
    balances: &[Gwei],
    number: usize,
    mut changed: impl FnMut(usize, Gwei, Gwei),
) -> Result<(), TransitionError> {
    let mut updated = Vec::new();
    for (i, balance) in balances.iter().enumerate() {
        let index = number * CHUNK + i;
        let old = validators.effective_balance(index);
        if is_off(*balance, old)? {
            let max = get_max_effective_balance(fork, &validators.withdrawal_credentials(index));
            let new = max.min(balance - balance % EFFECTIVE_BALANCE_INCREMENT);
            updated.push((i, new));
            changed(i, old, new);
        }
    }
    validators.set_effective_balances(number, &updated);
    Ok(())
}

/// Whether a balance has left the range around its effective balance.
fn is_off(balance: Gwei, effective_balance: Gwei) -> Result<bool, TransitionError> {
    let threshold = |of: Gwei, by| of.checked_add(by).ok_or(TransitionError::Overflow("an effective balance"));
    Ok(threshold(balance, DOWNWARD_THRESHOLD)? < effective_balance
        || threshold(effective_balance, UPWARD_THRESHOLD)? < balance)
}
