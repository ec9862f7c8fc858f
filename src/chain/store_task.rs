//! The store task: owns the fork-choice store, one message at a time, and publishes the snapshot.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
};

use async_channel::{Receiver, Sender};

use super::{
    BlockError, BlockInfo, ChainEvent, ExecutionCommand, KnownBlocks, PayloadVerdict, PendingMessage, Shared, Snapshot,
    TaskError,
    confirm::Confirming,
    limits::EARLY_VOTES,
    network::NetworkCommand,
    states::{Cost, HotStates, StateLimits},
};
use crate::{
    fork_choice::{
        Balances, HeadFacts, ImportedBlock, OnAttestationError, OnBlockError, PayloadError, PayloadStatus, Store,
    },
    metrics::{self, CLOCK_SLOT, FINALIZED_EPOCH, HEAD_SLOT, JUSTIFIED_EPOCH, QUEUE_DROPPED, QUEUE_LENGTH, REORGS},
    transition::process_slots,
    types::{
        AttestationData, AttesterSlashing, BeaconState, Checkpoint, Epoch, Hash256, Slot, ValidatorIndex,
        compute_epoch_at_slot, compute_start_slot_at_epoch,
    },
};

/// Messages handled before the head is computed and published again.
const MESSAGES_AT_ONCE: usize = 256;

/// Votes for the same data that were verified.
#[derive(Clone, Debug)]
pub struct Vote {
    /// What for.
    pub data: AttestationData,
    /// By whom.
    pub attesting_indices: Vec<ValidatorIndex>,
}

/// A block that passed everything and is stored.
pub(crate) struct Imported {
    pub block: ImportedBlock,
    pub state: Arc<BeaconState>,
    /// What it costs beside its parent's.
    pub cost: Cost,
    /// The state of the last block before, or at, the start of the block's epoch, if this is the first of its branch there.
    pub boundary: Option<(Hash256, Arc<BeaconState>)>,
}

/// What the store task is told.
pub(crate) enum StoreMessage {
    /// A block passed the transition and is in the database.
    Imported { imported: Box<Imported>, reply: Sender<Result<(), BlockError>> },
    /// Votes from gossip or the API.
    Votes(Vec<Vote>),
    /// Two verified votes that contradict each other.
    AttesterSlashing(Arc<AttesterSlashing>),
    /// A state that somebody asked for, and what it costs.
    Rebuilt(Hash256, Arc<BeaconState>, Cost),
    /// What states cost now that others have gone.
    Measured(Vec<(Hash256, Cost)>),
    /// How many states may be kept from now on.
    Limit(StateLimits),
    /// The balances that the store missed.
    Balances(Checkpoint, Box<Balances>),
    /// What the fast confirmation rule has to know of the head's state.
    HeadFacts(Box<HeadFacts>),
    /// What the execution client says of the payload of a block that was the head.
    Payload(Hash256, PayloadVerdict),
    /// The payload of a block that is not taken in, a child of `parent_root`, is not valid.
    InvalidChild { parent_root: Hash256, latest_valid_hash: Option<Hash256> },
    /// The fork-choice store as bytes, to be stored.
    Save(Sender<Vec<u8>>),
    /// Something that the snapshot tells has changed elsewhere.
    Publish,
}

/// What the task owns.
pub(super) struct StoreTask {
    pub shared: Arc<Shared>,
    pub store: Store,
    pub states: HotStates,
    pub blocks: KnownBlocks,
    pub messages: Receiver<StoreMessage>,
    /// The latest wins.
    pub recorder: Sender<Arc<Snapshot>>,
    /// Votes of the current slot, which count from the next on.
    pub early: VecDeque<Vote>,
    /// A head whose state is being rebuilt.
    pub rebuilding: Option<Hash256>,
    /// Checkpoint whose balances are being computed.
    pub weighing: Option<Checkpoint>,
    /// Whether states are being measured.
    pub measuring: bool,
    /// States that have been dropped, to be freed elsewhere: that takes some milliseconds each at mainnet's size.
    pub dropped: Vec<Arc<BeaconState>>,
    /// The slot in which the store was measured last.
    pub measured_in: Option<Slot>,
    /// The epoch in which side branches were looked for last.
    pub pruned_in: Option<Epoch>,
    /// The head that the execution client knows of, and the slot in which it was told, if it is to be asked again in the next.
    pub told_execution: Option<(Hash256, Checkpoint, Option<Slot>)>,
    pub confirming: Confirming,
}

/// Who waits for the next snapshot, and what it will be told.
type Waiting = Vec<(Hash256, Sender<Result<(), BlockError>>, Result<(), BlockError>)>;

impl StoreTask {
    pub async fn run(mut self) -> Result<(), TaskError> {
        // So that the execution client hears of the head at once.
        self.publish();
        loop {
            let now = self.shared.clock.now_ms();
            let next_slot = self.shared.clock.start_of(self.shared.clock.slot_at(now) + 1);
            let message = smol::future::or(async { self.messages.recv().await.map(Some) }, async {
                self.shared.clock.until(next_slot).await;
                Ok(None)
            });
            let Ok(message) = message.await else { return Err(TaskError::Abandoned("store")) };
            self.store.on_tick(self.shared.clock.now_ms());
            self.count_early_votes();
            self.begin_confirming();
            let mut waiting = Waiting::new();
            if let Some(message) = message {
                self.handle(message, &mut waiting);
            }
            for _ in 1..MESSAGES_AT_ONCE {
                let Ok(message) = self.messages.try_recv() else { break };
                self.handle(message, &mut waiting);
            }
            metrics::set(&QUEUE_LENGTH, &[("queue", "store")], self.messages.len() as f64);
            self.publish();
            for (root, reply, result) in waiting {
                if result.is_ok() {
                    self.tell_pending(PendingMessage::Imported(root));
                }
                let _ = reply.try_send(result);
            }
        }
    }

    fn handle(&mut self, message: StoreMessage, waiting: &mut Waiting) {
        match message {
            StoreMessage::Imported { imported, reply } => {
                let root = imported.block.root;
                let result = self.on_block(*imported);
                waiting.push((root, reply, result));
            }
            StoreMessage::Votes(votes) => votes.into_iter().for_each(|vote| self.on_vote(vote)),
            StoreMessage::AttesterSlashing(slashing) => self.store.on_attester_slashing(&slashing),
            StoreMessage::Rebuilt(root, state, cost) => {
                self.rebuilding.take_if(|rebuilding| *rebuilding == root);
                self.states.insert_rebuilt(root, state, cost);
            }
            StoreMessage::Measured(costs) => {
                self.measuring = false;
                self.states.take_measures(costs);
            }
            StoreMessage::Limit(limits) => self.states.limit(limits),
            StoreMessage::Balances(checkpoint, balances) => {
                self.weighing = None;
                self.store.provide_balances(checkpoint, *balances);
            }
            StoreMessage::HeadFacts(facts) => self.on_head_facts(&facts),
            StoreMessage::Payload(root, verdict) => self.on_payload(root, verdict),
            StoreMessage::InvalidChild { parent_root, latest_valid_hash } => {
                report(self.store.on_invalid_child(&parent_root, latest_valid_hash));
            }
            StoreMessage::Save(reply) => {
                let _ = reply.try_send(self.store.to_snapshot());
            }
            StoreMessage::Publish => {}
        }
    }

    fn on_block(&mut self, imported: Imported) -> Result<(), BlockError> {
        let Imported { block, state, cost, boundary } = imported;
        let (root, header) = (block.root, block.header);
        let is_new = !self.store.contains(&root);
        let optimistic = block.payload_status != PayloadStatus::Valid;
        self.store.on_block(block).map_err(block_error)?;
        let info = BlockInfo { slot: header.slot, parent_root: header.parent_root, state_root: header.state_root };
        self.blocks.insert(root, info);
        self.states.insert_recent(root, state, cost);
        if let Some((root, state)) = boundary {
            self.states.insert_boundary(root, state);
        }
        if is_new {
            self.shared.subscribers.send(ChainEvent::Block { slot: header.slot, block: root, optimistic });
        }
        Ok(())
    }

    fn on_vote(&mut self, vote: Vote) {
        match self.store.on_attestation(&vote.data, &vote.attesting_indices, false) {
            Err(OnAttestationError::SlotNotOver { .. }) => {
                self.early.push_back(vote);
                if self.early.len() > EARLY_VOTES {
                    self.early.pop_front();
                    metrics::inc(&QUEUE_DROPPED, &[("queue", "early_votes")]);
                }
            }
            Err(error) => tracing::trace!(%error, "a vote does not count"),
            Ok(()) => {}
        }
    }

    fn count_early_votes(&mut self) {
        let slot = self.store.get_current_slot();
        if self.early.iter().any(|vote| vote.data.slot < slot) {
            for vote in std::mem::take(&mut self.early) {
                self.on_vote(vote);
            }
        }
    }

    fn tell_pending(&self, message: PendingMessage) {
        // It looks at the snapshot on its timer anyway.
        if self.shared.pending.try_send(message).is_err() {
            metrics::inc(&QUEUE_DROPPED, &[("queue", "pending")]);
        }
    }

    /// Computes the head and publishes a new snapshot.
    fn publish(&mut self) {
        let before = self.shared.snapshot.load_full();
        let (head_root, head_state) = self.head(&before);
        if self.store.finalized_checkpoint() != before.finalized {
            self.on_finality();
        }
        self.weigh_if_needed();
        self.look_after_memory(head_root);
        let info = self.blocks.get(&head_root).copied();
        let (head_slot, head_state_root) = match info {
            Some(info) => (info.slot, info.state_root),
            None => (before.head_slot, before.head_state_root),
        };
        let status = self.store.node(&head_root).map(|node| node.payload_status);
        let snapshot = Arc::new(Snapshot {
            slot: self.shared.clock.slot(),
            head_root,
            head_slot,
            head_state,
            head_state_root,
            justified: self.store.justified_checkpoint(),
            finalized: self.store.finalized_checkpoint(),
            confirmed_root: self.store.fast_confirmation().confirmed_root(),
            is_optimistic: self.shared.execution.is_none() || status != Some(PayloadStatus::Valid),
            el_offline: self.shared.execution.as_ref().is_none_or(|queue| !queue.is_up.load(Ordering::Relaxed)),
            is_syncing: self.shared.is_syncing.load(Ordering::Relaxed),
            earliest_slot: self.shared.earliest_slot.load(Ordering::Relaxed),
            blocks: self.blocks.clone(),
            states: self.states.clone(),
        });
        self.shared.snapshot.store(snapshot.clone());
        self.ask_for_head_facts(&snapshot);
        self.tell_execution(&snapshot);
        self.announce(&before, &snapshot);
        let key = |s: &Snapshot| (s.slot, s.head_root, s.finalized);
        if key(&before) != key(&snapshot) {
            self.shared.tell_network(NetworkCommand::SetStatus(self.shared.status(&snapshot)));
            let _ = self.recorder.force_send(snapshot);
        }
        let dropped = std::mem::take(&mut self.dropped);
        if !dropped.is_empty() {
            // With the snapshot before, which has them too.
            smol::unblock(move || drop((dropped, before))).detach();
        }
    }

    /// The head and its state. If that is not in memory it is rebuilt elsewhere, and the head is the old one until then.
    fn head(&mut self, before: &Snapshot) -> (Hash256, Arc<BeaconState>) {
        let head = self.store.get_head();
        if let Some(state) = self.states.get(&head) {
            return (head, state);
        }
        if self.rebuilding != Some(head) {
            self.rebuilding = Some(head);
            // So that it is kept when it comes.
            self.pin(head);
            let shared = self.shared.clone();
            smol::spawn(async move {
                if let Err(error) = shared.state(head).await {
                    tracing::warn!(%head, %error, "the head's state can't be rebuilt; if that goes on, restart the node");
                }
            })
            .detach();
        }
        (before.head_root, before.head_state.clone())
    }

    fn on_finality(&mut self) {
        let known = finalized_and_descendants(&self.store);
        self.blocks.retain(|root, _| known.contains(root));
        let dropped = self.states.finalize(&self.store.finalized_checkpoint().root, |root| known.contains(root));
        self.dropped.extend(dropped);
        self.store.prune();
    }

    /// The store asks for balances when a checkpoint is justified whose state it has not seen at the time.
    fn weigh_if_needed(&mut self) {
        let Some(checkpoint) = self.store.missing_balances().filter(|missing| self.weighing != Some(*missing)) else {
            return;
        };
        self.weighing = Some(checkpoint);
        let shared = self.shared.clone();
        smol::spawn(async move {
            let Ok(state) = shared.state(checkpoint.root).await else { return };
            let (context, start) = (shared.clone(), compute_start_slot_at_epoch(checkpoint.epoch));
            let balances = smol::unblock(move || {
                let mut state = (*state).clone();
                if state.slot < start {
                    process_slots(&mut state, start, &context.context()).ok()?;
                }
                Some(Box::new(Balances::of_state(&state)))
            });
            if let Some(balances) = balances.await {
                let _ = shared.store.send(StoreMessage::Balances(checkpoint, balances)).await;
            }
        })
        .detach();
    }

    /// A payload that was taken in optimistically is valid, with all before it, or is not, with all that build on it. The head
    /// is computed anew before anybody sees the difference.
    fn on_payload(&mut self, root: Hash256, verdict: PayloadVerdict) {
        match verdict {
            PayloadVerdict::Valid => report(self.store.on_valid_payload(&root)),
            PayloadVerdict::Invalid { reason, latest_valid_hash } => {
                tracing::warn!(%root, %reason, "the execution client refuses a block that was taken in before it was asked");
                report(self.store.on_invalid_payload(&root, latest_valid_hash));
            }
            PayloadVerdict::Syncing => {}
        }
    }

    /// Tells the execution client of a new head, and in each slot again as long as it has not validated it. Should its queue be
    /// full, the next snapshot tries again.
    fn tell_execution(&mut self, snapshot: &Snapshot) {
        let Some(execution) = &self.shared.execution else { return };
        let again = snapshot.is_optimistic.then_some(snapshot.slot);
        let wanted = (snapshot.head_root, snapshot.finalized, again);
        if self.told_execution == Some(wanted) {
            return;
        }
        let hash = |root: &Hash256| self.store.node(root).map_or(Hash256::ZERO, |node| node.execution_block_hash);
        let (reply, answer) = async_channel::bounded(1);
        let command = ExecutionCommand::ForkchoiceUpdated {
            slot: snapshot.head_slot,
            head: hash(&snapshot.head_root),
            safe: self.safe_block_hash(&snapshot.head_root),
            finalized: hash(&snapshot.finalized.root),
            reply,
        };
        if execution.commands.try_send(command).is_ok() {
            self.told_execution = Some(wanted);
            self.await_verdict(snapshot, answer);
        }
    }

    /// Waits for what the execution client says of the head, if that can be news. As many wait as commands are in its queue.
    fn await_verdict(&self, snapshot: &Snapshot, answer: Receiver<PayloadVerdict>) {
        let (shared, root, is_optimistic) = (self.shared.clone(), snapshot.head_root, snapshot.is_optimistic);
        smol::spawn(async move {
            match answer.recv().await {
                Ok(PayloadVerdict::Valid) if !is_optimistic => {}
                Ok(PayloadVerdict::Syncing) | Err(_) => {}
                Ok(verdict) => {
                    let _ = shared.store.send(StoreMessage::Payload(root, verdict)).await;
                }
            }
        })
        .detach();
    }

    /// Events and metrics of what changed between two snapshots.
    fn announce(&self, before: &Snapshot, after: &Snapshot) {
        metrics::set(&CLOCK_SLOT, &[], after.slot as f64);
        metrics::set(&HEAD_SLOT, &[], after.head_slot as f64);
        metrics::set(&JUSTIFIED_EPOCH, &[], after.justified.epoch as f64);
        metrics::set(&FINALIZED_EPOCH, &[], after.finalized.epoch as f64);
        if after.head_root != before.head_root {
            self.announce_reorg(before, after);
            self.shared.subscribers.send(head_event(before, after));
        }
        if after.finalized != before.finalized {
            let root = after.finalized.root;
            tracing::info!(epoch = after.finalized.epoch, %root, "finalized");
            let state = after.blocks.get(&root).map_or(Hash256::ZERO, |info| info.state_root);
            let optimistic = after.is_optimistic;
            self.shared.subscribers.send(ChainEvent::Finalized { checkpoint: after.finalized, state, optimistic });
        }
    }

    fn announce_reorg(&self, before: &Snapshot, after: &Snapshot) {
        if after.ancestor(after.head_root, before.head_slot) == Some(before.head_root) {
            return;
        }
        let on_new_branch = |root: &Hash256, slot: Slot| after.ancestor(after.head_root, slot) == Some(*root);
        let common = before.branch(before.head_root).find(|(root, info)| on_new_branch(root, info.slot));
        let Some((_, common)) = common else { return };
        metrics::inc(&REORGS, &[]);
        let depth = before.head_slot - common.slot;
        let (from, to) = (before.head_root, after.head_root);
        tracing::info!(%from, %to, depth, "re-org");
        self.shared.subscribers.send(ChainEvent::Reorg {
            slot: after.head_slot,
            depth,
            old_head_block: from,
            new_head_block: to,
            old_head_state: before.head_state_root,
            new_head_state: after.head_state_root,
            epoch: compute_epoch_at_slot(after.head_slot),
        });
    }
}

/// What the snapshot has of the store's blocks. The store itself prunes only now and then.
pub(super) fn finalized_and_descendants(store: &Store) -> HashSet<Hash256> {
    let mut known = HashSet::from([store.finalized_checkpoint().root]);
    for node in store.nodes() {
        if known.contains(&node.parent_root) {
            known.insert(node.root);
        }
    }
    known
}

fn head_event(before: &Snapshot, after: &Snapshot) -> ChainEvent {
    let epoch = compute_epoch_at_slot(after.head_slot);
    let decided_by = |epoch: u64| {
        let slot = compute_start_slot_at_epoch(epoch).saturating_sub(1);
        dependent_root(&after.head_state, after.head_root, slot)
    };
    ChainEvent::Head {
        slot: after.head_slot,
        block: after.head_root,
        state: after.head_state_root,
        epoch_transition: epoch != compute_epoch_at_slot(before.head_slot),
        current_duty_dependent_root: decided_by(epoch),
        previous_duty_dependent_root: decided_by(epoch.saturating_sub(1)),
        optimistic: after.is_optimistic,
    }
}

/// The last block at or before `slot` on the branch that ends with `state`'s block.
pub(super) fn dependent_root(state: &BeaconState, block_root: Hash256, slot: Slot) -> Hash256 {
    if slot >= state.slot {
        return block_root;
    }
    let count = state.block_roots.len();
    state.block_roots[slot as usize % count]
}

/// Says when the execution client contradicts itself. A block that is not in the tree any more does not matter.
fn report(taken: Result<(), PayloadError>) {
    match taken {
        Err(error @ PayloadError::WasValid(_)) => tracing::error!("{error}"),
        Err(PayloadError::UnknownBlock(_)) | Ok(()) => {}
    }
}

fn block_error(error: OnBlockError) -> BlockError {
    match error {
        OnBlockError::UnknownParent(parent) => BlockError::UnknownParent { parent },
        OnBlockError::NotAfterFinalized { slot, .. } => BlockError::Finalized { slot },
        OnBlockError::FutureSlot { slot, current } => BlockError::Future { slot, now: current },
        OnBlockError::InvalidParent(_) | OnBlockError::NotOnFinalized(_) => BlockError::Invalid(error.to_string()),
        OnBlockError::TreeFull => BlockError::Internal(error.to_string()),
    }
}
