//! A block's way: one task each, from the queue to the store.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
};

use async_channel::Receiver;
use smol::lock::SemaphoreGuardArc;

use super::{
    BlockError, BlockSource, BlockWork, BroadcastValidation, ExecutionCommand, OurBlock, PayloadVerdict,
    PendingMessage, Shared, Snapshot, StoreMessage, TaskError,
    columns::BlobsOf,
    detour::{Turn, is_detour, is_left_alone},
    gossip::{
        InvalidBlock,
        beacon_block::{self, Passed, validate_beacon_block_gossip},
    },
    limits::{COLUMN_WAIT_SLOTS, EXECUTION_TIMEOUT_MS, MAX_ORPHAN_DEPTH},
    network::{Fault, GossipBlock, GossipId, NetworkCommand, Publication, Verdict},
    pending::Orphan,
    range_sync::SyncMessage,
    rebuild::prepare,
    states::Cost,
    store_task::Imported,
};
use crate::{
    fork_choice::{PayloadStatus, check_merge, import_block},
    metrics::{self, BLOCK_STAGE_SECONDS, BLOCKS, DATA_CHECKS, GOSSIP_VERDICTS, QUEUE_DROPPED, QUEUE_LENGTH},
    transition::Checks,
    types::{BeaconState, Hash256, SignedBeaconBlock, Topic, compute_epoch_at_slot, compute_start_slot_at_epoch},
};

/// Starts a block task for each block, as many at once as there are permits.
pub(super) async fn run(
    shared: Arc<Shared>,
    gossip: Receiver<GossipBlock>,
    work: Receiver<BlockWork>,
) -> Result<(), TaskError> {
    loop {
        let next =
            smol::future::or(async { work.recv().await.ok() }, async { gossip.recv().await.ok().map(BlockWork::from) });
        let Some(next) = next.await else { return Err(TaskError::Abandoned("blocks")) };
        metrics::set(&QUEUE_LENGTH, &[("queue", "blocks")], work.len() as f64);
        metrics::set(&QUEUE_LENGTH, &[("queue", "gossip_block")], gossip.len() as f64);
        let permit = shared.block_permits.acquire_arc().await;
        let shared = shared.clone();
        smol::spawn(async move {
            let running = RunningBlock::new(shared.clone());
            BlockTask::new(shared, next, (running, permit)).run().await;
        })
        .detach();
    }
}

impl From<GossipBlock> for BlockWork {
    fn from(gossip: GossipBlock) -> Self {
        BlockWork {
            block: gossip.block,
            source: BlockSource::Gossip(gossip.id),
            received_ms: gossip.received_ms,
            reply: None,
            ours: OurBlock::default(),
        }
    }
}

/// Counts a block task while it runs, and however it ends.
struct RunningBlock(Arc<Shared>);

impl RunningBlock {
    fn new(shared: Arc<Shared>) -> RunningBlock {
        shared.blocks_running.fetch_add(1, Ordering::Relaxed);
        RunningBlock(shared)
    }
}

impl Drop for RunningBlock {
    fn drop(&mut self) {
        self.0.blocks_running.fetch_sub(1, Ordering::Relaxed);
    }
}

struct BlockTask {
    shared: Arc<Shared>,
    work: BlockWork,
    /// Whether the verdict, or the publication, is out.
    is_told: bool,
    /// Whether the execution client has judged the payload.
    is_payload_verified: bool,
    /// When the current stage began.
    stage_ms: u64,
    /// Counts the task, and lets only some run at once. Given back while it waits for columns.
    running: Option<(RunningBlock, SemaphoreGuardArc)>,
}

/// What the transition makes of a block: its post-state, what that costs beside its parent's, and what the store has to know.
type Processed = Result<(Arc<BeaconState>, Cost, crate::fork_choice::ImportedBlock), BlockError>;

impl BlockTask {
    fn new(shared: Arc<Shared>, work: BlockWork, running: (RunningBlock, SemaphoreGuardArc)) -> BlockTask {
        let (stage_ms, running) = (work.received_ms, Some(running));
        let mut task = BlockTask { shared, work, is_told: false, is_payload_verified: false, stage_ms, running };
        task.stage("queue");
        task
    }

    async fn run(mut self) {
        let block = self.work.block.clone();
        let root = smol::unblock(move || block.root()).await;
        let result = self.import(root).await;
        self.tell(&result, root);
        metrics::inc(&BLOCKS, &[("outcome", result.as_ref().map_or_else(BlockError::label, |()| "imported"))]);
        if let Some(reply) = &self.work.reply {
            // One answer, one place for it.
            let _ = reply.try_send(result.map(|()| root));
        }
    }

    async fn import(&mut self, root: Hash256) -> Result<(), BlockError> {
        let snapshot = self.shared.snapshot.load_full();
        let passed = self.check(&snapshot, root).await;
        self.stage("gossip");
        match passed {
            Ok(Passed::All) => {
                self.shared.columns.note_passed_on(&self.work.block, root);
                if self.work.ours.validation == BroadcastValidation::Gossip {
                    self.pass_on();
                }
            }
            Ok(Passed::AllButProposer) if is_left_alone(&snapshot, &self.work.block.message, &self.work.source) => {
                return Err(BlockError::NotYet("who proposes so long after its parent is not known at once".into()));
            }
            Ok(Passed::AllButProposer) => {}
            Err(BlockError::UnknownParent { parent }) => return Err(self.keep_orphan(&snapshot, root, parent).await),
            Err(error) => return Err(error),
        }
        if snapshot.contains(&root) {
            return Ok(());
        }
        if matches!(self.work.source, BlockSource::Gossip(_)) {
            // Its proposer has signed it: reason enough to look for its blobs while it is judged.
            self.shared.learn_of_blobs(root, BlobsOf::Block(self.work.block.clone()));
        }
        if matches!(self.work.source, BlockSource::Stored | BlockSource::ByRange(_)) {
            // It waited already, or range sync will fetch what is missing: no work for nothing.
            self.check_data(root).await?;
        }
        let turn = self.step_aside(&snapshot).await?;
        let parent_state = self.shared.state(self.work.block.message.parent_root).await?;
        let process = async { (self.process(parent_state.clone()).await, self.shared.clock.now_ms()) };
        let ((processed, processed_ms), payload) = smol::future::zip(process, self.new_payload()).await;
        self.is_payload_verified = self.shared.execution.is_some()
            && matches!(payload, Ok(PayloadStatus::Valid) | Err(BlockError::Invalid(_)));
        let (state, cost, mut imported) = processed?;
        self.stage_until("transition", processed_ms);
        // What the execution client took longer.
        self.stage("payload");
        drop(turn);
        imported.payload_status = payload?;
        self.pass_on();
        let block = self.work.block.clone();
        let db = self.shared.db.clone();
        smol::unblock(move || db.put_blocks(&[(root, &block)])).await?;
        self.stage("db");
        self.wait_for_data(root).await?;
        self.stage("data");
        // A block that is a little early, as the network allows, waits for its slot.
        let slot = self.work.block.message.slot;
        self.shared.clock.until(self.shared.clock.start_of(slot)).await;
        let boundary = boundary(&self.work.block, root, &parent_state, &state);
        let imported = Box::new(Imported { block: imported, state, cost, boundary });
        let result = self.hand_over(imported).await;
        self.stage("store");
        result
    }

    /// The checks that cost little; all of them for what is to be passed on.
    async fn check(&self, snapshot: &Arc<Snapshot>, root: Hash256) -> Result<Passed, BlockError> {
        let (shared, snapshot, block) = (self.shared.clone(), snapshot.clone(), self.work.block.clone());
        if matches!(self.work.source, BlockSource::Gossip(_) | BlockSource::Api) {
            return smol::unblock(move || {
                validate_beacon_block_gossip(&shared.view(&snapshot, &snapshot.head_state), &block, root)
            })
            .await;
        }
        if snapshot.contains(&root) {
            return Ok(Passed::AllButProposer);
        }
        let parent = block.message.parent_root;
        {
            let view = shared.view(&snapshot, &snapshot.head_state);
            beacon_block::check_slot(&view, block.message.slot)?;
            view.check_not_invalid(&root)?;
            view.check_not_invalid(&parent)?;
        }
        if snapshot.contains(&parent) && !matches!(self.work.source, BlockSource::ByRoot(_)) {
            return Ok(Passed::AllButProposer);
        }
        // Without a parent it would be stored unverified otherwise, and keep the well signed one out. With one, anybody may have
        // made us ask for it: a signature costs less than the transition.
        smol::unblock(move || {
            let view = shared.view(&snapshot, &snapshot.head_state);
            beacon_block::check_signature(&view, &block, root)?;
            if !snapshot.contains(&parent) {
                return Err(BlockError::UnknownParent { parent });
            }
            beacon_block::check_proposer(&view, &block.message).map(|_| Passed::AllButProposer)
        })
        .await
    }

    /// Gives the place among the block tasks back, and waits for a turn, if the block is one of an old branch.
    async fn step_aside(&mut self, snapshot: &Snapshot) -> Result<Option<Turn>, BlockError> {
        if !is_detour(snapshot, &self.work.block.message, &self.work.source) {
            return Ok(None);
        }
        self.running = None;
        self.shared.detours.turn().await.map(Some)
    }

    /// Puts a block whose parent is unknown into the database, and tells the pending task its root. Far ahead of our head
    /// it is only a sign that we have to sync.
    async fn keep_orphan(&self, snapshot: &Snapshot, root: Hash256, parent: Hash256) -> BlockError {
        let slot = self.work.block.message.slot;
        let peer = match &self.work.source {
            BlockSource::Gossip(id) => Some(id.peer.clone()),
            BlockSource::ByRoot(peer) => Some(peer.clone()),
            BlockSource::ByRange(_) => return BlockError::UnknownParent { parent },
            BlockSource::Stored | BlockSource::Api => None,
        };
        if slot > snapshot.head_slot.saturating_add(MAX_ORPHAN_DEPTH) {
            let _ = self.shared.sync.try_send(SyncMessage::FarBehind);
            return BlockError::TooFarAhead { slot };
        }
        let proposer = self.work.block.message.proposer_index;
        let is_gossip = matches!(self.work.source, BlockSource::Gossip(_));
        if is_gossip && !self.shared.seen.claim_orphan(slot, proposer, root) {
            return BlockError::Equivocation;
        }
        let (db, block) = (self.shared.db.clone(), self.work.block.clone());
        if let Err(error) = smol::unblock(move || db.put_blocks(&[(root, &block)])).await {
            return error.into();
        }
        let message = PendingMessage::Orphan(Orphan { root, parent, slot, peer });
        if self.shared.pending.try_send(message).is_err() {
            metrics::inc(&QUEUE_DROPPED, &[("queue", "pending")]);
        }
        BlockError::UnknownParent { parent }
    }

    /// Runs the transition on the blocking pool. A panic there costs this block only.
    async fn process(&self, parent_state: Arc<BeaconState>) -> Processed {
        let (shared, block) = (self.shared.clone(), self.work.block.clone());
        let snapshot = shared.snapshot.load_full();
        smol::unblock(move || {
            let transition = || -> Processed {
                let base = shared.base_for(&block.message, &parent_state);
                // Signatures also of what comes from our own database: it may be an orphan that nobody verified.
                let (mut state, imported) =
                    import_block(&base, &block, &shared.context(), Checks::ALL).map_err(|error| {
                        // Who changes a good block's signature must not make us refuse the good one.
                        let view = shared.view(&snapshot, &parent_state);
                        let signed = beacon_block::check_signature(&view, &block, block.root());
                        if signed.is_err() { BlockError::BadSignature } else { BlockError::Invalid(error.to_string()) }
                    })?;
                // Execution clients know no total difficulties any more.
                check_merge(&shared.config, &parent_state, &block.message, |_| None)
                    .map_err(|error| BlockError::NotYet(error.to_string()))?;
                shared.shufflings.share(&mut state);
                prepare(&mut state).map_err(|e| BlockError::Internal(e.to_string()))?;
                shared.shufflings.share(&mut state);
                let cost = Cost::measure(&state, block.message.parent_root, &parent_state);
                Ok((Arc::new(state), cost, imported))
            };
            catch_unwind(AssertUnwindSafe(transition)).unwrap_or_else(|_| {
                let slot = block.message.slot;
                tracing::error!(slot, "the transition panicked; please report this with the block at this slot");
                Err(BlockError::Invalid("the transition panicked".into()))
            })
        })
        .await
    }

    /// Asks the execution client. Without one, nobody knows.
    async fn new_payload(&self) -> Result<PayloadStatus, BlockError> {
        let Some(execution) = &self.shared.execution else { return Ok(PayloadStatus::NotValidated) };
        let (reply, answer) = async_channel::bounded(1);
        let command = ExecutionCommand::NewPayload { block: self.work.block.clone(), reply };
        if execution.commands.send(command).await.is_err() {
            return Ok(PayloadStatus::NotValidated);
        }
        match self.shared.clock.within(EXECUTION_TIMEOUT_MS, answer.recv()).await {
            Some(Ok(PayloadVerdict::Valid)) => Ok(PayloadStatus::Valid),
            Some(Ok(PayloadVerdict::Invalid { reason, latest_valid_hash })) => {
                let parent_root = self.work.block.message.parent_root;
                let news = StoreMessage::InvalidChild { parent_root, latest_valid_hash };
                // A store task that has ended needs no news.
                let _ = self.shared.store.send(news).await;
                Err(BlockError::Invalid(format!(
                    "the execution client says that the payload is not valid: {reason}; if others follow this block, update \
                     the client and start both again"
                )))
            }
            Some(Ok(PayloadVerdict::Syncing) | Err(_)) | None => Ok(PayloadStatus::NotValidated),
        }
    }

    /// Notes a block that was stored before as wanting columns, if it does.
    async fn check_data(&self, root: Hash256) -> Result<(), BlockError> {
        let missing = self.shared.awaited_columns(&self.work.block, root).await;
        if missing.is_empty() {
            return Ok(());
        }
        if matches!(self.work.source, BlockSource::Stored) {
            self.shared.want_columns(&self.work.block, root, missing, false).await;
        }
        metrics::inc(&DATA_CHECKS, &[("outcome", "missing")]);
        Err(BlockError::DataUnavailable { missing: missing.len() })
    }

    /// Waits a while for the block's sampled columns, as one of few tasks, while others may run. Should they come later, the
    /// block is run again. Whoever asked for the block's import is told which.
    async fn wait_for_data(&mut self, root: Hash256) -> Result<(), BlockError> {
        let (shared, block) = (self.shared.clone(), self.work.block.clone());
        let missing = shared.awaited_columns(&block, root).await;
        if missing.is_empty() {
            if !block.message.body.blob_kzg_commitments.is_empty() {
                metrics::inc(&DATA_CHECKS, &[("outcome", "here")]);
            }
            return Ok(());
        }
        let arrival = shared.want_columns(&block, root, missing, true).await;
        // They may have come before the network knew that we wait.
        if shared.awaited_columns(&block, root).await.is_empty() {
            shared.want_no_columns(&root);
        } else if let Some(arrival) = arrival {
            self.running = None;
            let patience = COLUMN_WAIT_SLOTS * shared.clock.slot_ms();
            let _ = shared.clock.within(patience, arrival.recv()).await;
        }
        let missing = shared.awaited_columns(&block, root).await;
        let outcome = if missing.is_empty() { "waited" } else { "missing" };
        metrics::inc(&DATA_CHECKS, &[("outcome", outcome)]);
        if missing.is_empty() { Ok(()) } else { Err(BlockError::DataUnavailable { missing: missing.len() }) }
    }

    async fn hand_over(&self, imported: Box<Imported>) -> Result<(), BlockError> {
        let (reply, answer) = async_channel::bounded(1);
        let gone = |_| BlockError::Internal("the store task has ended; the node is stopping".into());
        self.shared.store.send(StoreMessage::Imported { imported, reply }).await.map_err(|e| gone(e.to_string()))?;
        answer.recv().await.map_err(|e| gone(e.to_string()))?
    }

    /// The block passed what gossip asks for: others may have it.
    fn pass_on(&mut self) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        match &self.work.source {
            BlockSource::Gossip(id) => verdict(&self.shared, id, Verdict::Accept),
            BlockSource::Api => {
                let block = Publication::Block(self.work.block.clone());
                self.shared.tell_network(NetworkCommand::Publish(block));
                self.shared.publish_columns(std::mem::take(&mut self.work.ours.columns));
            }
            _ => {}
        }
    }

    /// Tells everybody whom the end concerns.
    fn tell(&mut self, result: &Result<(), BlockError>, root: Hash256) {
        let slot = self.work.block.message.slot;
        let Err(error) = result else {
            tracing::debug!(slot, %root, source = ?self.work.source, "block imported");
            return self.pass_on();
        };
        tracing::debug!(slot, %root, source = ?self.work.source, %error, "block not imported");
        if let BlockError::Invalid(_) = error {
            tracing::warn!(slot, %root, %error, "a block was refused; nothing is to be done unless it was your own, or others follow it");
        }
        let is_invalid =
            matches!(error, BlockError::Invalid(_) | BlockError::KnownInvalid | BlockError::InvalidPayload);
        if is_invalid {
            let is_payload_verified = self.is_payload_verified || *error == BlockError::InvalidPayload;
            let why = if is_payload_verified { InvalidBlock::PayloadVerified } else { InvalidBlock::ByRules };
            self.shared.invalid_blocks.insert(root, why);
            let _ = self.shared.pending.try_send(PendingMessage::Invalid(root));
        }
        let is_fault = error.is_fault();
        match &self.work.source {
            BlockSource::Gossip(id) if !self.is_told => {
                verdict(&self.shared, id, if is_fault { Verdict::Reject } else { Verdict::Ignore });
            }
            BlockSource::ByRoot(peer) | BlockSource::ByRange(peer) if is_fault => self.report(peer),
            BlockSource::Stored if *error == BlockError::BadSignature => {
                let db = self.shared.db.clone();
                smol::unblock(move || db.forget_block(root)).detach();
            }
            _ => {}
        }
    }

    fn report(&self, peer: &super::network::Peer) {
        self.shared.tell_network(NetworkCommand::Report { peer: peer.clone(), fault: Fault::InvalidBlock });
    }

    /// Ends a stage: records how long it took.
    fn stage(&mut self, name: &'static str) {
        self.stage_until(name, self.shared.clock.now_ms());
    }

    /// Ends a stage that was over at this time.
    fn stage_until(&mut self, name: &'static str, end_ms: u64) {
        let seconds = end_ms.saturating_sub(self.stage_ms) as f64 / 1000.0;
        metrics::observe(&BLOCK_STAGE_SECONDS, &[("stage", name)], seconds);
        self.stage_ms = end_ms;
    }
}

fn verdict(shared: &Shared, id: &GossipId, verdict: Verdict) {
    let topic = Topic::BeaconBlock;
    metrics::inc(&GOSSIP_VERDICTS, &[("topic", topic.label()), ("verdict", verdict.label())]);
    shared.tell_network(NetworkCommand::Verdict { topic, id: id.clone(), verdict });
}

/// The state that may become a checkpoint's, if the block is the first of its branch in an epoch.
fn boundary(
    block: &SignedBeaconBlock,
    root: Hash256,
    parent_state: &Arc<BeaconState>,
    state: &Arc<BeaconState>,
) -> Option<(Hash256, Arc<BeaconState>)> {
    let slot = block.message.slot;
    let epoch = compute_epoch_at_slot(slot);
    if compute_epoch_at_slot(parent_state.latest_block_header.slot) == epoch {
        return None;
    }
    let starts_epoch = slot == compute_start_slot_at_epoch(epoch);
    Some(if starts_epoch { (root, state.clone()) } else { (block.message.parent_root, parent_state.clone()) })
}
