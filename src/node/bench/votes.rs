//! Fork choice: a vote of every validator, then the head.

use std::sync::Arc;

use super::{doing, next_epoch_start, recorder::Recorder};
use crate::{
    fork_choice::{Store, import_block},
    transition::{Checks, Context, find_shuffling},
    types::{
        AttestationData, BeaconState, Checkpoint, Hash256, SignedBeaconBlock, Slot, ValidatorIndex,
        compute_epoch_at_slot,
    },
};

/// Attesters that vote together.
const COMMITTEE: usize = 512;

/// Measures votes of all validators for `block` after all voted for its parent, and the head after that.
///
/// # Errors
/// When fork choice does not take them, or finds another head.
pub fn measure(
    recorder: &mut Recorder,
    parent: &BeaconState,
    block: &SignedBeaconBlock,
    ctx: &Context,
) -> Result<(), String> {
    let mut anchor = parent.clone();
    let mut header = anchor.latest_block_header;
    header.state_root = anchor.hash_tree_root();
    let (_, imported) = import_block(parent, block, ctx, Checks::NONE).map_err(doing("the block"))?;
    let (parent_root, root) = (block.message.parent_root, imported.root);
    let shuffling = find_shuffling(parent, parent.current_epoch()).map_err(doing("the committees"))?;
    let validators: Vec<ValidatorIndex> = shuffling.shuffled.iter().map(|index| u64::from(*index)).collect();
    let next = next_epoch_start(block.message.slot);

    let voted_for_parent = || {
        let mut store = Store::from_anchor(&mut anchor.clone(), &header, Arc::new(ctx.config.clone()))
            .map_err(doing("the anchor"))?;
        store.on_tick((anchor.genesis_time * 1000) + (next + 1) * ctx.config.slot_duration_ms);
        store.on_block(imported.clone()).map_err(doing("the block"))?;
        vote(&mut store, parent_root, parent_root, parent.slot, &validators)?;
        Ok::<_, String>(store)
    };
    let vote_for_block = |store: &mut Store| vote(store, root, root, next, &validators);
    let what = "fork choice: a vote of every validator, in random order";
    recorder.time("votes", what, voted_for_parent, vote_for_block)?;

    let all_changed = || {
        let mut store = voted_for_parent()?;
        vote_for_block(&mut store).map(|()| store)
    };
    let head = |store: &mut Store| match store.get_head() {
        head if head == root => Ok(()),
        other => Err(format!("the head is {other} instead of the block")),
    };
    recorder.time("head", "fork choice: the head after that", all_changed, head)?;
    Ok(())
}

/// All vote at `slot` for `root`, whose checkpoint's block is `target`.
fn vote(
    store: &mut Store,
    root: Hash256,
    target: Hash256,
    slot: Slot,
    validators: &[ValidatorIndex],
) -> Result<(), String> {
    let target = Checkpoint { epoch: compute_epoch_at_slot(slot), root: target };
    let data = AttestationData { slot, index: 0, beacon_block_root: root, source: Checkpoint::default(), target };
    for committee in validators.chunks(COMMITTEE) {
        store.on_attestation(&data, committee, false).map_err(doing("a vote"))?;
    }
    Ok(())
}
