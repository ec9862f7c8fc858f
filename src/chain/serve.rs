//! Answers to peers: blocks and columns, read from the database one by one, and what light clients need.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_channel::{Receiver, Sender};
use smol::future;
use ssz::Encode as _;

use super::{
    Shared, Snapshot, TaskError,
    light_client_task::{LightClientMessage, Wanted},
    limits::{ANSWERS_AT_ONCE, ANSWERS_OF_PEER, ANSWERS_WAITING, COMING_COLUMNS_MS, MAX_REQUEST_LIGHT_CLIENT_UPDATES},
    network::{InboundRequest, Peer, RequestKind, ResponseChunk},
    payloads::{PayloadError, WholeBlocks},
};
use crate::{
    db::{Database, DbError},
    types::{
        ColumnIndex, Epoch, Hash256, Slot, compute_epoch_at_slot, compute_start_slot_at_epoch, preset::GENESIS_SLOT,
    },
};

/// Blocks that may be finalized at once before the index has them: after three hours without finality.
const MAX_NOT_INDEXED: usize = 1024;
/// Between two looks whether columns have come.
const COMING_COLUMNS_POLL: Duration = Duration::from_millis(25);

/// Starts an answer for each request, a few at once, and of one peer fewer: who reads slowly holds up none but itself.
pub(super) async fn run(shared: Arc<Shared>, requests: Receiver<InboundRequest>) -> Result<(), TaskError> {
    // As many as there may be answers, so that none waits to tell its end.
    let (ended, ends) = async_channel::bounded(ANSWERS_AT_ONCE);
    let mut turns = Turns::default();
    loop {
        while let Some(request) = turns.next() {
            let (shared, ended) = (shared.clone(), ended.clone());
            smol::spawn(async move {
                let InboundRequest { kind, reply, peer } = request;
                let _end = End(ended, peer.clone());
                let count = answer(&shared, kind, &reply).await;
                tracing::trace!(%peer, count, "answered a request");
            })
            .detach();
        }
        let end = async { ends.recv().await.map(Err) };
        let request = async {
            // More wait in their queue.
            if turns.waiting.len() >= ANSWERS_WAITING { future::pending().await } else { requests.recv().await.map(Ok) }
        };
        match future::or(end, request).await {
            Ok(Ok(request)) => turns.waiting.push_back(request),
            Ok(Err(peer)) => turns.end(&peer),
            Err(_) => return Err(TaskError::Abandoned("serve")),
        }
    }
}

/// Tells that an answer has ended, however it did.
struct End(Sender<Peer>, Peer);

impl Drop for End {
    fn drop(&mut self) {
        // There is room for all.
        let _ = self.0.try_send(self.1.clone());
    }
}

/// Whose request is answered next.
#[derive(Default)]
struct Turns {
    running: HashMap<Peer, usize>,
    waiting: VecDeque<InboundRequest>,
}

impl Turns {
    /// The oldest request of a peer that has not its share of answers running, if one may begin.
    fn next(&mut self) -> Option<InboundRequest> {
        if self.running.values().sum::<usize>() >= ANSWERS_AT_ONCE {
            return None;
        }
        let of = |request: &InboundRequest| self.running.get(&request.peer).copied().unwrap_or(0);
        let place = self.waiting.iter().position(|request| of(request) < ANSWERS_OF_PEER)?;
        let request = self.waiting.remove(place)?;
        *self.running.entry(request.peer.clone()).or_default() += 1;
        Some(request)
    }

    fn end(&mut self, peer: &Peer) {
        if let Some(running) = self.running.get_mut(peer) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(peer);
            }
        }
    }
}

/// What is read for one chunk of an answer.
#[derive(Clone, Copy)]
enum Item {
    Block(Hash256),
    Column(Hash256, ColumnIndex),
}

impl Item {
    fn block(&self) -> Option<Hash256> {
        match self {
            Item::Block(root) => Some(*root),
            Item::Column(..) => None,
        }
    }
}

/// Answers, and says how many chunks were sent.
async fn answer(shared: &Arc<Shared>, kind: RequestKind, reply: &Sender<ResponseChunk>) -> usize {
    match kind {
        RequestKind::LightClientBootstrap { root } => send_light_client(shared, Wanted::Bootstrap(root), reply).await,
        RequestKind::LightClientFinalityUpdate => send_light_client(shared, Wanted::FinalityUpdate, reply).await,
        RequestKind::LightClientOptimisticUpdate => send_light_client(shared, Wanted::OptimisticUpdate, reply).await,
        RequestKind::LightClientUpdates { start_period, count } => {
            send_updates(shared, start_period, count, reply).await
        }
        kind => send_items(shared, kind, reply).await,
    }
}

/// Sends blocks or columns.
async fn send_items(shared: &Arc<Shared>, kind: RequestKind, reply: &Sender<ResponseChunk>) -> usize {
    if let RequestKind::ColumnsByRoot { wanted } = &kind {
        shared.clock.within(COMING_COLUMNS_MS, coming_columns(shared, wanted)).await;
    }
    // Who asks by roots gets those that there are.
    let is_by_root = matches!(kind, RequestKind::BlocksByRoot { .. });
    let there = shared.clone();
    let items = match smol::unblock(move || items(&there, kind)).await {
        Ok(items) => items,
        Err(end) => {
            let _ = reply.send(end).await;
            return 0;
        }
    };
    let (mut sent, mut whole) = (0, WholeBlocks::default());
    for (at, item) in items.iter().enumerate() {
        let (here, item) = (shared.clone(), *item);
        let found = match smol::unblock(move || read(&here, item)).await {
            Err(DbError::Blinded { .. }) => {
                let mut following = items[at..].iter().filter_map(Item::block);
                match following.next() {
                    Some(root) => whole
                        .get(shared, root, following)
                        .await
                        .map(|block| Some((block.message.slot, block.as_ssz_bytes()))),
                    None => Ok(None),
                }
            }
            found => found.map_err(PayloadError::from),
        };
        let chunk = match found {
            Ok(Some((slot, ssz))) => {
                ResponseChunk::Item { fork_digest: shared.fork_digest(compute_epoch_at_slot(slot)), ssz }
            }
            Ok(None) => continue,
            Err(PayloadError::Db(error)) => failed(&error),
            Err(_) if is_by_root => continue,
            Err(_) => ResponseChunk::ResourceUnavailable("the payload of a block of this range can't be had now"),
        };
        let is_end = !matches!(chunk, ResponseChunk::Item { .. });
        if reply.send(chunk).await.is_err() || is_end {
            break;
        }
        sent += 1;
    }
    sent
}

/// Waits until columns are stored that are wanted, that we keep, and that are on their way to us.
async fn coming_columns(shared: &Arc<Shared>, wanted: &[(Hash256, Vec<ColumnIndex>)]) {
    let sampled = shared.custody.sampled();
    for (root, columns) in wanted {
        while shared.columns.are_coming(root, shared.clock.slot()) {
            let (db, root) = (shared.db.clone(), *root);
            let stored = smol::unblock(move || db.columns_of(root)).await.unwrap_or_default();
            if columns.iter().all(|column| stored.contains(column) || !sampled.contains(*column)) {
                break;
            }
            smol::Timer::after(COMING_COLUMNS_POLL).await;
        }
    }
}

fn read(shared: &Shared, item: Item) -> Result<Option<(Slot, Vec<u8>)>, DbError> {
    match item {
        Item::Block(root) => verified_block(shared, root),
        Item::Column(root, column) => shared.db.column_ssz(root, column),
    }
}

/// What is to be read for a request, in the order of the answer.
fn items(shared: &Shared, kind: RequestKind) -> Result<Vec<Item>, ResponseChunk> {
    let limit = shared.config.max_request_blocks_deneb;
    let pruned = |start| start < shared.snapshot.load().earliest_slot;
    match kind {
        RequestKind::BlocksByRange { start_slot, .. } if pruned(start_slot) => {
            Err(ResponseChunk::ResourceUnavailable("the range begins before the oldest block that this node has"))
        }
        RequestKind::BlocksByRange { start_slot, count } => {
            let roots = roots_of_range(shared, start_slot, count.min(limit))?;
            Ok(roots.into_iter().map(Item::Block).collect())
        }
        RequestKind::BlocksByRoot { roots } => {
            let mut seen = HashSet::new();
            let distinct = roots.into_iter().filter(|root| seen.insert(*root));
            Ok(distinct.take(limit as usize).map(Item::Block).collect())
        }
        RequestKind::BlocksByHead { root, count } => {
            let roots = roots_before(shared, root, count.min(limit)).map_err(|error| failed(&error))?;
            Ok(roots.into_iter().map(Item::Block).collect())
        }
        RequestKind::ColumnsByRange { start_slot, count, columns } => {
            // The genesis block has none.
            let first = start_slot.max(GENESIS_SLOT + 1);
            if first < shared.earliest_columns.load(Ordering::Relaxed) && has_columns(shared, start_slot, count) {
                return Err(ResponseChunk::ResourceUnavailable("the range begins before this node's oldest columns"));
            }
            let roots = roots_of_range(shared, start_slot, count.min(limit))?;
            stored_columns(&shared.db, roots.into_iter().map(|root| (root, &columns[..])))
        }
        RequestKind::ColumnsByRoot { wanted } => {
            // They were stored before the block failed.
            let valid = wanted.iter().filter(|(root, _)| !shared.invalid_blocks.contains(root));
            stored_columns(&shared.db, valid.map(|(root, columns)| (*root, &columns[..])))
        }
        // Answered before.
        _ => Ok(Vec::new()),
    }
}

/// Whether blocks in this range can have columns that peers may ask for: not before Fulu.
fn has_columns(shared: &Shared, start: Slot, count: u64) -> bool {
    start.saturating_add(count) > compute_start_slot_at_epoch(shared.config.fulu_fork_epoch)
}

/// Those of the columns that are stored, ascending for each block.
fn stored_columns<'a>(
    db: &Database,
    wanted: impl Iterator<Item = (Hash256, &'a [ColumnIndex])>,
) -> Result<Vec<Item>, ResponseChunk> {
    let mut items = Vec::new();
    for (root, columns) in wanted {
        let stored = db.columns_of(root).map_err(|error| failed(&error))?;
        items.extend(stored.into_iter().filter(|it| columns.contains(it)).map(|it| Item::Column(root, it)));
    }
    Ok(items)
}

/// A stored block that passed the transition. The database also has orphans, which did not.
fn verified_block(shared: &Shared, root: Hash256) -> Result<Option<(Slot, Vec<u8>)>, DbError> {
    let Some((slot, _)) = shared.db.block_parent(root)? else { return Ok(None) };
    let is_verified = shared.snapshot.load().contains(&root) || shared.db.canonical_root(slot)? == Some(root);
    if is_verified { shared.db.block_ssz(root) } else { Ok(None) }
}

/// A block and those before it, newest first, as far back as all are stored.
fn roots_before(shared: &Shared, root: Hash256, count: u64) -> Result<Vec<Hash256>, DbError> {
    let snapshot = shared.snapshot.load_full();
    let (mut roots, mut at) = (Vec::new(), root);
    while (roots.len() as u64) < count {
        let known = snapshot.blocks.get(&at).map(|info| (info.slot, info.parent_root));
        let Some((slot, parent)) = known.map_or_else(|| shared.db.block_parent(at), |known| Ok(Some(known)))? else {
            break;
        };
        if slot < snapshot.earliest_slot {
            break;
        }
        roots.push(at);
        at = parent;
    }
    Ok(roots)
}

/// Roots of our chain's blocks in a range: from the tree of the snapshot, and before that from the canonical index.
fn roots_of_range(shared: &Shared, start: Slot, count: u64) -> Result<Vec<Hash256>, ResponseChunk> {
    let end = start.saturating_add(count);
    let snapshot = shared.snapshot.load_full();
    let mut newer: Vec<(Slot, Hash256)> = Vec::new();
    let (mut oldest_known, mut parent) = (snapshot.head_slot, Hash256::ZERO);
    for (root, info) in snapshot.branch(snapshot.head_root) {
        (oldest_known, parent) = (info.slot, info.parent_root);
        if info.slot < start {
            break;
        }
        if info.slot < end {
            newer.push((info.slot, root));
        }
    }
    // What has just been finalized is not in the tree any more, and in the index only a moment later. Until then, parents tell.
    for _ in 0..MAX_NOT_INDEXED {
        let Some((slot, before)) = shared.db.block_parent(parent).map_err(|error| failed(&error))? else { break };
        let indexed = shared.db.canonical_root(slot).map_err(|error| failed(&error))?;
        if slot < start || indexed == Some(parent) {
            break;
        }
        if slot < end {
            newer.push((slot, parent));
        }
        (oldest_known, parent) = (slot, before);
    }
    newer.reverse();
    let mut roots: Vec<Hash256> = Vec::new();
    if start < oldest_known {
        let older = shared.db.canonical_roots(start..end.min(oldest_known)).map_err(|error| failed(&error))?;
        roots.extend(older.into_iter().map(|(_, root)| root));
    }
    roots.extend(newer.into_iter().map(|(_, root)| root));
    Ok(roots)
}

/// What the task that collects for light clients has of this; an error when it is busy.
async fn ask_light_client(shared: &Shared, wanted: Wanted) -> Result<Option<ResponseChunk>, ResponseChunk> {
    let (to, object) = async_channel::bounded(1);
    let busy = |_| ResponseChunk::ServerError("busy");
    shared.light_client.try_send(LightClientMessage::Ask(wanted, to)).map_err(busy)?;
    let object = object.recv().await.unwrap_or_default();
    Ok(object.map(|(slot, ssz)| {
        let fork_digest = shared.fork_digest(compute_epoch_at_slot(slot));
        ResponseChunk::Item { fork_digest, ssz }
    }))
}

/// Sends a single object, or says that it is not there.
async fn send_light_client(shared: &Shared, wanted: Wanted, reply: &Sender<ResponseChunk>) -> usize {
    let none = ResponseChunk::ResourceUnavailable("this node does not have it");
    let (count, chunk) = match ask_light_client(shared, wanted).await {
        Ok(Some(chunk)) => (1, chunk),
        Ok(None) => (0, none),
        Err(end) => (0, end),
    };
    let _ = reply.send(chunk).await;
    count
}

/// Sends the best updates of consecutive periods: from the first in the range that is there to the first that is not.
async fn send_updates(shared: &Shared, start_period: u64, count: u64, reply: &Sender<ResponseChunk>) -> usize {
    let mut sent = 0;
    for period in start_period..start_period.saturating_add(count.min(MAX_REQUEST_LIGHT_CLIENT_UPDATES)) {
        match ask_light_client(shared, Wanted::Update(period)).await {
            Ok(Some(chunk)) => match reply.send(chunk).await {
                Ok(()) => sent += 1,
                Err(_) => break,
            },
            Ok(None) if sent == 0 => {}
            Ok(None) => break,
            Err(end) => {
                let _ = reply.send(end).await;
                break;
            }
        }
    }
    sent
}

fn failed(error: &DbError) -> ResponseChunk {
    tracing::warn!(%error, "a peer's request could not be answered; check the disk");
    ResponseChunk::ServerError("the database failed")
}

/// The first slot from which on we serve all that peers may ask for: blocks, and columns for as long as those must be had.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#status-v2>
pub(super) fn earliest_available_slot(shared: &Shared, snapshot: &Snapshot) -> Slot {
    let columns = shared.earliest_columns.load(Ordering::Relaxed);
    // Who keeps no columns has all of them.
    let has_columns =
        columns <= first_slot_of_columns(shared, shared.clock.epoch()) || shared.custody.sampled().is_empty();
    let earliest = if has_columns { snapshot.earliest_slot } else { snapshot.earliest_slot.max(columns) };
    // The genesis block is nobody's to give, so nothing lacks before the first slot. Who begins at genesis asks for a range from
    // there on, and only of those who say that they have it.
    if earliest <= GENESIS_SLOT + 1 { GENESIS_SLOT } else { earliest }
}

/// From which slot on columns must be had in an epoch.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#datacolumnsidecarsbyrange-v1>
pub(super) fn first_slot_of_columns(shared: &Shared, epoch: Epoch) -> Slot {
    let config = &shared.config;
    let first = epoch.saturating_sub(config.min_epochs_for_data_column_sidecars_requests).max(config.fulu_fork_epoch);
    compute_start_slot_at_epoch(first)
}
