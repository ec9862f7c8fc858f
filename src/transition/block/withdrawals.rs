//! Withdrawals: what the execution layer must pay out with this block.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#withdrawals>

use super::*;

/// What a block's payload must withdraw.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-get_expected_withdrawals>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedWithdrawals {
    /// In the payload's order.
    pub withdrawals: Vec<Withdrawal>,
    /// How many of the pending partial withdrawals are done with, paid or not.
    pub processed_partial_withdrawals_count: usize,
}

/// The withdrawals of a block on top of `state`, which must be at the block's slot. Before Electra nobody could ask for one,
/// so that only the sweep finds some.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#new-get_expected_withdrawals>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-get_expected_withdrawals>
///
/// # Errors
/// A state whose pending withdrawals or balances make no sense.
pub fn get_expected_withdrawals(state: &BeaconState) -> Result<ExpectedWithdrawals, TransitionError> {
    let mut expected = ExpectedWithdrawals::default();
    expected.processed_partial_withdrawals_count = get_pending_partial_withdrawals(state, &mut expected.withdrawals)?;
    get_validators_sweep_withdrawals(state, &mut expected.withdrawals)?;
    Ok(expected)
}

/// Appends what was asked for and is due; says how many requests are done with.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-get_pending_partial_withdrawals>
fn get_pending_partial_withdrawals(
    state: &BeaconState,
    withdrawals: &mut Vec<Withdrawal>,
) -> Result<usize, TransitionError> {
    let epoch = state.current_epoch();
    let limit = MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP.min(MAX_WITHDRAWALS_PER_PAYLOAD - 1);
    let mut processed = 0;
    for pending in state.pending_partial_withdrawals.iter() {
        if pending.withdrawable_epoch > epoch || withdrawals.len() >= limit {
            break;
        }
        let validator = get_validator(state, pending.validator_index)?;
        let balance = get_balance_after_withdrawals(state, pending.validator_index, withdrawals)?;
        if is_eligible_for_partial_withdrawals(&validator, balance) {
            let amount = (balance - MIN_ACTIVATION_BALANCE).min(pending.amount);
            append(state, withdrawals, pending.validator_index, &validator, amount)?;
        }
        processed += 1;
    }
    Ok(processed)
}

/// Appends what the sweep through the registry finds: all of who has left, the excess of who has too much.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#new-get_validators_sweep_withdrawals>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-get_validators_sweep_withdrawals>
fn get_validators_sweep_withdrawals(
    state: &BeaconState,
    withdrawals: &mut Vec<Withdrawal>,
) -> Result<(), TransitionError> {
    let epoch = state.current_epoch();
    let count = state.validators.len() as u64;
    let mut validator_index = state.next_withdrawal_validator_index;
    for _ in 0..count.min(MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP) {
        if withdrawals.len() >= MAX_WITHDRAWALS_PER_PAYLOAD {
            break;
        }
        let validator = get_validator(state, validator_index)?;
        let balance = get_balance_after_withdrawals(state, validator_index, withdrawals)?;
        if is_fully_withdrawable_validator(state.fork_name, &validator, balance, epoch) {
            append(state, withdrawals, validator_index, &validator, balance)?;
        } else if is_partially_withdrawable_validator(state.fork_name, &validator, balance) {
            let max = get_max_effective_balance(state.fork_name, &validator.withdrawal_credentials);
            append(state, withdrawals, validator_index, &validator, balance - max)?;
        }
        validator_index = (validator_index + 1) % count;
    }
    Ok(())
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#new-get_balance_after_withdrawals>
fn get_balance_after_withdrawals(
    state: &BeaconState,
    index: ValidatorIndex,
    withdrawals: &[Withdrawal],
) -> Result<Gwei, TransitionError> {
    let of_validator = withdrawals.iter().filter(|withdrawal| withdrawal.validator_index == index);
    let left = of_validator
        .map(|withdrawal| withdrawal.amount)
        .try_fold(get_balance(state, index)?, |left, amount| left.checked_sub(amount));
    left.ok_or(TransitionError::Overflow("what a validator has left"))
}

fn append(
    state: &BeaconState,
    withdrawals: &mut Vec<Withdrawal>,
    validator_index: ValidatorIndex,
    validator: &Validator,
    amount: Gwei,
) -> Result<(), TransitionError> {
    let index = checked_sum(state.next_withdrawal_index, withdrawals.len() as u64, "a withdrawal's number")?;
    let address = Address::from_slice(&validator.withdrawal_credentials[12..]);
    withdrawals.push(Withdrawal { index, validator_index, address, amount });
    Ok(())
}

/// Takes from the balances what the payload pays out, which must be exactly what is expected.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#new-process_withdrawals>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_withdrawals>
///
/// # Errors
/// When the payload withdraws anything else.
pub fn process_withdrawals(state: &mut BeaconState, payload: &ExecutionPayload) -> Result<(), TransitionError> {
    let expected = get_expected_withdrawals(state)?;
    let withdrawals = expected.withdrawals;
    ensure(payload.withdrawals[..] == withdrawals[..], "withdrawals", "the payload must have those that are due")?;
    for withdrawal in &withdrawals {
        decrease_balance(state, withdrawal.validator_index, withdrawal.amount)?;
    }
    if let Some(last) = withdrawals.last() {
        state.next_withdrawal_index = checked_sum(last.index, 1, "a withdrawal's number")?;
    }
    state.pending_partial_withdrawals.drop_front(expected.processed_partial_withdrawals_count);
    update_next_withdrawal_validator_index(state, &withdrawals)
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#new-update_next_withdrawal_validator_index>
fn update_next_withdrawal_validator_index(
    state: &mut BeaconState,
    withdrawals: &[Withdrawal],
) -> Result<(), TransitionError> {
    let next = match withdrawals.last() {
        // A full payload: the next sweep goes on after the last who was paid.
        Some(last) if withdrawals.len() == MAX_WITHDRAWALS_PER_PAYLOAD => last.validator_index.checked_add(1),
        _ => state.next_withdrawal_validator_index.checked_add(MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP),
    };
    let next = next.and_then(|next| next.checked_rem(state.validators.len() as u64));
    state.next_withdrawal_validator_index = next.ok_or(TransitionError::Overflow("the place of the sweep"))?;
    Ok(())
}
