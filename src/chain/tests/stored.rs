//! States on disk: when they are written, what is made of them, and what happens when they are damaged.

use std::{fs, path::Path};

use super::{finality::*, recording::*, rig::*};
use crate::{
    chain::{
        limits::DIFFERENCE_EVERY_EPOCHS,
        stored::{StoredState, stored_states},
        *,
    },
    types::{Slot, preset::SLOTS_PER_EPOCH},
};

/// Long enough for a boundary state to be written, and for finality to pass the checkpoint.
const END: Slot = ANCHOR + (DIFFERENCE_EVERY_EPOCHS + 2) * SLOTS_PER_EPOCH + 3;

/// A chain that went on from the checkpoint for so long, of which the recorder has written what it wanted to.
fn run_to(dir: &Path, last: Slot) -> Rig {
    let chain = rig(dir, checkpoint(), ANCHOR);
    go_on(&chain, last);
    chain
}

fn go_on(chain: &Rig, last: Slot) {
    for slot in chain.handle.snapshot().head_slot + 1..=last {
        go_to(chain, slot);
        let block = produce(chain, slot);
        assert_eq!(chain.import(&block), Ok(block.root()), "slot {slot}");
        vote(chain, slot);
    }
}

fn stored(chain: &Rig) -> Vec<StoredState> {
    stored_states(chain.handle.database()).unwrap()
}

fn wait_for(chain: &Rig, what: &str, is_so: impl Fn(&[StoredState]) -> bool) {
    soon(what, async {
        while !is_so(&stored(chain)) {
            smol::future::yield_now().await;
        }
    });
}

fn has_difference(stored: &[StoredState]) -> bool {
    stored.iter().any(|state| state.anchor.is_some())
}

fn flip_differences(dir: &Path) {
    for file in fs::read_dir(dir.join("differences")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        bytes.iter_mut().skip(100).step_by(100).for_each(|byte| *byte ^= 0xff);
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn boundary_states_are_written_as_differences_and_a_crash_goes_on_from_one() {
    let dir = tempfile::tempdir().unwrap();
    let chain = run_to(dir.path(), END);
    wait_for(&chain, "a difference", has_difference);
    let states = stored(&chain);
    assert_eq!(
        states.iter().filter(|state| state.anchor.is_none()).count(),
        1,
        "the checkpoint's is the only whole one"
    );
    let boundary = states.last().unwrap();
    assert_eq!(boundary.anchor, Some(root(ANCHOR)));
    assert!(boundary.slot.is_multiple_of(SLOTS_PER_EPOCH) && boundary.slot >= ANCHOR + 4 * SLOTS_PER_EPOCH);
    // As after a power cut: nothing is said about the end.
    let before = chain.handle.snapshot();
    soon("the index", async {
        while chain.handle.database().canonical_root(END).unwrap() != Some(before.head_root) {
            smol::future::yield_now().await;
        }
    });
    chain.crash();
    let chain = rig(dir.path(), Start::Resume, END);
    let after = chain.handle.snapshot();
    assert_eq!((after.head_root, after.finalized), (before.head_root, before.finalized));
    assert_eq!((*after.head_state).clone().hash_tree_root(), before.head_state_root);
    go_on(&chain, END + 3);
}

#[test]
fn a_stop_writes_the_heads_state_so_that_nothing_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let chain = run_to(dir.path(), ANCHOR + 3);
    soon("the shutdown", chain.handle.shutdown()).unwrap();
    let head = chain.handle.snapshot().head_root;
    assert!(stored(&chain).iter().any(|state| state.root == head && state.anchor == Some(root(ANCHOR))));
    // Once more has nothing to do.
    soon("the shutdown", chain.handle.shutdown()).unwrap();
    chain.crash();
    let chain = rig(dir.path(), Start::Resume, ANCHOR + 3);
    assert_eq!(chain.handle.snapshot().head_root, head);
    assert_eq!(chain.handle.snapshot().states.base().0, head, "it is what the chain began with");
    go_on(&chain, ANCHOR + 5);
    // What is not in memory is made of what is on disk.
    let mut state = (*soon("a state", chain.handle.state_by_block_root(root(ANCHOR))).unwrap()).clone();
    assert_eq!(state.hash_tree_root(), block(ANCHOR).message.state_root);
}

#[test]
fn damaged_differences_only_cost_a_longer_replay() {
    let dir = tempfile::tempdir().unwrap();
    let chain = run_to(dir.path(), END);
    wait_for(&chain, "a difference", has_difference);
    soon("the shutdown", chain.handle.shutdown()).unwrap();
    let before = chain.handle.snapshot();
    chain.crash();
    flip_differences(dir.path());
    let chain = rig(dir.path(), Start::Resume, END);
    let after = chain.handle.snapshot();
    assert_eq!((after.head_root, after.finalized), (before.head_root, before.finalized));
    go_on(&chain, END + 1);
}

#[test]
fn a_fork_choice_that_is_lost_is_made_from_a_finalized_difference() {
    let dir = tempfile::tempdir().unwrap();
    let end = ANCHOR + (2 * DIFFERENCE_EVERY_EPOCHS + 1) * SLOTS_PER_EPOCH + 3;
    let chain = run_to(dir.path(), end);
    wait_for(&chain, "a second difference", |states| states.last().is_some_and(|last| last.slot + 20 > end));
    soon("the shutdown", chain.handle.shutdown()).unwrap();
    let before = chain.handle.snapshot();
    let states = stored(&chain);
    let finalized = before.blocks.get(&before.finalized.root).unwrap().slot;
    let floor = states.iter().rfind(|state| state.slot <= finalized).unwrap();
    assert!(floor.anchor.is_some(), "finality has passed the first difference: {states:?}");
    chain.crash();
    open_db(dir.path()).put_snapshot(b"nonsense").unwrap();
    let chain = rig(dir.path(), Start::Resume, end);
    let after = chain.handle.snapshot();
    assert_eq!((after.head_root, after.finalized), (before.head_root, before.finalized));
    assert!(!after.contains(&root(ANCHOR)), "it was not made from the checkpoint");
}

#[test]
fn a_directory_of_whole_states_opens_and_gets_differences() {
    let dir = tempfile::tempdir().unwrap();
    let chain = run_to(dir.path(), END);
    soon("the shutdown", chain.handle.shutdown()).unwrap();
    let before = chain.handle.snapshot();
    // As it was written before there were differences.
    chain.handle.database().keep_differences(|_| false).unwrap();
    chain.crash();
    let chain = rig(dir.path(), Start::Resume, END);
    assert_eq!(chain.handle.snapshot().head_root, before.head_root);
    go_on(&chain, END + DIFFERENCE_EVERY_EPOCHS * SLOTS_PER_EPOCH);
    wait_for(&chain, "a difference", has_difference);
}
