//! Answers to peers that ask for blocks, read from the database block by block.

use std::{collections::HashSet, sync::Arc};

use async_channel::Receiver;

use super::{
    Shared, TaskError,
    limits::ANSWERS_AT_ONCE,
    network::{InboundRequest, RequestKind, ResponseChunk},
};
use crate::{
    db::DbError,
    types::{Hash256, Slot, compute_epoch_at_slot},
};

/// Starts an answer for each request, a few at once.
pub(super) async fn run(shared: Arc<Shared>, requests: Receiver<InboundRequest>) -> Result<(), TaskError> {
    let permits = Arc::new(smol::lock::Semaphore::new(ANSWERS_AT_ONCE));
    while let Ok(request) = requests.recv().await {
        let permit = permits.acquire_arc().await;
        let shared = shared.clone();
        smol::spawn(async move {
            answer(&shared, request).await;
            drop(permit);
        })
        .detach();
    }
    Err(TaskError::Abandoned("serve"))
}

async fn answer(shared: &Arc<Shared>, request: InboundRequest) {
    let InboundRequest { kind, reply, peer } = request;
    let limit = usize::try_from(shared.config.max_request_blocks_deneb).unwrap_or(usize::MAX);
    let found = match kind {
        RequestKind::BlocksByRange { start_slot, count } => {
            let count = count.min(limit as u64);
            if start_slot < shared.snapshot.load().earliest_slot {
                Err(ResponseChunk::ResourceUnavailable("the range begins before the oldest block that this node has"))
            } else {
                roots_of_range(shared, start_slot, count).await
            }
        }
        RequestKind::BlocksByRoot { roots } => {
            let mut seen = HashSet::new();
            Ok(roots.into_iter().filter(|root| seen.insert(*root)).take(limit).collect())
        }
        RequestKind::BlocksByHead { .. } | RequestKind::ColumnsByRange { .. } | RequestKind::ColumnsByRoot { .. } => {
            Err(ResponseChunk::ResourceUnavailable("this node does not serve that yet"))
        }
    };
    let roots = match found {
        Ok(roots) => roots,
        Err(chunk) => return drop(reply.send(chunk).await),
    };
    let count = roots.len();
    for root in roots {
        let here = shared.clone();
        let chunk = match smol::unblock(move || verified_block(&here, root)).await {
            Ok(Some((slot, ssz))) => {
                ResponseChunk::Item { fork_digest: shared.fork_digest(compute_epoch_at_slot(slot)), ssz }
            }
            Ok(None) => continue,
            Err(error) => failed(&error),
        };
        let is_end = !matches!(chunk, ResponseChunk::Item { .. });
        if reply.send(chunk).await.is_err() || is_end {
            return;
        }
    }
    tracing::trace!(%peer, count, "answered a request for blocks");
}

/// A stored block that passed the transition. The database also has orphans, which did not.
fn verified_block(shared: &Shared, root: Hash256) -> Result<Option<(Slot, Vec<u8>)>, DbError> {
    let Some((slot, _)) = shared.db.block_parent(root)? else { return Ok(None) };
    let is_verified = shared.snapshot.load().contains(&root) || shared.db.canonical_root(slot)? == Some(root);
    if is_verified { shared.db.block_ssz(root) } else { Ok(None) }
}

/// Roots of our chain's blocks in a range: from the tree of the snapshot, and before that from the canonical index.
async fn roots_of_range(shared: &Shared, start: Slot, count: u64) -> Result<Vec<Hash256>, ResponseChunk> {
    let end = start.saturating_add(count);
    let snapshot = shared.snapshot.load_full();
    let mut newer: Vec<(Slot, Hash256)> = Vec::new();
    let mut oldest_known = snapshot.head_slot;
    for (root, info) in snapshot.branch(snapshot.head_root) {
        oldest_known = info.slot;
        if info.slot < start {
            break;
        }
        if info.slot < end {
            newer.push((info.slot, root));
        }
    }
    newer.reverse();
    let mut roots: Vec<Hash256> = Vec::new();
    if start < oldest_known {
        let db = shared.db.clone();
        let older = smol::unblock(move || db.canonical_roots(start..end.min(oldest_known))).await;
        roots.extend(older.map_err(|error| failed(&error))?.into_iter().map(|(_, root)| root));
    }
    roots.extend(newer.into_iter().map(|(_, root)| root));
    Ok(roots)
}

fn failed(error: &DbError) -> ResponseChunk {
    tracing::warn!(%error, "a request for blocks could not be answered; check the disk");
    ResponseChunk::ServerError("the database failed")
}
