//! The aggregates task: votes from gossip, last in first out, verified in batches.

use std::{collections::VecDeque, sync::Arc};

use async_channel::{Receiver, Sender};

use super::{
    Shared, StoreMessage, TaskError,
    gossip::{Checked, Found, Refusal, validate_beacon_aggregate_and_proof_gossip},
    limits::{AGGREGATES_PER_BATCH, AGGREGATES_WAITING},
    network::{GossipAggregate, GossipId, NetworkCommand, Publication, Topic, Verdict},
};
use crate::{
    crypto::verify_each,
    metrics::{self, GOSSIP_VERDICTS, QUEUE_DROPPED, QUEUE_LENGTH},
    types::SignedAggregateAndProof,
};

/// An aggregate on its way to a batch.
pub(crate) struct AggregateWork {
    pub aggregate: Arc<SignedAggregateAndProof>,
    /// Gossip that waits for a verdict; without, it is ours and is published.
    pub id: Option<GossipId>,
    /// Who waits for the result; in words, why it is not accepted.
    pub reply: Option<Sender<Result<(), &'static str>>>,
}

pub(super) async fn run(
    shared: Arc<Shared>,
    gossip: Receiver<GossipAggregate>,
    ours: Receiver<AggregateWork>,
) -> Result<(), TaskError> {
    let mut stack: VecDeque<AggregateWork> = VecDeque::new();
    loop {
        if stack.is_empty() {
            let next = smol::future::or(async { ours.recv().await.ok() }, async {
                gossip.recv().await.ok().map(AggregateWork::from)
            });
            let Some(next) = next.await else { return Err(TaskError::Abandoned("aggregates")) };
            stack.push_back(next);
        }
        while let Ok(next) = gossip.try_recv() {
            push(&mut stack, next.into());
        }
        while let Ok(next) = ours.try_recv() {
            push(&mut stack, next);
        }
        metrics::set(&QUEUE_LENGTH, &[("queue", "aggregates")], stack.len() as f64);
        let batch = stack.split_off(stack.len().saturating_sub(AGGREGATES_PER_BATCH));
        verify(&shared, batch.into_iter().rev().collect()).await?;
    }
}

impl From<GossipAggregate> for AggregateWork {
    fn from(gossip: GossipAggregate) -> Self {
        AggregateWork { aggregate: gossip.aggregate, id: Some(gossip.id), reply: None }
    }
}

/// The newest is at the back; the oldest is dropped.
fn push(stack: &mut VecDeque<AggregateWork>, work: AggregateWork) {
    stack.push_back(work);
    if stack.len() > AGGREGATES_WAITING {
        stack.pop_front();
        metrics::inc(&QUEUE_DROPPED, &[("queue", "aggregates")]);
    }
}

/// Verifies a batch on the blocking pool, and tells everybody whom it concerns.
async fn verify(shared: &Arc<Shared>, batch: Vec<AggregateWork>) -> Result<(), TaskError> {
    let shared_there = shared.clone();
    let aggregates: Vec<_> = batch.iter().map(|work| work.aggregate.clone()).collect();
    let judged = smol::unblock(move || judge(&shared_there, &aggregates)).await;
    let mut votes = Vec::new();
    for (work, result) in batch.into_iter().zip(judged) {
        let verdict = result.as_ref().map_or_else(|refusal| refusal.verdict, |_| Verdict::Accept);
        tell(shared, &work, &result, verdict);
        if let Ok(Found::Votes(vote)) = result {
            votes.push(vote);
            let pool = shared.attestation_pool.as_ref();
            let attestation = || Arc::new(work.aggregate.message.aggregate.clone());
            if pool.is_some_and(|pool| pool.try_send(attestation()).is_err()) {
                metrics::inc(&QUEUE_DROPPED, &[("queue", "attestation_pool")]);
            }
        }
    }
    if votes.is_empty() {
        return Ok(());
    }
    shared.store.send(StoreMessage::Votes(votes)).await.map_err(|_| TaskError::Abandoned("aggregates"))
}

fn tell(shared: &Shared, work: &AggregateWork, result: &Result<Found, Refusal>, verdict: Verdict) {
    let topic = Topic::BeaconAggregateAndProof;
    match &work.id {
        Some(id) => {
            metrics::inc(&GOSSIP_VERDICTS, &[("topic", topic.label()), ("verdict", verdict.label())]);
            shared.tell_network(NetworkCommand::Verdict { topic, id: id.clone(), verdict });
        }
        None if result.is_ok() => {
            let ours = Publication::Aggregate(work.aggregate.clone());
            shared.tell_network(NetworkCommand::Publish(ours));
        }
        None => {}
    }
    if let Err(refusal) = result {
        let slot = work.aggregate.message.aggregate.data.slot;
        tracing::trace!(slot, ?verdict, reason = refusal.reason, "an aggregate was not accepted");
    }
    if let Some(reply) = &work.reply {
        let _ = reply.try_send(result.as_ref().map(|_| ()).map_err(|refusal| refusal.reason));
    }
}

/// Checks each, then the signatures of all that are left at once.
fn judge(shared: &Shared, aggregates: &[Arc<SignedAggregateAndProof>]) -> Vec<Result<Found, Refusal>> {
    let snapshot = shared.snapshot.load_full();
    let view = shared.view(&snapshot, &snapshot.head_state);
    let check = |aggregate: &Arc<SignedAggregateAndProof>| validate_beacon_aggregate_and_proof_gossip(&view, aggregate);
    let checked: Vec<_> = aggregates.iter().map(check).collect();
    let claims = checked.iter().flatten().flat_map(|checked| &checked.claims);
    let verdicts = verify_each(&claims.map(|claim| claim.set.clone()).collect::<Vec<_>>());
    let mut verdicts = verdicts.as_slice();
    let mut finish = |checked: Checked| {
        let (own, others) = verdicts.split_at(checked.claims.len());
        verdicts = others;
        checked.accept(&shared.seen, own)
    };
    checked.into_iter().map(|result| result.and_then(&mut finish)).collect()
}
