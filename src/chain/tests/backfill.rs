//! The blocks before the anchor come, from whoever gives them, and nobody can give others.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    columns::Made,
    recording::{ANCHOR, block, config, finalized_state, root},
    rig::{Manners, Rig, Told, clock_at, peer, setup, soon},
};
use crate::{
    chain::{
        Capacities, ChainConfig, Start,
        network::{Fault, Status},
        start,
    },
    types::*,
};

/// The first recorded block, and the one that the chain starts from here. Every slot between them has one.
const FIRST: Slot = 181;
const START: Slot = 240;
/// Between two looks.
const POLL: Duration = Duration::from_millis(5);
/// Epochs that are kept: the first of their slots is 184. The last batch, of 32 slots as the first, goes beyond it.
const KEPT: Epoch = 7;

fn checkpoint() -> Start {
    let state = Box::new(finalized_state());
    Start::Checkpoint { state, block: Box::new((*block(START)).clone()) }
}

fn rig(path: &Path, start: Start) -> Rig {
    rig_at(path, start, START + 1)
}

fn rig_at(path: &Path, start: Start, slot: Slot) -> Rig {
    let (mut setup, commands) = setup(path, start, clock_at(slot), Capacities::default());
    let config = Config { min_validator_withdrawability_delay: 1, churn_limit_quotient: 12, ..config() };
    assert_eq!(config.min_epochs_for_block_requests(), KEPT);
    (setup.config, setup.backfill) = (Arc::new(config), true);
    // Columns are kept, though no recorded block has any.
    setup.node_id = Some([7; 32]);
    let rig = Rig::with_setup(setup, commands);
    let mut theirs = rig.their_blocks.lock().unwrap();
    theirs.extend((FIRST..START).map(|slot| (root(slot), block(slot))));
    drop(theirs);
    rig
}

/// Waits until so many peers are known and the oldest block is of this slot.
fn wait_for_oldest(rig: &Rig, peers: usize, slot: Slot) {
    let db = rig.handle.database();
    let is_there = |earliest: Option<Slot>| earliest.unwrap() <= slot;
    soon_as_time_passes(rig, 4, || {
        rig.handle.shared.peers.load().len() >= peers
            && is_there(db.earliest_slot().unwrap())
            && is_there(db.earliest_column_slot().unwrap())
    });
}

/// Waits for something that backfill does, which rests until the next slot when nobody had anything: so many slots pass at most, for
/// the head must not seem to be behind.
fn soon_as_time_passes(rig: &Rig, slots: u64, mut is_done: impl FnMut() -> bool) {
    let clock = rig.handle.clock().clone();
    let late = clock.slot() + slots;
    soon("backfill", async {
        let mut polls = 0;
        while !is_done() {
            if polls % 100 == 0 && clock.slot() < late {
                clock.set_ms(clock.start_of(clock.slot() + 1) + 1000);
            }
            polls += 1;
            smol::Timer::after(POLL).await;
        }
    });
}

fn assert_all_there(rig: &Rig) {
    let db = rig.handle.database();
    let expected: Vec<_> = (FIRST..START).map(|slot| (slot, root(slot))).collect();
    assert_eq!(db.canonical_roots(0..START).unwrap(), expected);
    for (slot, root) in expected {
        assert_eq!(db.block(root).unwrap().as_ref(), Some(&*block(slot)));
    }
}

#[test]
fn old_blocks_come_as_far_back_as_peers_may_ask_and_a_restart_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let rig_a = rig(dir.path(), checkpoint());
    rig_a.connect("a", START, Manners::Honest);
    wait_for_oldest(&rig_a, 1, FIRST);
    assert_all_there(&rig_a);
    rig_a.crash();
    let rig_b = rig(dir.path(), Start::Resume);
    assert_eq!(rig_b.handle.status().earliest_available_slot, FIRST);
    assert_all_there(&rig_b);
}

#[test]
fn without_backfill_nothing_is_fetched_and_the_anchor_stays_the_oldest() {
    for backfill in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (setup, _commands) = setup(dir.path(), checkpoint(), clock_at(START + 1), Capacities::default());
        let chain = start(ChainConfig { backfill, ..setup }).unwrap();
        assert_eq!(chain.tasks.iter().any(|task| task.name == "backfill"), backfill);
        assert_eq!(chain.handle.status().earliest_available_slot, START);
    }
}

#[test]
fn a_forged_signature_costs_its_sender_and_the_others_are_asked() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), checkpoint());
    rig.connect("forger", START, Manners::BadSignatures);
    // Before there is anybody else to ask.
    let is_report = |told| matches!(told, Told::Report(who, Fault::BadRange) if who == peer("forger"));
    soon_as_time_passes(&rig, 2, || rig.told.try_recv().is_ok_and(is_report));
    rig.connect("silent", START, Manners::Empty);
    rig.connect("honest", START, Manners::Honest);
    wait_for_oldest(&rig, 3, FIRST);
    assert_all_there(&rig);
}

#[test]
fn columns_of_old_blocks_come_from_those_who_keep_them() {
    let (dir, made) = (tempfile::tempdir().unwrap(), Made::get());
    let start = made.blocks.last().unwrap();
    let start = Start::Checkpoint { state: Box::new(made.state.clone()), block: Box::new((**start).clone()) };
    let head = ANCHOR + made.blocks.len() as u64;
    let rig = rig_at(dir.path(), start, head + 1);
    let with_blobs: Vec<_> = made.blocks.iter().map(|block| (block.root(), block.clone())).collect();
    let mut theirs = rig.their_blocks.lock().unwrap();
    // What was recorded after it is another branch, and just before it nothing was.
    theirs.retain(|_, block| block.message.slot == ANCHOR);
    theirs.extend(with_blobs.iter().cloned());
    drop(theirs);
    for ((root, _), columns) in with_blobs.iter().zip(&made.columns) {
        assert!(rig.handle.database().columns_of(*root).unwrap().is_empty(), "not even those of the checkpoint");
        rig.their_columns.lock().unwrap().insert(*root, columns.clone());
    }
    let sampled = rig.handle.sampled_columns();
    let (one, other) = sampled.split_at(3);
    // Who keeps the most is asked first.
    for (name, manners, custody) in
        [("liar", Manners::BadColumns, &sampled[..]), ("one", Manners::Honest, one), ("other", Manners::Honest, other)]
    {
        let status = |status| Status { head_root: made.blocks.last().unwrap().root(), head_slot: head, ..status };
        rig.connect_keeper(name, manners, custody, status);
    }
    wait_for_oldest(&rig, 3, ANCHOR);
    for (root, block) in with_blobs {
        assert_eq!(rig.handle.database().columns_of(root).unwrap(), sampled);
        assert_eq!(rig.handle.database().block(root).unwrap().as_ref(), Some(&*block));
    }
    let reported = rig.wait_told("a report", |told| match told {
        Told::Report(who, Fault::InvalidColumn) => Some(who.clone()),
        _ => None,
    });
    assert_eq!(reported, peer("liar"));
}
