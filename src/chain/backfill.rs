//! Backfill: the blocks before the anchor and the columns of our custody, backwards, for as long as peers may ask for them.
//!
//! The least urgent of all tasks: it rests while the node syncs or is behind, while blocks are imported, and after each batch for
//! as long as that took. A batch counts when its last block is the parent of the oldest that we have, its blocks are a chain, and
//! their proposers signed them; their keys are in the head's registry. What is done is in the database: a restart goes on there.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    KnownPeer, Shared, TaskError, columns,
    limits::{
        ANSWER_TIMEOUT_MS, BACKFILL_BATCH_SLOTS, BACKFILL_GAP_SLOTS, BACKFILL_PAUSE_MS, BACKFILL_SILENT,
        BACKFILL_WITNESSES, SYNC_GAP_SLOTS,
    },
    network::{Fault, NetworkCommand, Peer},
    serve::first_slot_of_columns,
};
use crate::{
    crypto::{DOMAIN_BEACON_PROPOSER, SignatureSet, compute_domain, compute_signing_root, verify_sets},
    db::{DbError, StoredBlock},
    metrics::{self, BACKFILL_SLOT, BACKFILL_TARGET_SLOT},
    types::{
        BeaconState, Hash256, SignedBeaconBlock, Slot, compute_epoch_at_slot, compute_start_slot_at_epoch,
        preset::{GENESIS_SLOT, SLOTS_PER_EPOCH},
    },
};

/// Blocks with their roots, ascending.
type Blocks = Vec<(Hash256, Arc<SignedBeaconBlock>)>;

/// Where the stored chain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Oldest {
    slot: Slot,
    parent: Hash256,
}

/// Why a batch did not bring us on.
#[derive(Debug, thiserror::Error)]
enum BatchError {
    /// The peer can't or did not.
    #[error("{0}")]
    Failed(String),
    /// What came is not what was asked for; the peer is to blame.
    #[error("{0}")]
    Bad(&'static str),
    /// The disk.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Works until all is there, and again when it is not.
pub(super) async fn run(shared: Arc<Shared>) -> Result<(), TaskError> {
    let mut task = Backfill {
        shared,
        failures: HashMap::new(),
        skipped_to: None,
        suspects: Vec::new(),
        asked: Vec::new(),
        resting: (0, Vec::new()),
    };
    loop {
        let mut has_more = false;
        // In turn: neither waits for the end of the other.
        for step in [task.step().await, task.step_of_columns().await] {
            match step {
                Ok(Step::On) => has_more = true,
                Ok(Step::Rest) => {}
                Err(error) => tracing::debug!(%error, "backfill waits"),
            }
        }
        if !has_more {
            task.wait_for_next_slot().await;
        }
    }
}

/// What comes next.
enum Step {
    /// The next batch, now.
    On,
    /// Nothing in this slot.
    Rest,
}

struct Backfill {
    shared: Arc<Shared>,
    /// Batches that a peer did not give. Who has fewer is asked first.
    failures: HashMap<Peer, u32>,
    /// Below the oldest block: down to here peers had nothing. Whether that is so, the next block shows.
    skipped_to: Option<Slot>,
    /// Who said so.
    suspects: Vec<Peer>,
    /// Who said so of the batch that comes next.
    asked: Vec<Peer>,
    /// Until this slot these are not asked, for none of them gave what was asked for.
    resting: (Slot, Vec<Peer>),
}

impl Backfill {
    /// Fetches one batch.
    async fn step(&mut self) -> Result<Step, BatchError> {
        self.wait_until_idle().await;
        let first = first_slot_of_blocks(&self.shared);
        let here = self.shared.clone();
        let Some(oldest) = smol::unblock(move || oldest(&here)).await? else { return Ok(Step::Rest) };
        metrics::set(&BACKFILL_TARGET_SLOT, &[], first as f64);
        metrics::set(&BACKFILL_SLOT, &[], oldest.slot as f64);
        // The genesis block is nobody's to give.
        if oldest.slot <= first || oldest.slot <= GENESIS_SLOT + 1 {
            return Ok(Step::Rest);
        }
        let end = self.skipped_to.filter(|slot| *slot < oldest.slot).unwrap_or(oldest.slot);
        let start = end.saturating_sub(BACKFILL_BATCH_SLOTS).max(GENESIS_SLOT + 1);
        if end <= first || start >= end || oldest.slot - end >= BACKFILL_GAP_SLOTS {
            // For so long a gap nobody's word is taken: begin anew, with others.
            self.doubt();
            return Ok(Step::Rest);
        }
        let Some(peer) = self.choose(start, end) else { return Ok(Step::Rest) };
        let began = Instant::now();
        let result = self.batch(&peer, start, end, oldest).await;
        match &result {
            Ok(0) => self.note_nothing(peer, start, end),
            Ok(_) => {
                self.skipped_to = None;
                self.suspects.clear();
                self.asked.clear();
            }
            Err(error) => {
                tracing::debug!(%peer, start, end, %error, "a batch of old blocks failed");
                match error {
                    BatchError::Bad(_) if !self.suspects.is_empty() => self.doubt(),
                    BatchError::Bad(_) => {
                        self.count_failure(&peer);
                        self.shared.tell_network(NetworkCommand::Report { peer, fault: Fault::BadRange });
                    }
                    BatchError::Failed(_) => self.count_failure(&peer),
                    BatchError::Db(_) => {}
                }
            }
        }
        if let Err(BatchError::Db(error)) = result {
            tracing::warn!(%error, "old blocks could not be stored; check the disk");
            return Ok(Step::Rest);
        }
        smol::Timer::after(began.elapsed().max(Duration::from_millis(BACKFILL_PAUSE_MS))).await;
        Ok(Step::On)
    }

    /// Fetches the columns of our custody for one batch of stored blocks.
    async fn step_of_columns(&self) -> Result<Step, BatchError> {
        self.wait_until_idle().await;
        let shared = &self.shared;
        let end = shared.earliest_columns.load(Ordering::Relaxed);
        let first =
            first_slot_of_columns(shared, shared.clock.epoch()).max(shared.earliest_slot.load(Ordering::Relaxed));
        if end <= first || shared.custody.sampled().is_empty() {
            return Ok(Step::Rest);
        }
        let (began, start) = (Instant::now(), end.saturating_sub(BACKFILL_BATCH_SLOTS).max(first));
        let blocks = blocks_with_columns(shared, start, end).await?;
        columns::fetch_range(shared, start, end - start, &blocks).await.map_err(BatchError::Failed)?;
        // Unless custody has grown meanwhile: then all of it begins anew.
        let is_current = shared.earliest_columns.compare_exchange(end, start, Ordering::Relaxed, Ordering::Relaxed);
        if is_current.is_ok() {
            let db = shared.db.clone();
            smol::unblock(move || db.set_earliest_column_slot(start)).await?;
            tracing::debug!(start, end, blocks = blocks.len(), "old columns stored");
        }
        smol::Timer::after(began.elapsed().max(Duration::from_millis(BACKFILL_PAUSE_MS))).await;
        Ok(Step::On)
    }

    /// A peer had no block in the range. It is passed over when enough say so, or all.
    fn note_nothing(&mut self, peer: Peer, start: Slot, end: Slot) {
        for who in [&mut self.suspects, &mut self.asked] {
            if !who.contains(&peer) {
                who.push(peer.clone());
            }
        }
        let is_last = self.able(start, end).iter().all(|peer| self.asked.contains(peer));
        if is_last || self.asked.len() >= BACKFILL_WITNESSES {
            self.skipped_to = Some(start);
            self.asked.clear();
        }
    }

    /// Somebody who had nothing may have kept it back.
    fn doubt(&mut self) {
        self.skipped_to = None;
        self.asked.clear();
        for peer in std::mem::take(&mut self.suspects) {
            self.count_failure(&peer);
        }
    }

    fn count_failure(&mut self, peer: &Peer) {
        *self.failures.entry(peer.clone()).or_default() += 1;
    }

    /// Fetches, checks and stores the blocks of these slots. How many there were.
    async fn batch(&self, peer: &Peer, start: Slot, end: Slot, oldest: Oldest) -> Result<usize, BatchError> {
        let blocks = fetch(&self.shared, peer, start, end).await?;
        let Some((last, _)) = blocks.last() else { return Ok(0) };
        if *last != oldest.parent {
            return Err(BatchError::Bad("the last block is not the parent of our oldest"));
        }
        let (count, shared) = (blocks.len(), self.shared.clone());
        smol::unblock(move || {
            let state = shared.snapshot.load().head_state.clone();
            if !are_signed(&shared, &state, &blocks) {
                return Err(BatchError::Bad("a proposer's signature is not valid"));
            }
            Ok(store(&shared, &blocks)?)
        })
        .await?;
        tracing::debug!(%peer, start, end, count, "old blocks stored");
        Ok(count)
    }

    /// The peers that should have this range.
    fn able(&self, start: Slot, end: Slot) -> Vec<Peer> {
        let has =
            |KnownPeer { status, .. }: &&KnownPeer| status.earliest_available_slot <= start && status.head_slot >= end;
        self.shared.peers.load().iter().filter(has).map(|known| known.peer.clone()).collect()
    }

    /// The peer that has this range, did not say that it is empty, and failed least; of those, not always the same. None when there
    /// is none, or for now.
    fn choose(&mut self, start: Slot, end: Slot) -> Option<Peer> {
        let able = self.able(start, end);
        self.failures.retain(|peer, _| able.contains(peer));
        // Those who failed get another chance when all have; not at once, because where a chain's first slots are empty, nobody can
        // give what is asked for.
        let has_failed = |peer| self.failures.get(peer).is_some_and(|n| *n >= BACKFILL_SILENT);
        let now = self.shared.clock.slot();
        if !able.is_empty() && able.iter().all(has_failed) {
            self.failures.clear();
            self.resting = (now + SLOTS_PER_EPOCH, able);
            return None;
        }
        if now < self.resting.0 && able.iter().all(|peer| self.resting.1.contains(peer)) {
            return None;
        }
        let turn = (start / BACKFILL_BATCH_SLOTS) as usize;
        let rotated = (0..able.len()).map(|i| &able[(i + turn) % able.len()]);
        rotated.min_by_key(|peer| (self.asked.contains(peer), self.failures.get(peer).copied().unwrap_or(0))).cloned()
    }

    /// Others come first.
    async fn wait_until_idle(&self) {
        loop {
            let is_behind = {
                let snapshot = self.shared.snapshot.load();
                snapshot.is_syncing || snapshot.distance() > SYNC_GAP_SLOTS
            };
            if is_behind {
                self.wait_for_next_slot().await;
            } else if self.shared.blocks_running.load(Ordering::Relaxed) > 0 {
                smol::Timer::after(Duration::from_millis(BACKFILL_PAUSE_MS)).await;
            } else {
                return;
            }
        }
    }

    async fn wait_for_next_slot(&self) {
        let clock = &self.shared.clock;
        clock.until(clock.start_of(clock.slot() + 1)).await;
    }
}

/// From which slot on peers may ask for blocks.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#beaconblocksbyrange-v1>
fn first_slot_of_blocks(shared: &Shared) -> Slot {
    let kept = shared.config.min_epochs_for_block_requests();
    compute_start_slot_at_epoch(shared.clock.epoch().saturating_sub(kept))
}

/// The oldest block of our chain that is stored with all after it.
fn oldest(shared: &Shared) -> Result<Option<Oldest>, DbError> {
    let first = shared.earliest_slot.load(Ordering::Relaxed);
    let Some((_, root)) = shared.db.first_canonical_from(first)? else { return Ok(None) };
    Ok(shared.db.block_parent(root)?.map(|(slot, parent)| Oldest { slot, parent }))
}

/// The blocks of our chain from `start` to before `end` that have columns. Blinded ones are made whole, which is seldom: columns
/// are mostly there before payloads go.
async fn blocks_with_columns(shared: &Arc<Shared>, start: Slot, end: Slot) -> Result<Blocks, BatchError> {
    let db = shared.db.clone();
    let roots = smol::unblock(move || db.canonical_roots(start..end)).await?;
    let mut blocks = Blocks::new();
    for (_, root) in roots {
        let db = shared.db.clone();
        let stored = smol::unblock(move || db.stored_block(root)).await?;
        let Some(stored) = stored.filter(|block| !block.commitments().is_empty()) else { continue };
        let block = match stored {
            StoredBlock::Whole(block) => Some(block),
            StoredBlock::Blinded(_) => {
                shared.whole_block(root).await.map_err(|error| BatchError::Failed(error.to_string()))?
            }
        };
        blocks.extend(block.map(|block| (root, Arc::new(block))));
    }
    Ok(blocks)
}

/// Fetches the blocks from `start` to before `end`, and checks that they are a chain.
async fn fetch(shared: &Arc<Shared>, peer: &Peer, start: Slot, end: Slot) -> Result<Blocks, BatchError> {
    let (answer, incoming) = async_channel::bounded(shared.capacities.answer);
    let (peer, count) = (peer.clone(), end - start);
    shared.tell_network(NetworkCommand::BlocksByRange { peer: peer.clone(), start_slot: start, count, answer });
    let mut blocks = Blocks::new();
    loop {
        let block = match shared.clock.within(ANSWER_TIMEOUT_MS, incoming.recv()).await {
            None => {
                shared.tell_network(NetworkCommand::Report { peer, fault: Fault::Timeout });
                return Err(BatchError::Failed("no answer in time".into()));
            }
            Some(Err(_)) => return Ok(blocks),
            Some(Ok(Err(error))) => return Err(BatchError::Failed(error.to_string())),
            Some(Ok(Ok(block))) => block,
        };
        let (slot, parent) = (block.message.slot, block.message.parent_root);
        if !(start..end).contains(&slot) {
            return Err(BatchError::Bad("a block is outside the range"));
        }
        if blocks.last().is_some_and(|(root, last)| slot <= last.message.slot || parent != *root) {
            return Err(BatchError::Bad("the blocks are no chain"));
        }
        let hashed = block.clone();
        let root = smol::unblock(move || hashed.root()).await;
        blocks.push((root, block));
    }
}

/// Whether all blocks have their proposers' signatures, all verified at once.
fn are_signed(shared: &Shared, state: &BeaconState, blocks: &Blocks) -> bool {
    let set = |(root, block): &(Hash256, Arc<SignedBeaconBlock>)| {
        let index = block.message.proposer_index;
        if index >= state.validators.len() as u64 {
            return None;
        }
        let key = shared.keys.get(index, state.validators.pubkey(index as usize)).ok()?;
        let version = shared.config.fork_version(compute_epoch_at_slot(block.message.slot));
        let domain = compute_domain(DOMAIN_BEACON_PROPOSER, version, shared.genesis_validators_root);
        // The block's root is what is signed, with the domain: it need not be found again.
        Some(SignatureSet { signature: block.signature, key, message: compute_signing_root(root, domain) })
    };
    let sets: Option<Vec<_>> = blocks.iter().map(set).collect();
    sets.is_some_and(|sets| verify_sets(&sets))
}

/// Stores old blocks, then says that they are there.
fn store(shared: &Shared, blocks: &Blocks) -> Result<(), DbError> {
    let Some((_, first)) = blocks.first() else { return Ok(()) };
    let by_root: Vec<_> = blocks.iter().map(|(root, block)| (*root, &**block)).collect();
    shared.db.put_blocks(&by_root)?;
    let canonical: Vec<_> = blocks.iter().map(|(root, block)| (block.message.slot, *root)).collect();
    shared.db.set_canonical(&canonical)?;
    shared.db.set_earliest_slot(first.message.slot)?;
    shared.earliest_slot.store(first.message.slot, Ordering::Relaxed);
    Ok(())
}
