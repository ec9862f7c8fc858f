//! A chain that we go on building ourselves: it finalizes, re-orgs, and starts again after finality.

use std::sync::Arc;

use tree_hash::TreeHash as _;

use super::{
    aggregates::{aggregate, signed},
    recording::*,
    rig::*,
};
use crate::{
    chain::{gossip::proposer_at, limits::BATCH_SLOTS, network::Status, produce::Producer, *},
    crypto::DOMAIN_RANDAO,
    engine::Engine,
    types::{GossipMessage, SignedBeaconBlock, Slot, compute_epoch_at_slot, preset::SLOTS_PER_EPOCH},
};

pub fn rig(dir: &std::path::Path, start: Start, slot: Slot) -> Rig {
    Rig::new(dir, start, clock_at(slot))
}

/// The block of the clock's slot on the head, signed.
pub fn produce(rig: &Rig, slot: Slot) -> Arc<SignedBeaconBlock> {
    produce_by(rig, slot, Engine::StandIn(Default::default()))
}

/// The same, with a payload of this engine's.
pub fn produce_by(rig: &Rig, slot: Slot, engine: Engine) -> Arc<SignedBeaconBlock> {
    let epoch = compute_epoch_at_slot(slot);
    // After a restart the execution client is asked first.
    rig.wait_until_verified();
    let state = &rig.handle.snapshot().head_state;
    let proposer = proposer_at(state, slot).unwrap_or_else(|| panic!("slot {slot}, head's state at {}", state.slot));
    let randao_reveal = signed(&epoch.tree_hash_root(), DOMAIN_RANDAO, proposer, epoch);
    let producer = Producer::new(rig.handle.clone(), rig.pools.clone(), engine);
    let produced = soon("a block", producer.produce_block(slot, randao_reveal, Hash256::ZERO)).unwrap();
    sign(SignedBeaconBlock { message: produced.block, signature: Default::default() })
}

/// All committees of the head's slot vote for the head.
pub fn vote(rig: &Rig, slot: Slot) {
    let ours = aggregate(rig, slot, rig.handle.snapshot().head_root);
    soon("an answer", rig.handle.submit(GossipMessage::Aggregate(Arc::new(ours)))).unwrap();
}

pub fn go_to(rig: &Rig, slot: Slot) {
    let clock = rig.handle.clock();
    clock.set_ms(clock.start_of(slot) + 100);
}

#[test]
fn votes_finalize_the_chain_and_a_restart_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let chain = rig(dir.path(), checkpoint(), ANCHOR);
    let events = chain.handle.subscribe();
    let last = ANCHOR + 4 * SLOTS_PER_EPOCH + 2;
    let mut finalized = Vec::new();
    for slot in ANCHOR + 1..=last {
        go_to(&chain, slot);
        let block = produce(&chain, slot);
        assert_eq!(soon("an import", chain.handle.import_block(block.clone(), BlockSource::Api)), Ok(block.root()));
        assert_eq!(chain.handle.snapshot().head_root, block.root(), "slot {slot}");
        vote(&chain, slot);
        while let Ok(event) = events.try_recv() {
            if let ChainEvent::Finalized { checkpoint, .. } = event {
                finalized.push(checkpoint.epoch);
            }
        }
    }
    let before = chain.handle.snapshot();
    let anchor_epoch = compute_epoch_at_slot(ANCHOR);
    assert_eq!(finalized, [anchor_epoch + 1, anchor_epoch + 2]);
    assert_eq!(before.finalized.epoch, anchor_epoch + 2);
    assert_eq!(before.justified.epoch, anchor_epoch + 3);
    // Nothing before the finalized block is in memory any more; it is in the database.
    assert!(!before.contains(&root(ANCHOR)) && before.contains(&before.finalized.root));
    soon("the shutdown", chain.handle.shutdown()).unwrap();
    let db = chain.handle.database().clone();
    let slots: Vec<Slot> = db.canonical_roots(ANCHOR..last + 1).unwrap().into_iter().map(|(slot, _)| slot).collect();
    assert_eq!(slots, (ANCHOR..=last).collect::<Vec<_>>());
    drop(db);
    chain.crash();

    let chain = rig(dir.path(), Start::Resume, last);
    let after = chain.handle.snapshot();
    assert_eq!(
        (after.head_root, after.justified, after.finalized),
        (before.head_root, before.justified, before.finalized)
    );
    go_to(&chain, last + 1);
    let block = produce(&chain, last + 1);
    assert_eq!(soon("an import", chain.handle.import_block(block.clone(), BlockSource::Api)), Ok(block.root()));
    chain.wait_for_head(block.root());
}

#[test]
fn a_block_that_all_vote_for_is_confirmed_when_the_next_slot_begins() {
    let dir = tempfile::tempdir().unwrap();
    let chain = rig(dir.path(), checkpoint(), ANCHOR);
    let wait_for_confirmed = |root: Hash256| {
        soon("the confirmation", async {
            while chain.handle.snapshot().confirmed_root != root {
                smol::future::yield_now().await;
            }
        });
    };
    wait_for_confirmed(root(ANCHOR));
    let mut confirmed = root(ANCHOR);
    // Into the next epoch, whose blocks count only if its target will be justified.
    for slot in ANCHOR + 1..=ANCHOR + SLOTS_PER_EPOCH + 3 {
        go_to(&chain, slot);
        wait_for_confirmed(confirmed);
        let block = produce(&chain, slot);
        assert_eq!(chain.import(&block), Ok(block.root()));
        vote(&chain, slot);
        // The same once more is refused, after the votes of the first have gone to the store.
        let again = aggregate(&chain, slot, block.root());
        soon("an answer", chain.handle.submit(GossipMessage::Aggregate(Arc::new(again)))).unwrap_err();
        confirmed = block.root();
    }
    // In an hour without us others may have seen anything: it begins anew at the finalized block.
    go_to(&chain, ANCHOR + 600);
    wait_for_confirmed(root(ANCHOR));
}

#[test]
fn a_long_range_comes_in_batches_although_a_peer_keeps_some_back() {
    let dir = tempfile::tempdir().unwrap();
    let last = ANCHOR + 2 * BATCH_SLOTS + 20;
    let builder = rig(dir.path(), checkpoint(), ANCHOR);
    let blocks = (ANCHOR + 1..=last).map(|slot| {
        go_to(&builder, slot);
        let block = produce(&builder, slot);
        builder.import(&block).unwrap();
        vote(&builder, slot);
        (block.root(), block)
    });
    let blocks: Vec<_> = blocks.collect();
    let head = blocks.last().unwrap().0;

    let dir = tempfile::tempdir().unwrap();
    let syncing = Rig::new(dir.path(), checkpoint(), running_clock_at(last));
    *syncing.their_blocks.lock().unwrap() = blocks.into_iter().collect();
    let at_head = |status: Status| Status { head_root: head, head_slot: last, ..status };
    syncing.connect_with("a", Manners::Withholds, at_head);
    syncing.connect_with("b", Manners::Honest, at_head);
    syncing.wait_for_head(head);
    // The batch that was kept back was asked of both.
    let mut asked = Vec::new();
    while let Ok(told) = syncing.told.try_recv() {
        if let Told::Request(who, slots) = told
            && slots.contains(&(ANCHOR + 1))
        {
            asked.push(who);
        }
    }
    assert_eq!(asked, [peer("a"), peer("b")]);
}

#[test]
fn a_timely_block_takes_the_head_from_a_late_one() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), checkpoint(), ANCHOR);
    let events = rig.handle.subscribe();
    go_to(&rig, ANCHOR + 1);
    let late = produce(&rig, ANCHOR + 1);
    go_to(&rig, ANCHOR + 2);
    let timely = produce(&rig, ANCHOR + 2);
    rig.import(&late).unwrap();
    rig.wait_for_head(late.root());
    rig.import(&timely).unwrap();
    rig.wait_for_head(timely.root());
    let events: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let reorg = events.iter().find(|event| matches!(event, ChainEvent::Reorg { .. }));
    let Some(ChainEvent::Reorg { slot, depth, old_head_block, new_head_block, .. }) = reorg else {
        panic!("no re-org among {events:?}")
    };
    assert_eq!((*slot, *depth, *old_head_block, *new_head_block), (ANCHOR + 2, 1, late.root(), timely.root()));
    // The branch that lost can still be read.
    assert_eq!(rig.handle.heads().len(), 2);
    assert_eq!(soon("a state", rig.handle.state_by_block_root(late.root())).unwrap().slot, ANCHOR + 1);
}
