//! Takes the payloads out of old blocks, once the execution client has shown that it has them.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::PayloadError;
use crate::{
    chain::{
        Shared, TaskError,
        limits::{BACKFILL_PAUSE_MS, BLIND_AGAIN_EPOCHS},
        stored::stored_states,
    },
    db::{Database, DbError},
    engine::{MAX_BODIES, PayloadBody},
    metrics::{self, BLOCKS_BLINDED},
    types::{Epoch, Hash256, SignedBeaconBlock, SignedBlindedBeaconBlock, Slot, compute_start_slot_at_epoch},
};

/// What became of some blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlindReport {
    /// They are stored without their payloads now.
    pub blinded: u64,
    /// They stay whole, because the execution client does not have their payloads.
    pub kept: u64,
}

/// In each epoch, looks for ranges of blocks that are old enough.
pub(in crate::chain) async fn run(shared: Arc<Shared>) -> Result<(), TaskError> {
    let mut blinder = Blinder { shared, kept: HashMap::new() };
    loop {
        let clock = &blinder.shared.clock;
        // Late in the epoch's first slot, when its block is imported.
        clock.until(clock.start_of(compute_start_slot_at_epoch(clock.epoch() + 1)) + clock.slot_ms() / 2).await;
        if let Err(error) = blinder.round().await {
            tracing::debug!(%error, "payloads stay where they are for now");
        }
    }
}

struct Blinder {
    shared: Arc<Shared>,
    /// Ranges of which blocks had to stay whole, by their first slot, and when that was. As many as there are ranges at most.
    kept: HashMap<Slot, Epoch>,
}

impl Blinder {
    async fn round(&mut self) -> Result<(), PayloadError> {
        let (shared, epoch) = (self.shared.clone(), self.shared.clock.epoch());
        let Some(slots) = smol::unblock(move || shared.slots_to_blind()).await? else { return Ok(()) };
        let ranges = self.shared.db.whole_ranges(slots);
        self.kept.retain(|start, since| {
            *since + BLIND_AGAIN_EPOCHS > epoch && ranges.iter().any(|range| range.start == *start)
        });
        for range in ranges {
            if !self.kept.contains_key(&range.start) && self.blind_range(range.clone()).await? > 0 {
                self.kept.insert(range.start, epoch);
            }
        }
        Ok(())
    }

    /// Blinds a range of which all blocks are finalized, and says how many stay whole.
    async fn blind_range(&self, range: Range<Slot>) -> Result<u64, PayloadError> {
        let BlindReport { blinded, kept } = self.shared.blind(range.clone()).await?;
        let (db, first, last) = (self.shared.db.clone(), range.start, range.end - 1);
        if kept > 0 {
            tracing::warn!(
                "the execution client does not have the payloads of {kept} blocks from slot {first} to {last}: \
                 they are kept here"
            );
            return Ok(kept);
        }
        let report = smol::unblock(move || db.drop_whole(first)).await?;
        tracing::info!(first, last, blinded, freed = report.bytes, "old payloads are with the execution client only");
        Ok(0)
    }
}

impl Shared {
    /// The slots whose blocks may be stored without their payloads: all that is finalized, was judged valid, is complete, and will
    /// not have to be replayed. None for now if the execution client does not follow.
    pub(in crate::chain) fn slots_to_blind(&self) -> Result<Option<Range<Slot>>, DbError> {
        let Some(finalized) = self.validated_slot() else { return Ok(None) };
        // A start, or who asks for a state, replays blocks after a stored state, and the client may not be there then.
        let replayed = stored_states(&self.db)?.first().map_or(finalized, |state| state.slot);
        Ok(Some(self.earliest_slot.load(Ordering::Relaxed)..finalized.min(replayed)))
    }

    /// The slot of the finalized block, if the execution client is known to have run its payload: the head builds on it.
    fn validated_slot(&self) -> Option<Slot> {
        let snapshot = self.snapshot.load();
        let finalized = snapshot.blocks.get(&snapshot.finalized.root)?;
        (!snapshot.is_optimistic && !snapshot.el_offline && !snapshot.is_syncing).then_some(finalized.slot)
    }

    /// Stores the finalized canonical blocks of these slots without their payloads, if the execution client has these.
    pub async fn blind(self: &Arc<Self>, slots: Range<Slot>) -> Result<BlindReport, PayloadError> {
        let finalized = self.validated_slot().ok_or(PayloadError::Unavailable)?;
        let (db, slots) = (self.db.clone(), slots.start..slots.end.min(finalized));
        let roots = smol::unblock(move || db.whole_blocks(slots)).await?;
        let mut report = BlindReport::default();
        for roots in roots.chunks(MAX_BODIES) {
            self.wait_until_idle().await;
            let began = Instant::now();
            let (db, roots) = (self.db.clone(), roots.to_vec());
            let blocks = smol::unblock(move || read(&db, &roots)).await?;
            let hash = |(_, block): &(Hash256, SignedBeaconBlock)| block.message.body.execution_payload.block_hash;
            let hashes: Vec<Hash256> = blocks.iter().map(hash).filter(|hash| !hash.is_zero()).collect();
            let bodies = if hashes.is_empty() { Vec::new() } else { self.payload_bodies(hashes).await? };
            let db = self.db.clone();
            let (all, blinded) = smol::unblock(move || {
                let (all, blinded) = (blocks.len() as u64, without_payloads(blocks, bodies));
                db.put_blinded(&blinded).map(|()| (all, blinded.len() as u64))
            })
            .await?;
            report.blinded += blinded;
            report.kept += all - blinded;
            metrics::add(&BLOCKS_BLINDED, &[("result", "blinded")], blinded);
            metrics::add(&BLOCKS_BLINDED, &[("result", "kept")], all - blinded);
            // As long as it took: the rest of the node and the execution client have other things to do.
            smol::Timer::after(began.elapsed()).await;
        }
        Ok(report)
    }

    /// Blocks that are being imported come first.
    async fn wait_until_idle(&self) {
        while self.blocks_running.load(Ordering::Relaxed) > 0 {
            smol::Timer::after(Duration::from_millis(BACKFILL_PAUSE_MS)).await;
        }
    }
}

fn read(db: &Database, roots: &[Hash256]) -> Result<Vec<(Hash256, SignedBeaconBlock)>, DbError> {
    let read = |root: &Hash256| db.block(*root).map(|block| block.map(|block| (*root, block))).transpose();
    roots.iter().filter_map(read).collect()
}

/// The blocks of which the client has the very payload; `bodies` are those of the blocks that have one.
fn without_payloads(
    blocks: Vec<(Hash256, SignedBeaconBlock)>,
    bodies: Vec<Option<PayloadBody>>,
) -> Vec<(Hash256, SignedBlindedBeaconBlock)> {
    let mut bodies = bodies.into_iter();
    let is_there = |(_, block): &(Hash256, SignedBeaconBlock)| {
        let payload = &block.message.body.execution_payload;
        payload.block_hash.is_zero()
            || bodies.next().flatten().is_some_and(|body| {
                body.transactions == payload.transactions && body.withdrawals.unwrap_or_default() == payload.withdrawals
            })
    };
    blocks.into_iter().filter(is_there).map(|(root, block)| (root, block.into_blinded())).collect()
}
