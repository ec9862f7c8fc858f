//! States that are not in memory, rebuilt by replay from one that is, or from one on disk.

use std::{collections::HashMap, sync::Arc};

use super::{
    BlockError, Shared, StoreMessage,
    limits::{MAX_REPLAY, REPLAY_SLICE},
    states::{Cost, Entry},
    stored::{Loader, StateReadError, StoredState, stored_states},
};
use crate::{
    transition::{Checks, Context, TransitionError, get_shuffling, state_transition},
    types::{BeaconState, Hash256, SignedBeaconBlock},
};

/// How to get at a state.
struct Plan {
    start: Arc<BeaconState>,
    /// The root of `start`, if it is the one that its block names.
    start_root: Option<Hash256>,
    /// Blocks to be replayed, the last first.
    path: Vec<Hash256>,
    /// The block of the state in memory that it shares most with.
    beside: Entry,
}

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
        let (state, cost) = self.rebuild(block_root).await?;
        // Should the store task be busy, the next to ask rebuilds it again.
        let _ = self.store.try_send(StoreMessage::Rebuilt(block_root, state.clone(), cost));
        Ok(state)
    }

    /// The state, and what it costs beside one that is in memory.
    async fn rebuild(self: &Arc<Self>, block_root: Hash256) -> Result<(Arc<BeaconState>, Cost), BlockError> {
        let shared = self.clone();
        let Plan { start, start_root, mut path, beside } = smol::unblock(move || shared.plan(block_root)).await?;
        let (replayed, mut state, mut root) = (path.len(), (*start).clone(), start_root);
        drop(start);
        while !path.is_empty() {
            let (shared, slice) = (self.clone(), path.split_off(path.len().saturating_sub(REPLAY_SLICE)));
            (state, root) = smol::unblock(move || {
                for block in slice.iter().rev() {
                    root = Some(shared.replay_block(&mut state, root, *block)?);
                }
                Ok::<_, BlockError>((state, root))
            })
            .await?;
        }
        let shared = self.clone();
        smol::unblock(move || {
            shared.shufflings.share(&mut state);
            prepare(&mut state).map_err(failed)?;
            match root.filter(|root| state.hash_tree_root() != *root) {
                Some(root) => Err(BlockError::Internal(format!("the state of {block_root} does not have root {root}"))),
                None => {
                    tracing::debug!(root = %block_root, slot = state.slot, replayed, "state rebuilt");
                    let cost = Cost::measure(&state, beside.0, &beside.1);
                    Ok((Arc::new(state), cost))
                }
            }
        })
        .await
    }

    /// Finds the nearest state from which to go on: in memory, or on disk as a difference against what is in memory. Only if
    /// there is none, one is read whole.
    fn plan(&self, block_root: Hash256) -> Result<Plan, BlockError> {
        let snapshot = self.snapshot.load_full();
        let anchor = self.anchor.load_full();
        let stored: HashMap<Hash256, StoredState> =
            stored_states(&self.db)?.into_iter().map(|stored| (stored.root, stored)).collect();
        let mut loader = Loader { db: &self.db, config: &self.config, anchor: Some((*anchor).clone()) };
        let is_near = |stored: &StoredState| stored.anchor.unwrap_or(stored.root) == anchor.0;
        let (mut path, mut at, mut whole) = (Vec::new(), block_root, None);
        let beside = snapshot.states.base().clone();
        loop {
            if let Some(start) = snapshot.state(&at) {
                let start_root = snapshot.blocks.get(&at).map(|info| info.state_root);
                let beside = (at, start.clone());
                return Ok(Plan { start, start_root, path, beside });
            }
            match stored.get(&at) {
                Some(stored) if is_near(stored) => match loader.load(stored) {
                    Ok(state) => return Ok(Plan { start: Arc::new(state), start_root: None, path, beside }),
                    Err(error) => tracing::warn!(%error, root = %at, "a stored state can't be used"),
                },
                Some(stored) if whole.is_none() => whole = Some((*stored, path.len())),
                _ => {}
            }
            let parent = self.db.block_parent(at)?.filter(|_| path.len() < MAX_REPLAY);
            let Some((_, parent)) = parent else { break };
            path.push(at);
            at = parent;
        }
        let (stored, len) = whole.ok_or_else(|| {
            BlockError::Internal(format!("no state from which that of {block_root} could be rebuilt"))
        })?;
        path.truncate(len);
        Ok(Plan { start: Arc::new(loader.load(&stored)?), start_root: None, path, beside })
    }

    /// Takes a state through a stored block; says the new state's root, which the block names.
    fn replay_block(
        &self,
        state: &mut BeaconState,
        state_root: Option<Hash256>,
        root: Hash256,
    ) -> Result<Hash256, BlockError> {
        let block = self.db.block(root)?;
        let block = block.ok_or_else(|| BlockError::Internal(format!("block {root} is not stored any more")))?;
        self.shufflings.share(state);
        replay_block(state, state_root, &block, &self.context()).map_err(failed)
    }

    /// What the transition needs besides the state.
    pub fn context(&self) -> Context<'_> {
        Context { config: &self.config, keys: &self.keys }
    }
}

fn failed(error: TransitionError) -> BlockError {
    BlockError::Internal(format!("a stored block can't be replayed: {error}"))
}

/// Takes a state through a block that was verified before, without hashing where the block before has named the root. The
/// caller compares the last root.
fn replay_block(
    state: &mut BeaconState,
    state_root: Option<Hash256>,
    block: &SignedBeaconBlock,
    context: &Context,
) -> Result<Hash256, TransitionError> {
    state.caches.known_root = state_root;
    state_transition(state, block, context, Checks::NONE)?;
    Ok(block.message.state_root)
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

impl From<StateReadError> for BlockError {
    fn from(error: StateReadError) -> Self {
        BlockError::Internal(error.to_string())
    }
}
