//! The blocks before the anchor come, from whoever gives them, and nobody can give others.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    recording::{ANCHOR, block, config, root},
    rig::{Manners, Rig, checkpoint, clock_at, peer, soon},
};
use crate::{
    chain::{Capacities, Start, network::Fault},
    types::*,
};

/// The first recorded block.
const FIRST: Slot = 181;
/// Between two looks.
const POLL: Duration = Duration::from_millis(5);
/// Epochs that are kept: the first slot of them is after [`FIRST`] and not the first of a batch.
const KEPT: Epoch = 7;
/// Batches of 32 slots end at the anchor; this one has the first slot that is kept.
const LAST_BATCH: Slot = ANCHOR - 64;

fn rig(path: &Path, start: Start) -> Rig {
    let rig = Rig::with_setup(path, start, clock_at(ANCHOR + 1), Capacities::default(), |setup| {
        let config = Config { min_validator_withdrawability_delay: 1, churn_limit_quotient: 12, ..config() };
        assert_eq!(config.min_epochs_for_block_requests(), KEPT);
        setup.config = Arc::new(config);
        setup.backfill = true;
    });
    let mut theirs = rig.their_blocks.lock().unwrap();
    theirs.extend(recorded().map(|slot| (root(slot), block(slot))));
    drop(theirs);
    rig
}

/// Slots before the anchor that have a block on record.
fn recorded() -> impl Iterator<Item = Slot> {
    (FIRST..ANCHOR).filter(|slot| super::recording::has_block(*slot))
}

/// Waits until so many peers are known and the oldest block is of this slot.
fn wait_for_oldest(rig: &Rig, peers: usize, slot: Slot) {
    let clock = rig.handle.clock().clone();
    soon("backfill", async {
        while rig.handle.shared.peers.load().len() < peers {
            smol::Timer::after(POLL).await;
        }
        let mut polls = 0;
        while rig.handle.database().earliest_slot().unwrap().unwrap() > slot {
            // It rests until the next slot when nobody had anything. The head must not seem to be behind.
            if polls % 100 == 0 && clock.slot() < ANCHOR + 7 {
                clock.set_ms(clock.start_of(clock.slot() + 1) + 1000);
            }
            polls += 1;
            smol::Timer::after(POLL).await;
        }
    });
}

fn assert_all_there(rig: &Rig) {
    let db = rig.handle.database();
    let expected: Vec<_> = recorded().filter(|slot| *slot >= LAST_BATCH).map(|slot| (slot, root(slot))).collect();
    assert_eq!(db.canonical_roots(0..ANCHOR).unwrap(), expected);
    for (slot, root) in expected {
        assert_eq!(db.block(root).unwrap().as_ref(), Some(&*block(slot)));
    }
}

#[test]
fn old_blocks_come_as_far_back_as_peers_may_ask_and_a_restart_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let rig_a = rig(dir.path(), checkpoint());
    rig_a.connect("a", ANCHOR, Manners::Honest);
    wait_for_oldest(&rig_a, 1, LAST_BATCH);
    assert_all_there(&rig_a);
    rig_a.crash();
    let rig_b = rig(dir.path(), Start::Resume);
    assert_eq!(rig_b.handle.status().earliest_available_slot, LAST_BATCH);
    assert_all_there(&rig_b);
}

#[test]
fn a_forged_signature_costs_its_sender_and_the_others_are_asked() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), checkpoint());
    rig.connect("forger", ANCHOR, Manners::BadSignatures);
    rig.connect("silent", ANCHOR, Manners::Empty);
    rig.connect("honest", ANCHOR, Manners::Honest);
    wait_for_oldest(&rig, 3, LAST_BATCH);
    assert_all_there(&rig);
    let reported = rig.wait_told("a report", |told| match told {
        super::rig::Told::Report(who, Fault::BadRange) => Some(who.clone()),
        _ => None,
    });
    assert_eq!(reported, peer("forger"));
}
