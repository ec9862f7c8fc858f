//! Stop, crash, and start again from the data directory.

use super::{recording::*, rig::*};
use crate::chain::*;

fn import_to(rig: &Rig, last: u64) {
    for slot in rig.handle.snapshot().head_slot + 1..=last {
        rig.import(&block(slot)).unwrap();
    }
}

#[test]
fn a_stopped_node_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    import_to(&rig, LAST - 3);
    soon("the shutdown", rig.handle.shutdown()).unwrap();
    rig.crash();

    let rig = Rig::new(dir.path(), Start::Resume, clock_at(LAST));
    let snapshot = rig.handle.snapshot();
    assert_eq!((snapshot.head_slot, snapshot.head_root), (LAST - 3, root(LAST - 3)));
    assert_eq!(snapshot.head_state.latest_block_header.slot, LAST - 3);
    import_to(&rig, LAST);
    assert_eq!(rig.handle.snapshot().head_root, root(LAST));
}

#[test]
fn a_crashed_node_has_what_the_canonical_index_has() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    import_to(&rig, LAST - 3);
    rig.crash();

    let rig = Rig::new(dir.path(), Start::Resume, clock_at(LAST));
    // The index is written behind the chain, so it may end earlier; nothing that was stored is lost.
    let head = rig.handle.snapshot().head_slot;
    assert!((ANCHOR..=LAST - 3).contains(&head), "{head}");
    for slot in ANCHOR..=LAST - 3 {
        assert!(rig.handle.database().has_block(root(slot)).unwrap(), "slot {slot}");
    }
    import_to(&rig, LAST);
    assert_eq!(rig.handle.snapshot().head_root, root(LAST));
}

#[test]
fn without_its_fork_choice_a_node_makes_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    import_to(&rig, LAST);
    soon("the shutdown", rig.handle.shutdown()).unwrap();
    let before = rig.handle.snapshot();
    rig.crash();
    open_db(dir.path()).put_snapshot(b"nonsense").unwrap();

    let rig = Rig::new(dir.path(), Start::Resume, clock_at(LAST));
    let after = rig.handle.snapshot();
    assert_eq!(
        (after.head_root, after.justified, after.finalized),
        (before.head_root, before.justified, before.finalized)
    );
    assert_eq!(after.blocks.len(), before.blocks.len());
}

#[test]
fn states_that_are_not_in_memory_are_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    import_to(&rig, LAST);
    soon("the shutdown", rig.handle.shutdown()).unwrap();
    rig.crash();
    // After a restart only the anchor's and the latest states are in memory; a fork choice alone knows the rest.
    let rig = Rig::new(dir.path(), Start::Resume, clock_at(LAST));
    for slot in ANCHOR..=LAST {
        let state = soon("a state", rig.handle.state_by_block_root(root(slot))).unwrap();
        let mut state = (*state).clone();
        assert_eq!(state.hash_tree_root(), block(slot).message.state_root, "slot {slot}");
        let by_root = soon("a state", rig.handle.state_by_root(block(slot).message.state_root)).unwrap();
        assert_eq!(by_root.slot, slot);
        assert_eq!(soon("a state", rig.handle.state_at_slot(slot)).unwrap().slot, slot);
    }
    assert!(soon("a state", rig.handle.state_at_slot(LAST + 1)).is_none());
    assert!(soon("a state", rig.handle.state_by_block_root(root(181))).is_none());
}

#[test]
fn an_old_directory_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    Rig::recorded(dir.path()).crash();
    let (late, _commands) = setup(dir.path(), Start::Resume, clock_at(1_000_000), Capacities::default());
    let error = start(late).err().unwrap();
    assert!(matches!(error, StartError::TooFarBehind { .. }), "{error}");
    assert!(error.to_string().contains("--checkpoint-sync-url"), "{error}");
}

#[test]
fn an_empty_directory_and_a_wrong_block_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (empty, _commands) = setup(dir.path(), Start::Resume, clock_at(LAST), Capacities::default());
    assert!(matches!(start(empty).err().unwrap(), StartError::Empty));
    let wrong = Start::Checkpoint { state: Box::new(anchor_state()), block: Box::new((*block(LAST)).clone()) };
    let dir = tempfile::tempdir().unwrap();
    let (wrong, _commands) = setup(dir.path(), wrong, clock_at(LAST), Capacities::default());
    assert!(matches!(start(wrong).err().unwrap(), StartError::Anchor(_)));
}
