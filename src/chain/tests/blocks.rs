//! Blocks, good and bad.

use std::sync::Arc;

use super::{recording::*, rig::*};
use crate::{
    chain::{
        network::{Fault, Publication, Verdict},
        *,
    },
    types::{Checkpoint, Hash256},
};

#[test]
fn gossiped_blocks_become_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    let events = rig.handle.subscribe();
    for slot in ANCHOR + 1..=LAST {
        let block = block(slot);
        rig.gossip("a", &block);
        assert_eq!(rig.verdict(&block), Verdict::Accept, "slot {slot}");
        rig.wait_for_head(block.root());
    }
    let snapshot = rig.handle.snapshot();
    assert_eq!((snapshot.head_slot, snapshot.slot), (LAST, LAST));
    assert_eq!(snapshot.head_state_root, block(LAST).message.state_root);
    // The recorded node said of its head, slot 260, that it justifies the anchor's epoch.
    assert_eq!(snapshot.head_state.current_justified_checkpoint, Checkpoint { epoch: 31, root: root(ANCHOR) });
    assert_eq!(snapshot.blocks.len() as u64, LAST - ANCHOR + 1);
    for slot in ANCHOR..=LAST {
        assert!(rig.handle.database().has_block(root(slot)).unwrap(), "slot {slot}");
    }
    let heads = std::iter::from_fn(|| events.try_recv().ok()).filter(|e| matches!(e, ChainEvent::Head { .. })).count();
    assert_eq!(heads as u64, LAST - ANCHOR);
}

#[test]
fn parents_are_fetched_from_who_sent_the_orphan() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), checkpoint(), running_clock_at(LAST));
    rig.connect("a", ANCHOR, Manners::Honest);
    let tip = block(ANCHOR + 3);
    rig.gossip("a", &tip);
    assert_eq!(rig.verdict(&tip), Verdict::Ignore);
    rig.wait_for_head(tip.root());
}

#[test]
fn blocks_in_reverse_order_wait_for_their_parents() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    for slot in (ANCHOR + 1..=LAST).rev() {
        rig.gossip("a", &block(slot));
        let expected = if slot == ANCHOR + 1 { Verdict::Accept } else { Verdict::Ignore };
        assert_eq!(rig.verdict(&block(slot)), expected, "slot {slot}");
    }
    // Nobody was asked: the clock stands still.
    rig.wait_for_head(root(LAST));
}

#[test]
fn a_bad_signature_is_rejected_and_the_good_block_still_taken() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    let good = block(ANCHOR + 1);
    let bad = Arc::new(SignedBeaconBlock { signature: recording_signature(), ..(*good).clone() });
    rig.gossip("a", &bad);
    assert_eq!(rig.verdict(&bad), Verdict::Reject);
    // Asked for, it is refused too, and who gave it is punished.
    assert_eq!(rig.import(&bad), Err(BlockError::BadSignature));
    rig.wait_told("a punishment", |told| matches!(told, Told::Report(_, Fault::InvalidBlock)).then_some(()));
    assert_eq!(rig.handle.snapshot().head_slot, ANCHOR);
    rig.gossip("a", &good);
    assert_eq!(rig.verdict(&good), Verdict::Accept);
    rig.wait_for_head(good.root());
}

#[test]
fn a_wrong_state_root_is_refused_with_all_that_builds_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::unchecked(dir.path());
    let mut wrong = (*block(ANCHOR + 1)).clone();
    wrong.message.state_root = Hash256::repeat_byte(7);
    let wrong = sign(wrong);
    let error = rig.import(&wrong).unwrap_err();
    assert!(matches!(&error, BlockError::Invalid(why) if why.contains("state root")), "{error}");
    assert_eq!(rig.import(&wrong), Err(BlockError::KnownInvalid));
    let mut child = (*block(ANCHOR + 2)).clone();
    child.message.parent_root = wrong.root();
    let child = sign(child);
    rig.gossip("a", &child);
    assert_eq!(rig.verdict(&child), Verdict::Reject);
    assert!(!rig.handle.database().has_block(wrong.root()).unwrap());
    assert_eq!(rig.import(&block(ANCHOR + 1)), Ok(root(ANCHOR + 1)));
}

#[test]
fn gossip_that_breaks_a_rule_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::unchecked(dir.path());
    type Change = fn(&mut crate::types::BeaconBlock);
    let changes: [(&str, Change); 5] = [
        ("no such proposer", |block| block.proposer_index = 1_000_000),
        ("not its turn", |block| block.proposer_index = (block.proposer_index + 1) % 16),
        ("a wrong timestamp", |block| block.body.execution_payload.timestamp += 1),
        ("too many blobs", |block| {
            block.body.blob_kzg_commitments = vec![Default::default(); 100].try_into().unwrap();
        }),
        ("a wrong randao reveal", |block| block.body.randao_reveal = recording_signature()),
    ];
    for (what, change) in changes {
        let mut block = (*block(ANCHOR + 1)).clone();
        change(&mut block.message);
        let block = sign(block);
        rig.gossip("a", &block);
        let verdict = rig.verdict(&block);
        // The last passes the checks of gossip; only the transition finds out.
        let expected = if what == "a wrong randao reveal" { Verdict::Accept } else { Verdict::Reject };
        assert_eq!(verdict, expected, "{what}");
        let error = rig.import(&block).unwrap_err();
        assert!(error.is_fault(), "{what}: {error}");
    }
    assert_eq!(rig.handle.snapshot().head_slot, ANCHOR);
}

#[test]
fn the_future_and_the_past_are_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(ANCHOR + 1);
    let rig = Rig::new(dir.path(), checkpoint(), clock.clone());
    rig.gossip("a", &block(ANCHOR + 2));
    assert_eq!(rig.verdict(&block(ANCHOR + 2)), Verdict::Ignore);
    assert_eq!(rig.import(&block(ANCHOR + 2)), Err(BlockError::Future { slot: ANCHOR + 2, now: ANCHOR + 1 }));
    rig.gossip("a", &block(ANCHOR - 1));
    assert_eq!(rig.verdict(&block(ANCHOR - 1)), Verdict::Ignore);
    assert_eq!(rig.import(&block(ANCHOR - 1)), Err(BlockError::Finalized { slot: ANCHOR - 1 }));
    // Within the disparity of clocks a block is taken, but counts only when its slot has come.
    rig.import(&block(ANCHOR + 1)).unwrap();
    clock.set_ms(clock.start_of(ANCHOR + 2) - 100);
    rig.gossip("a", &block(ANCHOR + 2));
    assert_eq!(rig.verdict(&block(ANCHOR + 2)), Verdict::Accept);
    assert_eq!(rig.handle.snapshot().head_slot, ANCHOR + 1);
    clock.set_ms(clock.start_of(ANCHOR + 2));
    rig.wait_for_head(root(ANCHOR + 2));
}

#[test]
fn a_second_block_of_a_proposer_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    rig.gossip("a", &block(ANCHOR + 1));
    assert_eq!(rig.verdict(&block(ANCHOR + 1)), Verdict::Accept);
    let mut other = (*block(ANCHOR + 1)).clone();
    other.message.body.graffiti = Hash256::repeat_byte(1);
    let other = sign(other);
    rig.gossip("b", &other);
    assert_eq!(rig.verdict(&other), Verdict::Ignore);
    // Our own is refused as well, and is not published.
    let result = soon("an import", rig.handle.import_block(other, BlockSource::Api));
    assert_eq!(result, Err(BlockError::Equivocation));
}

#[test]
fn our_own_block_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    let block = block(ANCHOR + 1);
    assert_eq!(soon("an import", rig.handle.import_block(block.clone(), BlockSource::Api)), Ok(block.root()));
    rig.wait_told("a publication", |told| {
        matches!(told, Told::Publish(Publication::Block(published)) if *published == block).then_some(())
    });
    // Again: it is there already.
    assert_eq!(rig.import(&block), Ok(block.root()));
}

#[test]
fn a_block_without_a_parent_is_kept_and_one_far_ahead_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    let orphan = block(LAST);
    assert_eq!(rig.import(&orphan), Err(BlockError::UnknownParent { parent: root(LAST - 1) }));
    assert!(!rig.handle.database().has_block(orphan.root()).unwrap());
    rig.gossip("a", &orphan);
    assert_eq!(rig.verdict(&orphan), Verdict::Ignore);
    assert!(rig.handle.database().has_block(orphan.root()).unwrap());

    let far = clock_at(LAST + 1000);
    let rig2_dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(rig2_dir.path(), checkpoint(), far);
    let mut block = (*block(LAST)).clone();
    block.message.slot = LAST + 900;
    let block = sign(block);
    rig.gossip("a", &block);
    assert_eq!(rig.verdict(&block), Verdict::Ignore);
    assert!(!rig.handle.database().has_block(block.root()).unwrap());
}

/// Every queue holds one message: whatever could wait for itself would.
#[test]
fn the_smallest_queues_do_not_stop_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::with_capacities(dir.path(), checkpoint(), running_clock_at(LAST), Capacities::ones());
    rig.connect("a", ANCHOR, Manners::Honest);
    for slot in (ANCHOR + 1..=LAST).rev() {
        rig.gossip("a", &block(slot));
    }
    rig.wait_for_head(root(LAST));
}
