//! The states on disk: a few whole ones, and many as differences against one of these.

use std::{io::Read as _, sync::Arc, time::Instant};

use super::states::Entry;
use crate::{
    db::{Database, DbError},
    types::{BeaconState, Config, Hash256, Slot, compute_epoch_at_slot},
};

/// A state on disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredState {
    pub root: Hash256,
    pub slot: Slot,
    /// The whole state that it is a difference against; none if it is whole itself.
    pub anchor: Option<Hash256>,
    /// Bytes of a difference.
    pub bytes: u64,
}

/// All stored states, oldest first.
pub(super) fn stored_states(db: &Database) -> Result<Vec<StoredState>, DbError> {
    let whole = db.states()?.into_iter().map(|(slot, root)| StoredState { root, slot, anchor: None, bytes: 0 });
    let mut all: Vec<_> = whole.collect();
    for (difference, bytes) in db.differences()? {
        if !all.iter().any(|whole| whole.anchor.is_none() && whole.root == difference.root) {
            all.push(StoredState {
                root: difference.root,
                slot: difference.slot,
                anchor: Some(difference.anchor),
                bytes,
            });
        }
    }
    all.sort_by_key(|stored| stored.slot);
    Ok(all)
}

/// Reads stored states. Keeps the last whole state that a difference was against, so that several cost little more than one.
pub(super) struct Loader<'a> {
    pub db: &'a Database,
    pub config: &'a Config,
    /// Hashed.
    pub anchor: Option<Entry>,
}

impl Loader<'_> {
    /// The state: hashed, and with the root that its block names.
    pub fn load(&mut self, stored: &StoredState) -> Result<BeaconState, StateReadError> {
        match stored.anchor {
            None => self.whole(stored.slot, stored.root),
            Some(anchor) => self.of_difference(stored.root, anchor),
        }
    }

    fn whole(&self, slot: Slot, root: Hash256) -> Result<BeaconState, StateReadError> {
        if let Some((_, state)) = self.anchor.as_ref().filter(|(known, _)| *known == root) {
            return Ok((**state).clone());
        }
        let mut stage = Stage::begin();
        let mut reader = self.db.state_reader(root)?.ok_or(StateReadError::Missing { root })?;
        let fork = self.config.fork_name(compute_epoch_at_slot(slot)).ok_or(StateReadError::Fork { slot })?;
        let damaged = |what: String| StateReadError::Damaged(what);
        let mut state = BeaconState::from_reader(fork, &mut reader).map_err(|e| damaged(e.to_string()))?;
        if !matches!(reader.read(&mut [0]), Ok(0)) {
            return Err(damaged("it does not end where it should".into()));
        }
        stage.end("read a whole state");
        let found = state.hash_tree_root();
        stage.end("hashed it");
        // A checkpoint's state may lie past its block, which then does not name its root.
        let block = self.db.block(root)?.filter(|block| block.message.slot == slot);
        match block.map(|block| block.message.state_root).filter(|named| *named != found) {
            Some(named) => Err(StateReadError::Root { named, found }),
            None => Ok(state),
        }
    }

    fn of_difference(&mut self, root: Hash256, anchor: Hash256) -> Result<BeaconState, StateReadError> {
        if self.anchor.as_ref().is_none_or(|(known, _)| *known != anchor) {
            let whole = self.db.states()?.into_iter().find(|(_, root)| *root == anchor);
            let (slot, _) = whole.ok_or(StateReadError::Missing { root: anchor })?;
            // First: two whole states at once are too many.
            self.anchor = None;
            self.anchor = Some((anchor, Arc::new(self.whole(slot, anchor)?)));
        }
        let (difference, mut reader) = self.db.difference(root)?.ok_or(StateReadError::Missing { root })?;
        let Some((_, whole)) = &self.anchor else { return Err(StateReadError::Missing { root: anchor }) };
        let mut stage = Stage::begin();
        let state = BeaconState::from_difference(whole, &mut reader);
        let mut state = state.map_err(|e| StateReadError::Damaged(e.to_string()))?;
        stage.end("applied a difference");
        let found = state.hash_tree_root();
        stage.end("hashed what it changed");
        let named = difference.state_root;
        if found == named { Ok(state) } else { Err(StateReadError::Root { named, found }) }
    }
}

/// Why a stored state can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateReadError {
    #[error("the state of block {root} is not stored")]
    Missing { root: Hash256 },
    #[error("a stored state of slot {slot} is of a fork that this program does not know")]
    Fork { slot: Slot },
    #[error("a stored state is damaged: {0}")]
    Damaged(String),
    #[error("a stored state has root {found} where {named} was due")]
    Root { named: Hash256, found: Hash256 },
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Tells the log how long each part of a start took.
pub(super) struct Stage(Instant);

impl Stage {
    pub fn begin() -> Stage {
        Stage(Instant::now())
    }

    /// Ends a stage and begins the next.
    pub fn end(&mut self, what: &str) {
        tracing::info!(ms = self.0.elapsed().as_millis() as u64, "{what}");
        self.0 = Instant::now();
    }
}
