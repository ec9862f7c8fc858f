//! What somebody can do who owns a validator, and signs blocks that nobody waits for.

use std::sync::Arc;

use super::{finality::*, recording::*, rig::*};
use crate::{
    chain::{
        gossip::proposer_at,
        limits::DETOURS_WAITING,
        network::{Fault, Verdict},
        *,
    },
    types::{Hash256, SignedBeaconBlock, Slot, preset::SLOTS_PER_EPOCH},
};

/// The head, an epoch's first block.
const HEAD: Slot = ANCHOR + 3 * SLOTS_PER_EPOCH;
/// In the epoch before: its branch has the head's proposers.
const RECENT: Slot = HEAD - 6;
/// Of the epoch before that, and not final.
const OLD: Slot = ANCHOR + SLOTS_PER_EPOCH + 2;

/// A chain of some epochs with few states in memory, and one block task.
fn rig_with_few_states(dir: &std::path::Path) -> (Rig, Vec<Arc<SignedBeaconBlock>>) {
    let capacities = Capacities { block_tasks: 1, ..Capacities::default() };
    let rig = Rig::with_capacities(dir, checkpoint(), clock_at(ANCHOR), capacities);
    let blocks = (ANCHOR + 1..=HEAD).map(|slot| {
        go_to(&rig, slot);
        let block = produce(&rig, slot);
        rig.import(&block).unwrap();
        vote(&rig, slot);
        block
    });
    let blocks: Vec<_> = blocks.collect();
    assert!(rig.handle.snapshot().contains(&at(&blocks, OLD)), "it is final");
    soon("the limit", rig.handle.limit_states(StateLimits { count: 0, bytes: 0, rebuilt: 0 }));
    soon("room", async {
        while [RECENT, OLD].iter().any(|slot| has_state(&rig, at(&blocks, *slot))) {
            rig.handle.limit_states(StateLimits { count: 0, bytes: 0, rebuilt: 0 }).await;
            smol::future::yield_now().await;
        }
    });
    go_to(&rig, HEAD + 2);
    (rig, blocks)
}

fn at(blocks: &[Arc<SignedBeaconBlock>], slot: Slot) -> Hash256 {
    blocks[(slot - ANCHOR - 1) as usize].root()
}

fn has_state(rig: &Rig, root: Hash256) -> bool {
    rig.handle.snapshot().state(&root).is_some()
}

/// A well signed block of somebody whose turn it is, or is not, with nothing right in it.
fn forged(rig: &Rig, parent: Hash256, slot: Slot, is_due: bool) -> Arc<SignedBeaconBlock> {
    let due = proposer_at(&rig.handle.snapshot().head_state, slot).unwrap();
    let mut block = (*block(ANCHOR + 1)).clone();
    block.message.slot = slot;
    block.message.proposer_index = if is_due { due } else { (due + 1) % 16 };
    block.message.parent_root = parent;
    block.message.body.execution_payload.timestamp = rig.handle.clock().start_of(slot) / 1000;
    sign(block)
}

fn by_root(rig: &Rig, block: &Arc<SignedBeaconBlock>) -> Result<Hash256, BlockError> {
    soon("an import", rig.handle.import_block(block.clone(), BlockSource::ByRoot(peer("a"))))
}

#[test]
fn whose_turn_it_is_on_a_recent_branch_is_known_without_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, blocks) = rig_with_few_states(dir.path());
    let parent = at(&blocks, RECENT);
    let wrong = forged(&rig, parent, HEAD + 1, false);
    rig.gossip("a", &wrong);
    assert_eq!(rig.verdict(&wrong), Verdict::Reject);
    let other = forged(&rig, parent, HEAD + 2, false);
    let error = by_root(&rig, &other).unwrap_err();
    assert!(matches!(&error, BlockError::Invalid(why) if why.contains("expected proposer")), "{error}");
    rig.wait_told("a punishment", |told| matches!(told, Told::Report(_, Fault::InvalidBlock)).then_some(()));
    assert!(!has_state(&rig, parent), "the state was rebuilt");
    // Whose turn it is may be wrong otherwise, which is found out later.
    let right = forged(&rig, parent, HEAD + 1, true);
    rig.gossip("a", &right);
    assert_eq!(rig.verdict(&right), Verdict::Accept);
}

#[test]
fn gossip_on_an_old_branch_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, blocks) = rig_with_few_states(dir.path());
    let old = forged(&rig, at(&blocks, OLD), HEAD + 1, false);
    rig.gossip("a", &old);
    assert_eq!(rig.verdict(&old), Verdict::Ignore);
    // Asked for, it is judged.
    let error = by_root(&rig, &old).unwrap_err();
    assert!(matches!(error, BlockError::Invalid(_)), "{error}");
    rig.wait_told("a punishment", |told| matches!(told, Told::Report(_, Fault::InvalidBlock)).then_some(()));
}

#[test]
fn blocks_of_old_branches_do_not_hold_up_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, blocks) = rig_with_few_states(dir.path());
    let shared = rig.handle.shared.clone();
    let turn = soon("a turn", shared.detours.turn()).unwrap();
    // One more than may wait, each signed by another.
    let (ended, ends) = async_channel::bounded(1 + DETOURS_WAITING);
    for number in 0..=DETOURS_WAITING as u64 {
        let mut old = (*forged(&rig, at(&blocks, OLD), HEAD + 1, false)).clone();
        old.message.body.graffiti = Hash256::repeat_byte(number as u8);
        let (old, handle, ended) = (sign(old), rig.handle.clone(), ended.clone());
        smol::spawn(async move {
            let source = BlockSource::ByRoot(peer("a"));
            let _ = ended.send(handle.import_block(old, source).await).await;
        })
        .detach();
    }
    let too_many = soon("a refusal", ends.recv()).unwrap().unwrap_err();
    assert!(matches!(&too_many, BlockError::NotYet(why) if why.contains("too many")), "{too_many}");
    go_to(&rig, HEAD + 1);
    let head = produce(&rig, HEAD + 1);
    assert_eq!(rig.import(&head), Ok(head.root()));
    rig.wait_for_head(head.root());
    assert!(ends.is_empty(), "one was judged out of its turn");
    drop(turn);
    for _ in 0..DETOURS_WAITING {
        let error = soon("a judgement", ends.recv()).unwrap().unwrap_err();
        assert!(matches!(error, BlockError::Invalid(_)), "{error}");
    }
}

#[test]
fn of_a_proposers_blocks_without_parents_one_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    let orphans = [1, 2].map(|number| {
        let mut orphan = (*block(LAST)).clone();
        orphan.message.body.graffiti = Hash256::repeat_byte(number);
        sign(orphan)
    });
    for orphan in &orphans {
        rig.gossip("a", orphan);
        assert_eq!(rig.verdict(orphan), Verdict::Ignore);
    }
    let is_kept = orphans.each_ref().map(|orphan| rig.handle.database().has_block(orphan.root()).unwrap());
    assert_eq!(is_kept, [true, false]);
    // Somebody asked for it: that is another matter.
    let unknown = BlockError::UnknownParent { parent: root(LAST - 1) };
    assert_eq!(by_root(&rig, &orphans[1]), Err(unknown));
    assert!(rig.handle.database().has_block(orphans[1].root()).unwrap());
}

#[test]
fn of_an_invalid_blocks_children_the_well_signed_ones_are_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::unchecked(dir.path());
    let mut invalid = (*block(ANCHOR + 1)).clone();
    invalid.message.state_root = Hash256::repeat_byte(7);
    let invalid = sign(invalid);
    rig.import(&invalid).unwrap_err();
    let mut child = (*block(ANCHOR + 2)).clone();
    child.message.parent_root = invalid.root();
    for (is_signed, child) in [(false, Arc::new(child.clone())), (true, sign(child))] {
        rig.gossip("a", &child);
        assert_eq!(rig.verdict(&child), Verdict::Reject);
        assert_eq!(rig.handle.shared.invalid_blocks.contains(&child.root()), is_signed);
    }
}

#[test]
fn a_validator_that_we_do_not_know_yet_may_propose() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    let mut new = (*block(LAST)).clone();
    new.message.proposer_index = 1_000_000;
    let new = sign(new);
    rig.gossip("a", &new);
    assert_eq!(rig.verdict(&new), Verdict::Ignore);
    assert!(!rig.handle.shared.invalid_blocks.contains(&new.root()));
}
