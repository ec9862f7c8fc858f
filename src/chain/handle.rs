//! How the API, the validators and the node talk to the chain.

use std::{ops::Range, sync::Arc};

use async_channel::Receiver;

use super::{
    BlindReport, BlockSource, BlockWork, BroadcastValidation, Clock, MessageWork, OurBlock, PayloadError, Shared,
    Snapshot, StoreMessage, Vote,
    error::BlockError,
    events::ChainEvent,
    gossip::Refusal,
    network::{NetworkCommand, Publication, Status, Verdict},
    recorder,
    subnets::{CommitteeSubscription, SubnetMessage, SyncSubscription},
};
use crate::{
    db::{Database, DbError},
    types::{
        BeaconState, Config, DataColumnSidecar, GossipMessage, Hash256, SignedBeaconBlock, Slot,
        preset::SLOTS_PER_EPOCH,
    },
};

/// The chain's tasks, from outside. Clones share them.
#[derive(Clone)]
pub struct ChainHandle {
    pub(super) shared: Arc<Shared>,
}

impl ChainHandle {
    /// The chain at this moment. Cheap.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// The data directory.
    pub fn database(&self) -> &Database {
        &self.shared.db
    }

    /// The network's configuration.
    pub fn config(&self) -> &Arc<Config> {
        &self.shared.config
    }

    /// Whether there is somebody to check payloads, even if it does not answer now.
    pub fn has_execution_client(&self) -> bool {
        self.shared.execution.is_some()
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Root of the genesis state's validators.
    pub fn genesis_validators_root(&self) -> Hash256 {
        self.shared.genesis_validators_root
    }

    /// Genesis, in seconds since 1970.
    pub fn genesis_time(&self) -> u64 {
        self.shared.clock.genesis_ms() / 1000
    }

    /// Where our chain stands, as peers are told.
    pub fn status(&self) -> Status {
        self.shared.status(&self.snapshot())
    }

    /// Blocks without children, with their slots.
    pub fn heads(&self) -> Vec<(Hash256, Slot)> {
        self.snapshot().heads()
    }

    /// Events from now on; who is slow loses some. The queue is closed from the start when there are too many listeners.
    pub fn subscribe(&self) -> Receiver<ChainEvent> {
        self.shared.subscribers.add(self.shared.capacities.events)
    }

    /// Imports a block, and returns its root when it is in the fork-choice store; also if it was there before. One that
    /// comes from here ([`BlockSource::Api`]) is published as soon as the checks of gossip are passed.
    pub async fn import_block(
        &self,
        block: Arc<SignedBeaconBlock>,
        source: BlockSource,
    ) -> Result<Hash256, BlockError> {
        self.run_block(block, source, OurBlock::default()).await
    }

    /// Imports a block of our own with all its columns, which must be valid, and publishes both once the checks are passed.
    pub async fn publish_block(
        &self,
        block: Arc<SignedBeaconBlock>,
        columns: Vec<Arc<DataColumnSidecar>>,
        validation: BroadcastValidation,
    ) -> Result<Hash256, BlockError> {
        if !columns.is_empty() {
            // Beside the import, which does not wait for them to be on the disk.
            let (hashed, handle, columns) = (block.clone(), self.clone(), columns.clone());
            let provide = async move {
                let root = smol::unblock(move || hashed.root()).await;
                handle.provide_columns(root, columns, false).await;
            };
            smol::spawn(provide).detach();
        }
        self.run_block(block, BlockSource::Api, OurBlock { columns, validation }).await
    }

    async fn run_block(
        &self,
        block: Arc<SignedBeaconBlock>,
        source: BlockSource,
        ours: OurBlock,
    ) -> Result<Hash256, BlockError> {
        let (reply, answer) = async_channel::bounded(1);
        let received_ms = self.shared.clock.now_ms();
        let work = BlockWork { block, source, received_ms, reply: Some(reply), ours };
        let gone = || BlockError::Internal("the block task has ended; the node is stopping".into());
        self.shared.work.send(work).await.map_err(|_| gone())?;
        answer.recv().await.unwrap_or_else(|_| Err(gone()))
    }

    /// Gossips something of our own. Nothing tells whether anybody heard it.
    pub fn publish(&self, publication: Publication) {
        self.shared.tell_network(NetworkCommand::Publish(publication));
    }

    /// A stored block, with its payload, which may have to be asked of the execution client; none if it is not stored.
    ///
    /// # Errors
    /// When the execution client can't give the payload, or the disk fails.
    pub async fn block(&self, root: Hash256) -> Result<Option<SignedBeaconBlock>, PayloadError> {
        self.shared.whole_block(root).await
    }

    /// Stores the canonical blocks of these slots without their payloads, as far as they are finalized and the execution client
    /// has these. The task `payloads` calls this for whole ranges, long after they were finalized.
    ///
    /// # Errors
    /// When the execution client does not answer, or the disk fails. What was done is done.
    pub async fn blind(&self, slots: Range<Slot>) -> Result<BlindReport, PayloadError> {
        self.shared.blind(slots).await
    }

    /// The post-state of a block that descends from the finalized one, or that is stored; rebuilt by replay when it is not
    /// in memory. Hashed, with the shufflings of its epoch.
    pub async fn state_by_block_root(&self, root: Hash256) -> Option<Arc<BeaconState>> {
        self.shared.state(root).await.ok()
    }

    /// The state with this root, if it is the post-state of such a block.
    pub async fn state_by_root(&self, state_root: Hash256) -> Option<Arc<BeaconState>> {
        let snapshot = self.snapshot();
        if snapshot.head_state_root == state_root {
            return Some(snapshot.head_state.clone());
        }
        let (root, _) = snapshot.blocks.iter().find(|(_, info)| info.state_root == state_root)?;
        self.state_by_block_root(*root).await
    }

    /// The post-state of the canonical chain's last block at or before `slot`; not advanced to it. `None` after the clock's
    /// slot.
    pub async fn state_at_slot(&self, slot: Slot) -> Option<Arc<BeaconState>> {
        let snapshot = self.snapshot();
        if slot >= snapshot.head_slot {
            return (slot <= snapshot.slot).then(|| snapshot.head_state.clone());
        }
        let root = match snapshot.ancestor(snapshot.head_root, slot) {
            Some(root) => root,
            None => self.finalized_root_before(slot).await?,
        };
        self.state_by_block_root(root).await
    }

    /// The last block of the canonical index at or before `slot`, if it is of the same epoch or the one before.
    async fn finalized_root_before(&self, slot: Slot) -> Option<Hash256> {
        let db = self.database().clone();
        let first = slot.saturating_sub(2 * SLOTS_PER_EPOCH);
        let roots = smol::unblock(move || db.canonical_roots(first..slot + 1)).await.ok()?;
        roots.last().map(|(_, root)| *root)
    }

    /// Verifies a message of our own as if it came by gossip, makes use of it and publishes it. An error says what is wrong
    /// with it; one to ignore may only have been there before.
    pub async fn submit(&self, message: GossipMessage) -> Result<(), Refusal> {
        let (reply, answer) = async_channel::bounded(1);
        let gone = |_| Refusal { verdict: Verdict::Ignore, reason: "the node is stopping" };
        let queue = if message.is_operation() { &self.shared.operations } else { &self.shared.votes };
        queue
            .send(MessageWork { message, id: None, received_ms: self.shared.clock.now_ms(), reply: Some(reply) })
            .await
            .map_err(|e| gone(e.to_string()))?;
        answer.recv().await.map_err(|e| gone(e.to_string()))?
    }

    /// Counts votes in the fork choice, as from their next slot on. The caller has verified them.
    pub async fn count_votes(&self, votes: Vec<Vote>) {
        let _ = self.shared.store.send(StoreMessage::Votes(votes)).await;
    }

    /// Validators attest in these committees: the network listens where they aggregate, and looks for peers where they vote.
    pub async fn subscribe_committees(&self, all: Vec<CommitteeSubscription>) {
        // Fails only when the node stops.
        let _ = self.shared.subnets.send(SubnetMessage::Committees(all)).await;
    }

    /// Validators are in the sync committee: the network listens to its subnets.
    pub async fn subscribe_sync_committees(&self, all: Vec<SyncSubscription>) {
        let _ = self.shared.subnets.send(SubnetMessage::Sync(all)).await;
    }

    /// Makes everything durable: call it once, before the tasks are stopped. Returns when it is done.
    ///
    /// # Errors
    /// When the disk fails; the next start then replays more.
    pub async fn shutdown(&self) -> Result<(), DbError> {
        recorder::flush(&self.shared).await
    }
}
