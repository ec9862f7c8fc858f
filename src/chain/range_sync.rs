//! Range sync: forward from our head to the peers', in batches.
//!
//! The task knows where the peers stand. When one of them is far enough ahead, it fetches ranges of slots from several
//! peers at once, a few batches ahead of the one that is being imported, and imports them in order.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
};

use async_channel::Receiver;

use super::{
    BlockError, BlockSource, BlockWork, ColumnSet, KnownPeer, OurBlock, Shared, Snapshot, StoreMessage, TaskError,
    columns::fetch_range,
    limits::*,
    network::{Fault, NetworkCommand, Parting, Peer, PeerEvent, Status},
};
use crate::types::{
    Hash256, SignedBeaconBlock, Slot, compute_start_slot_at_epoch,
    preset::{GENESIS_SLOT, SLOTS_PER_EPOCH},
};

/// What the sync task is told besides news of peers.
pub(crate) enum SyncMessage {
    /// A block came that is too far ahead for the pending task.
    FarBehind,
}

/// Peers are asked again where they stand when our head is behind the clock by more slots than this.
const STALE_SLOTS: u64 = 2;

pub(super) struct SyncTask {
    shared: Arc<Shared>,
    events: Receiver<PeerEvent>,
    messages: Receiver<SyncMessage>,
    peers: HashMap<Peer, Known>,
    /// Where the next round starts, if not at the head: after a round that found nothing that fits our head.
    from_finalized: bool,
}

/// What is known of a peer.
struct Known {
    status: Status,
    /// The columns that it keeps.
    custody: ColumnSet,
    /// Batches that it did not give, or kept something back of. Who has fewer is asked first.
    failures: u32,
}

/// A batch that is being fetched.
struct Batch {
    start: Slot,
    count: u64,
    attempts: u32,
    /// Who failed to give it.
    failed: HashSet<Peer>,
    /// Who is asked.
    peer: Peer,
    blocks: smol::Task<BatchResult>,
}

/// The blocks of a batch, whose columns are here.
type BatchResult = Result<Vec<Arc<SignedBeaconBlock>>, BatchError>;

/// Why a batch did not bring us on.
#[derive(Debug, thiserror::Error)]
enum BatchError {
    /// The peer can't or did not, or a block was refused.
    #[error("{0}")]
    Failed(String),
    /// What came is no chain of blocks in the range.
    #[error("{0}")]
    Bad(&'static str),
    /// Nobody gave all columns of its blocks.
    #[error("{0}")]
    Columns(String),
    /// It does not follow what we have: it is of another chain, or something was kept back before it.
    #[error("it does not follow the blocks that we have")]
    Gap,
}

/// How a round ended.
#[derive(Debug, PartialEq, Eq)]
enum RoundEnd {
    /// The target is reached.
    Reached,
    /// No peer has what we need, or they give nothing that fits.
    GaveUp,
    /// Something was kept back. Whoever it may have been is asked last from now on.
    Again,
}

impl SyncTask {
    pub fn new(shared: Arc<Shared>, events: Receiver<PeerEvent>, messages: Receiver<SyncMessage>) -> SyncTask {
        SyncTask { shared, events, messages, peers: HashMap::new(), from_finalized: false }
    }

    pub async fn run(mut self) -> Result<(), TaskError> {
        loop {
            let clock = self.shared.clock.clone();
            let next_slot = clock.start_of(clock.slot() + 1);
            enum Wake {
                Peer(PeerEvent),
                Slot,
                Behind,
            }
            let wake = smol::future::or(
                async { self.events.recv().await.map(Wake::Peer) },
                smol::future::or(
                    async { self.messages.recv().await.map(|SyncMessage::FarBehind| Wake::Behind) },
                    async {
                        clock.until(next_slot).await;
                        Ok(Wake::Slot)
                    },
                ),
            );
            match wake.await {
                Err(_) => return Err(TaskError::Abandoned("sync")),
                Ok(Wake::Peer(event)) => self.on_peer(event).await,
                Ok(Wake::Slot) => self.ask_where_peers_stand(),
                Ok(Wake::Behind) => {}
            }
            self.follow().await;
            self.set_syncing(false);
        }
    }

    /// Runs rounds as long as a peer is ahead and they lead somewhere.
    async fn follow(&mut self) {
        let mut tries = 0;
        while let Some(target) = self.target() {
            self.set_syncing(true);
            let head = self.shared.snapshot.load().head_slot;
            let end = self.round(target).await;
            let has_news = self.drain_events().await;
            tries = if self.shared.snapshot.load().head_slot > head { 0 } else { tries + 1 };
            let goes_on = match end {
                RoundEnd::Reached => true,
                RoundEnd::GaveUp => has_news,
                RoundEnd::Again => tries < BATCH_ATTEMPTS,
            };
            if !goes_on {
                return;
            }
        }
    }

    fn set_syncing(&self, syncing: bool) {
        if self.shared.is_syncing.swap(syncing, Ordering::Relaxed) != syncing {
            let _ = self.shared.store.try_send(StoreMessage::Publish);
        }
    }

    /// Takes in all news of peers. Whether there was any.
    async fn drain_events(&mut self) -> bool {
        let mut has_news = false;
        while let Ok(event) = self.events.try_recv() {
            self.on_peer(event).await;
            has_news = true;
        }
        while self.messages.try_recv().is_ok() {}
        has_news
    }

    async fn on_peer(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Disconnected { peer } => {
                self.peers.remove(&peer);
            }
            PeerEvent::Status { peer, status, custody } => {
                if let Some(why) = self.irrelevance(&status).await {
                    tracing::debug!(%peer, why, "parting from a peer");
                    self.peers.remove(&peer);
                    let reason = Parting::IrrelevantNetwork;
                    self.shared.tell_network(NetworkCommand::Goodbye { peer, reason });
                } else if self.peers.len() < MAX_PEERS || self.peers.contains_key(&peer) {
                    let (failures, known) =
                        self.peers.get(&peer).map_or_else(Default::default, |known| (known.failures, known.custody));
                    // Told empty while it is not known.
                    let custody = if custody.is_empty() { known } else { custody.iter().copied().collect() };
                    self.peers.insert(peer, Known { status, custody, failures });
                }
            }
        }
        let known = |(peer, known): (&Peer, &Known)| KnownPeer {
            peer: peer.clone(),
            status: known.status,
            custody: known.custody,
        };
        let all = self.peers.iter().map(known).collect();
        self.shared.peers.store(Arc::new(all));
    }

    /// Why a peer is not on our chain.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#status-v1>
    async fn irrelevance(&self, status: &Status) -> Option<&'static str> {
        let snapshot = self.shared.snapshot.load_full();
        let clock = &self.shared.clock;
        let disparity = self.shared.config.maximum_gossip_clock_disparity;
        // What it said at the end of an epoch may come at the start of the next.
        let epoch = clock.epoch();
        if (epoch.saturating_sub(1)..=epoch + 1).all(|epoch| status.fork_digest != self.shared.fork_digest(epoch)) {
            return Some("its fork is another");
        }
        // The genesis block is known before its time comes.
        let is_genesis = status.head_slot == GENESIS_SLOT;
        if !is_genesis && clock.start_of(status.head_slot) > clock.now_ms().saturating_add(disparity) {
            return Some("its head is in the future");
        }
        if status.finalized_epoch > snapshot.finalized.epoch || status.finalized_epoch == 0 {
            return None;
        }
        let ours = self.canonical_checkpoint(&snapshot, status.finalized_epoch).await?;
        (ours != status.finalized_root).then_some("it finalized another chain")
    }

    /// The last block of our finalized chain at or before the start of `epoch`, as far as we have it.
    async fn canonical_checkpoint(&self, snapshot: &Snapshot, epoch: u64) -> Option<Hash256> {
        if epoch == snapshot.finalized.epoch {
            return Some(snapshot.finalized.root);
        }
        let end = compute_start_slot_at_epoch(epoch).saturating_add(1);
        // A gap of more than an epoch before a finalized checkpoint is rare: then we do not judge.
        let (db, start) = (self.shared.db.clone(), end.saturating_sub(SLOTS_PER_EPOCH));
        let roots = smol::unblock(move || db.canonical_roots(start..end)).await.ok()?;
        roots.last().map(|(_, root)| *root)
    }

    /// Keeps the statuses fresh when we are behind and nobody seems to be ahead.
    fn ask_where_peers_stand(&self) {
        let snapshot = self.shared.snapshot.load();
        if self.shared.clock.slot().saturating_sub(snapshot.head_slot) <= STALE_SLOTS {
            return;
        }
        for peer in self.peers.keys().take(BATCH_WINDOW) {
            self.shared.tell_network(NetworkCommand::AskStatus(peer.clone()));
        }
    }

    /// The slot up to which ranges are to be fetched, if any.
    fn target(&self) -> Option<Slot> {
        let snapshot = self.shared.snapshot.load();
        let behind_clock = self.shared.clock.slot().saturating_sub(snapshot.head_slot);
        let best = self.peers.values().map(|known| known.status.head_slot).max()?;
        // A small gap that lasts is closed too: blocks were lost that nobody will gossip again.
        let gap = if behind_clock > 2 * SYNC_GAP_SLOTS { 1 } else { SYNC_GAP_SLOTS };
        (best >= snapshot.head_slot.saturating_add(gap)).then_some(best)
    }

    /// Fetches and imports up to `target`.
    async fn round(&mut self, target: Slot) -> RoundEnd {
        let snapshot = self.shared.snapshot.load_full();
        let finalized = compute_start_slot_at_epoch(snapshot.finalized.epoch);
        let from = if std::mem::take(&mut self.from_finalized) { finalized } else { snapshot.head_slot };
        let mut next = from + 1;
        tracing::info!(from = next, to = target, peers = self.peers.len(), "syncing");
        let mut window: VecDeque<Batch> = VecDeque::new();
        let mut progress = false;
        // Who gave the last blocks that were imported, and nothing since: one of them may have kept something back.
        let mut suspects: HashSet<Peer> = HashSet::new();
        loop {
            while window.len() < BATCH_WINDOW && next <= target {
                let count = BATCH_SLOTS.min(target - next + 1);
                let Some(batch) = self.start_batch(next, count, 0, HashSet::new(), &window) else { break };
                next += count;
                window.push_back(batch);
            }
            let Some(batch) = window.pop_front() else {
                return if next > target && progress { RoundEnd::Reached } else { RoundEnd::GaveUp };
            };
            let Batch { start, count, attempts, mut failed, peer, blocks } = batch;
            let result = match self.wait_for(blocks).await {
                Ok(blocks) => self.import(&peer, blocks).await,
                Err(error) => Err(error),
            };
            self.drain_events().await;
            let error = match result {
                Ok(imported) => {
                    progress |= imported > 0;
                    if imported > 0 {
                        suspects.clear();
                    }
                    suspects.insert(peer);
                    let head = self.shared.snapshot.load().head_slot;
                    tracing::info!(slot = start + count - 1, head, to = target, "synced");
                    continue;
                }
                Err(error) => error,
            };
            tracing::debug!(%peer, start, count, %error, "a batch failed");
            if let (BatchError::Gap, false) = (&error, suspects.is_empty()) {
                suspects.iter().for_each(|peer| self.count_failure(peer, None));
                return RoundEnd::Again;
            }
            self.count_failure(&peer, matches!(error, BatchError::Bad(_)).then_some(Fault::BadRange));
            failed.insert(peer);
            let Some(again) = self.start_batch(start, count, attempts + 1, failed, &window) else {
                // Perhaps our head is on a branch that nobody else has: the next round starts at the finalized block.
                self.from_finalized = from != finalized;
                return RoundEnd::GaveUp;
            };
            window.push_front(again);
        }
    }

    /// Waits for a batch, and takes in news of peers meanwhile: its columns may come from a new one.
    async fn wait_for(&mut self, mut blocks: smol::Task<BatchResult>) -> BatchResult {
        loop {
            let news = smol::future::or(async { Err((&mut blocks).await) }, async {
                match self.events.recv().await {
                    Ok(event) => Ok(event),
                    Err(_) => std::future::pending().await,
                }
            });
            match news.await {
                Ok(event) => self.on_peer(event).await,
                Err(result) => return result,
            }
        }
    }

    fn count_failure(&mut self, peer: &Peer, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.shared.tell_network(NetworkCommand::Report { peer: peer.clone(), fault });
        }
        if let Some(known) = self.peers.get_mut(peer) {
            known.failures = known.failures.saturating_add(1);
        }
    }

    /// Asks the peer for a batch that has it, did not fail it, and has failed and has to do the least. When all have
    /// failed, they get another chance, until the batch was asked for [`BATCH_ATTEMPTS`] times.
    fn start_batch(
        &self,
        start: Slot,
        count: u64,
        attempts: u32,
        mut failed: HashSet<Peer>,
        window: &VecDeque<Batch>,
    ) -> Option<Batch> {
        let has = |status: &Status| status.head_slot >= start && status.earliest_available_slot <= start;
        let busy = |peer: &Peer| window.iter().filter(|batch| batch.peer == *peer).count();
        let is_able = |peer: &Peer, known: &Known| has(&known.status) && busy(peer) < REQUESTS_PER_PEER;
        let able = || self.peers.iter().filter(|(peer, known)| is_able(peer, known));
        if attempts < BATCH_ATTEMPTS && able().all(|(peer, _)| failed.contains(peer)) {
            failed.clear();
        }
        let untried = able().filter(|(peer, _)| !failed.contains(*peer));
        let (peer, known) = untried.min_by_key(|(peer, known)| (known.failures, busy(peer), (*peer).clone()))?;
        let (peer, head_slot) = (peer.clone(), known.status.head_slot);
        let blocks = smol::spawn(fetch(self.shared.clone(), peer.clone(), start, count, head_slot));
        Some(Batch { start, count, attempts, failed, peer, blocks })
    }

    /// Imports a batch in order. How many blocks were new.
    async fn import(&self, peer: &Peer, blocks: Vec<Arc<SignedBeaconBlock>>) -> Result<usize, BatchError> {
        let mut imported = 0;
        for block in blocks {
            let slot = block.message.slot;
            let (reply, answer) = async_channel::bounded(1);
            let received_ms = self.shared.clock.now_ms();
            let source = BlockSource::ByRange(peer.clone());
            let work = BlockWork { block, source, received_ms, reply: Some(reply), ours: OurBlock::default() };
            let stopping = || BatchError::Failed("the node is stopping".into());
            self.shared.work.send(work).await.map_err(|_| stopping())?;
            match answer.recv().await.map_err(|_| stopping())? {
                Ok(_) => imported += 1,
                // Ranges may begin before the finalized slot.
                Err(BlockError::Finalized { .. }) => {}
                Err(BlockError::UnknownParent { .. }) => return Err(BatchError::Gap),
                Err(error) => return Err(BatchError::Failed(format!("block of slot {slot}: {error}"))),
            }
        }
        Ok(imported)
    }
}

/// Fetches one range and the columns of its blocks. The peer said that its head is of `head_slot`.
async fn fetch(shared: Arc<Shared>, peer: Peer, start: Slot, count: u64, head_slot: Slot) -> BatchResult {
    let blocks = fetch_blocks(&shared, peer, start, count, head_slot).await?;
    fetch_range(&shared, start, count, &blocks).await.map_err(BatchError::Columns)?;
    Ok(blocks.into_iter().map(|(_, block)| block).collect())
}

/// Fetches one range of blocks with their roots, and checks that it is a chain within the range.
async fn fetch_blocks(
    shared: &Arc<Shared>,
    peer: Peer,
    start: Slot,
    count: u64,
    head_slot: Slot,
) -> Result<Vec<(Hash256, Arc<SignedBeaconBlock>)>, BatchError> {
    let (answer, incoming) = async_channel::bounded(shared.capacities.answer);
    shared.tell_network(NetworkCommand::BlocksByRange { peer: peer.clone(), start_slot: start, count, answer });
    let mut blocks: Vec<(Hash256, Arc<SignedBeaconBlock>)> = Vec::new();
    loop {
        let block = match shared.clock.within(ANSWER_TIMEOUT_MS, incoming.recv()).await {
            None => {
                shared.tell_network(NetworkCommand::Report { peer, fault: Fault::Timeout });
                return Err(BatchError::Failed("no answer in time".into()));
            }
            // Its own head is in the range: it can't have nothing.
            Some(Err(_)) if blocks.is_empty() && (start..start + count).contains(&head_slot) => {
                return Err(BatchError::Failed("it did not give its own head".into()));
            }
            Some(Err(_)) => return Ok(blocks),
            Some(Ok(Err(error))) => return Err(BatchError::Failed(error.to_string())),
            Some(Ok(Ok(block))) => block,
        };
        let (slot, parent) = (block.message.slot, block.message.parent_root);
        if slot < start || slot >= start + count || blocks.len() as u64 >= count {
            return Err(BatchError::Bad("a block is outside the range"));
        }
        if blocks.last().is_some_and(|(root, last)| slot <= last.message.slot || parent != *root) {
            return Err(BatchError::Bad("the blocks are no chain"));
        }
        let hashed = block.clone();
        blocks.push((smol::unblock(move || hashed.root()).await, block));
    }
}
