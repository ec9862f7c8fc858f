//! The checks of the topic `beacon_block`, against the snapshot.

use super::{BlockError, Shared, Snapshot};
use crate::{
    crypto::{DOMAIN_BEACON_PROPOSER, Signature, compute_domain, compute_signing_root},
    types::{
        BeaconBlock, BeaconState, ForkName, Hash256, SignedBeaconBlock, Slot, ValidatorIndex, compute_epoch_at_slot,
        compute_start_slot_at_epoch, preset::SLOTS_PER_EPOCH,
    },
};

/// What the checks found of a block that they did not refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// All checks passed.
    All,
    /// All but that of the proposer, for which the parent's state is not at hand: the transition will do it.
    AllButProposer,
}

/// Checks a gossiped block. A fault means reject, another error ignore.
///
/// The order of the checks is the specification's, but that those which cost nothing come before the signature. A block
/// whose parent is not known has passed all checks before that one: its signature is valid.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#modified-beacon_block>
pub(super) fn check(
    shared: &Shared,
    snapshot: &Snapshot,
    signed: &SignedBeaconBlock,
    root: Hash256,
) -> Result<Passed, BlockError> {
    let block = &signed.message;
    check_slot(shared, snapshot, block.slot)?;
    check_not_invalid(shared, block, root)?;
    if shared.seen_proposals.contains(&(block.slot, block.proposer_index)) {
        return Err(BlockError::Equivocation);
    }
    check_signature(shared, &snapshot.head_state, signed, root)?;
    let parent = block.parent_root;
    let Some(parent_info) = snapshot.blocks.get(&parent) else { return Err(BlockError::UnknownParent { parent }) };
    let genesis_time = shared.clock.genesis_ms() / 1000;
    let timestamp = genesis_time.saturating_add(block.slot.saturating_mul(shared.clock.slot_ms()) / 1000);
    ensure(block.body.execution_payload.timestamp == timestamp, "the payload's timestamp is not that of the slot")?;
    ensure(block.slot > parent_info.slot, "it is not from a higher slot than its parent")?;
    // That the finalized block is an ancestor needs no check: the snapshot has only that block and its descendants.
    let blobs = shared.config.max_blobs(compute_epoch_at_slot(block.slot));
    ensure(block.body.blob_kzg_commitments.len() as u64 <= blobs, "it has too many blobs")?;
    let expected = snapshot.state(&parent).and_then(|state| proposer_at(&state, block.slot));
    ensure(expected.is_none_or(|expected| expected == block.proposer_index), "it is not its proposer's turn")?;
    // Another task may have been faster since the check above.
    if !shared.seen_proposals.insert((block.slot, block.proposer_index)) {
        return Err(BlockError::Equivocation);
    }
    Ok(if expected.is_some() { Passed::All } else { Passed::AllButProposer })
}

/// That the slot has come, but for the disparity of clocks that the network allows, and is not finalized.
pub(super) fn check_slot(shared: &Shared, snapshot: &Snapshot, slot: Slot) -> Result<(), BlockError> {
    let now = shared.clock.now_ms();
    if now.saturating_add(shared.config.maximum_gossip_clock_disparity) < shared.clock.start_of(slot) {
        return Err(BlockError::Future { slot, now: shared.clock.slot_at(now) });
    }
    if slot <= compute_start_slot_at_epoch(snapshot.finalized.epoch) {
        return Err(BlockError::Finalized { slot });
    }
    Ok(())
}

/// That neither the block nor its parent was found invalid before.
pub(super) fn check_not_invalid(shared: &Shared, block: &BeaconBlock, root: Hash256) -> Result<(), BlockError> {
    if shared.invalid_blocks.contains(&root) || shared.invalid_blocks.contains(&block.parent_root) {
        return Err(BlockError::KnownInvalid);
    }
    Ok(())
}

/// Checks the proposer's signature. What is wrong with a block that passes is its proposer's fault.
pub(super) fn check_signature(
    shared: &Shared,
    state: &BeaconState,
    signed: &SignedBeaconBlock,
    root: Hash256,
) -> Result<(), BlockError> {
    let (slot, index) = (signed.message.slot, signed.message.proposer_index);
    let at = usize::try_from(index).ok().filter(|at| *at < state.validators.len());
    let Some(at) = at else { return Err(invalid("there is no such proposer")) };
    let key = shared.keys.get(index, state.validators.pubkey(at)).map_err(|e| BlockError::Invalid(e.to_string()))?;
    let version = shared.config.fork_version(compute_epoch_at_slot(slot));
    let domain = compute_domain(DOMAIN_BEACON_PROPOSER, version, shared.genesis_validators_root);
    let signature = Signature::from_bytes(&signed.signature).map_err(|_| BlockError::BadSignature)?;
    let is_valid = signature.verify(&key, compute_signing_root(&root, domain));
    if is_valid { Ok(()) } else { Err(BlockError::BadSignature) }
}

/// Who proposes in `slot`, if a state that is not advanced to it can tell: the lookahead has this epoch and the next.
pub(super) fn proposer_at(state: &BeaconState, slot: Slot) -> Option<ValidatorIndex> {
    if state.fork_name < ForkName::Fulu {
        return None;
    }
    let first = compute_start_slot_at_epoch(state.current_epoch());
    let at = usize::try_from(slot.checked_sub(first)?).ok()?;
    (at < 2 * SLOTS_PER_EPOCH as usize && at < state.proposer_lookahead.len()).then(|| state.proposer_lookahead[at])
}

fn ensure(condition: bool, rule: &str) -> Result<(), BlockError> {
    if condition { Ok(()) } else { Err(invalid(rule)) }
}

fn invalid(rule: &str) -> BlockError {
    BlockError::Invalid(rule.into())
}
