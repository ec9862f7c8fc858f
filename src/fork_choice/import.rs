//! From a block to what the store has to know of it. Heavy and pure: runs beside the store, not in its task.

use tree_hash::TreeHash;

use super::{Balances, BodyAttestation, ImportedBlock, PayloadStatus, equivocating_indices};
use crate::{
    transition::{
        Checks, Context, TransitionError, apply_block, get_attesting_indices, get_shuffling, process_slots,
        state_transition, unrealized_checkpoints,
    },
    types::{preset::SLOTS_PER_EPOCH, *},
};

/// Runs the transition. Returns the state after the block, and what the store has to know of it; the caller adds what
/// the execution client said of the payload. `parent_state` is the state after the parent, possibly taken forward to the
/// start of the next epoch, and should have been hashed: then this one shares its hashes.
///
/// # Errors
/// When the block breaks a rule of the transition.
pub fn import_block(
    parent_state: &BeaconState,
    block: &SignedBeaconBlock,
    ctx: &Context,
    checks: Checks,
) -> Result<(BeaconState, ImportedBlock), TransitionError> {
    let message = &block.message;
    let mut state = parent_state.clone();
    let mut checkpoint_balances = process_epochs(&mut state, message, ctx)?;
    // Only a state that was taken forward is of the block's slot already; a parent is older than its child.
    if state.slot == message.slot && state.latest_block_header.slot < state.slot {
        apply_block(&mut state, block, ctx, checks)?;
    } else {
        state_transition(&mut state, block, ctx, checks)?;
    }
    // The transition has hashed the body already.
    let header = BeaconBlockHeader { state_root: message.state_root, ..state.latest_block_header };
    let root = header.tree_hash_root();
    if message.slot.is_multiple_of(SLOTS_PER_EPOCH) {
        checkpoint_balances.push((Checkpoint { epoch: state.current_epoch(), root }, Balances::of_state(&state)));
    }
    let (unrealized_justified, unrealized_finalized) = unrealized_checkpoints(&mut state)?;
    let slashings = message.body.attester_slashings.iter();
    let imported = ImportedBlock {
        root,
        header,
        execution_block_hash: message.body.execution_payload.block_hash,
        payload_status: PayloadStatus::NotValidated,
        justified_checkpoint: state.current_justified_checkpoint,
        finalized_checkpoint: state.finalized_checkpoint,
        unrealized_justified_checkpoint: unrealized_justified,
        unrealized_finalized_checkpoint: unrealized_finalized,
        checkpoint_balances,
        attestations: body_attestations(&mut state, &message.body)?,
        equivocating_indices: slashings.flat_map(equivocating_indices).collect(),
    };
    Ok((state, imported))
}

/// Takes the state through the starts of epochs before the block's slot, each of which makes the parent a checkpoint.
/// Spec: `store_target_checkpoint_state`, but before anybody asks.
fn process_epochs(
    state: &mut BeaconState,
    block: &BeaconBlock,
    ctx: &Context,
) -> Result<Vec<(Checkpoint, Balances)>, TransitionError> {
    let of_checkpoint = |state: &BeaconState| {
        let checkpoint = Checkpoint { epoch: state.current_epoch(), root: block.parent_root };
        (checkpoint, Balances::of_state(state))
    };
    let mut balances = Vec::new();
    let is_epoch_start = state.slot.is_multiple_of(SLOTS_PER_EPOCH);
    if is_epoch_start && state.latest_block_header.slot < state.slot && state.slot < block.slot {
        balances.push(of_checkpoint(state));
    }
    loop {
        let start = compute_start_slot_at_epoch(state.current_epoch() + 1);
        if start >= block.slot {
            return Ok(balances);
        }
        process_slots(state, start, ctx)?;
        balances.push(of_checkpoint(state));
    }
}

/// The body's votes. The transition has verified them, and has left the committees in the state.
fn body_attestations(state: &mut BeaconState, body: &BeaconBlockBody) -> Result<Vec<BodyAttestation>, TransitionError> {
    let name_attesters = |attestation: &Attestation| {
        let shuffling = get_shuffling(state, compute_epoch_at_slot(attestation.data.slot))?;
        let attesting_indices = get_attesting_indices(state.fork_name, &shuffling, attestation)?;
        let attesting_indices = attesting_indices.into_iter().map(ValidatorIndex::from).collect();
        Ok(BodyAttestation { data: attestation.data, attesting_indices })
    };
    body.attestations.iter().map(name_attesters).collect()
}
