//! What is written behind the chain: the canonical index, now and then a state and the fork choice, and pruning.
//!
//! Blocks are written before this, by their tasks. The recorder compares the latest snapshot with the database and writes
//! the difference, so that it may miss any number of snapshots. Without its last writes, a restart only replays more.

use std::sync::{Arc, atomic::Ordering};

use async_channel::Receiver;

use super::{
    Shared, Snapshot, StoreMessage, TaskError,
    limits::{SMALL_STATE, STATE_EVERY_EPOCHS},
    states::Entry,
};
use crate::{
    db::{Database, DbError},
    types::{BeaconState, Hash256, Slot, compute_epoch_at_slot, compute_start_slot_at_epoch},
};

pub(super) async fn run(shared: Arc<Shared>, snapshots: Receiver<Arc<Snapshot>>) -> Result<(), TaskError> {
    while let Ok(snapshot) = snapshots.recv().await {
        if let Err(error) = record(&shared, snapshot).await {
            tracing::warn!(%error, "the chain's progress could not be written; check the disk");
        }
    }
    Err(TaskError::Abandoned("recorder"))
}

async fn record(shared: &Arc<Shared>, snapshot: Arc<Snapshot>) -> Result<(), DbError> {
    let (db, latest) = (shared.db.clone(), snapshot.clone());
    smol::unblock(move || write_canonical(&db, &latest)).await?;
    let (here, latest) = (shared.clone(), snapshot.clone());
    let Some((root, state)) = smol::unblock(move || state_to_write(&here, &latest)).await? else { return Ok(()) };
    let there = shared.clone();
    smol::unblock(move || write_state(&there.db, root, &state)).await?;
    save_fork_choice(shared).await?;
    let there = shared.clone();
    smol::unblock(move || prune(&there, root, snapshot.states.base().0)).await
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

/// The state that is worth a write, if one is: the finalized one, small ones always, large ones every so many epochs. When
/// nothing is finalized for as long, the latest of the head's branch at an epoch boundary, so that a restart has not
/// weeks of blocks to replay.
fn state_to_write(shared: &Shared, snapshot: &Snapshot) -> Result<Option<Entry>, DbError> {
    let base = snapshot.states.base();
    let Some((slot, latest)) = shared.db.states()?.last().copied() else { return Ok(Some(base.clone())) };
    let is_late =
        |state: &BeaconState| state.current_epoch().saturating_sub(compute_epoch_at_slot(slot)) >= STATE_EVERY_EPOCHS;
    // While syncing, every second counts, and the next states come soon.
    let is_cheap = base.1.ssz_len() <= SMALL_STATE && !shared.is_syncing.load(Ordering::Relaxed);
    if base.0 != latest && base.1.slot > slot && (is_cheap || is_late(&base.1)) {
        return Ok(Some(base.clone()));
    }
    let is_stuck = |state: &BeaconState| {
        state.current_epoch().saturating_sub(base.1.current_epoch()) >= STATE_EVERY_EPOCHS && is_late(state)
    };
    let on_branch = |root: &Hash256, state: &BeaconState| {
        is_stuck(state) && snapshot.ancestor(snapshot.head_root, state.slot) == Some(*root)
    };
    Ok(snapshot.states.newest_boundary(on_branch).cloned())
}

/// Writes a state under its block's root.
pub(super) fn write_state(db: &Database, root: Hash256, state: &BeaconState) -> Result<(), DbError> {
    let before = std::time::Instant::now();
    db.put_state(root, state.slot, |mut out| state.write_to(&mut out))?;
    tracing::debug!(slot = state.slot, %root, took = ?before.elapsed(), "state written");
    Ok(())
}

/// Asks the store task for its store, and writes it.
pub(super) async fn save_fork_choice(shared: &Arc<Shared>) -> Result<(), DbError> {
    let (reply, answer) = async_channel::bounded(1);
    // Not `send`: the store task must never have to wait for us while we wait for it.
    if shared.store.try_send(StoreMessage::Save(reply)).is_err() {
        return Ok(());
    }
    let Ok(bytes) = answer.recv().await else { return Ok(()) };
    let db = shared.db.clone();
    smol::unblock(move || db.put_snapshot(&bytes)).await
}

/// Removes the blocks that nobody may ask for any more, and all states but the latest and the one from which the rest can
/// be rebuilt: the finalized one, or if that was not written, the oldest.
fn prune(shared: &Shared, latest: Hash256, finalized: Hash256) -> Result<(), DbError> {
    let stored = shared.db.states()?;
    let base = stored.iter().find(|(_, root)| *root == finalized).or(stored.first());
    let keep = &[latest, base.map_or(latest, |(_, root)| *root)];
    shared.db.keep_states(keep)?;
    let keep_epochs = shared.config.min_epochs_for_block_requests();
    let finalized_epoch = shared.snapshot.load().finalized.epoch;
    let before = shared.clock.epoch().saturating_sub(keep_epochs).min(finalized_epoch);
    let Some(before) = before.checked_sub(1).map(compute_start_slot_at_epoch) else { return Ok(()) };
    let report = shared.db.prune_before(before, keep)?;
    if report.blocks > 0 {
        tracing::info!(blocks = report.blocks, bytes = report.bytes, "old blocks removed");
    }
    if let Some(slot) = shared.db.earliest_slot()? {
        shared.earliest_slot.store(slot, Ordering::Relaxed);
    }
    Ok(())
}

/// Writes all that a restart can use. The store task must still run.
pub(super) async fn flush(shared: &Arc<Shared>) -> Result<(), DbError> {
    let (reply, answer) = async_channel::bounded(1);
    // Nobody waits for us here: this is the node's shutdown.
    let asked = shared.store.send(StoreMessage::Save(reply)).await.is_ok();
    let bytes = if asked { answer.recv().await.ok() } else { None };
    let there = shared.clone();
    smol::unblock(move || {
        write_canonical(&there.db, &there.snapshot.load())?;
        // First: the blocks that the fork choice was made of have to be found again.
        there.db.flush()?;
        bytes.map_or(Ok(()), |bytes| there.db.put_snapshot(&bytes))
    })
    .await
}
