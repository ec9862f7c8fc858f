//! What is written behind the chain: the canonical index, now and then a state and the fork choice, and pruning.
//!
//! Blocks are written before this, by their tasks. The recorder compares the latest snapshot with the database and writes
//! the difference, so that it may miss any number of snapshots. Without its last writes, a restart only replays more.
//! docs/decisions/0009-state-differences.md says which states are written, and why.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use async_channel::Receiver;

use super::{
    Shared, Snapshot, StoreMessage, TaskError,
    limits::{
        ANCHOR_AT_LEAST_EPOCHS, ANCHOR_EVERY_EPOCHS, DIFFERENCE_EVERY_EPOCHS, LARGE_DIFFERENCE, MAX_DIFFERENCES,
        WHOLE_AFTER_EPOCHS,
    },
    states::Entry,
    stored::{StoredState, stored_states},
};
use crate::{
    db::{Database, DbError, Difference},
    types::{BeaconState, Epoch, Hash256, Slot, compute_start_slot_at_epoch, preset::SLOTS_PER_EPOCH},
};

pub(super) async fn run(shared: Arc<Shared>, snapshots: Receiver<Arc<Snapshot>>) -> Result<(), TaskError> {
    // A state that could not be written is not tried again.
    let mut failed = None;
    while let Ok(snapshot) = snapshots.recv().await {
        if let Err(error) = record(&shared, snapshot, &mut failed).await {
            tracing::warn!(%error, "the chain's progress could not be written; check the disk");
        }
    }
    Err(TaskError::Abandoned("recorder"))
}

async fn record(shared: &Arc<Shared>, snapshot: Arc<Snapshot>, failed: &mut Option<Hash256>) -> Result<(), DbError> {
    let (here, latest) = (shared.clone(), snapshot.clone());
    let due = smol::unblock(move || {
        write_canonical(&here.db, &latest)?;
        due(&here, &latest)
    });
    let Some(due) = due.await?.filter(|due| Some(due.root()) != *failed) else { return Ok(()) };
    *failed = Some(due.root());
    let there = shared.clone();
    smol::unblock(move || due.write(&there)).await?;
    *failed = None;
    save_fork_choice(shared).await?;
    let there = shared.clone();
    smol::unblock(move || prune(&there, &snapshot)).await
}

/// Makes the canonical index agree with the branch of the head.
pub(super) fn write_canonical(db: &Database, snapshot: &Snapshot) -> Result<(), DbError> {
    let mut new: Vec<(Slot, Hash256)> = Vec::new();
    let mut at = snapshot.head_root;
    let agreed = loop {
        // Finality may have moved far since we last looked: what the snapshot has no more is in the database.
        let known = snapshot.blocks.get(&at).map(|info| (info.slot, info.parent_root));
        let Some((slot, parent)) = known.map_or_else(|| db.block_parent(at), |known| Ok(Some(known)))? else {
            break new.last().and_then(|(slot, _)| slot.checked_sub(1));
        };
        if db.canonical_root(slot)? == Some(at) {
            break Some(slot);
        }
        new.push((slot, at));
        at = parent;
    };
    if let Some(above) = agreed {
        db.clear_canonical_above(above)?;
    }
    if new.is_empty() { Ok(()) } else { db.set_canonical(&new) }
}

/// A state that is worth a write.
enum Due {
    /// Whole; later differences are against it.
    Whole(Entry),
    Difference(Entry),
}

impl Due {
    fn root(&self) -> Hash256 {
        let (Due::Whole((root, _)) | Due::Difference((root, _))) = self;
        *root
    }

    fn write(self, shared: &Shared) -> Result<(), DbError> {
        match self {
            Due::Difference((root, state)) => write_difference(shared, root, &state),
            Due::Whole((root, state)) => {
                if !shared.db.states()?.iter().any(|(_, whole)| *whole == root) {
                    write_state(&shared.db, root, &state)?;
                }
                shared.anchor.store(Arc::new((root, state)));
                Ok(())
            }
        }
    }
}

/// The state that is to be written now, if one is: a new whole one, or the newest boundary state of a branch that has none
/// on disk for some epochs.
fn due(shared: &Shared, snapshot: &Snapshot) -> Result<Option<Due>, DbError> {
    let stored = stored_states(&shared.db)?;
    let anchor = shared.anchor.load_full();
    let base = snapshot.states.base();
    if base.0 == snapshot.finalized.root && needs_anchor(&stored, &anchor, &base.1) {
        return Ok(Some(Due::Whole(base.clone())));
    }
    let slots: HashMap<_, _> = stored.iter().map(|stored| (stored.root, stored.slot)).collect();
    let since =
        |root: &Hash256, state: &BeaconState| epochs_since_stored(&shared.db, snapshot, &slots, *root, state.slot);
    let is_late = |root: &Hash256, state: &BeaconState| since(root, state).is_ok_and(|n| n >= DIFFERENCE_EVERY_EPOCHS);
    let newest = snapshot.states.newest_boundary(is_late);
    let Some(entry) = newest.or(Some(base).filter(|(root, state)| is_late(root, state))) else { return Ok(None) };
    if entry.1.fork_name == anchor.1.fork_name {
        return Ok(Some(Due::Difference(entry.clone())));
    }
    // Mostly, a state of the new fork is soon finalized.
    let is_stuck = since(&entry.0, &entry.1)? >= WHOLE_AFTER_EPOCHS;
    Ok(is_stuck.then(|| Due::Whole(entry.clone())))
}

/// Whether a finalized state is to take the place of the whole one that differences are against.
fn needs_anchor(stored: &[StoredState], anchor: &Entry, state: &BeaconState) -> bool {
    let age = state.current_epoch().saturating_sub(anchor.1.current_epoch());
    let last = stored.iter().rev().find(|stored| stored.anchor == Some(anchor.0)).map_or(0, |stored| stored.bytes);
    let is_far = last * LARGE_DIFFERENCE > anchor.1.ssz_len() as u64;
    state.slot > anchor.1.slot
        && (age >= ANCHOR_EVERY_EPOCHS
            || state.fork_name != anchor.1.fork_name
            || is_far && age >= ANCHOR_AT_LEAST_EPOCHS)
}

/// Epochs from the nearest stored state on its branch to the state of `root`; as many as matter if there is none so near.
fn epochs_since_stored(
    db: &Database,
    snapshot: &Snapshot,
    stored: &HashMap<Hash256, Slot>,
    root: Hash256,
    slot: Slot,
) -> Result<Epoch, DbError> {
    let (mut at, epoch) = (root, boundary_epoch(slot));
    loop {
        if let Some(before) = stored.get(&at) {
            return Ok(epoch.saturating_sub(boundary_epoch(*before)));
        }
        let known = snapshot.blocks.get(&at).map(|info| (info.slot, info.parent_root));
        let known = known.map_or_else(|| db.block_parent(at), |known| Ok(Some(known)))?;
        match known.filter(|(slot, _)| epoch.saturating_sub(boundary_epoch(*slot)) < WHOLE_AFTER_EPOCHS) {
            Some((_, parent)) => at = parent,
            None => return Ok(WHOLE_AFTER_EPOCHS),
        }
    }
}

/// The epoch whose start the state stands for: its last block may be of the slot before.
fn boundary_epoch(slot: Slot) -> Epoch {
    slot.div_ceil(SLOTS_PER_EPOCH)
}

/// Writes a state under its block's root.
pub(super) fn write_state(db: &Database, root: Hash256, state: &BeaconState) -> Result<(), DbError> {
    let before = std::time::Instant::now();
    db.put_state(root, state.slot, |mut out| state.write_to(&mut out))?;
    tracing::debug!(slot = state.slot, %root, took = ?before.elapsed(), "whole state written");
    Ok(())
}

/// Writes a state as its difference against the whole one.
fn write_difference(shared: &Shared, root: Hash256, state: &BeaconState) -> Result<(), DbError> {
    let before = std::time::Instant::now();
    let anchor = shared.anchor.load_full();
    // Known, as all states that are shared are hashed.
    let state_root = state.clone().hash_tree_root();
    let difference = Difference { root, slot: state.slot, anchor: anchor.0, state_root };
    let bytes = shared.db.put_difference(&difference, |mut out| state.write_difference(&anchor.1, &mut out))?;
    tracing::debug!(slot = state.slot, %root, bytes, took = ?before.elapsed(), "state written as a difference");
    Ok(())
}

/// Asks the store task for its store, and writes it.
async fn save_fork_choice(shared: &Arc<Shared>) -> Result<(), DbError> {
    let (reply, answer) = async_channel::bounded(1);
    // Not `send`: the store task must never have to wait for us while we wait for it.
    if shared.store.try_send(StoreMessage::Save(reply)).is_err() {
        return Ok(());
    }
    let Ok(bytes) = answer.recv().await else { return Ok(()) };
    let db = shared.db.clone();
    smol::unblock(move || db.put_snapshot(&bytes)).await
}

/// Removes the states from which nothing will be rebuilt any more, and the blocks and columns that nobody may ask for.
fn prune(shared: &Shared, snapshot: &Snapshot) -> Result<(), DbError> {
    let stored = stored_states(&shared.db)?;
    let Some(finalized) = snapshot.blocks.get(&snapshot.finalized.root).map(|info| info.slot) else { return Ok(()) };
    let kept = kept_differences(&shared.db, &stored, snapshot, finalized)?;
    let keep = |root: &Hash256| kept.iter().any(|stored| stored.root == *root);
    shared.db.keep_differences(|difference| keep(&difference.root))?;
    let mut roots: Vec<Hash256> = kept.iter().map(|stored| stored.anchor.unwrap_or(stored.root)).collect();
    roots.push(shared.anchor.load().0);
    shared.db.keep_states(&roots)?;
    roots.extend(kept.iter().map(|stored| stored.root));
    prune_blocks(shared, snapshot, &roots)?;
    prune_columns(shared, snapshot)
}

/// Before this slot, what peers may ask for so many epochs is removed; none while the chain is younger.
fn end_of_term(shared: &Shared, snapshot: &Snapshot, epochs: Epoch) -> Option<Slot> {
    let before = shared.clock.epoch().saturating_sub(epochs).min(snapshot.finalized.epoch);
    before.checked_sub(1).map(compute_start_slot_at_epoch)
}

/// Removes the blocks that nobody may ask for, but those of `roots`.
fn prune_blocks(shared: &Shared, snapshot: &Snapshot, roots: &[Hash256]) -> Result<(), DbError> {
    let epochs = shared.config.min_epochs_for_block_requests();
    let Some(before) = end_of_term(shared, snapshot, epochs) else { return Ok(()) };
    let report = shared.db.prune_before(before, roots)?;
    if report.blocks > 0 {
        tracing::info!(blocks = report.blocks, bytes = report.bytes, "old blocks removed");
    }
    if let Some(slot) = shared.db.earliest_slot()? {
        shared.earliest_slot.store(slot, Ordering::Relaxed);
    }
    Ok(())
}

/// Removes the columns that nobody may ask for.
fn prune_columns(shared: &Shared, snapshot: &Snapshot) -> Result<(), DbError> {
    let epochs = shared.config.min_epochs_for_data_column_sidecars_requests;
    let Some(before) = end_of_term(shared, snapshot, epochs) else { return Ok(()) };
    let report = shared.db.prune_columns_before(before)?;
    if report.columns > 0 {
        tracing::info!(columns = report.columns, bytes = report.bytes, "old columns removed");
    }
    if let Some(slot) = shared.db.earliest_column_slot()? {
        // Never less: custody may have grown just now, which is in the database a moment later.
        shared.earliest_columns.fetch_max(slot, Ordering::Relaxed);
    }
    Ok(())
}

/// The newest state at or before the finalized block, from which it can be rebuilt, and the states of its descendants: all,
/// or so many that the disk is not filled in weeks without finality.
fn kept_differences(
    db: &Database,
    stored: &[StoredState],
    snapshot: &Snapshot,
    finalized: Slot,
) -> Result<Vec<StoredState>, DbError> {
    let mut floor = None;
    for state in stored.iter().filter(|state| state.slot <= finalized) {
        if is_canonical(db, state.root)? {
            floor = Some(*state);
        }
    }
    let after: Vec<_> =
        stored.iter().filter(|state| state.slot > finalized && snapshot.contains(&state.root)).copied().collect();
    let too_many = after.len().saturating_sub(MAX_DIFFERENCES);
    // Without a floor (it was damaged, say) what is left has to do.
    Ok(floor.into_iter().chain(after.into_iter().skip(too_many)).collect())
}

/// Whether the canonical index has this block.
pub(super) fn is_canonical(db: &Database, root: Hash256) -> Result<bool, DbError> {
    match db.block_parent(root)? {
        Some((slot, _)) => Ok(db.canonical_root(slot)? == Some(root)),
        None => Ok(false),
    }
}

/// Writes all that a restart can use, the head's state too. The store task must still run.
pub(super) async fn flush(shared: &Arc<Shared>) -> Result<(), DbError> {
    // First: the fork choice that is saved after it knows its head.
    let snapshot = shared.snapshot.load_full();
    let (reply, answer) = async_channel::bounded(1);
    // Nobody waits for us here: this is the node's shutdown.
    let asked = shared.store.send(StoreMessage::Save(reply)).await.is_ok();
    let bytes = if asked { answer.recv().await.ok() } else { None };
    let there = shared.clone();
    smol::unblock(move || {
        write_canonical(&there.db, &snapshot)?;
        // First: the blocks that the fork choice was made of have to be found again.
        there.db.flush()?;
        if let Some(bytes) = bytes {
            there.db.put_snapshot(&bytes)?;
        }
        write_head(&there, &snapshot)
    })
    .await
}

/// Without it, the next start replays some blocks more.
fn write_head(shared: &Shared, snapshot: &Snapshot) -> Result<(), DbError> {
    let (root, state) = (snapshot.head_root, &snapshot.head_state);
    let is_stored = stored_states(&shared.db)?.iter().any(|stored| stored.root == root);
    if is_stored || state.fork_name != shared.anchor.load().1.fork_name {
        return Ok(());
    }
    write_difference(shared, root, state)
}
