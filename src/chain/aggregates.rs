//! The aggregates task: votes from gossip, last in first out, verified in batches.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use async_channel::{Receiver, Sender};

use super::{
    Shared, StoreMessage, TaskError,
    gossip_aggregate::{Candidate, Refusal, SeenAggregates, check},
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
    let seen = Arc::new(Mutex::new(SeenAggregates::default()));
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
        verify(&shared, &seen, batch.into_iter().rev().collect()).await?;
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
async fn verify(
    shared: &Arc<Shared>,
    seen: &Arc<Mutex<SeenAggregates>>,
    batch: Vec<AggregateWork>,
) -> Result<(), TaskError> {
    let (shared_there, seen) = (shared.clone(), seen.clone());
    let aggregates: Vec<_> = batch.iter().map(|work| work.aggregate.clone()).collect();
    let judged = smol::unblock(move || {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        judge(&shared_there, &mut seen, &aggregates)
    })
    .await;
    let mut votes = Vec::new();
    for (work, result) in batch.into_iter().zip(judged) {
        let verdict = result.as_ref().map_or_else(|refusal| refusal.verdict, |_| Verdict::Accept);
        tell(shared, &work, &result, verdict);
        if let Ok(candidate) = result {
            votes.push(candidate.vote);
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

fn tell(shared: &Shared, work: &AggregateWork, result: &Result<Candidate, Refusal>, verdict: Verdict) {
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
fn judge(
    shared: &Shared,
    seen: &mut SeenAggregates,
    aggregates: &[Arc<SignedAggregateAndProof>],
) -> Vec<Result<Candidate, Refusal>> {
    let snapshot = shared.snapshot.load_full();
    let checked: Vec<_> = aggregates.iter().map(|aggregate| check(shared, &snapshot, seen, aggregate)).collect();
    let candidates = checked.iter().filter_map(|result| result.as_ref().ok());
    let sets: Vec<_> = candidates.flat_map(|candidate| candidate.signatures.iter().cloned()).collect();
    let verified = verify_each(&sets);
    let mut verified = verified.chunks_exact(3).map(|three| three.iter().all(|is_true| *is_true));
    let mut finish = |candidate: Candidate| {
        if verified.next() != Some(true) {
            return Err(Refusal { verdict: Verdict::Reject, reason: "a signature is not valid" });
        }
        seen.accept(&candidate).map(|()| candidate)
    };
    checked.into_iter().map(|result| result.and_then(&mut finish)).collect()
}
