//! The execution payload, as far as the consensus layer can judge it.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#execution-payload>

use super::*;

/// Checks the payload's place in the chain, and keeps its header. What the execution client says of it is the caller's to
/// ask and to heed: it takes long, and runs in parallel to the transition.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/beacon-chain.md#process_execution_payload>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#modified-process_execution_payload>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/beacon-chain.md#modified-process_execution_payload>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_execution_payload>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#modified-process_execution_payload>
///
/// # Errors
/// See [`check_execution_payload`].
pub fn process_execution_payload(
    state: &mut BeaconState,
    body: &BeaconBlockBody,
    ctx: &Context,
) -> Result<(), TransitionError> {
    check_execution_payload(state, body, ctx)?;
    state.latest_execution_payload_header = body.execution_payload_header();
    Ok(())
}

/// The checks of [`process_execution_payload`] on their own; the state must be at the block's slot, before its randao reveal.
///
/// # Errors
/// Wrong parent, randomness or time; more blobs than the epoch allows.
pub fn check_execution_payload(
    state: &BeaconState,
    body: &BeaconBlockBody,
    ctx: &Context,
) -> Result<(), TransitionError> {
    let rule = |holds, rule| ensure(holds, "execution payload", rule);
    let (payload, epoch) = (&body.execution_payload, state.current_epoch());
    // The merge's block builds on one of proof of work, which fork choice judges.
    let is_of_parent = payload.parent_hash == state.latest_execution_payload_header.block_hash;
    rule(is_of_parent || !is_merge_transition_complete(state), "its parent must be the payload of the parent block")?;
    rule(payload.prev_randao == get_randao_mix(state, epoch), "its randomness must be the state's")?;
    rule(payload.timestamp == compute_time_at_slot(state, state.slot, ctx)?, "its timestamp must be the slot's")?;
    let blobs = body.blob_kzg_commitments.len() as u64;
    rule(blobs <= ctx.config.max_blobs(epoch), "it must not have more blobs than the epoch allows")
}
