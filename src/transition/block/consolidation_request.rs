//! Consolidations of two validators, and changes to compounding credentials, that are asked for on the execution layer.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#execution-layer-consolidation-requests>

use super::*;

/// Makes a validator compounding, or starts to merge one into another; passes over what can't be granted.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-process_consolidation_request>
///
/// # Errors
/// Only for a state that makes no sense.
pub fn process_consolidation_request(
    state: &mut BeaconState,
    request: &ConsolidationRequest,
    ctx: &Context,
) -> Result<(), TransitionError> {
    let Some(source_index) = state.validators.index_of(&request.source_pubkey) else { return Ok(()) };
    let source = get_validator(state, source_index)?;
    if is_valid_switch_to_compounding_request(state.current_epoch(), &source, request) {
        return switch_to_compounding_validator(state, source_index);
    }

    // A consolidation into oneself would be an exit.
    let queue_is_full = state.pending_consolidations.len() as u64 == PENDING_CONSOLIDATIONS_LIMIT;
    if request.source_pubkey == request.target_pubkey
        || queue_is_full
        || get_consolidation_churn_limit(state, ctx)? <= MIN_ACTIVATION_BALANCE
    {
        return Ok(());
    }
    let Some(target_index) = state.validators.index_of(&request.target_pubkey) else { return Ok(()) };
    let target = get_validator(state, target_index)?;
    if !may_consolidate(state.current_epoch(), &source, &target, request, ctx.config)
        || get_pending_balance_to_withdraw(state, source_index)? > 0
    {
        return Ok(());
    }

    let exit_epoch = compute_consolidation_epoch_and_update_churn(state, source.effective_balance, ctx)?;
    let delay = ctx.config.min_validator_withdrawability_delay;
    let withdrawable_epoch = checked_sum(exit_epoch, delay, "a withdrawable epoch")?;
    set_validator(state, source_index as usize, Validator { exit_epoch, withdrawable_epoch, ..source });
    state.pending_consolidations.push(PendingConsolidation { source_index, target_index });
    Ok(())
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-is_valid_switch_to_compounding_request>
fn is_valid_switch_to_compounding_request(epoch: Epoch, source: &Validator, request: &ConsolidationRequest) -> bool {
    request.source_pubkey == request.target_pubkey
        && source.withdrawal_credentials[12..] == request.source_address[..]
        && has_eth1_withdrawal_credential(source)
        && is_active_and_staying(source, epoch)
}

/// Whether the request comes from the source's own address, the target compounds, both are active and stay, and the source
/// has been active long enough.
fn may_consolidate(
    epoch: Epoch,
    source: &Validator,
    target: &Validator,
    request: &ConsolidationRequest,
    config: &Config,
) -> bool {
    has_execution_withdrawal_credential(source)
        && source.withdrawal_credentials[12..] == request.source_address[..]
        && has_compounding_withdrawal_credential(target)
        && is_active_and_staying(source, epoch)
        && is_active_and_staying(target, epoch)
        && epoch - source.activation_epoch >= config.shard_committee_period
}

fn is_active_and_staying(validator: &Validator, epoch: Epoch) -> bool {
    is_active_validator(validator, epoch) && validator.exit_epoch == FAR_FUTURE_EPOCH
}
