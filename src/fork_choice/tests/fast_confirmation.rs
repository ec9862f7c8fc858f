//! The fast confirmation rule on blocks and votes made by hand; the vectors have whole epochs of them.

use std::collections::BTreeSet;

use super::*;
use crate::transition::Context;

/// Four in each slot of either preset.
const VALIDATORS: usize = 4 * SLOTS_PER_EPOCH as usize;

fn genesis() -> Store {
    let mut store = new_store(vec![32 * ETH; VALIDATORS]);
    start_of(&mut store, 0);
    store
}

/// The facts of the head's state, which has the same validators all the time.
pub(super) fn facts(store: &mut Store) -> HeadFacts {
    facts_of(store, VALIDATORS)
}

pub(super) fn facts_of(store: &mut Store, validators: usize) -> HeadFacts {
    let (head, slot) = (store.get_head(), store.get_current_slot());
    let mut state = genesis_state(vec![32 * ETH; validators]);
    state.slot = slot;
    state.latest_block_header.slot = store.node(&head).unwrap().slot;
    HeadFacts::of_state(head, &state, slot, &Context { config: &Config::default(), keys: &Default::default() }).unwrap()
}

/// Begins a slot and runs the rule.
fn begin(store: &mut Store, slot: Slot) -> Hash256 {
    start_of(store, slot);
    let facts = facts(store);
    store.on_fast_confirmation(&facts).unwrap();
    store.fast_confirmation().confirmed_root()
}

/// Adds a block with a valid payload.
fn add_valid(store: &mut Store, number: u16, parent: Hash256, slot: Slot) -> Hash256 {
    let root = add(store, number, parent, slot);
    store.on_valid_payload(&root).unwrap();
    root
}

/// The next slot begins, and the first `count` members of `slot`'s committees have voted for the block.
fn vote_in(store: &mut Store, slot: Slot, block: Hash256, count: usize) {
    start_of(store, slot + 1);
    let members: Vec<_> = facts(store).slot_committees(slot, slot).map(|(_, member)| u64::from(member)).collect();
    let epoch = compute_epoch_at_slot(slot);
    let target = Checkpoint { epoch, root: store.get_checkpoint_block(&block, epoch).unwrap() };
    let data = AttestationData { slot, beacon_block_root: block, target, ..Default::default() };
    store.on_attestation(&data, &members[..count], false).unwrap();
}

/// A chain with a block in each of these slots, for which `count` members of each committee voted. Returns what was
/// confirmed at the start of each slot after.
fn chain(store: &mut Store, slots: std::ops::RangeInclusive<Slot>, count: usize) -> Vec<Hash256> {
    let mut parent = store.get_head();
    let confirm = |slot| {
        start_of(store, slot);
        parent = add_valid(store, slot as u16, parent, slot);
        vote_in(store, slot, parent, count);
        begin(store, slot + 1)
    };
    slots.map(confirm).collect()
}

#[test]
fn blocks_that_all_vote_for_are_confirmed_a_slot_later() {
    let mut store = genesis();
    assert_eq!(chain(&mut store, 1..=4, 4), [root(1), root(2), root(3), root(4)]);
    assert_eq!(store.get_safe_execution_block_hash(), Hash256::repeat_byte(4));
    assert_eq!(store.fast_confirmation().previous_slot_head(), root(3));
}

#[test]
fn half_the_votes_confirm_nothing() {
    let mut store = genesis();
    let anchor = anchor_root(&store);
    assert_eq!(chain(&mut store, 1..=4, 2), [anchor; 4]);
    assert_eq!(store.get_safe_execution_block_hash(), Hash256::ZERO);
}

#[test]
fn a_block_whose_payload_nobody_verified_is_not_confirmed() {
    let mut store = genesis();
    let anchor = anchor_root(&store);
    start_of(&mut store, 1);
    let block = add(&mut store, 1, anchor, 1);
    vote_in(&mut store, 1, block, 4);
    assert_eq!(begin(&mut store, 2), anchor);
    store.on_valid_payload(&block).unwrap();
    let facts = facts(&mut store);
    store.update_confirmed_root(&facts).unwrap();
    assert_eq!(store.fast_confirmation().confirmed_root(), block);
}

#[test]
fn a_confirmed_block_that_is_not_canonical_any_more_is_dropped() {
    let mut store = genesis();
    let anchor = anchor_root(&store);
    assert_eq!(chain(&mut store, 1..=1, 4), [root(1)]);
    // More than a quarter lies: everybody votes for another block in the next slots.
    let other = add_valid(&mut store, 9, anchor, 2);
    vote_in(&mut store, 2, other, 4);
    vote_in(&mut store, 3, other, 4);
    assert_eq!(begin(&mut store, 4), anchor, "the head has changed, and is not safe yet");
    vote_in(&mut store, 4, other, 4);
    assert_eq!(begin(&mut store, 5), other);
    let again = Store::from_snapshot(&store.to_snapshot(), Arc::new(Config::default())).unwrap();
    assert_eq!(again.fast_confirmation(), store.fast_confirmation());
}

#[test]
fn facts_of_another_moment_are_refused() {
    let mut store = genesis();
    chain(&mut store, 1..=2, 4);
    let before = store.fast_confirmation().clone();
    let old = facts(&mut store);
    start_of(&mut store, 4);
    assert_eq!(store.update_confirmed_root(&old).unwrap_err().facts_slot, 3);
    assert_eq!(store.fast_confirmation(), &before);
}

#[test]
fn a_node_that_was_absent_begins_anew() {
    let mut store = genesis();
    chain(&mut store, 1..=3, 4);
    store.restart_fast_confirmation();
    let finalized = store.finalized_checkpoint().root;
    assert_eq!(store.fast_confirmation().confirmed_root(), finalized);
    assert_eq!(begin(&mut store, 4), root(3), "votes for the chain are all still there");
}

#[test]
fn votes_for_the_parent_in_an_empty_slot_speak_for_a_block() {
    let confirmed = |votes_in_empty_slot: usize| {
        let mut store = genesis();
        chain(&mut store, 1..=2, 4);
        vote_in(&mut store, 3, root(2), votes_in_empty_slot);
        let block = add_valid(&mut store, 4, root(2), 4);
        vote_in(&mut store, 4, block, 4);
        vote_in(&mut store, 5, block, 4);
        begin(&mut store, 6) == block
    };
    // Twelve could vote, eight did. Threshold: (12 + 1.6) / 2 + 2 = 8.8, less half of the votes for the parent but one.
    assert!(confirmed(4) && confirmed(3) && !confirmed(2) && !confirmed(0));
}

#[test]
fn who_was_caught_lying_is_out_of_those_who_may_lie() {
    let confirmed = |caught: usize| {
        let mut store = genesis();
        let anchor = anchor_root(&store);
        start_of(&mut store, 1);
        let block = add_valid(&mut store, 1, anchor, 1);
        start_of(&mut store, 2);
        let members: Vec<_> = facts(&mut store).slot_committees(1, 1).map(|(_, member)| u64::from(member)).collect();
        let data = vote_data(&store, block, 0);
        store.on_attestation(&data, &members[caught..], false).unwrap();
        store.discard_votes(&members[..caught]);
        begin(&mut store, 2) == block
    };
    // Threshold: (4 + 1.6) / 2 + 1 = 3.8 validators. With one caught it is 2.8, and lower it does not get.
    assert!(confirmed(0) && confirmed(1) && !confirmed(2));
}

#[test]
fn slot_committees_are_each_validator_once_an_epoch() {
    let mut store = genesis();
    start_of(&mut store, 2 * SLOTS_PER_EPOCH);
    let anchor = anchor_root(&store);
    add_valid(&mut store, 1, anchor, 2 * SLOTS_PER_EPOCH);
    let facts = facts(&mut store);
    let all: Vec<_> = facts.slot_committees(0, Slot::MAX).collect();
    assert_eq!(all.len(), 2 * VALIDATORS);
    for epoch in 0..2 {
        let start = compute_start_slot_at_epoch(epoch);
        let members = facts.slot_committees(start, start + SLOTS_PER_EPOCH - 1);
        assert_eq!(members.map(|(_, member)| member).collect::<BTreeSet<_>>().len(), VALIDATORS);
        let by_slot = (0..SLOTS_PER_EPOCH).map(|slot| facts.slot_committees(start + slot, start + slot).count());
        assert_eq!(by_slot.collect::<BTreeSet<_>>(), BTreeSet::from([4]));
    }
    assert_eq!(facts.slot_committees(2 * SLOTS_PER_EPOCH, Slot::MAX).count(), 0, "this epoch has no votes yet");
}
