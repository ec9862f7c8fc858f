//! The blocks before the anchor come, from whoever gives them, and nobody can give others.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    recording::{block, config, finalized_state, root},
    rig::{Manners, Rig, clock_at, peer, setup, soon},
};
use crate::{
    chain::{Capacities, Start, network::Fault},
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
    let (mut setup, commands) = setup(path, start, clock_at(START + 1), Capacities::default());
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
    let clock = rig.handle.clock().clone();
    soon("backfill", async {
        while rig.handle.shared.peers.load().len() < peers {
            smol::Timer::after(POLL).await;
        }
        let mut polls = 0;
        let db = rig.handle.database();
        let is_there = |earliest: Option<Slot>| earliest.unwrap() <= slot;
        while !(is_there(db.earliest_slot().unwrap()) && is_there(db.earliest_column_slot().unwrap())) {
            // It rests until the next slot when nobody had anything. The head must not seem to be behind.
            if polls % 100 == 0 && clock.slot() < START + 7 {
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
fn a_forged_signature_costs_its_sender_and_the_others_are_asked() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), checkpoint());
    rig.connect("forger", START, Manners::BadSignatures);
    rig.connect("silent", START, Manners::Empty);
    rig.connect("honest", START, Manners::Honest);
    wait_for_oldest(&rig, 3, FIRST);
    assert_all_there(&rig);
    let reported = rig.wait_told("a report", |told| match told {
        super::rig::Told::Report(who, Fault::BadRange) => Some(who.clone()),
        _ => None,
    });
    assert_eq!(reported, peer("forger"));
}
