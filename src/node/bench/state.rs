//! The state: to and from bytes, its root, its memory, the epoch's end.

use std::io;

use super::{doing, next_epoch_start, recorder::Recorder};
use crate::{
    metrics::resident_bytes,
    transition::{Context, find_shuffling, get_shuffling, process_slots},
    types::{BeaconState, Caches, ForkName},
};

/// Decodes the state, and returns it hashed.
///
/// # Errors
/// When the bytes are no state.
pub fn measure(recorder: &mut Recorder, bytes: Vec<u8>) -> Result<BeaconState, String> {
    let decode = || BeaconState::from_ssz_bytes(ForkName::Fulu, &bytes);
    let decoded = recorder.time(
        "ssz_decode",
        "state: SSZ to columns",
        || Ok(None),
        |state| decode().map(|it| *state = Some(it)),
    )?;
    drop(decoded);
    let mut state = recorder.time(
        "root_cold",
        "state: root from cold",
        || decode().map_err(doing("the state")),
        |state| Ok::<_, String>(state.hash_tree_root()),
    )?;
    drop(bytes);
    let encode = |_: &mut ()| state.write_to(&mut io::sink());
    recorder.time("ssz_encode", "state: columns to SSZ, streamed", || Ok(()), encode)?;
    let epoch = state.current_epoch();
    let shuffle = |state: &mut BeaconState| find_shuffling(state, epoch + 1).map(drop);
    recorder.time("shuffling", "an epoch's committees", || Ok(state.clone()), shuffle)?;

    recorder.step("memory");
    for epoch in [state.previous_epoch(), epoch, epoch + 1] {
        get_shuffling(&mut state, epoch).map_err(doing("the committees"))?;
    }
    state.validators.index_of(state.validators.pubkey(0));
    let allocated = state.bytes_beside(&BeaconState::default());
    recorder.add_size("state", "a state with hashes, three shufflings and the index of keys", allocated as u64);
    if let Some(resident) = resident_bytes() {
        recorder.add_size("resident", "the process then, with what the allocator keeps of earlier runs", resident);
    }
    Ok(state)
}

/// The state in its epoch's last slot, after empty slots, hashed.
///
/// # Errors
/// When the transition fails.
pub fn in_last_slot(state: &BeaconState, ctx: &Context) -> Result<BeaconState, String> {
    let next = next_epoch_start(state.slot);
    let mut last_slot = state.clone();
    if last_slot.slot + 1 < next {
        process_slots(&mut last_slot, next - 1, ctx).map_err(doing("empty slots"))?;
    }
    last_slot.hash_tree_root();
    Ok(last_slot)
}

/// Measures the epoch's end after `last_slot`. Returns the state after it, hashed.
///
/// # Errors
/// When the transition fails.
pub fn measure_epoch(recorder: &mut Recorder, last_slot: &BeaconState, ctx: &Context) -> Result<BeaconState, String> {
    let next = next_epoch_start(last_slot.slot);
    let to_next = |state: &mut BeaconState| process_slots(state, next, ctx);
    let cold = || Ok(BeaconState { caches: Caches::default(), ..last_slot.clone() });
    recorder.time("epoch_cold", "epoch transition, nothing cached", cold, to_next)?;
    let after = recorder.time("epoch", "epoch transition, warm", || Ok(last_slot.clone()), to_next)?;
    let hash = |state: &mut BeaconState| Ok::<_, String>(state.hash_tree_root());
    let after = recorder.time("epoch_root", "root after it", || Ok(after.clone()), hash)?;
    let beside = after.bytes_beside(last_slot) as u64;
    recorder.add_size("state_after_epoch", "one more state, after the epoch's end", beside);
    Ok(after)
}
