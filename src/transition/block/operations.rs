//! All operations of a block, in the specification's order.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#operations>

use super::*;

/// What a fork does not have yet is empty in its bodies.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#operations>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#modified-process_operations>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_operations>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#modified-process_operations>
///
/// # Errors
/// The first rule that an operation breaks, or a number of deposits that is not the one that is due.
pub fn process_operations(
    state: &mut BeaconState,
    body: &BeaconBlockBody,
    ctx: &Context,
    signatures: &mut SignatureCollector,
) -> Result<(), TransitionError> {
    let deposits_match = body.deposits.len() as u64 == deposits_due(state)?;
    ensure(deposits_match, "deposits", "the block must have as many as are due")?;
    for slashing in &body.proposer_slashings {
        process_proposer_slashing(state, slashing, ctx, signatures)?;
    }
    for slashing in &body.attester_slashings {
        process_attester_slashing(state, slashing, ctx, signatures)?;
    }
    if signatures.is_on() {
        find_attesters_keys(state, &body.attestations, ctx)?;
    }
    for attestation in &body.attestations {
        process_attestation(state, attestation, ctx, signatures)?;
    }
    for deposit in &body.deposits {
        process_deposit(state, deposit, ctx)?;
    }
    for exit in &body.voluntary_exits {
        process_voluntary_exit(state, exit, ctx, signatures)?;
    }
    for change in &body.bls_to_execution_changes {
        process_bls_to_execution_change(state, change, ctx, signatures)?;
    }
    process_execution_requests(state, &body.execution_requests, ctx)
}

/// Requests never make a block invalid: one that can't be granted is passed over.
fn process_execution_requests(
    state: &mut BeaconState,
    requests: &ExecutionRequests,
    ctx: &Context,
) -> Result<(), TransitionError> {
    for request in &requests.deposits {
        process_deposit_request(state, request);
    }
    for request in &requests.withdrawals {
        process_withdrawal_request(state, request, ctx)?;
    }
    for request in &requests.consolidations {
        process_consolidation_request(state, request, ctx)?;
    }
    Ok(())
}

/// Deposits of the former mechanism that a block must have. Fulu has done away with it.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_operations>
fn deposits_due(state: &BeaconState) -> Result<u64, TransitionError> {
    let (total, done) = (state.eth1_data.deposit_count, state.eth1_deposit_index);
    let waiting = match state.fork_name {
        ForkName::Fulu => 0,
        ForkName::Electra => total.min(state.deposit_requests_start_index).saturating_sub(done),
        _ => total.checked_sub(done).ok_or(TransitionError::Overflow("the number of deposits"))?,
    };
    Ok(waiting.min(MAX_DEPOSITS as u64))
}
