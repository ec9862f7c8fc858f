//! The first block of an epoch, with the epoch's end done before it comes and without.

use super::{
    doing,
    recorder::Recorder,
    synthetic::{self, Contents},
};
use crate::{
    chain::take_to_epoch,
    fork_choice::import_block,
    transition::{Checks, Context, TransitionError, get_shuffling},
    types::BeaconState,
};

/// Things that are measured.
pub const STEPS: usize = 3;

/// Measures the import of a full block of the first slot after `last_slot`, which is in its epoch's last and synthetic.
///
/// # Errors
/// When the block can't be made, or is not valid.
pub fn measure(recorder: &mut Recorder, last_slot: &BeaconState, ctx: &Context) -> Result<(), String> {
    let epoch = last_slot.current_epoch() + 1;
    let mut parent = last_slot.clone();
    // As a node shares its states: with the next epoch's committees.
    get_shuffling(&mut parent, epoch).map_err(doing("the committees"))?;
    let made = synthetic::block(&parent, parent.slot + 1, &Contents::FULL, ctx);
    let (block, _) = made.map_err(doing("the first block of an epoch"))?;
    let copy = || Ok(parent.clone());
    let import = |base: &mut BeaconState| -> Result<(), TransitionError> {
        let (mut state, _) = import_block(base, &block, ctx, Checks::ALL)?;
        get_shuffling(&mut state, epoch + 1).map(drop)
    };
    recorder.time("first_block", "first full block of an epoch: the whole import", copy, import)?;
    let prepare = |state: &mut BeaconState| take_to_epoch(state, epoch, ctx);
    let prepared = recorder.time("prepare_epoch", "an epoch prepared before it begins", copy, prepare)?;
    let what = "first full block of an epoch, the epoch prepared before";
    recorder.time("first_block_prepared", what, || Ok(prepared.clone()), import).map(drop)
}
