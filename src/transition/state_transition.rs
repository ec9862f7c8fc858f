//! From a state to the next by a block.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#beacon-chain-state-transition-function>

use super::{block::process_block_body, signatures::header_signature_set, *};
use crate::types::{BeaconState, SignedBeaconBlock, SignedBeaconBlockHeader};

/// Applies a block to its parent's state, with the empty slots in between.
///
/// All signatures are verified in one batch after the body was processed, and the state root, which costs most, last. The
/// execution client's verdict on the payload is the caller's to ask.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#beacon-chain-state-transition-function>
///
/// # Errors
/// The first rule that the block breaks. The state is then half changed and to be thrown away.
pub fn state_transition(
    state: &mut BeaconState,
    signed_block: &SignedBeaconBlock,
    ctx: &Context,
    checks: Checks,
) -> Result<(), TransitionError> {
    process_slots(state, signed_block.message.slot, ctx)?;
    apply_block(state, signed_block, ctx, checks)
}

/// The rest of [`state_transition`], for a state that was taken to the block's slot before the block came.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#beacon-chain-state-transition-function>
///
/// # Errors
/// As [`state_transition`].
pub fn apply_block(
    state: &mut BeaconState,
    signed_block: &SignedBeaconBlock,
    ctx: &Context,
    checks: Checks,
) -> Result<(), TransitionError> {
    let block = &signed_block.message;
    let mut signatures = SignatureCollector::new(checks.signatures);
    let SignedBeaconBlockHeader { message: header, signature } = signed_block.signed_header();
    process_block_header(state, &header)?;
    signatures
        .add("block", || header_signature_set(state, &SignedBeaconBlockHeader { message: header, signature }, ctx))?;
    process_block_body(state, &block.body, ctx, &mut signatures)?;
    signatures.verify()?;

    if checks.state_root {
        let computed = state.hash_tree_root();
        if computed != block.state_root {
            return Err(TransitionError::StateRoot { block: block.state_root, computed });
        }
    }
    Ok(())
}
