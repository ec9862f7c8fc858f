//! Hundreds of epochs in which nothing is finalized, with forks: everything stays bounded, and the node at the head.

use std::{path::Path, sync::Arc};

use tree_hash::TreeHash as _;

use super::{aggregates::signed, finality::*, recording::*, rig::*};
use crate::{
    chain::{
        gossip::proposer_at,
        limits::{BOUNDARIES_PINNED, PENDING_INTERVAL_MS},
        produce::{BlockInputs, build_block},
        *,
    },
    crypto::DOMAIN_RANDAO,
    engine::Engine,
    transition::process_slots,
    types::{SignedBeaconBlock, compute_epoch_at_slot, compute_start_slot_at_epoch, preset::SLOTS_PER_EPOCH},
};

/// Epochs without finality: enough for dead branches to become worth dropping.
const EPOCHS: u64 = 300;
/// The epoch after which the node is stopped and started again.
const RESTART_AFTER: u64 = 170;
/// States that the node may keep here.
const LIMITS: StateLimits = StateLimits { count: 8, bytes: 512 << 10, rebuilt: 1 };
/// Of these, the head's, and those of the justified and finalized blocks and of two epochs' starts stay in any case.
const PINNED: usize = 3 + BOUNDARIES_PINNED as usize;

fn import_at(rig: &Rig, block: &Arc<SignedBeaconBlock>) {
    assert_eq!(soon("an import", rig.handle.import_block(block.clone(), BlockSource::Api)), Ok(block.root()));
}

/// Two blocks in an epoch, the second beside a late one with which it shares the parent, and the votes of one slot: an eighth.
/// Returns the block that nobody builds on.
fn epoch(rig: &Rig, epoch: u64) -> Arc<SignedBeaconBlock> {
    let start = compute_start_slot_at_epoch(epoch);
    go_to(rig, start + 1);
    let first = produce(rig, start + 1);
    import_at(rig, &first);
    go_to(rig, start + 4);
    let late = produce(rig, start + 4);
    go_to(rig, start + 5);
    let second = produce(rig, start + 5);
    // The boost of the one in time decides.
    import_at(rig, &second);
    import_at(rig, &late);
    rig.wait_for_head(second.root());
    vote(rig, start + 5);
    late
}

/// Epochs with a block and everybody's vote in each slot.
fn healthy(rig: &Rig, first_slot: u64, epochs: u64) {
    for slot in first_slot..compute_start_slot_at_epoch(compute_epoch_at_slot(first_slot) + epochs) {
        go_to(rig, slot);
        let block = produce(rig, slot);
        import_at(rig, &block);
        assert_eq!(rig.handle.snapshot().head_root, block.root(), "slot {slot}");
        vote(rig, slot);
    }
}

/// Waits until nothing is left to measure or to drop.
fn settled(rig: &Rig) -> StateSizes {
    soon("the states' measures", async {
        loop {
            let sizes = rig.handle.state_sizes();
            if sizes.count <= LIMITS.count.max(PINNED) && sizes.bytes <= LIMITS.bytes {
                return sizes;
            }
            // Anything that makes the store task look after its memory once more.
            rig.handle.limit_states(LIMITS).await;
            smol::future::yield_now().await;
        }
    })
}

fn start(dir: &Path, from: Start, slot: u64) -> Rig {
    let rig = rig(dir, from, slot);
    soon("the limit", rig.handle.limit_states(LIMITS));
    rig
}

/// A branch that was dropped is taken in again when somebody builds on it.
fn comes_to_life_again(rig: &Rig, block: &Arc<SignedBeaconBlock>, parent: &Arc<SignedBeaconBlock>) {
    assert!(!rig.handle.snapshot().contains(&parent.root()));
    rig.their_blocks.lock().unwrap().insert(parent.root(), parent.clone());
    rig.connect("a", ANCHOR, Manners::Honest);
    let source = BlockSource::ByRoot(peer("a"));
    let unknown = BlockError::UnknownParent { parent: parent.root() };
    assert_eq!(soon("an answer", rig.handle.import_block(block.clone(), source)), Err(unknown));
    // One round of looking for parents is enough.
    let clock = rig.handle.clock();
    clock.set_ms(clock.now_ms() + PENDING_INTERVAL_MS);
    soon("the dropped branch", async {
        while !rig.handle.snapshot().contains(&block.root()) {
            smol::future::yield_now().await;
        }
    });
}

#[test]
fn weeks_without_finality_are_bounded_and_end_well() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = start(dir.path(), checkpoint(), ANCHOR);
    healthy(&rig, ANCHOR + 1, 4);
    let last = compute_epoch_at_slot(rig.handle.snapshot().head_slot) + 1;
    // In which the votes of the last good epoch still finalize one.
    epoch(&rig, last);
    let first_epoch = last + 1;
    let finalized = rig.handle.snapshot().finalized;
    assert!(finalized.epoch > compute_epoch_at_slot(ANCHOR));
    // On the first late block of all, which will be dropped.
    let (mut late_block, mut on_late_block) = (None, None);
    let mut blocks_at_most = 0;
    for at in first_epoch..first_epoch + EPOCHS {
        let late = epoch(&rig, at);
        let snapshot = rig.handle.snapshot();
        if at == first_epoch {
            on_late_block = Some(child_of(&rig, &late));
            late_block = Some(late);
        }
        assert_eq!(snapshot.finalized, finalized, "epoch {at}");
        let sizes = settled(&rig);
        assert!(sizes.count <= LIMITS.count.max(PINNED), "{sizes:?}");
        assert!(sizes.bytes <= LIMITS.bytes, "{sizes:?}");
        blocks_at_most = blocks_at_most.max(snapshot.blocks.len() as u64 - 2 * (at - first_epoch + 1));
        if at == first_epoch + RESTART_AFTER {
            soon("the shutdown", rig.handle.shutdown()).unwrap();
            rig.crash();
            rig = start(dir.path(), Start::Resume, compute_start_slot_at_epoch(at) + 6);
            let after = rig.handle.snapshot();
            assert_eq!((after.head_root, after.justified), (snapshot.head_root, snapshot.justified));
            assert_eq!(after.blocks.len(), snapshot.blocks.len());
        }
    }
    // 256 dead blocks are worth the work; a few more are not dead for long enough, and some were there before.
    assert!((256..256 + 6 * SLOTS_PER_EPOCH).contains(&blocks_at_most), "{blocks_at_most}");
    let snapshot = rig.handle.snapshot();
    assert!((snapshot.blocks.len() as u64) < 2 * EPOCHS + 64, "{}", snapshot.blocks.len());
    comes_to_life_again(&rig, &on_late_block.unwrap(), &late_block.unwrap());
    // Everybody is back.
    healthy(&rig, compute_start_slot_at_epoch(first_epoch + EPOCHS), 5);
    let snapshot = rig.handle.snapshot();
    assert!(snapshot.finalized.epoch >= first_epoch + EPOCHS, "{:?}", snapshot.finalized);
    assert!(snapshot.blocks.len() as u64 <= 4 * SLOTS_PER_EPOCH, "{}", snapshot.blocks.len());
    assert_eq!(snapshot.states.base().0, snapshot.finalized.root);
}

/// An empty block on a given one, whose state is rebuilt if need be.
fn child_of(rig: &Rig, parent: &Arc<SignedBeaconBlock>) -> Arc<SignedBeaconBlock> {
    let slot = parent.message.slot + 2;
    let mut state = (*soon("a state", rig.handle.state_by_block_root(parent.root())).unwrap()).clone();
    let context = rig.handle.shared.context();
    process_slots(&mut state, slot, &context).unwrap();
    let (epoch, proposer) = (state.current_epoch(), proposer_at(&state, slot).unwrap());
    let inputs = BlockInputs {
        randao_reveal: signed(&epoch.tree_hash_root(), DOMAIN_RANDAO, proposer, epoch),
        graffiti: Hash256::ZERO,
        pooled: None,
        engine: Engine::StandIn(Default::default()),
    };
    let produced = build_block(state, inputs, &context).unwrap();
    sign(SignedBeaconBlock { message: produced.block, signature: Default::default() })
}
