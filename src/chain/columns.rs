//! The task of columns from gossip: one after the other, for each costs milliseconds.

use std::sync::Arc;

use async_channel::Receiver;

use super::{
    Shared, TaskError,
    gossip::validate_data_column_sidecar_gossip,
    network::{GossipColumn, NetworkCommand, Verdict},
};
use crate::{
    metrics::{self, GOSSIP_VERDICTS, QUEUE_LENGTH},
    types::Topic,
};

/// Judges columns, so that they are passed on. (Which of them we keep, and that blocks wait for them, comes with custody.)
pub(super) async fn run(shared: Arc<Shared>, gossip: Receiver<GossipColumn>) -> Result<(), TaskError> {
    while let Ok(GossipColumn { id, subnet, sidecar, .. }) = gossip.recv().await {
        metrics::set(&QUEUE_LENGTH, &[("queue", "gossip_columns")], gossip.len() as f64);
        let judge = shared.clone();
        let result = smol::unblock(move || {
            let snapshot = judge.snapshot.load_full();
            validate_data_column_sidecar_gossip(&judge.view(&snapshot, &snapshot.head_state), &sidecar, subnet)
        })
        .await;
        let topic = Topic::DataColumnSidecar(subnet);
        let verdict = result.map_or_else(|refusal| refusal.verdict, |()| Verdict::Accept);
        if let Err(refusal) = result {
            tracing::trace!(subnet, ?verdict, reason = refusal.reason, "a column was not accepted");
        }
        metrics::inc(&GOSSIP_VERDICTS, &[("topic", topic.label()), ("verdict", verdict.label())]);
        shared.tell_network(NetworkCommand::Verdict { topic, id, verdict });
    }
    Err(TaskError::Abandoned("columns"))
}
