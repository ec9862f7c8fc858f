//! The task that collects for light clients along the head's chain, gossips what is new, and answers what they ask.

use std::sync::{Arc, atomic::Ordering};

use async_channel::{Receiver, Sender};

use super::{
    Shared, Snapshot, TaskError,
    events::ChainEvent,
    gossip::{
        Forwarded, Refusal, validate_light_client_finality_update_gossip,
        validate_light_client_optimistic_update_gossip,
    },
    light_client::{LightClientData, LightClientError},
    limits::LIGHT_CLIENT_BLOCKS_AT_ONCE,
    network::{GossipSmall, NetworkCommand, Publication, Verdict},
};
use crate::{
    db::DbError,
    metrics::{self, GOSSIP_VERDICTS},
    types::{
        FinalityBranch, GossipMessage, Hash256, LightClientFinalityUpdate, Slot, compute_epoch_at_slot,
        preset::GENESIS_SLOT,
    },
};

/// What the task is told.
pub(crate) enum LightClientMessage {
    /// Answer with the object's SSZ and the slot that tells its fork's digest; with nothing if it is not there.
    Ask(Wanted, Sender<Option<(Slot, Vec<u8>)>>),
}

/// What a light client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Where to start from this block.
    Bootstrap(Hash256),
    /// The best update of this period.
    Update(u64),
    /// The newest update with finality.
    FinalityUpdate,
    /// The newest update.
    OptimisticUpdate,
}

/// Why nothing was collected of a block.
#[derive(Debug, thiserror::Error)]
enum CollectError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    LightClient(#[from] LightClientError),
}

/// What the task does next.
enum Wake {
    Event(ChainEvent),
    /// Our own updates may be published.
    Due,
    Gossip(GossipSmall),
    Question(LightClientMessage),
}

/// What the task owns.
struct LightClientTask {
    shared: Arc<Shared>,
    data: Option<LightClientData>,
    forwarded: Forwarded,
    /// When the head's updates are to be published, in milliseconds since 1970; none when they were, or are not ours to publish.
    due_ms: Option<u64>,
}

/// Collects with every new head, publishes what is new, judges what others publish, and answers.
pub(super) async fn run(
    shared: Arc<Shared>,
    questions: Receiver<LightClientMessage>,
    gossip: Receiver<GossipSmall>,
) -> Result<(), TaskError> {
    let events = shared.subscribers.add(shared.capacities.events);
    let mut task = LightClientTask { shared, data: None, forwarded: Forwarded::default(), due_ms: None };
    loop {
        let due = async {
            match task.due_ms {
                Some(ms) => task.shared.clock.until(ms).await,
                None => std::future::pending().await,
            }
            Ok(Wake::Due)
        };
        // A new head comes first: what is gossiped next is mostly about it.
        let event = async { events.recv().await.map(Wake::Event) };
        let asked = smol::future::race(async { gossip.recv().await.map(Wake::Gossip) }, async {
            questions.recv().await.map(Wake::Question)
        });
        match smol::future::or(event, smol::future::or(due, asked)).await {
            Err(_) => return Err(TaskError::Abandoned("light clients")),
            Ok(Wake::Question(LightClientMessage::Ask(wanted, reply))) => {
                // Who asked may be gone.
                let _ = reply.try_send(task.data.as_ref().and_then(|data| find(data, wanted)));
            }
            Ok(Wake::Gossip(message)) => task.on_gossip(&message),
            Ok(Wake::Due) => task.publish(),
            Ok(Wake::Event(ChainEvent::Head { .. })) => {
                // A few events late are no loss: the walk begins at the newest head.
                while events.try_recv().is_ok() {}
                task.on_head().await;
            }
            Ok(Wake::Event(_)) => {}
        }
    }
}

impl LightClientTask {
    async fn on_head(&mut self) {
        let (here, old) = (self.shared.clone(), self.data.take());
        self.data = smol::unblock(move || collect(&here, old)).await;
        let snapshot = self.shared.snapshot.load();
        let latest = self.data.as_ref().and_then(LightClientData::latest_finality_update);
        let is_of_head = latest.is_some_and(|update| update.signature_slot == snapshot.head_slot);
        let due = self.shared.clock.start_of(snapshot.head_slot) + self.shared.config.get_sync_message_due_ms();
        self.due_ms = (is_of_head && self.shared.signs_heads.load(Ordering::Relaxed)).then_some(due);
    }

    /// Publishes the head's updates, as far as they are new to others. Full nodes with a member of the sync committee do.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/p2p-interface.md#sync-committee>
    fn publish(&mut self) {
        self.due_ms = None;
        let ours = self
            .data
            .as_ref()
            .and_then(|data| Some((data.latest_finality_update()?.clone(), data.latest_optimistic_update()?)));
        let Some((finality, optimistic)) = ours else { return };
        let (shared, snapshot) = (self.shared.clone(), self.shared.snapshot.load());
        // A block that is late is no news. And topics are those of the fork that the clock is in: what a fork's first block
        // says of its parent belongs on the last fork's, and is left to others.
        let is_now = optimistic.signature_slot == shared.clock.slot() && !snapshot.is_syncing;
        let digest = |slot| shared.fork_digest(compute_epoch_at_slot(slot));
        if !is_now || digest(optimistic.attested_header.beacon.slot) != digest(optimistic.signature_slot) {
            return;
        }
        // Before the first finality there is none to tell of.
        let finality = Some(finality).filter(|update| update.finalized_header.beacon.slot > GENESIS_SLOT);
        let finality = finality.map(|update| GossipMessage::FinalityUpdate(Arc::new(update)));
        for message in finality.into_iter().chain([GossipMessage::OptimisticUpdate(Arc::new(optimistic))]) {
            if self.judge(&message).is_ok() {
                shared.tell_network(NetworkCommand::Publish(Publication::Message(message)));
            }
        }
    }

    fn on_gossip(&mut self, gossip: &GossipSmall) {
        let topic = gossip.message.topic();
        let judged = self.judge(&gossip.message);
        let verdict = judged.map_or_else(|refusal| refusal.verdict, |()| Verdict::Accept);
        metrics::inc(&GOSSIP_VERDICTS, &[("topic", topic.label()), ("verdict", verdict.label())]);
        if let Err(refusal) = judged {
            tracing::trace!(topic = topic.label(), reason = refusal.reason, "an update was not accepted");
        }
        self.shared.tell_network(NetworkCommand::Verdict { topic, id: gossip.id.clone(), verdict });
    }

    /// The rules for others' updates; our own pass them too before we publish them, which says whether others need them.
    fn judge(&mut self, message: &GossipMessage) -> Result<(), Refusal> {
        let snapshot = self.shared.snapshot.load();
        let view = self.shared.view(&snapshot, &snapshot.head_state);
        let (data, forwarded) = (self.data.as_ref(), &mut self.forwarded);
        match message {
            GossipMessage::FinalityUpdate(update) => {
                let is_final = |ours: &&LightClientFinalityUpdate| ours.finality_branch != FinalityBranch::default();
                let ours = data.and_then(LightClientData::latest_finality_update).filter(is_final);
                validate_light_client_finality_update_gossip(&view, update, ours, forwarded)
            }
            GossipMessage::OptimisticUpdate(update) => {
                let ours = data.and_then(LightClientData::latest_optimistic_update);
                validate_light_client_optimistic_update_gossip(&view, update, ours.as_ref(), forwarded)
            }
            _ => Err(Refusal { verdict: Verdict::Ignore, reason: "it is not for light clients" }),
        }
    }
}

/// Takes in the blocks between what is known and the head. While the node syncs there is nothing to tell anybody.
fn collect(shared: &Shared, data: Option<LightClientData>) -> Option<LightClientData> {
    let snapshot = shared.snapshot.load_full();
    if snapshot.is_syncing {
        return data;
    }
    let mut data = data.or_else(|| begin(shared, &snapshot))?;
    let is_new = |(root, _): &(Hash256, _)| !data.knows(root);
    let mut new: Vec<_> = snapshot.branch(snapshot.head_root).take_while(is_new).collect();
    new.truncate(LIGHT_CLIENT_BLOCKS_AT_ONCE);
    for (root, info) in new.into_iter().rev() {
        if let Err(error) = add(shared, &snapshot, &mut data, root, info.parent_root) {
            tracing::debug!(%root, %error, "light clients can't be told of a block");
        }
    }
    data.on_head(snapshot.head_root, snapshot.finalized.root);
    shared.sizes.light_clients.store(data.bytes(), Ordering::Relaxed);
    Some(data)
}

/// Begins with the finalized block, whose state is always in memory.
fn begin(shared: &Shared, snapshot: &Snapshot) -> Option<LightClientData> {
    let (root, state) = snapshot.states.base();
    let block = shared.db.block(*root).ok()??;
    match LightClientData::new(&block, &mut (**state).clone(), shared.config.clone()) {
        Ok(data) => Some(data),
        Err(error) => {
            tracing::debug!(%error, "nothing is collected for light clients yet");
            None
        }
    }
}

/// Adds a block whose state and parent's state are in memory; others are not worth a rebuild.
fn add(
    shared: &Shared,
    snapshot: &Snapshot,
    data: &mut LightClientData,
    root: Hash256,
    parent: Hash256,
) -> Result<(), CollectError> {
    let Some((state, attested)) = snapshot.state(&root).zip(snapshot.state(&parent)) else { return Ok(()) };
    let Some(block) = shared.db.block(root)? else { return Ok(()) };
    // Copies share everything, the hashes too.
    Ok(data.on_block(&block, &mut (*state).clone(), &mut (*attested).clone())?)
}

/// The SSZ of what is wanted, and the slot of which its fork's digest is.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/p2p-interface.md#the-reqresp-domain>
fn find(data: &LightClientData, wanted: Wanted) -> Option<(Slot, Vec<u8>)> {
    match wanted {
        Wanted::Bootstrap(root) => data.bootstrap(root).map(|it| (it.header.beacon.slot, it.to_ssz_bytes())),
        Wanted::Update(period) => {
            data.best_update(period).map(|it| (it.attested_header.beacon.slot, it.to_ssz_bytes()))
        }
        Wanted::FinalityUpdate => {
            data.latest_finality_update().map(|it| (it.attested_header.beacon.slot, it.to_ssz_bytes()))
        }
        Wanted::OptimisticUpdate => {
            data.latest_optimistic_update().map(|it| (it.attested_header.beacon.slot, it.to_ssz_bytes()))
        }
    }
}
