//! How the chain starts: from a checkpoint or from the data directory, and which tasks it then has.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use smol::lock::Semaphore;

use super::{
    Capacities, Chain, ChainConfig, ChainHandle, ChainInputs, ChainTask, Clock, Custody, Shared, Snapshot, Start,
    StartError, TaskError, TaskFuture, ahead, backfill, block_task, columns, fill_keys,
    gossip::InvalidBlocks,
    light_client_task,
    limits::{INVALID_ROOTS, LIGHT_CLIENT_QUESTIONS, POOL_REQUESTS},
    messages::{self, Kind},
    payloads,
    pending::PendingTask,
    produce::NO_CLIENT,
    range_sync::SyncTask,
    recorder,
    resume::{Base, from_checkpoint, from_database},
    serve,
    store_task::StoreTask,
    subnets,
};
use crate::{crypto::PubkeyCache, db::Database, fork_choice::PayloadStatus};

/// The decompressed keys in the data directory. Without them everything works, but slower.
fn open_keys(db: &Database) -> PubkeyCache {
    PubkeyCache::open(&db.pubkeys_path()).unwrap_or_else(|error| {
        tracing::warn!(%error, path = %db.pubkeys_path().display(), "decompressed keys cannot be kept; starts take longer");
        PubkeyCache::default()
    })
}

/// Makes the chain ready. Blocks, and may take minutes: a restart replays the blocks since the latest stored state. The
/// tasks run when somebody starts them.
///
/// # Errors
/// Says what is wrong with the checkpoint or the data directory, and what to do.
pub fn start(setup: ChainConfig) -> Result<Chain, StartError> {
    let began = Instant::now();
    let keys = Arc::new(open_keys(&setup.db));
    let base = match setup.start {
        Start::Checkpoint { state, block } => {
            from_checkpoint(&setup.db, &setup.config, &keys, setup.clock.as_ref(), *state, &block)?
        }
        Start::Resume => from_database(&setup.db, &setup.config, &keys, setup.clock.as_ref())?,
    };
    let Base { mut store, states, blocks, head_root, head_state, anchor, clock } = base;
    store.on_tick(clock.now_ms());
    let earliest_slot = setup.db.earliest_slot()?.unwrap_or(head_state.slot);
    // A directory of a version that kept no columns begins to have them with the next block.
    let earliest_columns = match setup.db.earliest_column_slot()? {
        Some(slot) => slot,
        None => {
            setup.db.set_earliest_column_slot(head_state.slot + 1)?;
            head_state.slot + 1
        }
    };
    let head = blocks.get(&head_root).copied().ok_or_else(|| StartError::Damaged("the head is not known".into()))?;
    let snapshot = Snapshot {
        slot: clock.slot(),
        head_root,
        head_slot: head.slot,
        head_state_root: head.state_root,
        head_state,
        justified: store.justified_checkpoint(),
        finalized: store.finalized_checkpoint(),
        confirmed_root: store.fast_confirmation().confirmed_root(),
        is_optimistic: setup.execution.is_none()
            || store.node(&head_root).is_none_or(|node| node.payload_status != PayloadStatus::Valid),
        el_offline: setup.execution.is_none(),
        is_syncing: false,
        earliest_slot,
        blocks: blocks.clone(),
        states: states.clone(),
    };
    tracing::info!(
        head = head.slot, root = %head_root, finalized = snapshot.finalized.epoch, slot = snapshot.slot,
        took = ?began.elapsed().max(Duration::from_millis(1)), "chain ready"
    );
    let Capacities { gossip_blocks, gossip_votes, gossip_operations, gossip_columns, gossip_light_clients, .. } =
        setup.capacities;
    let Capacities { requests, peers, blocks: work, store: for_store, .. } = setup.capacities;
    let custody = Custody::open(&setup.db, &setup.config, setup.node_id)?;
    let (work_in, work) = async_channel::bounded(work);
    let (store_in, for_store) = async_channel::bounded(for_store);
    let (pending_in, for_pending) = async_channel::bounded(setup.capacities.pending);
    let (sync_in, for_sync) = async_channel::bounded(1);
    let (light_client_in, for_light_client) = async_channel::bounded(LIGHT_CLIENT_QUESTIONS);
    let (blob_pool_in, for_blob_pool) = async_channel::bounded(POOL_REQUESTS);
    let (our_votes_in, our_votes) = async_channel::bounded(gossip_votes);
    let (subscriptions_in, subscriptions) = async_channel::bounded(subnets::SUBSCRIPTIONS_WAITING);
    let node_id = setup.node_id;
    let (our_operations_in, our_operations) = async_channel::bounded(gossip_operations);
    let shared = Arc::new(Shared {
        config: setup.config,
        genesis_validators_root: snapshot.head_state.genesis_validators_root,
        clock,
        db: setup.db,
        keys,
        block_permits: Arc::new(Semaphore::new(setup.capacities.block_tasks.max(1))),
        detours: Default::default(),
        anchor: ArcSwap::from_pointee(anchor),
        rebuilding: Semaphore::new(1),
        capacities: setup.capacities,
        snapshot: ArcSwap::from_pointee(snapshot),
        peers: ArcSwap::default(),
        subscribers: Default::default(),
        custody,
        columns: Default::default(),
        seen: Default::default(),
        invalid_blocks: InvalidBlocks::new(INVALID_ROOTS),
        is_syncing: AtomicBool::new(false),
        earliest_slot: AtomicU64::new(earliest_slot),
        earliest_columns: AtomicU64::new(earliest_columns),
        network: setup.network,
        execution: setup.execution,
        pools: setup.pools,
        advanced: Default::default(),
        advancing: Default::default(),
        shufflings: Default::default(),
        blocks_running: AtomicUsize::new(0),
        keys_checked: AtomicUsize::new(0),
        sizes: Default::default(),
        work: work_in,
        votes: our_votes_in,
        operations: our_operations_in,
        subnets: subscriptions_in,
        aggregating: Default::default(),
        signs_heads: AtomicBool::new(false),
        store: store_in,
        pending: pending_in,
        sync: sync_in,
        light_client: light_client_in,
        blob_pool: blob_pool_in,
    });
    if shared.execution.is_none() {
        tracing::warn!("{NO_CLIENT}");
    }
    let (groups, columns) = (shared.custody.groups(), shared.custody.sampled().len());
    tracing::info!(
        groups,
        columns,
        "custody: so many columns of each block are kept, and looked for before it is imported"
    );
    let (recorder_in, records) = async_channel::bounded(1);
    let (gossip_blocks_in, gossip_blocks) = async_channel::bounded(gossip_blocks);
    let (gossip_votes_in, gossip_votes) = async_channel::bounded(gossip_votes);
    let (gossip_operations_in, gossip_operations) = async_channel::bounded(gossip_operations);
    let (gossip_columns_in, gossip_columns) = async_channel::bounded(gossip_columns);
    let (gossip_light_clients_in, gossip_light_clients) = async_channel::bounded(gossip_light_clients);
    let (requests_in, requests) = async_channel::bounded(requests);
    let (peers_in, peers) = async_channel::bounded(peers);
    let store_task = StoreTask {
        shared: shared.clone(),
        store,
        states,
        blocks,
        messages: for_store,
        recorder: recorder_in,
        early: Default::default(),
        rebuilding: None,
        weighing: None,
        measuring: false,
        dropped: Vec::new(),
        measured_in: None,
        pruned_in: None,
        told_execution: None,
        confirming: Default::default(),
    };
    let s = &shared;
    let mut tasks = vec![
        once("store", store_task.run()),
        again("blocks", s, move |s| Box::pin(block_task::run(s, gossip_blocks.clone(), work.clone()))),
        again("pending", s, move |s| Box::pin(PendingTask::new(s, for_pending.clone()).run())),
        again("votes", s, move |s| Box::pin(messages::run(s, Kind::Votes, gossip_votes.clone(), our_votes.clone()))),
        again("operations", s, move |s| {
            Box::pin(messages::run(s, Kind::Operations, gossip_operations.clone(), our_operations.clone()))
        }),
        again("columns", s, move |s| Box::pin(columns::judge(s, gossip_columns.clone()))),
        again("missing columns", s, move |s| Box::pin(columns::fetch_missing(s))),
        again("blob pool", s, move |s| Box::pin(columns::look_in_pool(s, for_blob_pool.clone()))),
        again("sync", s, move |s| Box::pin(SyncTask::new(s, peers.clone(), for_sync.clone()).run())),
        again("serve", s, move |s| Box::pin(serve::run(s, requests.clone()))),
        again("subnets", s, move |s| Box::pin(subnets::run(s, node_id, subscriptions.clone()))),
        again("light clients", s, move |s| {
            Box::pin(light_client_task::run(s, for_light_client.clone(), gossip_light_clients.clone()))
        }),
        again("ahead", s, move |s| Box::pin(ahead::run(s))),
        again("keys", s, move |s| Box::pin(fill_keys::run(s))),
        again("recorder", s, move |s| Box::pin(recorder::run(s, records.clone()))),
    ];
    if setup.backfill {
        tasks.push(again("backfill", s, move |s| Box::pin(backfill::run(s))));
    }
    if setup.prune_payloads {
        tasks.push(again("payloads", s, move |s| Box::pin(payloads::run(s))));
    }
    let inputs = ChainInputs {
        gossip_blocks: gossip_blocks_in,
        gossip_votes: gossip_votes_in,
        gossip_operations: gossip_operations_in,
        gossip_columns: gossip_columns_in,
        gossip_light_clients: gossip_light_clients_in,
        requests: requests_in,
        peers: peers_in,
    };
    Ok(Chain { handle: ChainHandle { shared }, inputs, tasks })
}

/// A task that can be started as often as need be: what it owns is rebuilt from what others send it.
fn again(
    name: &'static str,
    shared: &Arc<Shared>,
    start: impl Fn(Arc<Shared>) -> TaskFuture + Send + Sync + 'static,
) -> ChainTask {
    let shared = shared.clone();
    ChainTask { name, restartable: true, start: Box::new(move || start(shared.clone())) }
}

/// A task that owns what can't be rebuilt.
fn once(name: &'static str, task: impl Future<Output = Result<(), TaskError>> + Send + 'static) -> ChainTask {
    let task: Mutex<Option<TaskFuture>> = Mutex::new(Some(Box::pin(task)));
    let start = move || -> TaskFuture {
        match task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(task) => task,
            None => Box::pin(async move { Err(TaskError::NotRestartable(name)) }),
        }
    };
    ChainTask { name, restartable: false, start: Box::new(start) }
}

/// The clock that was given, or the system's.
pub(super) fn clock_or_system(clock: Option<&Clock>, genesis_time: u64, config: &crate::types::Config) -> Clock {
    clock.cloned().unwrap_or_else(|| Clock::system(genesis_time, config))
}
