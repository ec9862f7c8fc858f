//! Building on the parent of a late and weak head.

use super::*;

/// As many validators as make a committee of one ETH's multiple: 32 ETH a slot.
const VALIDATORS: u64 = SLOTS_PER_EPOCH;

/// Block 1 of slot 1 with everybody's vote, and block 2 of slot 2, which came late. It is the start of slot 3.
fn late_head() -> Store {
    let mut store = new_store(vec![32 * ETH; VALIDATORS as usize]);
    let anchor = anchor_root(&store);
    start_of(&mut store, 1);
    add(&mut store, 1, anchor, 1);
    late_in(&mut store, 2);
    add(&mut store, 2, root(1), 2);
    let voters: Vec<_> = (0..VALIDATORS - 1).collect();
    vote(&mut store, &voters, root(1), 0);
    start_of(&mut store, 3);
    assert_eq!(store.get_head(), root(2));
    store
}

#[test]
fn a_late_and_weak_head_is_skipped() {
    let mut store = late_head();
    assert_eq!(store.get_proposer_head(&root(2), 3, &[]), root(1));
}

#[test]
fn a_head_with_votes_is_kept() {
    let mut store = late_head();
    vote(&mut store, &[VALIDATORS - 1], root(2), 0);
    assert_eq!(store.get_proposer_head(&root(2), 3, &[]), root(2));
}

#[test]
fn votes_of_equivocating_members_keep_a_head() {
    let mut store = late_head();
    store.discard_votes(&[VALIDATORS - 1]);
    assert_eq!(store.get_proposer_head(&root(2), 3, &[0]), root(1));
    assert_eq!(store.get_proposer_head(&root(2), 3, &[0, VALIDATORS as u32 - 1]), root(2));
}

#[test]
fn a_late_proposer_builds_on_the_head() {
    let mut store = late_head();
    store.on_tick(store.time_ms() + 2_000);
    assert_eq!(store.get_proposer_head(&root(2), 3, &[]), root(1));
    store.on_tick(store.time_ms() + 1);
    assert_eq!(store.get_proposer_head(&root(2), 3, &[]), root(2));
}

#[test]
fn a_later_slot_builds_on_the_head() {
    let mut store = late_head();
    start_of(&mut store, 4);
    assert_eq!(store.get_proposer_head(&root(2), 4, &[]), root(2));
}

#[test]
fn a_timely_weak_head_is_skipped_if_its_proposer_equivocated() {
    let mut store = new_store(vec![32 * ETH; VALIDATORS as usize]);
    let anchor = anchor_root(&store);
    start_of(&mut store, 1);
    let head = add(&mut store, 2, anchor, 1);
    assert_eq!(store.get_proposer_head(&head, 2, &[]), head, "its boost has not worn off");
    start_of(&mut store, 2);
    assert_eq!(store.get_proposer_head(&head, 2, &[]), head);
    add(&mut store, 1, anchor, 1);
    assert_eq!(store.get_proposer_head(&head, 2, &[]), anchor);
}
