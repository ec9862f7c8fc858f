//! Columns of an answer: collected, verified in batches, taken in.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use async_channel::Receiver;

use super::{
    ColumnSet, ColumnSource, Promise,
    verify::{Judged, judge_promised},
};
use crate::{
    chain::{
        Shared,
        limits::{ANSWER_TIMEOUT_MS, COLUMNS_PER_BATCH},
        network::{Fault, NetworkCommand, Peer, RequestError},
    },
    types::{BlobKZGCommitments, DataColumnSidecar, Hash256, KZGProof},
};

/// What blocks promise, by their roots, and which columns of each are asked for.
pub(super) type Promises = HashMap<Hash256, (Promise, ColumnSet)>;

/// Asks a peer for columns by root, takes in what is valid, and remembers whether it gave all.
pub(super) async fn fetch_by_root(shared: Arc<Shared>, peer: Peer, promises: Promises) {
    let (answer, incoming) = async_channel::bounded(shared.capacities.answer);
    let wanted: Vec<(Hash256, Vec<_>)> =
        promises.iter().map(|(root, (_, columns))| (*root, columns.iter().collect())).collect();
    tracing::debug!(%peer, blocks = wanted.len(), "asking for columns");
    shared.tell_network(NetworkCommand::ColumnsByRoot { peer: peer.clone(), wanted, answer });
    let expected = promises.values().map(|(_, columns)| columns.len()).sum();
    take_answer(&shared, &peer, Arc::new(promises), expected, incoming, ColumnSource::ByRoot).await;
}

/// Takes in the columns of an answer as they come. Which columns of which blocks were good. Whoever gives invalid ones is
/// reported; whoever gives fewer than expected is asked less.
pub(super) async fn take_answer(
    shared: &Arc<Shared>,
    peer: &Peer,
    promises: Arc<Promises>,
    expected: usize,
    incoming: Receiver<Result<Arc<DataColumnSidecar>, RequestError>>,
    source: ColumnSource,
) -> HashMap<Hash256, ColumnSet> {
    let mut got: HashMap<Hash256, ColumnSet> = HashMap::new();
    let punish = |fault| shared.tell_network(NetworkCommand::Report { peer: peer.clone(), fault });
    loop {
        let (batch, is_end) = next_batch(shared, &incoming, &punish).await;
        let Judged { good, bad } = judge(shared, promises.clone(), batch).await;
        for (root, column) in &good {
            got.entry(*root).or_default().insert(column.index);
        }
        shared.take_columns(good, source).await;
        if bad > 0 {
            tracing::debug!(%peer, bad, "a peer gave invalid columns");
            punish(Fault::InvalidColumn);
        }
        let count: usize = got.values().map(|columns| columns.len()).sum();
        if is_end || bad > 0 || count >= expected {
            shared.columns.lacking.note(peer, count >= expected);
            return got;
        }
    }
}

/// The next columns of an answer, and whether it is at its end.
async fn next_batch(
    shared: &Arc<Shared>,
    incoming: &Receiver<Result<Arc<DataColumnSidecar>, RequestError>>,
    punish: &impl Fn(Fault),
) -> (Vec<Arc<DataColumnSidecar>>, bool) {
    let mut batch = Vec::new();
    while batch.len() < COLUMNS_PER_BATCH {
        match shared.clock.within(ANSWER_TIMEOUT_MS, incoming.recv()).await {
            None => {
                punish(Fault::Timeout);
                return (batch, true);
            }
            Some(Ok(Ok(column))) => batch.push(column),
            Some(Ok(Err(error))) => {
                tracing::debug!(%error, "columns did not come");
                return (batch, true);
            }
            Some(Err(_)) => return (batch, true),
        }
    }
    (batch, false)
}

/// Judges columns on the blocking pool. Those of blocks that were not asked about are left out: another view of the chain is
/// no fault.
async fn judge(shared: &Arc<Shared>, promises: Arc<Promises>, batch: Vec<Arc<DataColumnSidecar>>) -> Judged {
    if batch.is_empty() {
        return Judged::default();
    }
    let bytes = batch.iter().map(|column| bytes_of(column)).sum();
    shared.columns.in_hand.fetch_add(bytes, Ordering::Relaxed);
    let config = shared.config.clone();
    let judged = smol::unblock(move || {
        let of_blocks = batch.into_iter().filter_map(|column| {
            use tree_hash::TreeHash as _;
            let root = column.signed_block_header.message.tree_hash_root();
            let (promise, columns) = promises.get(&root)?;
            columns.contains(column.index).then_some((root, promise, column))
        });
        judge_promised(&config, of_blocks.collect())
    })
    .await;
    shared.columns.in_hand.fetch_sub(bytes, Ordering::Relaxed);
    judged
}

/// What a column takes in memory, about.
pub(super) fn bytes_of(column: &DataColumnSidecar) -> usize {
    let cells: usize = column.column.iter().map(|cell| cell.len() + size_of_val(cell)).sum();
    let points = size_of::<KZGProof>() * (column.kzg_proofs.len() + column.kzg_commitments.len());
    cells + points + size_of::<DataColumnSidecar>() + size_of::<BlobKZGCommitments>()
}
