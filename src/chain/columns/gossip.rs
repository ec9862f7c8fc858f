//! The task of columns from gossip: those that come close together are verified at once.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use async_channel::Receiver;

use super::{BlobsOf, ColumnSource, fetch::bytes_of};
use crate::{
    chain::{
        Shared, TaskError,
        gossip::{
            CheckedColumn, Refusal, check_data_column_sidecar_gossip, finish_data_column_sidecars, is_early,
            is_repeated,
        },
        limits::{COLUMN_BATCH_WAIT_MS, COLUMNS_PER_BATCH, EARLY_COLUMNS, EARLY_INTERVAL_MS},
        network::{GossipColumn, NetworkCommand, Verdict},
    },
    crypto::kzg,
    metrics::{self, COLUMN_BATCH_SECONDS, GOSSIP_VERDICTS, QUEUE_DROPPED, QUEUE_LENGTH},
    types::{DataColumnSidecar, Hash256, Topic, compute_subnet_for_data_column_sidecar},
};

/// Judges columns, so that they are passed on, and takes in those that are good.
pub(in crate::chain) async fn run(shared: Arc<Shared>, gossip: Receiver<GossipColumn>) -> Result<(), TaskError> {
    if !shared.custody.sampled().is_empty() {
        // Takes seconds on a small board: not when the first column waits.
        smol::unblock(kzg::prepare).detach();
    }
    let mut early = Early::default();
    loop {
        let first = smol::future::or(async { gossip.recv().await.map(Some) }, async {
            early.parent_comes(&shared).await;
            Ok(None)
        });
        match first.await {
            Ok(Some(first)) => {
                let batch = collect(first, &gossip).await;
                metrics::set(&QUEUE_LENGTH, &[("queue", "gossip_columns")], gossip.len() as f64);
                judge(&shared, batch, &mut early, true).await;
            }
            Ok(None) => {
                let batch = early.take_known(&shared);
                judge(&shared, batch, &mut early, false).await;
            }
            Err(_) => return Err(TaskError::Abandoned("columns")),
        }
    }
}

/// Columns whose block's parent is not known yet. Their verdict is out; when the parent has come they are judged for us.
#[derive(Default)]
struct Early(VecDeque<GossipColumn>);

impl Early {
    fn add(&mut self, shared: &Shared, column: GossipColumn) {
        self.0.push_back(column);
        if self.0.len() > EARLY_COLUMNS.max(2 * shared.custody.sampled().len()) {
            self.0.pop_front();
            metrics::inc(&QUEUE_DROPPED, &[("queue", "early_columns")]);
        }
        self.count(shared);
    }

    fn count(&self, shared: &Shared) {
        let bytes = self.0.iter().map(|column| bytes_of(&column.sidecar)).sum();
        shared.columns.early.store(bytes, Ordering::Relaxed);
    }

    /// Returns when a parent may have come; never without columns that wait for one.
    async fn parent_comes(&self, shared: &Shared) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        loop {
            shared.clock.sleep(EARLY_INTERVAL_MS).await;
            let snapshot = shared.snapshot.load();
            if self.0.iter().any(|column| snapshot.contains(&parent_of(column))) {
                return;
            }
        }
    }

    /// Takes out those whose parent is known now.
    fn take_known(&mut self, shared: &Shared) -> Vec<GossipColumn> {
        let snapshot = shared.snapshot.load();
        let is_known = |column: &GossipColumn| snapshot.contains(&parent_of(column));
        let (known, early): (Vec<_>, Vec<_>) = self.0.drain(..).partition(is_known);
        self.0 = early.into();
        self.count(shared);
        known
    }
}

fn parent_of(column: &GossipColumn) -> Hash256 {
    column.sidecar.signed_block_header.message.parent_root
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

/// Judges a batch, takes in what is good, keeps what is early, and tells the verdicts, if those are not out.
async fn judge(shared: &Arc<Shared>, batch: Vec<GossipColumn>, early: &mut Early, tells: bool) {
    let bytes = batch.iter().map(|column| bytes_of(&column.sidecar)).sum();
    shared.columns.in_hand.fetch_add(bytes, Ordering::Relaxed);
    let (there, sidecars) = (shared.clone(), batch.iter().map(|c| (c.sidecar.clone(), c.subnet)).collect::<Vec<_>>());
    let began = Instant::now();
    let judged = smol::unblock(move || {
        let snapshot = there.snapshot.load_full();
        let view = there.view(&snapshot, &snapshot.head_state);
        let checked: Vec<Result<CheckedColumn, Refusal>> = sidecars
            .iter()
            .map(|(sidecar, subnet)| check_data_column_sidecar_gossip(&view, sidecar, *subnet))
            .collect();
        let results = finish_data_column_sidecars(&view, checked);
        let judged = sidecars.iter().zip(results).map(|((sidecar, subnet), result)| {
            let verdict = match &result {
                Ok(_) => Verdict::Accept,
                Err(refusal) if there.stands_for_ours(refusal, sidecar, *subnet) => Verdict::Accept,
                Err(refusal) => refusal.verdict,
            };
            (verdict, result)
        });
        judged.collect::<Vec<_>>()
    })
    .await;
    metrics::observe(&COLUMN_BATCH_SECONDS, &[], began.elapsed().as_secs_f64());
    let mut good = Vec::new();
    for (column, (verdict, result)) in batch.into_iter().zip(judged) {
        let (id, subnet) = (column.id.clone(), column.subnet);
        let topic = Topic::DataColumnSidecar(subnet);
        match result {
            Ok(root) => good.push((root, column.sidecar)),
            Err(refusal) => {
                tracing::trace!(subnet, ?verdict, reason = refusal.reason, "a column was not accepted");
                if is_early(&refusal) {
                    early.add(shared, column);
                }
            }
        }
        if tells {
            metrics::inc(&GOSSIP_VERDICTS, &[("topic", topic.label()), ("verdict", verdict.label())]);
            shared.tell_network(NetworkCommand::Verdict { topic, id, verdict });
        }
    }
    for (root, column) in &good {
        shared.learn_of_blobs(*root, BlobsOf::Column(column.clone()));
    }
    shared.take_columns(good, ColumnSource::Gossip).await;
    shared.columns.in_hand.fetch_sub(bytes, Ordering::Relaxed);
}

impl Shared {
    /// Whether a column that was seen is one that we made ourselves of the execution client's blobs while this one waited here. Then
    /// the network, which knew it, did not publish ours: this one is passed on in its place.
    fn stands_for_ours(&self, refusal: &Refusal, column: &DataColumnSidecar, subnet: u64) -> bool {
        is_repeated(refusal)
            && compute_subnet_for_data_column_sidecar(&self.config, column.index) == subnet
            && self.columns.is_made(column)
    }
}
