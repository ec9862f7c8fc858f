//! Where the chain starts: a checkpoint, or what the data directory has.

use std::{sync::Arc, time::Instant};

use super::{
    BlockInfo, Clock, KnownBlocks, StartError, rebuild::prepare, rebuild::read_state, recorder::write_state,
    start::clock_or_system, states::HotStates, store_task::finalized_and_descendants,
};
use crate::{
    crypto::PubkeyCache,
    db::{Anchor, Database},
    fork_choice::{PayloadStatus, Store, import_block},
    transition::{Checks, Context, compute_weak_subjectivity_period},
    types::{
        BeaconState, Config, Hash256, SignedBeaconBlock, Slot, compute_epoch_at_slot, compute_start_slot_at_epoch,
    },
};

/// Canonical roots read at once.
const ROOTS_AT_ONCE: u64 = 1024;
/// A line of progress every so many seconds of replay.
const PROGRESS_SECONDS: u64 = 5;

/// What the tasks start with.
pub(super) struct Base {
    pub store: Store,
    pub states: HotStates,
    pub blocks: KnownBlocks,
    pub head_root: Hash256,
    pub head_state: Arc<BeaconState>,
    pub clock: Clock,
}

/// Starts an empty data directory from a trusted state and its block.
pub(super) fn from_checkpoint(
    db: &Database,
    config: &Arc<Config>,
    keys: &PubkeyCache,
    clock: Option<&Clock>,
    mut state: BeaconState,
    block: &SignedBeaconBlock,
) -> Result<Base, StartError> {
    let root = block.root();
    let clock = clock_or_system(clock, state.genesis_time, config);
    let store = Store::from_anchor(&mut state, &block.message.header(), config.clone())
        .map_err(|e| StartError::Anchor(e.to_string()))?;
    prepare(&mut state).map_err(|e| StartError::Anchor(e.to_string()))?;
    check_age(&mut state, &Context { config, keys }, &clock)?;
    db.put_blocks(&[(root, block)])?;
    write_state(db, root, &state)?;
    db.set_canonical(&[(block.message.slot, root)])?;
    db.set_earliest_slot(block.message.slot)?;
    db.put_snapshot(&store.to_snapshot())?;
    // Last: with the anchor, the directory is whole.
    db.put_anchor(&Anchor { slot: block.message.slot, block_root: root, state_root: block.message.state_root })?;
    let state = Arc::new(state);
    let states = HotStates::new(root, state.clone());
    Ok(Base { blocks: known_blocks(&store), store, states, head_root: root, head_state: state, clock })
}

/// Starts from the data directory: the latest stored state, the fork choice as it was stored, and the blocks since.
///
/// Without a fork choice that fits, it is made anew from the oldest stored state, which is finalized: a later one need not
/// be, and must not become what the chain can't leave.
pub(super) fn from_database(
    db: &Database,
    config: &Arc<Config>,
    keys: &PubkeyCache,
    clock: Option<&Clock>,
) -> Result<Base, StartError> {
    db.anchor()?.ok_or(StartError::Empty)?;
    let mut states = db.states()?;
    let context = Context { config, keys };
    if let Some(store) = stored_fork_choice(db, config) {
        let (root, state) = first_readable(db, config, states.iter().rev())?;
        let (state, clock) = ready(state, &context, clock)?;
        if let Some(base) = replay(db, context, clock, store, root, Arc::new(state))? {
            return Ok(base);
        }
        tracing::warn!(%root, "the stored fork choice does not fit the stored blocks; it is made again from the blocks");
    }
    states.sort_unstable();
    let (root, state) = first_readable(db, config, states.iter())?;
    let (mut state, clock) = ready(state, &context, clock)?;
    let block = db.block(root)?.ok_or_else(|| StartError::Damaged(format!("block {root} is not there")))?;
    let store = Store::from_anchor(&mut state, &block.message.header(), config.clone());
    let store = store.map_err(|e| StartError::Damaged(e.to_string()))?;
    let base = replay(db, context, clock, store, root, Arc::new(state))?;
    base.ok_or_else(|| StartError::Damaged(format!("the blocks after {root} do not form a chain")))
}

/// Hashes the state, checks that it is young enough, and finds the clock.
fn ready(mut state: BeaconState, context: &Context, clock: Option<&Clock>) -> Result<(BeaconState, Clock), StartError> {
    let clock = clock_or_system(clock, state.genesis_time, context.config);
    prepare(&mut state).map_err(|e| StartError::Damaged(e.to_string()))?;
    check_age(&mut state, context, &clock)?;
    Ok((state, clock))
}

/// Runs the canonical blocks after the state. None if the store does not know where they end.
fn replay(
    db: &Database,
    context: Context,
    clock: Clock,
    store: Store,
    root: Hash256,
    state: Arc<BeaconState>,
) -> Result<Option<Base>, StartError> {
    let from = state.latest_block_header.slot;
    let states = HotStates::new(root, state.clone());
    let mut replay = Replay { db, context, clock: &clock, store, states, root, state };
    replay.run(from)?;
    let Replay { mut store, states, root, state, .. } = replay;
    store.on_tick(clock.now_ms());
    let blocks = known_blocks(&store);
    // Should the votes prefer another branch, the store task finds that out, and rebuilds its state.
    let is_known = blocks.get(&root).is_some();
    Ok(is_known.then_some(Base { store, states, blocks, head_root: root, head_state: state, clock }))
}

/// The stored fork choice, if there is one and it can be read.
fn stored_fork_choice(db: &Database, config: &Arc<Config>) -> Option<Store> {
    let stored = db.snapshot().map_err(|e| e.to_string()).and_then(|bytes| {
        bytes.map(|bytes| Store::from_snapshot(&bytes, config.clone()).map_err(|e| e.to_string())).transpose()
    });
    stored.unwrap_or_else(|error| {
        tracing::warn!(error, "the stored fork choice can't be read; it is made again from the blocks");
        None
    })
}

/// The first of these states that can be read, and its block's root.
fn first_readable<'a>(
    db: &Database,
    config: &Config,
    states: impl Iterator<Item = &'a (Slot, Hash256)>,
) -> Result<(Hash256, BeaconState), StartError> {
    let mut last_error = "no state is stored".to_owned();
    for (slot, root) in states {
        match read_state(db, config, *slot, *root) {
            Ok(Some(state)) => return Ok((*root, state)),
            Ok(None) => {}
            Err(error) => last_error = error.to_string(),
        }
    }
    Err(StartError::Damaged(last_error))
}

/// Refuses a state from which nobody can be sure to get to the true chain.
fn check_age(state: &mut BeaconState, context: &Context, clock: &Clock) -> Result<(), StartError> {
    let period = compute_weak_subjectivity_period(state, context).map_err(|e| StartError::Damaged(e.to_string()))?;
    let (epoch, now) = (state.current_epoch(), clock.epoch());
    let behind = now.saturating_sub(epoch);
    if behind > period { Err(StartError::TooFarBehind { epoch, behind, period }) } else { Ok(()) }
}

/// Blocks that the store knows, as the snapshot has them.
fn known_blocks(store: &Store) -> KnownBlocks {
    let mut blocks = KnownBlocks::default();
    let known = finalized_and_descendants(store);
    for node in store.nodes().iter().filter(|node| known.contains(&node.root)) {
        let info = BlockInfo { slot: node.slot, parent_root: node.parent_root, state_root: node.state_root };
        blocks.insert(node.root, info);
    }
    blocks
}

/// The blocks of the canonical index after the stored state, run again. They were verified when they were stored.
struct Replay<'a> {
    db: &'a Database,
    context: Context<'a>,
    clock: &'a Clock,
    store: Store,
    states: HotStates,
    /// The last block.
    root: Hash256,
    state: Arc<BeaconState>,
}

impl Replay<'_> {
    fn run(&mut self, from: Slot) -> Result<(), StartError> {
        let end = self.clock.slot().saturating_add(1);
        let (mut next, mut told) = (from + 1, Instant::now());
        while next < end {
            let until = next.saturating_add(ROOTS_AT_ONCE).min(end);
            for (slot, root) in self.db.canonical_roots(next..until)? {
                if let Err(why) = self.block(root) {
                    // What is missing comes from peers again.
                    tracing::warn!(slot, %root, why, "a stored block can't be replayed; the chain goes on before it");
                    return Ok(());
                }
                if told.elapsed().as_secs() >= PROGRESS_SECONDS {
                    told = Instant::now();
                    tracing::info!(slot, to = end - 1, "replaying stored blocks");
                }
            }
            next = until;
        }
        Ok(())
    }

    fn block(&mut self, root: Hash256) -> Result<(), String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let block = self.db.block(root).map_err(|e| text(&e))?.ok_or("it is not there")?;
        if block.message.parent_root != self.root {
            return Err("it does not follow the block before".into());
        }
        let slot = block.message.slot;
        let (mut state, mut imported) =
            import_block(&self.state, &block, &self.context, Checks::NONE).map_err(|e| text(&e))?;
        prepare(&mut state).map_err(|e| text(&e))?;
        // Its payload was judged when it was imported; a client that knows better says so with the next one.
        imported.payload_status = PayloadStatus::Valid;
        let finalized = self.store.finalized_checkpoint();
        let is_new = !self.store.contains(&root) && slot > compute_start_slot_at_epoch(finalized.epoch);
        if is_new {
            self.store.on_tick(self.clock.start_of(slot));
            self.store.on_block(imported).map_err(|e| text(&e))?;
        }
        let state = Arc::new(state);
        let epoch = compute_epoch_at_slot(slot);
        if compute_epoch_at_slot(self.state.latest_block_header.slot) < epoch {
            let starts_epoch = slot == compute_start_slot_at_epoch(epoch);
            let (boundary_root, boundary) = if starts_epoch { (root, &state) } else { (self.root, &self.state) };
            self.states.insert_boundary(boundary_root, boundary.clone());
        }
        self.states.insert_recent(root, state.clone());
        self.states.finalize(&self.store.finalized_checkpoint().root, |_| true);
        (self.root, self.state) = (root, state);
        Ok(())
    }
}
