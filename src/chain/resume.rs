//! Where the chain starts: a checkpoint, or what the data directory has.

use std::{cell::Cell, sync::Arc, time::Instant};

use super::{
    BlockInfo, Clock, KnownBlocks, StartError,
    rebuild::prepare,
    recorder::{is_canonical, write_state},
    start::clock_or_system,
    states::{Entry, HotStates},
    store_task::finalized_and_descendants,
    stored::{Loader, Stage, StateReadError, StoredState, stored_states},
};
use crate::{
    crypto::PubkeyCache,
    db::{Anchor, Database},
    fork_choice::{Store, import_block},
    transition::{Checks, Context, compute_weak_subjectivity_period, state_transition},
    types::{BeaconState, Config, Hash256, SignedBeaconBlock, Slot, compute_start_slot_at_epoch},
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
    /// The whole state that differences are written against.
    pub anchor: Entry,
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
    let mut stage = Stage::begin();
    let store = Store::from_anchor(&mut state, &block.message.header(), config.clone())
        .map_err(|e| StartError::Anchor(e.to_string()))?;
    prepare(&mut state).map_err(|e| StartError::Anchor(e.to_string()))?;
    check_age(&mut state, &Context { config, keys }, &clock)?;
    stage.end("hashed and shuffled the checkpoint's state");
    db.put_blocks(&[(root, block)])?;
    write_state(db, root, &state)?;
    stage.end("wrote it");
    db.set_canonical(&[(block.message.slot, root)])?;
    db.set_earliest_slot(block.message.slot)?;
    // The block's own columns are not had, if it has any.
    let has_columns = !block.message.body.blob_kzg_commitments.is_empty();
    db.set_earliest_column_slot(block.message.slot + u64::from(has_columns))?;
    db.put_snapshot(&store.to_snapshot())?;
    // Last: with the anchor, the directory is whole.
    db.put_anchor(&Anchor { slot: block.message.slot, block_root: root, state_root: block.message.state_root })?;
    stage.end("wrote the fork choice");
    let state = Arc::new(state);
    let (states, anchor) = (HotStates::new(root, state.clone()), (root, state.clone()));
    Ok(Base { blocks: known_blocks(&store), store, states, head_root: root, head_state: state, anchor, clock })
}

/// Starts from the data directory: the latest stored state of the canonical chain, the fork choice as it was stored, and the
/// blocks since.
///
/// Without a fork choice that fits, it is made anew from a stored state that is finalized: a later one need not be, and
/// must not become what the chain can't leave.
pub(super) fn from_database(
    db: &Database,
    config: &Arc<Config>,
    keys: &PubkeyCache,
    clock: Option<&Clock>,
) -> Result<Base, StartError> {
    db.anchor()?.ok_or(StartError::Empty)?;
    let mut stage = Stage::begin();
    let context = Context { config, keys };
    let mut canonical = Vec::new();
    for stored in stored_states(db)? {
        if is_canonical(db, stored.root)? {
            canonical.push(stored);
        }
    }
    let mut start = Starter { db, context, clock, loader: Loader { db, config, anchor: None }, error: None };
    let store = stored_fork_choice(db, config);
    stage.end("read the fork choice");
    if let Some(store) = store {
        // What is older than its finalized block it need not know.
        let finalized = compute_start_slot_at_epoch(store.finalized_checkpoint().epoch);
        let is_known = |stored: &&StoredState| stored.slot <= finalized || store.contains(&stored.root);
        let known: Vec<_> = canonical.iter().filter(is_known).copied().collect();
        let store = Cell::new(Some(store));
        let again = || stored_fork_choice(db, config).ok_or("the fork choice can't be read again".to_owned());
        if let Some(base) = start.first_that_works(&known, |_, _| store.take().map_or_else(again, Ok))? {
            return Ok(base);
        }
        tracing::warn!("the stored fork choice does not fit the stored states; it is made again from the blocks");
    }
    // The newest state says what is finalized.
    let newest = canonical.iter().rev().find_map(|stored| start.load(stored));
    let finalized = newest.map_or(0, |(_, state)| compute_start_slot_at_epoch(state.finalized_checkpoint.epoch));
    // The first is older than all finality that we know of.
    let is_final = |stored: &&StoredState| stored.slot <= finalized || stored.slot == canonical[0].slot;
    let finals: Vec<_> = canonical.iter().filter(is_final).copied().collect();
    let base = start.first_that_works(&finals, |block, state| {
        Store::from_anchor(state, &block.message.header(), config.clone()).map_err(|e| e.to_string())
    })?;
    let why = start.error.unwrap_or_else(|| "no state is stored".to_owned());
    base.ok_or(StartError::Damaged(why))
}

/// Tries stored states.
struct Starter<'a> {
    db: &'a Database,
    context: Context<'a>,
    clock: Option<&'a Clock>,
    loader: Loader<'a>,
    /// Why the last try failed.
    error: Option<String>,
}

impl Starter<'_> {
    /// Starts from the newest of these that can be read, and from which the canonical blocks lead to a block that the store
    /// knows.
    fn first_that_works(
        &mut self,
        states: &[StoredState],
        store: impl Fn(&SignedBeaconBlock, &mut BeaconState) -> Result<Store, String>,
    ) -> Result<Option<Base>, StartError> {
        for stored in states.iter().rev() {
            let Some((root, mut state)) = self.load(stored) else { continue };
            let clock = clock_or_system(self.clock, state.genesis_time, self.context.config);
            let mut stage = Stage::begin();
            prepare(&mut state).map_err(|e| StartError::Damaged(e.to_string()))?;
            check_age(&mut state, &self.context, &clock)?;
            stage.end("shuffled the validators of three epochs");
            let block =
                self.db.block(root)?.ok_or_else(|| StartError::Damaged(format!("block {root} is not there")))?;
            let tried = store(&block, &mut state).and_then(|store| self.replay(clock, store, root, state));
            stage.end("replayed the blocks since");
            match tried {
                Ok(base) => return Ok(Some(base)),
                Err(why) => self.note(stored, why),
            }
        }
        Ok(None)
    }

    fn load(&mut self, stored: &StoredState) -> Option<(Hash256, BeaconState)> {
        match self.loader.load(stored) {
            Ok(state) => Some((stored.root, state)),
            Err(error @ StateReadError::Missing { .. }) => {
                self.error = Some(error.to_string());
                None
            }
            Err(error) => {
                self.note(stored, error.to_string());
                None
            }
        }
    }

    fn note(&mut self, stored: &StoredState, why: String) {
        tracing::warn!(slot = stored.slot, root = %stored.root, why, "a stored state can't be started from");
        self.error = Some(why);
    }

    /// Runs the canonical blocks after the state.
    fn replay(&self, clock: Clock, store: Store, root: Hash256, state: BeaconState) -> Result<Base, String> {
        let from = state.latest_block_header.slot;
        // A state that is whole is what differences are written against from now on.
        let anchor = self.loader.anchor.clone().unwrap_or_else(|| (root, Arc::new(state.clone())));
        let (db, context) = (self.db, self.context);
        let mut replay = Replay { db, context, clock: &clock, store, root, state, state_root: None, count: 0 };
        replay.run(from).map_err(|e| e.to_string())?;
        let Replay { mut store, root, mut state, state_root, count, .. } = replay;
        prepare(&mut state).map_err(|e| e.to_string())?;
        if state_root.is_some_and(|named| named != state.hash_tree_root()) {
            return Err(format!("after {count} stored blocks, the state is not the one that the last of them names"));
        }
        tracing::info!(blocks = count, "stored blocks replayed");
        store.on_tick(clock.now_ms());
        let (blocks, state) = (known_blocks(&store), Arc::new(state));
        // Should the votes prefer another branch, the store task finds that out, and rebuilds its state.
        if blocks.get(&root).is_none() {
            return Err("the fork choice does not know the last of the stored blocks".into());
        }
        let states = HotStates::new(root, state.clone());
        Ok(Base { store, states, blocks, head_root: root, head_state: state, anchor, clock })
    }
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

/// The blocks of the canonical index after the stored state, run again. They were verified when they were stored, and the
/// root that each names is believed but for the last, which is compared.
struct Replay<'a> {
    db: &'a Database,
    context: Context<'a>,
    clock: &'a Clock,
    store: Store,
    /// The last block.
    root: Hash256,
    /// Not hashed.
    state: BeaconState,
    /// As the last block names it; none before the first.
    state_root: Option<Hash256>,
    count: u64,
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
        // Should the block not pass, the state before it is still there.
        let mut state = self.state.clone();
        state.caches.known_root = self.state_root;
        let finalized = compute_start_slot_at_epoch(self.store.finalized_checkpoint().epoch);
        if self.store.contains(&root) || slot <= finalized {
            state_transition(&mut state, &block, &self.context, Checks::NONE).map_err(|e| text(&e))?;
        } else {
            // Whether its payload was verified is not known any more: the execution client tells as soon as it hears of the head.
            let (after, imported) = import_block(&state, &block, &self.context, Checks::NONE).map_err(|e| text(&e))?;
            self.store.on_tick(self.clock.start_of(slot));
            self.store.on_block(imported).map_err(|e| text(&e))?;
            state = after;
        }
        (self.root, self.state, self.state_root) = (root, state, Some(block.message.state_root));
        self.count += 1;
        Ok(())
    }
}
