//! The task of columns from gossip: those that come close together are verified at once.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use async_channel::Receiver;

use super::{ColumnSource, fetch::bytes_of};
use crate::{
    chain::{
        Shared, TaskError,
        gossip::{CheckedColumn, Refusal, check_data_column_sidecar_gossip, finish_data_column_sidecars},
        limits::{COLUMN_BATCH_WAIT_MS, COLUMNS_PER_BATCH},
        network::{GossipColumn, NetworkCommand, Verdict},
    },
    crypto::kzg,
    metrics::{self, COLUMN_BATCH_SECONDS, GOSSIP_VERDICTS, QUEUE_LENGTH},
    types::Topic,
};

/// Judges columns, so that they are passed on, and takes in those that are good.
pub(in crate::chain) async fn run(shared: Arc<Shared>, gossip: Receiver<GossipColumn>) -> Result<(), TaskError> {
    if !shared.custody.sampled().is_empty() {
        // Takes seconds on a small board: not when the first column waits.
        smol::unblock(kzg::prepare).detach();
    }
    while let Ok(first) = gossip.recv().await {
        let batch = collect(first, &gossip).await;
        metrics::set(&QUEUE_LENGTH, &[("queue", "gossip_columns")], gossip.len() as f64);
        judge(&shared, batch).await;
    }
    Err(TaskError::Abandoned("columns"))
}

/// A column, and those that come in the next moments.
async fn collect(first: GossipColumn, gossip: &Receiver<GossipColumn>) -> Vec<GossipColumn> {
    let mut batch = vec![first];
    // By the machine's clock, whatever that of the chain says: messages are late or not in real time.
    let deadline = Instant::now() + Duration::from_millis(COLUMN_BATCH_WAIT_MS);
    while batch.len() < COLUMNS_PER_BATCH {
        let next = smol::future::or(async { gossip.recv().await.ok() }, async {
            smol::Timer::at(deadline).await;
            None
        });
        let Some(next) = next.await else { break };
        batch.push(next);
    }
    batch
}

async fn judge(shared: &Arc<Shared>, batch: Vec<GossipColumn>) {
    let bytes = batch.iter().map(|column| bytes_of(&column.sidecar)).sum();
    shared.columns.in_hand.fetch_add(bytes, Ordering::Relaxed);
    let (there, sidecars) = (shared.clone(), batch.iter().map(|c| (c.sidecar.clone(), c.subnet)).collect::<Vec<_>>());
    let began = Instant::now();
    let results = smol::unblock(move || {
        let snapshot = there.snapshot.load_full();
        let view = there.view(&snapshot, &snapshot.head_state);
        let checked: Vec<Result<CheckedColumn, Refusal>> = sidecars
            .iter()
            .map(|(sidecar, subnet)| check_data_column_sidecar_gossip(&view, sidecar, *subnet))
            .collect();
        finish_data_column_sidecars(&view, checked)
    })
    .await;
    metrics::observe(&COLUMN_BATCH_SECONDS, &[], began.elapsed().as_secs_f64());
    let mut good = Vec::new();
    for (GossipColumn { id, subnet, sidecar, .. }, result) in batch.into_iter().zip(results) {
        let topic = Topic::DataColumnSidecar(subnet);
        let verdict = result.map_or_else(|refusal| refusal.verdict, |_| Verdict::Accept);
        match result {
            Ok(root) => good.push((root, sidecar)),
            Err(Refusal { reason, .. }) => tracing::trace!(subnet, ?verdict, reason, "a column was not accepted"),
        }
        metrics::inc(&GOSSIP_VERDICTS, &[("topic", topic.label()), ("verdict", verdict.label())]);
        shared.tell_network(NetworkCommand::Verdict { topic, id, verdict });
    }
    shared.take_columns(good, ColumnSource::Gossip).await;
    shared.columns.in_hand.fetch_sub(bytes, Ordering::Relaxed);
}
