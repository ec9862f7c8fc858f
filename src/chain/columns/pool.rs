//! Columns of blobs that the execution client has in its pool.
//!
//! The transactions of most blobs went round before the block did, so the client may have all of them when we first hear of the
//! block, by itself or by a column. Our columns are then made here, mostly sooner than gossip brings the last of them; those that
//! come after are known already, and not verified. They count as if they had come by gossip, and are published like those.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#distributed-blob-publishing-using-blobs-retrieved-from-local-execution-layer-client>

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use async_channel::Receiver;

use super::{ColumnFrame, ColumnSet, ColumnSource, SidecarError, columns_of_pool};
use crate::{
    chain::{
        ExecutionCommand, Shared, TaskError,
        gossip::claim_data_column_sidecar,
        kzg_commitment_to_versioned_hash,
        limits::{COLUMN_INTERVAL_MS, POOL_ATTEMPTS, POOL_REQUESTS, POOL_SLOTS, POOL_TIMEOUT_MS},
        network::{NetworkCommand, Publication},
    },
    engine::PooledBlob,
    metrics::{self, POOL_COLUMNS_SECONDS, POOL_LOOKUPS, QUEUE_DROPPED},
    types::{
        BlobKZGCommitments, ColumnIndex, DataColumnSidecar, Hash256, KZGProof, SignedBeaconBlock, Slot,
        compute_epoch_at_slot,
    },
};

/// What tells us of a block with blobs. Its proposer's signature was verified.
#[derive(Clone, Debug)]
pub(in crate::chain) enum BlobsOf {
    Block(Arc<SignedBeaconBlock>),
    Column(Arc<DataColumnSidecar>),
}

impl BlobsOf {
    fn slot(&self) -> Slot {
        match self {
            BlobsOf::Block(block) => block.message.slot,
            BlobsOf::Column(column) => column.signed_block_header.message.slot,
        }
    }

    fn commitments(&self) -> &BlobKZGCommitments {
        match self {
            BlobsOf::Block(block) => &block.message.body.blob_kzg_commitments,
            BlobsOf::Column(column) => &column.kzg_commitments,
        }
    }

    fn frame(&self) -> Option<ColumnFrame> {
        match self {
            BlobsOf::Block(block) => ColumnFrame::of_block(block),
            BlobsOf::Column(column) => Some(ColumnFrame::of_column(column)),
        }
    }
}

/// A block whose blobs are to be looked for.
#[derive(Debug)]
pub(crate) struct PoolRequest {
    root: Hash256,
    blobs_of: BlobsOf,
}

/// A block whose blobs are looked for.
struct Search {
    root: Hash256,
    frame: Arc<ColumnFrame>,
    /// How often the client was asked.
    attempts: u32,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Columns were made.
    Hit,
    /// The client has not all of the blobs.
    Miss,
    /// All columns were there before the answer.
    Late,
    /// There was no answer.
    Failed,
    /// The blobs are not the block's.
    Wrong,
}

impl Outcome {
    const fn label(self) -> &'static str {
        match self {
            Outcome::Hit => "hit",
            Outcome::Miss => "miss",
            Outcome::Late => "late",
            Outcome::Failed => "failed",
            Outcome::Wrong => "wrong",
        }
    }
}

/// Looks for blobs, one block after the other; for those that were not there again after a pause.
pub(in crate::chain) async fn run(shared: Arc<Shared>, requests: Receiver<PoolRequest>) -> Result<(), TaskError> {
    let mut missed: VecDeque<Search> = VecDeque::new();
    loop {
        let next = smol::future::or(async { requests.recv().await.map(Some) }, async {
            if missed.is_empty() {
                return std::future::pending().await;
            }
            shared.clock.sleep(COLUMN_INTERVAL_MS).await;
            Ok(None)
        });
        let searches = match next.await {
            Ok(Some(request)) => begin(&shared, request).await.into_iter().collect(),
            Ok(None) => std::mem::take(&mut missed),
            Err(_) => return Err(TaskError::Abandoned("blob pool")),
        };
        for mut search in searches {
            if !shared.is_worth_a_search(&search).await {
                continue;
            }
            let outcome = shared.search(&search).await;
            metrics::inc(&POOL_LOOKUPS, &[("result", outcome.label())]);
            tracing::debug!(root = %search.root, ?outcome, "looked for a block's blobs in the execution client's pool");
            search.attempts += 1;
            if outcome == Outcome::Miss && search.attempts < POOL_ATTEMPTS {
                missed.push_back(search);
            }
        }
        while missed.len() > POOL_REQUESTS {
            missed.pop_front();
        }
    }
}

async fn begin(shared: &Arc<Shared>, request: PoolRequest) -> Option<Search> {
    let PoolRequest { root, blobs_of } = request;
    if shared.lacks(root).await.is_empty() {
        return None;
    }
    let frame = smol::unblock(move || blobs_of.frame()).await?;
    Some(Search { root, frame: frame.into(), attempts: 0 })
}

impl Shared {
    /// A block with blobs is known to be signed by its proposer. The first time that we hear of it the execution client is asked for
    /// its blobs, if there is one. Nobody waits for that.
    pub(in crate::chain) fn learn_of_blobs(&self, root: Hash256, blobs_of: BlobsOf) {
        let slot = blobs_of.slot();
        let is_recent = slot.saturating_add(POOL_SLOTS) > self.clock.slot();
        let has_columns = compute_epoch_at_slot(slot) >= self.config.fulu_fork_epoch;
        if !is_recent || !has_columns || blobs_of.commitments().is_empty() || self.custody.sampled().is_empty() {
            return;
        }
        let is_new = self.columns.known_since.insert(root, self.clock.now_ms());
        if is_new && self.execution.is_some() && self.blob_pool.try_send(PoolRequest { root, blobs_of }).is_err() {
            metrics::inc(&QUEUE_DROPPED, &[("queue", "blob_pool")]);
        }
    }

    /// The sampled columns of a recent block with blobs that are not here.
    async fn lacks(self: &Arc<Self>, root: Hash256) -> ColumnSet {
        self.custody.sampled().minus(self.held_columns(root).await)
    }

    async fn is_worth_a_search(self: &Arc<Self>, search: &Search) -> bool {
        !self.invalid_blocks.contains(&search.root) && !self.lacks(search.root).await.is_empty()
    }

    /// Asks the client for a block's blobs, makes the columns of them that are missing, publishes and takes them in.
    async fn search(self: &Arc<Self>, search: &Search) -> Outcome {
        let (root, frame) = (search.root, search.frame.clone());
        let Some(answer) = self.ask_for_blobs(&frame).await else { return Outcome::Failed };
        let Some(blobs) = answer.into_iter().collect::<Option<Vec<PooledBlob>>>() else { return Outcome::Miss };
        let wanted: Vec<_> = self.lacks(root).await.iter().collect();
        if wanted.is_empty() {
            return Outcome::Late;
        }
        let bytes = blobs.iter().map(|blob| blob.blob.len() + blob.proofs.len() * size_of::<KZGProof>()).sum();
        self.columns.in_hand.fetch_add(bytes, Ordering::Relaxed);
        let shared = self.clone();
        let made = smol::unblock(move || {
            let columns = shared.make_columns(&frame, &wanted, blobs)?;
            let unseen = shared.claim(&columns);
            Ok::<_, SidecarError>((columns, unseen))
        })
        .await;
        self.columns.in_hand.fetch_sub(bytes, Ordering::Relaxed);
        let (columns, unseen) = match made {
            Ok(made) => made,
            Err(error) => {
                tracing::warn!(%root, "{error}: the execution client's blobs are not used; update the client if this goes on");
                return Outcome::Wrong;
            }
        };
        if !unseen.is_empty() {
            self.tell_network(NetworkCommand::Publish(Publication::PooledColumns(unseen)));
        }
        let columns = columns.into_iter().map(|column| (root, column)).collect();
        self.take_columns(columns, ColumnSource::Pool).await;
        Outcome::Hit
    }

    /// What the client says of a block's blobs; nothing if it says nothing in time.
    async fn ask_for_blobs(&self, frame: &ColumnFrame) -> Option<Vec<Option<PooledBlob>>> {
        let (reply, answer) = async_channel::bounded(1);
        let slot = frame.signed_block_header.message.slot;
        let hashes = frame.kzg_commitments.iter().map(kzg_commitment_to_versioned_hash).collect();
        // Payloads are of more use than blobs: where those fill the queue, there is no place for these.
        self.execution.as_ref()?.commands.try_send(ExecutionCommand::Blobs { slot, hashes, reply }).ok()?;
        self.clock.within(POOL_TIMEOUT_MS, answer.recv()).await?.ok()
    }

    /// The wanted columns of a block. Takes long.
    fn make_columns(
        &self,
        frame: &ColumnFrame,
        wanted: &[ColumnIndex],
        blobs: Vec<PooledBlob>,
    ) -> Result<Vec<Arc<DataColumnSidecar>>, SidecarError> {
        let began = Instant::now();
        let columns = columns_of_pool(&self.config, frame, wanted, blobs)?;
        metrics::observe(&POOL_COLUMNS_SECONDS, &[], began.elapsed().as_secs_f64());
        Ok(columns.into_iter().map(Arc::new).collect())
    }

    /// Those of our columns that were not seen in gossip: they are to be published, and are seen from now on.
    fn claim(&self, columns: &[Arc<DataColumnSidecar>]) -> Vec<Arc<DataColumnSidecar>> {
        let snapshot = self.snapshot.load_full();
        let view = self.view(&snapshot, &snapshot.head_state);
        let is_unseen = |column: &&Arc<DataColumnSidecar>| {
            // First, as the same may come by gossip as soon as it counts as seen.
            self.columns.note_made(column);
            claim_data_column_sidecar(&view, column).is_ok()
        };
        columns.iter().filter(is_unseen).cloned().collect()
    }
}
