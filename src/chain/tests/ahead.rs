//! What is done for the next epoch before it begins.

use std::sync::Arc;

use super::{recording::*, rig::*};
use crate::{
    chain::*,
    crypto::PubkeyCache,
    fork_choice::import_block,
    transition::{Checks, Context, get_expected_withdrawals, get_randao_mix, process_slots, state_transition},
    types::{BeaconBlockBody, BeaconState, ForkName, Shuffling, preset::SLOTS_PER_EPOCH},
};

/// The first slot of an epoch on the recorded chain.
const FIRST: u64 = 256;

fn import_to(rig: &Rig, last: u64) {
    for slot in rig.handle.snapshot().head_slot + 1..=last {
        rig.import(&block(slot)).unwrap();
    }
}

/// Without sleeping, and not for ever.
fn wait_until(what: &str, is_done: impl Fn() -> bool) {
    soon(what, async {
        while !is_done() {
            smol::future::yield_now().await;
        }
    });
}

/// The state that a block would be imported from.
fn base_for(rig: &Rig, slot: u64) -> Arc<BeaconState> {
    let parent_state = rig.handle.snapshot().state(&root(slot - 1)).unwrap();
    rig.handle.shared.base_for(&block(slot).message, &parent_state)
}

#[test]
fn an_epoch_is_prepared_in_the_last_quarter_of_the_slot_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(FIRST - 1);
    let rig = Rig::new(dir.path(), checkpoint(), clock.clone());
    import_to(&rig, FIRST - 1);
    assert_eq!(base_for(&rig, FIRST).slot, FIRST - 1, "nothing is prepared yet");

    clock.set_ms(clock.start_of(FIRST - 1) + clock.slot_ms() / 4 * 3);
    wait_until("the next epoch", || rig.handle.shared.advanced.load().is_some());
    let base = base_for(&rig, FIRST);
    assert_eq!((base.slot, base.latest_block_header.slot), (FIRST, FIRST - 1));
    assert!(rig.handle.shared.advanced_bytes(&rig.handle.snapshot()) > 0);
    // Other slots of that epoch start from it too, those of the next do not: a checkpoint lies between.
    let later = |slot| {
        let mut block = block(FIRST).message.clone();
        block.slot = slot;
        rig.handle.shared.base_for(&block, &rig.handle.snapshot().head_state).slot
    };
    assert_eq!((later(FIRST + 3), later(FIRST + SLOTS_PER_EPOCH)), (FIRST, FIRST));

    clock.set_ms(clock.start_of(LAST) + 1000);
    import_to(&rig, LAST);
    let snapshot = rig.handle.snapshot();
    assert_eq!(snapshot.head_root, root(LAST));
    let other = tempfile::tempdir().unwrap();
    let unprepared = Rig::recorded(other.path());
    import_to(&unprepared, LAST);
    let expected = unprepared.handle.snapshot();
    assert_eq!((snapshot.justified, snapshot.finalized), (expected.justified, expected.finalized));
    // It has served its purpose.
    rig.handle.shared.work_ahead(LAST);
    assert!(rig.handle.shared.advanced.load().is_none());
}

#[test]
fn a_block_does_the_same_on_the_prepared_state() {
    let (config, keys) = (config(), PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    let mut parent = anchor_state();
    for slot in ANCHOR + 1..FIRST {
        parent = import_block(&parent, &block(slot), &ctx, Checks::ALL).unwrap().0;
    }
    let mut prepared = parent.clone();
    take_to_epoch(&mut prepared, FIRST / SLOTS_PER_EPOCH, &ctx).unwrap();
    assert_eq!(prepared.slot, FIRST);
    for block in [block(FIRST), after_an_empty_slot(&parent, &ctx)] {
        let usual = import_block(&parent, &block, &ctx, Checks::ALL).unwrap();
        let quick = import_block(&prepared, &block, &ctx, Checks::ALL).unwrap();
        assert_eq!(quick.0.to_ssz_bytes(), usual.0.to_ssz_bytes());
        assert_eq!(format!("{:?}", quick.1), format!("{:?}", usual.1));
        assert_eq!(quick.1.checkpoint_balances.len(), 1);
        assert!(import_block(&usual.0, &block, &ctx, Checks::ALL).is_err(), "a block is no child of itself");
    }
    // A block of a slot before finds no place on it.
    for slot in [FIRST - 1, FIRST - 2] {
        assert!(import_block(&prepared, &block(slot), &ctx, Checks::ALL).is_err());
    }
}

/// A block of the epoch's second slot, the first being empty.
fn after_an_empty_slot(parent: &BeaconState, ctx: &Context) -> Arc<SignedBeaconBlock> {
    let mut at_slot = parent.clone();
    process_slots(&mut at_slot, FIRST + 1, ctx).unwrap();
    let mut block = (*block(FIRST + 1)).clone();
    let BeaconBlockBody { randao_reveal, eth1_data, mut execution_payload, .. } = block.message.body.clone();
    execution_payload.parent_hash = at_slot.latest_execution_payload_header.block_hash;
    execution_payload.prev_randao = get_randao_mix(&at_slot, at_slot.current_epoch());
    execution_payload.withdrawals = get_expected_withdrawals(&at_slot).unwrap().withdrawals.try_into().unwrap();
    let empty = BeaconBlockBody::empty(ForkName::Fulu);
    block.message.body = BeaconBlockBody { randao_reveal, eth1_data, execution_payload, ..empty };
    block.message.parent_root = root(FIRST - 1);
    let mut after = parent.clone();
    state_transition(&mut after, &block, ctx, Checks::NONE).unwrap();
    block.message.state_root = after.hash_tree_root();
    sign(block)
}

#[test]
fn a_head_that_moves_away_costs_the_usual_way() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), checkpoint(), clock_at(FIRST));
    import_to(&rig, FIRST - 2);
    rig.handle.shared.work_ahead(FIRST - 1);
    assert!(rig.handle.shared.advanced.load().is_some());
    // The last block of the epoch is late.
    import_to(&rig, FIRST - 1);
    assert_eq!(base_for(&rig, FIRST).slot, FIRST - 1);
    import_to(&rig, FIRST);
    assert_eq!(rig.handle.snapshot().head_root, root(FIRST));
    rig.handle.shared.work_ahead(FIRST);
    assert!(rig.handle.shared.advanced.load().is_none());
}

#[test]
fn committees_keys_are_summed_a_few_slots_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), checkpoint(), clock_at(ANCHOR + 1));
    import_to(&rig, ANCHOR + 1);
    let state = rig.handle.snapshot().head_state.clone();
    let known = |shuffling: &Shuffling| {
        let start = shuffling.epoch * SLOTS_PER_EPOCH;
        let is_known = |slot: &u64| shuffling.joint_key(*slot, 0).unwrap().get().is_some();
        (start..start + SLOTS_PER_EPOCH).filter(is_known).collect::<Vec<_>>()
    };
    let current = state.caches.shuffling(ANCHOR / SLOTS_PER_EPOCH).unwrap();
    let next = state.caches.shuffling(ANCHOR / SLOTS_PER_EPOCH + 1).unwrap();
    let before = known(current).len();
    rig.handle.shared.work_ahead(ANCHOR + 1);
    assert!((1..=4).contains(&(known(current).len() - before)));
    assert!(known(next).is_empty(), "this epoch's come first");
    for slot in ANCHOR + 2..FIRST - 1 {
        rig.handle.shared.work_ahead(slot);
    }
    assert_eq!(known(next), (FIRST..FIRST + SLOTS_PER_EPOCH).collect::<Vec<_>>());
}

#[test]
fn the_file_of_keys_is_filled_behind_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    let state = rig.handle.snapshot().head_state.clone();
    let count = state.validators.len();
    let checked = || rig.handle.shared.keys_checked.load(std::sync::atomic::Ordering::Relaxed);
    wait_until("the keys", || checked() == count);
    let keys = PubkeyCache::open(&rig.handle.database().pubkeys_path()).unwrap();
    let all: Vec<_> = (0..count).map(|index| Some(state.validators.pubkey(index))).collect();
    assert_eq!(keys.fill(0, &all), 0, "nothing is missing");
}
