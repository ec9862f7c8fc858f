//! A block: its signatures, its processing, the root after it.

use std::path::Path;

use super::{aggregates as gossiped, doing, recorder::Recorder, stopwatch::Time, subject::OtherBlock};
use crate::{
    crypto::{PubkeyCache, SecretKey, SignatureSet, verify_sets},
    transition::{
        Checks, Context, SignatureCollector, TransitionError, get_shuffling, header_signature_set, process_block,
        process_slots, state_transition,
    },
    types::{BeaconState, Caches, Config, Hash256, SignedBeaconBlock},
};

/// Messages of a batch from gossip.
pub const BATCH: u8 = 64;

/// Measures the import of `block` on `parent`. Returns the state after it, hashed.
///
/// # Errors
/// When the block is not valid.
pub fn measure(
    recorder: &mut Recorder,
    parent: &BeaconState,
    block: &SignedBeaconBlock,
    ctx: &Context,
) -> Result<BeaconState, String> {
    let mut at_slot = parent.clone();
    process_slots(&mut at_slot, block.message.slot, ctx).map_err(doing("the block's slot"))?;
    let epoch = at_slot.current_epoch();
    // With committees of its own, so that nothing that is remembered with those of the parent is there yet.
    let just_shuffled = || {
        let mut state = BeaconState { caches: Caches::default(), ..at_slot.clone() };
        get_shuffling(&mut state, epoch).map_err(doing("the committees"))?;
        Ok(state)
    };
    let warm = || Ok(at_slot.clone());
    let verify = |state: &mut BeaconState| verify_and_process(state, block, ctx);
    let process =
        |state: &mut BeaconState| process_block(state, &block.message, ctx, &mut SignatureCollector::new(false));
    let cold = "block: signatures and processing, no key ever decompressed";
    recorder.time_once("block_keys_cold", cold, just_shuffled, verify)?;
    recorder.time("block_first", "the same, keys known, committees just shuffled", just_shuffled, verify)?;
    recorder.time("block_warm", "the same, all warm", warm, verify)?;
    let after = recorder.time("block_processing", "block: processing alone", warm, process)?;
    let signatures = difference(recorder.of("block_warm"), recorder.of("block_processing"));
    recorder.add_time("block_signatures", "block: all signatures, the difference of these two", signatures);
    let hash = |state: &mut BeaconState| Ok::<_, String>(state.hash_tree_root());
    let mut after = recorder.time("block_root", "root after it", || Ok(after.clone()), hash)?;

    let import = |state: &mut BeaconState| state_transition(state, block, ctx, Checks::ALL);
    recorder.time("block_import", "block: the whole import", || Ok(parent.clone()), import)?;
    let sets = |sets: &mut Vec<SignatureSet>| verify_batch(sets);
    recorder.time("signature_batch", "64 signatures in a batch", || Ok(batch()), sets)?;
    recorder.time("aggregate_batch", "64 aggregates from gossip in a batch", || Ok(aggregates()), sets)?;
    gossiped::measure(recorder, &at_slot, ctx)?;

    if after.hash_tree_root() != block.message.state_root {
        return Err(format!("the state after the block has the root {}", after.hash_tree_root()));
    }
    recorder.add_size("state_after_block", "one more state, after the block", after.bytes_beside(parent) as u64);
    Ok(after)
}

/// Measures the whole import of another block, all warm.
///
/// # Errors
/// When the block is not valid.
pub fn measure_import(
    recorder: &mut Recorder,
    other: &OtherBlock,
    parent: &BeaconState,
    ctx: &Context,
) -> Result<(), String> {
    let import = |state: &mut BeaconState| state_transition(state, &other.block, ctx, Checks::ALL);
    recorder.time(other.name, other.what, || Ok(parent.clone()), import).map(drop)
}

/// Measures the first block after a restart: no key is in memory, but all are in the file at `keys`; the committees of three
/// epochs are not known, and nothing that is derived from the registry.
///
/// # Errors
/// When the block is not valid, or the file of keys cannot be read.
pub fn measure_restart(
    recorder: &mut Recorder,
    parent: &BeaconState,
    block: &SignedBeaconBlock,
    config: &Config,
    keys: &Path,
) -> Result<(), String> {
    let restarted = || {
        let keys = PubkeyCache::open(keys).map_err(doing("the file of keys"))?;
        let ctx = Context { config, keys: &keys };
        // Read anew, so that its index of keys is not there yet.
        let bytes = parent.to_ssz_bytes();
        let mut state = BeaconState::from_ssz_bytes(parent.fork_name, &bytes).map_err(doing("the state"))?;
        process_slots(&mut state, block.message.slot, &ctx).map_err(doing("the block's slot"))?;
        Ok((state, keys))
    };
    let verify = |(state, keys): &mut (BeaconState, PubkeyCache)| {
        for epoch in [state.previous_epoch(), state.current_epoch(), state.current_epoch() + 1] {
            get_shuffling(state, epoch)?;
        }
        verify_and_process(state, block, &Context { config, keys })
    };
    let what =
        "the same block after a restart, keys in their file: committees of three epochs, their sums, the index of keys";
    recorder.time_once("block_restart", what, restarted, verify).map(drop)
}

/// What the transition does with a block from others, but for the slot before and the root after it.
fn verify_and_process(
    state: &mut BeaconState,
    block: &SignedBeaconBlock,
    ctx: &Context,
) -> Result<(), TransitionError> {
    let mut signatures = SignatureCollector::new(true);
    signatures.add("block", || header_signature_set(state, &block.signed_header(), ctx))?;
    process_block(state, &block.message, ctx, &mut signatures)?;
    signatures.verify()
}

/// As many signatures, each of its own message.
fn batch() -> Vec<SignatureSet> {
    (1..=BATCH).map(|number| signature(number, Hash256::repeat_byte(number))).collect()
}

/// As many aggregates of a slot, as gossip brings them: each with its aggregator's signature, a proof of the aggregator's
/// selection, which is over the slot for all of them, and the attesters' signature, which is over the same votes for all.
fn aggregates() -> Vec<SignatureSet> {
    let (slot, votes) = (Hash256::repeat_byte(BATCH + 1), Hash256::repeat_byte(BATCH + 2));
    let of = |number| [Hash256::repeat_byte(number), slot, votes].map(|message| signature(number, message));
    (1..=BATCH).flat_map(of).collect()
}

fn signature(number: u8, message: Hash256) -> SignatureSet {
    let mut secret = [0; 32];
    secret[31] = number;
    let secret = SecretKey::from_bytes(&secret).expect("a small number but zero is a secret key");
    SignatureSet { signature: secret.sign(message).to_bytes(), key: secret.public_key(), message }
}

fn verify_batch(sets: &[SignatureSet]) -> Result<(), &'static str> {
    if verify_sets(sets) { Ok(()) } else { Err("our own signatures were refused") }
}

fn difference(whole: Time, part: Time) -> Time {
    Time { wall_ms: (whole.wall_ms - part.wall_ms).max(0.0), cpu_ms: (whole.cpu_ms - part.cpu_ms).max(0.0) }
}
