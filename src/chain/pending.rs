//! The pending task: orphans whose parents are not known yet.
//!
//! The blocks are in the database; here are their roots only. Peers are asked on a timer, for few roots at a time, so a
//! flood of blocks without parents costs a bounded amount of memory and bandwidth. What other tasks say is only a hint
//! that saves time: on the timer everything is compared with the snapshot again, so that a lost message loses nothing.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_channel::Receiver;

use super::{
    BlockSource, BlockWork, OurBlock, Shared, Snapshot, TaskError,
    gossip::InvalidBlock,
    limits::*,
    network::{Fault, NetworkCommand, Peer},
    range_sync::SyncMessage,
};
use crate::{
    metrics::{self, PENDING_BLOCKS, QUEUE_LENGTH},
    types::{Hash256, SignedBeaconBlock, Slot, compute_start_slot_at_epoch},
};

/// Who is being asked, for what.
type Asked = HashMap<Peer, Vec<Hash256>>;

/// A block that waits for its parent.
#[derive(Clone, Debug)]
pub(crate) struct Orphan {
    pub root: Hash256,
    pub parent: Hash256,
    pub slot: Slot,
    /// Who sent it, and may have the parent.
    pub peer: Option<Peer>,
}

/// What the pending task is told.
pub(crate) enum PendingMessage {
    /// A block without a parent is in the database.
    Orphan(Orphan),
    /// The fork-choice store has this block now.
    Imported(Hash256),
    /// This block, which is in the database, has all its columns now.
    Complete(Hash256),
    /// This block can never be imported.
    Invalid(Hash256),
}

/// A root that is looked for.
#[derive(Debug, Default)]
struct Missing {
    attempts: u32,
    next_ms: u64,
    sources: Vec<Peer>,
}

pub(super) struct PendingTask {
    shared: Arc<Shared>,
    messages: Receiver<PendingMessage>,
    orphans: HashMap<Hash256, Orphan>,
    /// Roots of orphans as they came.
    order: VecDeque<Hash256>,
    missing: HashMap<Hash256, Missing>,
    /// Blocks to be tried now: freed orphans, and parents that the database had.
    freed: VecDeque<Hash256>,
    asked: Arc<Mutex<Asked>>,
}

impl PendingTask {
    pub fn new(shared: Arc<Shared>, messages: Receiver<PendingMessage>) -> PendingTask {
        PendingTask {
            shared,
            messages,
            orphans: HashMap::new(),
            order: VecDeque::new(),
            missing: HashMap::new(),
            freed: VecDeque::new(),
            asked: Arc::default(),
        }
    }

    pub async fn run(mut self) -> Result<(), TaskError> {
        let clock = self.shared.clock.clone();
        let mut tick = clock.now_ms() + PENDING_INTERVAL_MS;
        loop {
            let message = smol::future::or(async { self.messages.recv().await.map(Some) }, async {
                clock.until(tick).await;
                Ok(None)
            });
            match message.await {
                Ok(Some(message)) => self.handle(message),
                Ok(None) => {
                    tick = clock.now_ms() + PENDING_INTERVAL_MS;
                    self.compare_with_snapshot();
                    self.ask().await;
                }
                Err(_) => return Err(TaskError::Abandoned("pending")),
            }
            self.free().await;
            metrics::set(&PENDING_BLOCKS, &[], self.orphans.len() as f64);
            metrics::set(&QUEUE_LENGTH, &[("queue", "pending")], self.messages.len() as f64);
        }
    }

    fn handle(&mut self, message: PendingMessage) {
        match message {
            PendingMessage::Orphan(orphan) => self.add(orphan),
            PendingMessage::Imported(root) => {
                self.missing.remove(&root);
                self.free_children(root);
            }
            PendingMessage::Complete(root) => self.push_freed(root),
            PendingMessage::Invalid(root) => {
                self.missing.remove(&root);
                self.drop_descendants(root);
            }
        }
    }

    fn add(&mut self, orphan: Orphan) {
        let (root, parent) = (orphan.root, orphan.parent);
        self.missing.remove(&root);
        if self.shared.snapshot.load().contains(&parent) {
            // It came between the look at the snapshot and this message.
            self.push_freed(root);
            return;
        }
        if !self.orphans.contains_key(&parent) {
            if self.missing.len() >= MAX_MISSING && !self.missing.contains_key(&parent) {
                return;
            }
            let missing = self.missing.entry(parent).or_default();
            let new = orphan.peer.iter().filter(|peer| !missing.sources.contains(peer)).cloned().collect::<Vec<_>>();
            missing.sources.extend(new);
            missing.sources.truncate(SOURCES_PER_ROOT);
        }
        if self.orphans.insert(root, orphan).is_none() {
            self.order.push_back(root);
        }
        if self.orphans.len() > MAX_ORPHANS
            && let Some(oldest) = self.order.front().copied()
        {
            self.forget(oldest);
        }
        self.leave_deep_chain_to_sync(root);
    }

    /// A chain that is too deep is fetched by range.
    fn leave_deep_chain_to_sync(&mut self, root: Hash256) {
        let deepest = self.orphans.keys().map(|tip| self.chain(*tip)).filter(|chain| chain.contains(&root));
        let Some(chain) = deepest.max_by_key(Vec::len).filter(|chain| chain.len() as u64 > MAX_ORPHAN_DEPTH) else {
            return;
        };
        tracing::debug!(depth = chain.len(), "a chain of unknown parents is left to range sync");
        chain.into_iter().for_each(|root| self.forget(root));
        let _ = self.shared.sync.try_send(SyncMessage::FarBehind);
    }

    /// The orphans from `tip` down to the one whose parent is missing.
    fn chain(&self, tip: Hash256) -> Vec<Hash256> {
        let down = |root: &Hash256| self.orphans.get(root).map(|orphan| orphan.parent);
        let roots = std::iter::successors(Some(tip), down).filter(|root| self.orphans.contains_key(root));
        roots.take(MAX_ORPHANS).collect()
    }

    /// Forgets an orphan, and its parent's root if no other one waits for it.
    fn forget(&mut self, root: Hash256) {
        let Some(orphan) = self.orphans.remove(&root) else { return };
        self.order.retain(|known| *known != root);
        if !self.orphans.values().any(|other| other.parent == orphan.parent) {
            self.missing.remove(&orphan.parent);
        }
    }

    fn free_children(&mut self, parent: Hash256) {
        for root in self.children(parent) {
            self.forget(root);
            self.push_freed(root);
        }
    }

    fn children(&self, parent: Hash256) -> Vec<Hash256> {
        self.orphans.values().filter(|orphan| orphan.parent == parent).map(|orphan| orphan.root).collect()
    }

    fn push_freed(&mut self, root: Hash256) {
        if !self.freed.contains(&root) && self.freed.len() < MAX_MISSING {
            self.freed.push_back(root);
        }
    }

    fn drop_descendants(&mut self, root: Hash256) {
        let why = self.shared.invalid_blocks.get(&root).unwrap_or(InvalidBlock::ByRules);
        let mut invalid = vec![root];
        while let Some(root) = invalid.pop() {
            for child in self.children(root) {
                self.forget(child);
                self.shared.invalid_blocks.insert(child, why);
                invalid.push(child);
            }
        }
    }

    /// Finds what no message told us of.
    fn compare_with_snapshot(&mut self) {
        let snapshot: Arc<Snapshot> = self.shared.snapshot.load_full();
        let finalized = compute_start_slot_at_epoch(snapshot.finalized.epoch);
        let dead: Vec<_> = self.orphans.values().filter(|o| o.slot <= finalized).map(|o| o.root).collect();
        dead.into_iter().for_each(|root| self.forget(root));
        let came: Vec<_> = self.orphans.values().map(|orphan| orphan.parent).filter(|p| snapshot.contains(p)).collect();
        came.into_iter().for_each(|parent| self.free_children(parent));
        let invalid: Vec<_> = self.missing.keys().filter(|r| self.shared.invalid_blocks.contains(r)).copied().collect();
        invalid.into_iter().for_each(|root| self.drop_descendants(root));
        self.missing.retain(|root, _| !snapshot.contains(root) && !self.shared.invalid_blocks.contains(root));
    }

    /// Gives freed blocks to the block tasks, as long as there is room.
    async fn free(&mut self) {
        while let Some(root) = self.freed.front().copied() {
            if self.shared.work.is_full() {
                return;
            }
            let db = self.shared.db.clone();
            if let Ok(Some(block)) = smol::unblock(move || db.block(root)).await {
                let received_ms = self.shared.clock.now_ms();
                let work = BlockWork {
                    block: Arc::new(block),
                    source: BlockSource::Stored,
                    received_ms,
                    reply: None,
                    ours: OurBlock::default(),
                };
                if self.shared.work.try_send(work).is_err() {
                    return;
                }
            }
            self.freed.pop_front();
        }
    }

    /// Looks for missing parents whose time has come: in the database, then at one peer.
    async fn ask(&mut self) {
        let now = self.shared.clock.now_ms();
        let others = self.shared.peers.load().len().max(1);
        if lock(&self.asked).len() >= PARENT_REQUESTS_AT_ONCE.min(others) {
            return;
        }
        // What waits for columns is here, and comes when they do.
        let asked: Vec<Hash256> = lock(&self.asked).values().flatten().copied().collect();
        let is_due = |root: &Hash256, missing: &Missing| {
            missing.next_ms <= now && !asked.contains(root) && !self.shared.columns.is_wanted(root)
        };
        let mut due: Vec<_> =
            self.missing.iter().filter(|(root, m)| is_due(root, m)).map(|(root, m)| (m.attempts, *root)).collect();
        due.sort_unstable();
        let mut wanted = Vec::new();
        for (_, root) in due.into_iter().take(ROOTS_PER_REQUEST) {
            let Some(missing) = self.missing.get_mut(&root) else { continue };
            if missing.attempts >= PARENT_ATTEMPTS {
                tracing::debug!(%root, "nobody has this parent; the blocks that wait for it are forgotten");
                self.missing.remove(&root);
                self.children(root).into_iter().for_each(|child| self.forget(child));
                continue;
            }
            missing.next_ms = now + (PENDING_INTERVAL_MS << missing.attempts);
            missing.attempts += 1;
            let db = self.shared.db.clone();
            if smol::unblock(move || db.has_block(root)).await.unwrap_or(false) {
                self.push_freed(root);
            } else {
                wanted.push(root);
            }
        }
        if let Some(peer) = self.choose_peer(&wanted) {
            lock(&self.asked).insert(peer.clone(), wanted.clone());
            let (shared, asked) = (self.shared.clone(), self.asked.clone());
            let depth = wanted.first().map_or(0, |root| self.missing_before(root));
            smol::spawn(async move {
                if depth > 1 && fetch_line(&shared, peer.clone(), wanted[0], depth).await {
                    wanted.remove(0);
                }
                fetch(&shared, peer.clone(), wanted).await;
                lock(&asked).remove(&peer);
            })
            .detach();
        }
    }

    /// How many blocks may be missing from this one down, by the slots between the head and the orphans that wait for it. Only at
    /// the first attempt: later ones are by root, which all peers speak.
    fn missing_before(&self, root: &Hash256) -> u64 {
        if self.missing.get(root).is_none_or(|missing| missing.attempts > 1) {
            return 0;
        }
        let head = self.shared.snapshot.load().head_slot;
        let waiting = self.orphans.values().filter(|orphan| orphan.parent == *root).map(|orphan| orphan.slot).min();
        waiting.map_or(0, |slot| slot.saturating_sub(head + 1)).min(ROOTS_PER_REQUEST as u64)
    }

    /// A source of the first root at its first attempts, then any peer, another one each time.
    fn choose_peer(&self, wanted: &[Hash256]) -> Option<Peer> {
        let missing = self.missing.get(wanted.first()?)?;
        let attempt = missing.attempts.saturating_sub(1) as usize;
        let peers = self.shared.peers.load();
        let others = peers.iter().map(|known| &known.peer).filter(|peer| !missing.sources.contains(peer));
        let asked = lock(&self.asked);
        // Who is silent holds up nobody else's blocks.
        let all: Vec<&Peer> = missing.sources.iter().chain(others).filter(|peer| !asked.contains_key(*peer)).collect();
        all.get(attempt % all.len().max(1)).map(|peer| (*peer).clone())
    }
}

/// Asks a peer for a block and those before it, in one go, until one is known. Each names the next, so nothing else can come. What
/// came goes to the block tasks, newest first; the oldest frees the others. Returns whether anything came, or the peer failed.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#beaconblocksbyhead-v1>
async fn fetch_line(shared: &Arc<Shared>, peer: Peer, root: Hash256, count: u64) -> bool {
    let (answer, blocks) = async_channel::bounded(shared.capacities.answer);
    tracing::debug!(%peer, count, "asking for a line of parents");
    shared.tell_network(NetworkCommand::BlocksByHead { peer: peer.clone(), root, count, answer });
    let punish = |fault| shared.tell_network(NetworkCommand::Report { peer: peer.clone(), fault });
    let mut next = root;
    for number in 0..count {
        let block = match shared.clock.within(ANSWER_TIMEOUT_MS, blocks.recv()).await {
            None => {
                punish(Fault::Timeout);
                return true;
            }
            Some(Ok(Ok(block))) => block,
            Some(Ok(Err(_)) | Err(_)) => return number > 0,
        };
        let hashed = block.clone();
        if smol::unblock(move || hashed.root()).await != next {
            punish(Fault::Unrelated);
            return true;
        }
        next = block.message.parent_root;
        if !give(shared, &peer, block).await || shared.snapshot.load().contains(&next) {
            return true;
        }
    }
    true
}

/// Gives a block that was asked for to the block tasks; false when they are gone.
async fn give(shared: &Arc<Shared>, peer: &Peer, block: Arc<SignedBeaconBlock>) -> bool {
    let (source, received_ms) = (BlockSource::ByRoot(peer.clone()), shared.clock.now_ms());
    let work = BlockWork { block, source, received_ms, reply: None, ours: OurBlock::default() };
    shared.work.send(work).await.is_ok()
}

fn lock(asked: &Mutex<Asked>) -> MutexGuard<'_, Asked> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks a peer for blocks by root and gives them to the block tasks.
async fn fetch(shared: &Arc<Shared>, peer: Peer, roots: Vec<Hash256>) {
    if roots.is_empty() {
        return;
    }
    let (answer, blocks) = async_channel::bounded(shared.capacities.answer);
    tracing::debug!(%peer, count = roots.len(), "asking for parents");
    shared.tell_network(NetworkCommand::BlocksByRoot { peer: peer.clone(), roots: roots.clone(), answer });
    let punish = |fault| shared.tell_network(NetworkCommand::Report { peer: peer.clone(), fault });
    for _ in 0..roots.len() {
        let block = match shared.clock.within(ANSWER_TIMEOUT_MS, blocks.recv()).await {
            None => return punish(Fault::Timeout),
            Some(Ok(Ok(block))) => block,
            Some(Ok(Err(_)) | Err(_)) => return,
        };
        let hashed = block.clone();
        if !roots.contains(&smol::unblock(move || hashed.root()).await) {
            return punish(Fault::Unrelated);
        }
        if !give(shared, &peer, block).await {
            return;
        }
    }
}
