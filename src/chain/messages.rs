//! The tasks of small messages: votes and operations from gossip and of our own, last in first out, verified in batches.
//!
//! Votes wait a moment for company, because signatures cost half as much in a batch; not longer, because who sent one to us is
//! blamed by the others if we pass it on late.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_channel::{Receiver, Sender};
use smol::Timer;

use super::{
    Shared, StoreMessage, TaskError, Vote,
    gossip::*,
    limits::{BATCH_WAIT_MS, MESSAGES_PER_BATCH, MESSAGES_WAITING, OPERATIONS_WAITING},
    network::{GossipId, GossipSmall, NetworkCommand, Publication, Verdict},
    pools::Verified,
};
use crate::{
    crypto::verify_each,
    metrics::{self, GOSSIP_VERDICTS, QUEUE_DROPPED, QUEUE_LENGTH},
    types::{BeaconState, GossipMessage},
};

/// A message on its way to a batch.
pub(crate) struct MessageWork {
    pub message: GossipMessage,
    /// Gossip that waits for a verdict; without, it is ours and is published.
    pub id: Option<GossipId>,
    /// When it came, in milliseconds since 1970.
    pub received_ms: u64,
    /// Who waits for the result.
    pub reply: Option<Sender<Result<(), Refusal>>>,
}

impl From<GossipSmall> for MessageWork {
    fn from(gossip: GossipSmall) -> Self {
        MessageWork { message: gossip.message, id: Some(gossip.id), received_ms: gossip.received_ms, reply: None }
    }
}

/// Which of the two tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Votes and sync committee signatures: many, and worth nothing in the next epoch.
    Votes,
    /// What a block may include besides: few, and each may be large.
    Operations,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Votes => "votes",
            Kind::Operations => "operations",
        }
    }

    fn limit(self) -> usize {
        match self {
            Kind::Votes => MESSAGES_WAITING,
            Kind::Operations => OPERATIONS_WAITING,
        }
    }
}

pub(super) async fn run(
    shared: Arc<Shared>,
    kind: Kind,
    gossip: Receiver<GossipSmall>,
    ours: Receiver<MessageWork>,
) -> Result<(), TaskError> {
    let mut stack: VecDeque<MessageWork> = VecDeque::new();
    loop {
        if stack.is_empty() {
            let next = smol::future::or(async { ours.recv().await.ok() }, async {
                gossip.recv().await.ok().map(MessageWork::from)
            });
            let Some(next) = next.await else { return Err(TaskError::Abandoned(kind.name())) };
            stack.push_back(next);
        }
        drain(&shared, kind, &mut stack, &gossip, &ours);
        let deadline = Timer::after(wait(&shared, kind, &stack));
        let full = async { while stack.len() < MESSAGES_PER_BATCH && fill(&mut stack, &gossip, &ours).await {} };
        smol::future::or(full, async {
            deadline.await;
        })
        .await;
        metrics::set(&QUEUE_LENGTH, &[("queue", kind.name())], stack.len() as f64);
        let batch = stack.split_off(stack.len().saturating_sub(MESSAGES_PER_BATCH));
        verify(&shared, kind, batch.into_iter().rev().collect()).await?;
    }
}

/// Takes what has come.
fn drain(
    shared: &Shared,
    kind: Kind,
    stack: &mut VecDeque<MessageWork>,
    gossip: &Receiver<GossipSmall>,
    ours: &Receiver<MessageWork>,
) {
    while let Ok(next) = gossip.try_recv() {
        push(shared, kind, stack, next.into());
    }
    while let Ok(next) = ours.try_recv() {
        push(shared, kind, stack, next);
    }
}

/// Waits for one more, for a batch that is not full. False when it should not wait on: somebody waits for ours.
pub(super) async fn fill(
    stack: &mut VecDeque<MessageWork>,
    gossip: &Receiver<GossipSmall>,
    ours: &Receiver<MessageWork>,
) -> bool {
    let own = async { ours.recv().await.ok() };
    let others = async { gossip.recv().await.ok().map(MessageWork::from) };
    let Some(next) = smol::future::or(own, others).await else { return false };
    let is_ours = next.id.is_none();
    stack.push_back(next);
    !is_ours
}

/// How long the batch may wait for more: until its oldest vote has waited [`BATCH_WAIT_MS`]. What is ours never waits, and
/// operations come alone.
pub(super) fn wait(shared: &Shared, kind: Kind, stack: &VecDeque<MessageWork>) -> Duration {
    let has_ours = stack.iter().any(|work| work.id.is_none());
    let oldest = stack.iter().map(|work| work.received_ms).min();
    let Some(oldest) = oldest.filter(|_| kind == Kind::Votes && !has_ours) else { return Duration::ZERO };
    // A clock that was set back must not make it wait longer.
    let waited = shared.clock.now_ms().saturating_sub(oldest);
    Duration::from_millis(BATCH_WAIT_MS.saturating_sub(waited))
}

/// The newest is at the back; the oldest is dropped.
fn push(shared: &Shared, kind: Kind, stack: &mut VecDeque<MessageWork>, work: MessageWork) {
    stack.push_back(work);
    if stack.len() > kind.limit()
        && let Some(oldest) = stack.pop_front()
    {
        metrics::inc(&QUEUE_DROPPED, &[("queue", kind.name())]);
        let reason = "too many messages wait";
        tell(shared, &oldest, Err(Refusal { verdict: Verdict::Ignore, reason }));
    }
}

/// Verifies a batch on the blocking pool, tells everybody whom it concerns, and makes use of what is good.
async fn verify(shared: &Arc<Shared>, kind: Kind, batch: Vec<MessageWork>) -> Result<(), TaskError> {
    let shared_there = shared.clone();
    let messages: Vec<_> = batch.iter().map(|work| work.message.clone()).collect();
    let judged = smol::unblock(move || judge(&shared_there, &messages)).await;
    let mut votes = Vec::new();
    for (work, result) in batch.into_iter().zip(judged) {
        tell(shared, &work, result.as_ref().map(|_| ()).map_err(|refusal| *refusal));
        let Ok(found) = result else { continue };
        if let Found::Votes(vote) | Found::Vote { vote, .. } = &found {
            votes.push(Vote::clone(vote));
        }
        if let GossipMessage::AttesterSlashing(slashing) = &work.message {
            let message = StoreMessage::AttesterSlashing(slashing.clone());
            shared.store.send(message).await.map_err(|_| TaskError::Abandoned(kind.name()))?;
        }
        if !is_wanted_in_pools(shared, &work) {
            continue;
        }
        let verified = Verified { message: work.message, found };
        if shared.pools.as_ref().is_some_and(|pools| pools.try_send(verified).is_err()) {
            metrics::inc(&QUEUE_DROPPED, &[("queue", "pools")]);
        }
    }
    if votes.is_empty() {
        return Ok(());
    }
    shared.store.send(StoreMessage::Votes(votes)).await.map_err(|_| TaskError::Abandoned(kind.name()))
}

/// Single votes of others are summed only for committees in which one of our validators aggregates: everybody else waits
/// for the aggregates.
fn is_wanted_in_pools(shared: &Shared, work: &MessageWork) -> bool {
    match &work.message {
        GossipMessage::Attestation(vote, _) if work.id.is_some() => {
            shared.aggregating.load().contains(&(vote.data.slot, vote.committee_index))
        }
        _ => true,
    }
}

fn tell(shared: &Shared, work: &MessageWork, result: Result<(), Refusal>) {
    let topic = work.message.topic();
    let verdict = result.map_or_else(|refusal| refusal.verdict, |()| Verdict::Accept);
    match &work.id {
        Some(id) => {
            metrics::inc(&GOSSIP_VERDICTS, &[("topic", topic.label()), ("verdict", verdict.label())]);
            shared.tell_network(NetworkCommand::Verdict { topic, id: id.clone(), verdict });
        }
        None if result.is_ok() => {
            shared.tell_network(NetworkCommand::Publish(Publication::Message(work.message.clone())));
        }
        None => {}
    }
    if let Err(refusal) = result {
        tracing::trace!(topic = topic.label(), ?verdict, reason = refusal.reason, "a message was not accepted");
    }
    if let Some(reply) = &work.reply {
        let _ = reply.try_send(result);
    }
}

/// Checks each, then the signatures of all that are left at once.
fn judge(shared: &Shared, messages: &[GossipMessage]) -> Vec<Result<Found, Refusal>> {
    let snapshot = shared.snapshot.load_full();
    let state: Arc<BeaconState> = shared.head_state_for_gossip(&snapshot);
    let view = shared.view(&snapshot, &state);
    let checked: Vec<_> = messages.iter().map(|message| validate_gossip(&view, message)).collect();
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
