//! The topic `beacon_block`.

use super::{Mark, View};
use crate::{
    chain::BlockError,
    crypto::{DOMAIN_BEACON_PROPOSER, Signature, compute_signing_root},
    types::*,
};

/// What the checks found of a block that they did not refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// All checks passed.
    All,
    /// All but that of the proposer, for which the parent's state is not at hand: the transition will do it.
    AllButProposer,
}

/// Checks a gossiped block, and remembers a good one. A fault means reject, another error ignore.
///
/// The order of the checks is the specification's, but that those which cost nothing come before the signature. A block
/// whose parent is not known has passed all checks before that one: its signature is valid.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#modified-beacon_block>
pub fn validate_beacon_block_gossip(
    view: &View,
    signed: &SignedBeaconBlock,
    root: Hash256,
) -> Result<Passed, BlockError> {
    let block = &signed.message;
    check_slot(view, block.slot)?;
    view.check_not_invalid(&root)?;
    let mark = Mark::Proposal(block.slot, block.proposer_index);
    view.seen.check(&mark).map_err(|_| BlockError::Equivocation)?;
    check_signature(view, signed, root)?;
    let parent = block.parent_root;
    // After the signature: children of an invalid block are remembered, and nobody but a validator shall fill that memory.
    view.check_not_invalid(&parent)?;
    let Some(parent_info) = view.snapshot.blocks.get(&parent) else { return Err(BlockError::UnknownParent { parent }) };
    let timestamp = view.compute_time_at_slot_ms(block.slot) / 1000;
    ensure(block.body.execution_payload.timestamp == timestamp, "incorrect execution payload timestamp")?;
    ensure(block.slot > parent_info.slot, "block is not from a higher slot than its parent")?;
    ensure(view.is_on_finalized_chain(), "finalized checkpoint is not an ancestor of block")?;
    let max_blobs = view.config.max_blobs(compute_epoch_at_slot(block.slot));
    ensure(block.body.blob_kzg_commitments.len() as u64 <= max_blobs, "too many blob kzg commitments")?;
    let passed = check_proposer(view, block)?;
    // Another task may have been faster since the check above.
    view.seen.remember(mark).map_err(|_| BlockError::Equivocation)?;
    Ok(passed)
}

/// That it is the proposer's turn, as far as that can be told at once. The parent must be known.
pub fn check_proposer(view: &View, block: &BeaconBlock) -> Result<Passed, BlockError> {
    let Some(expected) = view.expected_proposer(&block.parent_root, block.slot) else {
        return Ok(Passed::AllButProposer);
    };
    ensure(expected == block.proposer_index, "block proposer_index does not match expected proposer")?;
    Ok(Passed::All)
}

/// That the slot has come, but for the disparity of clocks that the network allows, and is not finalized.
pub fn check_slot(view: &View, slot: Slot) -> Result<(), BlockError> {
    if view.is_future_slot(slot) {
        let since_genesis = view.now_ms.saturating_sub(view.compute_time_at_slot_ms(0));
        return Err(BlockError::Future { slot, now: since_genesis / view.config.slot_duration_ms });
    }
    if view.is_after_finalized(slot) { Ok(()) } else { Err(BlockError::Finalized { slot }) }
}

/// Checks the proposer's signature. What is wrong with a block that passes is its proposer's fault.
pub fn check_signature(view: &View, signed: &SignedBeaconBlock, root: Hash256) -> Result<(), BlockError> {
    let (slot, proposer) = (signed.message.slot, signed.message.proposer_index);
    if !view.is_validator(proposer) && !view.snapshot.contains(&signed.message.parent_root) {
        // On a chain that we have yet to follow there may be more validators; the block must not be remembered as invalid.
        return Err(BlockError::NotYet("its proposer is not among the validators that we know".into()));
    }
    ensure(view.is_validator(proposer), "proposer index out of range")?;
    let is_valid = is_signature_valid(view, slot, proposer, root, &signed.signature);
    if is_valid { Ok(()) } else { Err(BlockError::BadSignature) }
}

/// Whether a proposer signed the block with this root, which names the slot and the proposer. A good signature is remembered:
/// the same comes with the block and with each of its columns.
pub(super) fn is_signature_valid(
    view: &View,
    slot: Slot,
    proposer: ValidatorIndex,
    root: Hash256,
    signature: &BLSSignature,
) -> bool {
    if view.seen.is_signed(root, *signature) {
        return true;
    }
    let Ok(key) = view.public_key(proposer) else { return false };
    let Ok(parsed) = Signature::from_bytes(signature) else { return false };
    let domain = view.domain(DOMAIN_BEACON_PROPOSER, compute_epoch_at_slot(slot));
    let is_valid = parsed.verify(&key, compute_signing_root(&root, domain));
    if is_valid {
        view.seen.remember_signed(root, *signature);
    }
    is_valid
}

fn ensure(condition: bool, rule: &str) -> Result<(), BlockError> {
    if condition { Ok(()) } else { Err(BlockError::Invalid(rule.into())) }
}
