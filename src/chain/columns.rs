//! Columns: which of a block's are here, which blocks wait for some, and how those come.
//!
//! A column that was verified is in the database; here is one bit for it. A block whose sampled columns are not all here is
//! *wanted*: its block task waits a while without holding up others, then ends, and the block is run again when the last
//! column has come, as orphans are when their parent has. Columns come by gossip; what is still missing some time into the
//! slot is asked of peers who keep it, and again after pauses that double. Range sync fetches columns with its blocks.
//!
//! Before that, the execution client is asked for the block's blobs, of which columns are made ([`pool`]).
//!
//! This node keeps the columns that it samples and no more: it never reconstructs others from half of them, and computes
//! others from blobs only for blocks of its own validators. Who keeps half of all columns or more does not wait for the last.

mod fetch;
mod gossip;
mod peers;
mod pool;
mod range;
mod set;
mod sidecars;
mod task;
mod verify;
mod wanted;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

pub(super) use self::{
    gossip::run as judge,
    pool::{BlobsOf, PoolRequest, run as look_in_pool},
    range::fetch_range,
    set::ColumnSet,
    task::run as fetch_missing,
};
use self::{peers::Lacking, wanted::WantedBlocks};
pub use self::{
    sidecars::{
        ColumnFrame, SidecarError, columns_of_blobs, columns_of_pool, get_data_column_sidecars,
        get_data_column_sidecars_from_block,
    },
    wanted::Promise,
};
use async_channel::Receiver;
use tree_hash::TreeHash as _;

use super::{
    RecentMap, Shared,
    limits::{BLOCKS_PASSED_ON, BLOCKS_TIMED, COLUMN_GOSSIP_PART, COLUMNS_MADE, ROOTS_WITH_COLUMNS},
    pending::PendingMessage,
};
use crate::{
    metrics::{self, BLOCKS_WANTING_COLUMNS, COLUMNS, DATA_SECONDS, QUEUE_DROPPED},
    types::{
        ColumnIndex, Config, DataColumnSidecar, Epoch, Hash256, SignedBeaconBlock, Slot, ValidatorIndex,
        compute_epoch_at_slot, preset::NUMBER_OF_COLUMNS,
    },
};

/// Which columns are here, and who waits for others.
pub(crate) struct Columns {
    /// By root of the block. Of blocks that are not in it the database knows.
    held: RecentMap<Hash256, ColumnSet>,
    wanted: WantedBlocks,
    /// Blocks with columns that we passed on, by root, with their slots: who got one from us soon asks us for what it lacks.
    passed_on: RecentMap<Hash256, Slot>,
    /// When we first heard of recent blocks with blobs, by themselves or by a column, in milliseconds since 1970.
    known_since: RecentMap<Hash256, u64>,
    /// Roots of the columns that we made of the execution client's blobs and published, by their marks in gossip.
    made: RecentMap<(Slot, ValidatorIndex, ColumnIndex), Hash256>,
    /// Peers that did not give what they keep.
    lacking: Lacking,
    /// Bytes of columns that are being verified or written.
    in_hand: AtomicUsize,
    /// Bytes of columns that wait for their block's parent.
    early: AtomicUsize,
}

impl Default for Columns {
    fn default() -> Self {
        Columns {
            held: RecentMap::new(ROOTS_WITH_COLUMNS),
            wanted: Default::default(),
            passed_on: RecentMap::new(BLOCKS_PASSED_ON),
            known_since: RecentMap::new(BLOCKS_TIMED),
            made: RecentMap::new(COLUMNS_MADE),
            lacking: Default::default(),
            in_hand: Default::default(),
            early: Default::default(),
        }
    }
}

impl Columns {
    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.held.bytes(|_| 0)
            + self.passed_on.bytes(|_| 0)
            + self.known_since.bytes(|_| 0)
            + self.made.bytes(|_| 0)
            + self.wanted.bytes()
            + self.in_hand.load(Ordering::Relaxed)
            + self.early.load(Ordering::Relaxed)
    }

    /// Remembers that a block is passed on whose columns others will ask for.
    pub fn note_passed_on(&self, block: &SignedBeaconBlock, root: Hash256) {
        if !block.message.body.blob_kzg_commitments.is_empty() {
            self.passed_on.update(root, |slot| *slot = block.message.slot);
        }
    }

    /// Whether a block was passed on in this slot or the one before, so that its columns are probably on their way to us.
    pub fn are_coming(&self, root: &Hash256, now: Slot) -> bool {
        self.passed_on.get(root).is_some_and(|slot| slot + 1 >= now)
    }

    /// Remembers a column that we made, and are about to publish.
    fn note_made(&self, column: &DataColumnSidecar) {
        self.made.insert(mark_of(column), column.tree_hash_root());
    }

    /// Whether we made the very same column.
    fn is_made(&self, column: &DataColumnSidecar) -> bool {
        self.made.is_some_and(&mark_of(column), |root| *root == column.tree_hash_root())
    }

    /// Whether a block waits for columns.
    pub fn is_wanted(&self, root: &Hash256) -> bool {
        self.wanted.contains(root)
    }
}

/// Where columns came from, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnSource {
    Gossip,
    ByRoot,
    ByRange,
    /// Of our own validators' blobs.
    Blobs,
    /// Of blobs that our execution client had.
    Pool,
}

impl ColumnSource {
    const fn label(self) -> &'static str {
        match self {
            ColumnSource::Gossip => "gossip",
            ColumnSource::ByRoot => "by_root",
            ColumnSource::ByRange => "by_range",
            ColumnSource::Blobs => "blobs",
            ColumnSource::Pool => "pool",
        }
    }
}

/// The first epoch whose blocks need columns to be imported: nobody has to keep older ones.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#datacolumnsidecarsbyrange-v1>
pub fn first_epoch_with_columns(config: &Config, current_epoch: Epoch) -> Epoch {
    let kept = config.min_epochs_for_data_column_sidecars_requests;
    current_epoch.saturating_sub(kept).max(config.fulu_fork_epoch)
}

impl Shared {
    /// The sampled columns of a block that are not here; none if the block needs none.
    pub async fn missing_columns(self: &Arc<Self>, block: &SignedBeaconBlock, root: Hash256) -> ColumnSet {
        let sampled = self.custody.sampled();
        if block.message.body.blob_kzg_commitments.is_empty() || sampled.is_empty() {
            return ColumnSet::default();
        }
        let epoch = compute_epoch_at_slot(block.message.slot);
        if epoch < first_epoch_with_columns(&self.config, self.clock.epoch()) {
            return ColumnSet::default();
        }
        sampled.minus(self.held_columns(root).await)
    }

    /// The sampled columns without which a block is not imported. With half of all columns here none is missing for that: the
    /// others can be computed from them, so its data can be had. (Only who keeps many waits for so many.)
    pub async fn awaited_columns(self: &Arc<Self>, block: &SignedBeaconBlock, root: Hash256) -> ColumnSet {
        let missing = self.missing_columns(block, root).await;
        if !missing.is_empty() && self.held_columns(root).await.is_half() { ColumnSet::default() } else { missing }
    }

    /// Notes that a block lacks columns: they are looked for, first where gossip had its time to bring them. A task that
    /// `waits` gets a queue in which it is told when they are here, if not too many do.
    pub async fn want_columns(
        &self,
        block: &Arc<SignedBeaconBlock>,
        root: Hash256,
        missing: ColumnSet,
        waits: bool,
    ) -> Option<Receiver<()>> {
        self.learn_of_blobs(root, BlobsOf::Block(block.clone()));
        let slot_ms = self.clock.slot_ms();
        let gossip_ends = self.clock.start_of(block.message.slot) + slot_ms / COLUMN_GOSSIP_PART;
        let block = block.clone();
        // Its body is hashed for the header.
        let promise = smol::unblock(move || Promise::of(&block)).await;
        let arrival = self.columns.wanted.add(root, promise, missing, gossip_ends, waits);
        metrics::set(&BLOCKS_WANTING_COLUMNS, &[], self.columns.wanted.len() as f64);
        arrival
    }

    /// The block lacks nothing any more.
    pub fn want_no_columns(&self, root: &Hash256) {
        self.columns.wanted.remove(root);
    }

    /// The columns of a block that are here.
    pub(in crate::chain) async fn held_columns(self: &Arc<Self>, root: Hash256) -> ColumnSet {
        if let Some(held) = self.columns.held.get(&root) {
            return held;
        }
        let db = self.db.clone();
        let stored = smol::unblock(move || db.columns_of(root)).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "stored columns can't be read; they are fetched again");
            Vec::new()
        });
        let stored: ColumnSet = stored.into_iter().collect();
        if !stored.is_empty() {
            self.columns.held.update(root, |held| *held = held.or(stored));
        }
        self.columns.held.get(&root).unwrap_or_default()
    }

    /// Takes in columns that were verified, or that we computed: frees the blocks that waited for them, then stores them.
    /// Those that we do not sample are left out.
    pub(crate) async fn take_columns(
        self: &Arc<Self>,
        columns: Vec<(Hash256, Arc<DataColumnSidecar>)>,
        source: ColumnSource,
    ) {
        let sampled = self.custody.sampled();
        let columns: Vec<_> = columns.into_iter().filter(|(_, column)| sampled.contains(column.index)).collect();
        for (root, column) in &columns {
            metrics::inc(&COLUMNS, &[("source", source.label())]);
            let mut is_last = false;
            self.columns.held.update(*root, |held| {
                let was_complete = sampled.minus(*held).is_empty();
                held.insert(column.index);
                is_last = !was_complete && sampled.minus(*held).is_empty();
            });
            if is_last && let Some(since) = self.columns.known_since.get(root) {
                let seconds = self.clock.now_ms().saturating_sub(since) as f64 / 1000.0;
                metrics::observe(&DATA_SECONDS, &[("source", source.label())], seconds);
            }
        }
        let mut roots: Vec<Hash256> = columns.iter().map(|(root, _)| *root).collect();
        roots.dedup();
        for root in roots {
            let held = self.columns.held.get(&root).unwrap_or_default();
            let held = if held.is_half() { ColumnSet::ALL } else { held };
            if self.columns.wanted.complete(&root, held) {
                self.free_block(root);
            }
        }
        metrics::set(&BLOCKS_WANTING_COLUMNS, &[], self.columns.wanted.len() as f64);
        let db = self.db.clone();
        if let Err(error) = smol::unblock(move || db.put_columns(&columns)).await {
            tracing::warn!(%error, "columns could not be stored; peers will not get them from us");
        }
    }

    /// A block has its columns, and no task waits for it: it is run again from the database.
    fn free_block(&self, root: Hash256) {
        if self.pending.try_send(PendingMessage::Complete(root)).is_err() {
            metrics::inc(&QUEUE_DROPPED, &[("queue", "pending")]);
        }
    }
}

/// What gossip remembers of a column.
fn mark_of(column: &DataColumnSidecar) -> (Slot, ValidatorIndex, ColumnIndex) {
    let header = &column.signed_block_header.message;
    (header.slot, header.proposer_index, column.index)
}

/// Whether there is such a column.
fn exists(index: u64) -> bool {
    index < NUMBER_OF_COLUMNS as u64
}
