//! Withdrawals and exits that are asked for on the execution layer.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#execution-layer-withdrawal-requests>

use super::*;

/// Starts an exit or queues a partial withdrawal; passes over what can't be granted.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-process_withdrawal_request>
///
/// # Errors
/// Only for a state that makes no sense.
pub fn process_withdrawal_request(
    state: &mut BeaconState,
    request: &WithdrawalRequest,
    ctx: &Context,
) -> Result<(), TransitionError> {
    let is_full_exit = request.amount == FULL_EXIT_REQUEST_AMOUNT;
    let queue_is_full = state.pending_partial_withdrawals.len() as u64 == PENDING_PARTIAL_WITHDRAWALS_LIMIT;
    if queue_is_full && !is_full_exit {
        return Ok(());
    }
    let Some(index) = state.validators.index_of(&request.validator_pubkey) else { return Ok(()) };
    let validator = get_validator(state, index)?;
    if !may_request(state.current_epoch(), &validator, request, ctx.config) {
        return Ok(());
    }
    let pending = get_pending_balance_to_withdraw(state, index)?;
    if is_full_exit {
        return if pending == 0 { initiate_validator_exit(state, index, ctx) } else { Ok(()) };
    }

    // What is neither the validator's stake nor promised already.
    let reserved = MIN_ACTIVATION_BALANCE.saturating_add(pending);
    let excess = get_balance(state, index)?.saturating_sub(reserved);
    let has_sufficient_effective_balance = validator.effective_balance >= MIN_ACTIVATION_BALANCE;
    if has_compounding_withdrawal_credential(&validator) && has_sufficient_effective_balance && excess > 0 {
        let amount = excess.min(request.amount);
        let exit_queue_epoch = compute_exit_epoch_and_update_churn(state, amount, ctx)?;
        let delay = ctx.config.min_validator_withdrawability_delay;
        state.pending_partial_withdrawals.push(PendingPartialWithdrawal {
            validator_index: index,
            amount,
            withdrawable_epoch: checked_sum(exit_queue_epoch, delay, "a withdrawable epoch")?,
        });
    }
    Ok(())
}

/// Whether the request comes from the validator's own address, and the validator is long active and not leaving.
fn may_request(epoch: Epoch, validator: &Validator, request: &WithdrawalRequest, config: &Config) -> bool {
    has_execution_withdrawal_credential(validator)
        && validator.withdrawal_credentials[12..] == request.source_address[..]
        && is_active_validator(validator, epoch)
        && validator.exit_epoch == FAR_FUTURE_EPOCH
        && epoch - validator.activation_epoch >= config.shard_committee_period
}
