//! States that are not in memory, rebuilt by replay from one that is, or from one on disk.

use std::{io::Read as _, sync::Arc};

use super::{BlockError, Shared, StoreMessage, limits::MAX_REPLAY};
use crate::{
    db::{Database, DbError},
    transition::{Checks, Context, TransitionError, get_shuffling, state_transition},
    types::{BeaconState, Config, Hash256, Slot, compute_epoch_at_slot},
};

impl Shared {
    /// The post-state of a block: from memory, or rebuilt. One is rebuilt at a time, off the tasks.
    pub async fn state(self: &Arc<Self>, block_root: Hash256) -> Result<Arc<BeaconState>, BlockError> {
        if let Some(state) = self.snapshot.load().state(&block_root) {
            return Ok(state);
        }
        let _one_at_a_time = self.rebuilding.acquire().await;
        if let Some(state) = self.snapshot.load().state(&block_root) {
            return Ok(state);
        }
        let shared = self.clone();
        let state = smol::unblock(move || shared.rebuild(block_root)).await?;
        // Should the store task be busy, the next to ask rebuilds it again.
        let _ = self.store.try_send(StoreMessage::Rebuilt(block_root, state.clone()));
        Ok(state)
    }

    fn rebuild(&self, block_root: Hash256) -> Result<Arc<BeaconState>, BlockError> {
        let snapshot = self.snapshot.load_full();
        let (mut path, mut at) = (Vec::new(), block_root);
        let stored = self.db.states()?;
        let start = loop {
            if let Some(state) = snapshot.state(&at) {
                break state;
            }
            if let Some((slot, root)) = stored.iter().find(|(_, root)| *root == at)
                && let Some(state) = read_state(&self.db, &self.config, *slot, *root)?
            {
                break Arc::new(state);
            }
            let parent = self.db.block_parent(at)?.filter(|_| path.len() < MAX_REPLAY);
            let Some((_, parent)) = parent else {
                return Err(BlockError::Internal(format!("no state from which that of {block_root} could be rebuilt")));
            };
            path.push(at);
            at = parent;
        };
        let mut state = (*start).clone();
        let context = self.context();
        let failed = |e: TransitionError| BlockError::Internal(format!("a stored block can't be replayed: {e}"));
        for root in path.iter().rev() {
            let Some(block) = self.db.block(*root)? else {
                return Err(BlockError::Internal(format!("block {root} is not stored any more")));
            };
            state_transition(&mut state, &block, &context, Checks::NONE).map_err(failed)?;
        }
        prepare(&mut state).map_err(failed)?;
        tracing::debug!(root = %block_root, slot = state.slot, replayed = path.len(), "state rebuilt");
        Ok(Arc::new(state))
    }

    /// What the transition needs besides the state.
    pub fn context(&self) -> Context<'_> {
        Context { config: &self.config, keys: &self.keys }
    }
}

/// Makes a state ready to be shared: hashed, and with the shufflings of its epoch and of those beside it.
pub(super) fn prepare(state: &mut BeaconState) -> Result<(), TransitionError> {
    state.hash_tree_root();
    let epoch = state.current_epoch();
    for epoch in epoch.saturating_sub(1)..=epoch + 1 {
        get_shuffling(state, epoch)?;
    }
    Ok(())
}

/// Reads a stored state.
pub(super) fn read_state(
    db: &Database,
    config: &Config,
    slot: Slot,
    root: Hash256,
) -> Result<Option<BeaconState>, StateReadError> {
    let Some(mut reader) = db.state_reader(root)? else { return Ok(None) };
    let fork = config.fork_name(compute_epoch_at_slot(slot)).ok_or(StateReadError::Fork { slot })?;
    let state = BeaconState::from_reader(fork, &mut reader).map_err(|e| StateReadError::Damaged(e.to_string()))?;
    match reader.read(&mut [0]) {
        Ok(0) => Ok(Some(state)),
        _ => Err(StateReadError::Damaged("it does not end where it should".into())),
    }
}

/// Why a stored state can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateReadError {
    #[error("a stored state of slot {slot} is of a fork that this program does not know")]
    Fork { slot: Slot },
    #[error("a stored state is damaged: {0}")]
    Damaged(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<StateReadError> for BlockError {
    fn from(error: StateReadError) -> Self {
        BlockError::Internal(error.to_string())
    }
}
