//! Deposits that wait in the state.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-process_pending_deposits>

use crate::{
    transition::{
        Context, TransitionError, add_validator_to_registry, checked_sum, get_activation_exit_churn_limit,
        increase_balance, is_valid_deposit_signature,
    },
    types::{preset::*, *},
};

/// Applies deposits from the front of the queue, as many as the churn allows; those of validators that are leaving go to
/// the queue's end.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#modified-process_pending_deposits>
pub fn process_pending_deposits(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    let next_epoch = state.current_epoch() + 1;
    let churn = get_activation_exit_churn_limit(state, ctx)?;
    let available = checked_sum(state.deposit_balance_to_consume, churn, "the balance for deposits")?;
    let finalized_slot = compute_start_slot_at_epoch(state.finalized_checkpoint.epoch);
    let (mut processed_amount, mut next_index, mut left_over) = (0, 0, 0);
    let mut postponed = Vec::new();

    while let Some(deposit) = state.pending_deposits.get(next_index).cloned() {
        if waits_for_bridge(state, &deposit)
            || deposit.slot > finalized_slot
            || next_index as u64 >= MAX_PENDING_DEPOSITS_PER_EPOCH
        {
            break;
        }
        let index = state.validators.index_of(&deposit.pubkey);
        let epochs = index.map(|index| index as usize);
        let epochs = epochs.map(|i| (state.validators.exit_epoch(i), state.validators.withdrawable_epoch(i)));
        let (exit_epoch, withdrawable_epoch) = epochs.unwrap_or((FAR_FUTURE_EPOCH, FAR_FUTURE_EPOCH));
        if withdrawable_epoch < next_epoch {
            // It will never be active, so it needs no churn.
            apply_pending_deposit(state, &deposit, index, ctx)?;
        } else if exit_epoch < FAR_FUTURE_EPOCH {
            postponed.push(deposit);
        } else {
            let with_this = checked_sum(processed_amount, deposit.amount, "the processed deposits")?;
            if with_this > available {
                left_over = available - processed_amount;
                break;
            }
            processed_amount = with_this;
            apply_pending_deposit(state, &deposit, index, ctx)?;
        }
        next_index += 1;
    }

    state.pending_deposits.drop_front(next_index);
    for deposit in postponed {
        state.pending_deposits.push(deposit);
    }
    // Churn accumulates only while it is too small for the next deposit.
    state.deposit_balance_to_consume = left_over;
    Ok(())
}

/// Whether a request waits for the last deposits of the former mechanism; Fulu has none any more.
fn waits_for_bridge(state: &BeaconState, deposit: &PendingDeposit) -> bool {
    state.fork_name < ForkName::Fulu
        && deposit.slot > GENESIS_SLOT
        && state.eth1_deposit_index < state.deposit_requests_start_index
}

/// A deposit to a new key whose signature is false is dropped. `index` is that of the deposit's validator, if it has one.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-apply_pending_deposit>
fn apply_pending_deposit(
    state: &mut BeaconState,
    deposit: &PendingDeposit,
    index: Option<ValidatorIndex>,
    ctx: &Context,
) -> Result<(), TransitionError> {
    let PendingDeposit { pubkey, withdrawal_credentials, amount, signature, .. } = deposit;
    if let Some(index) = index {
        return increase_balance(state, index, *amount);
    }
    if is_valid_deposit_signature(*pubkey, *withdrawal_credentials, *amount, signature, ctx) {
        add_validator_to_registry(state, *pubkey, *withdrawal_credentials, *amount);
    }
    Ok(())
}
