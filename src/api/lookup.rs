//! Finds the blocks and states that ids name, and says how far they are settled.

use std::sync::Arc;

use serde::Serialize;
use smol::block_on;

use super::{Api, ids::ChainId, response::ApiError};
use crate::{
    chain::{ChainHandle, PayloadError, Snapshot, produce::Producer},
    db::StoredBlock,
    types::{
        BeaconState, ForkName, Hash256, SignedBeaconBlock, Slot, compute_epoch_at_slot, compute_start_slot_at_epoch,
    },
};

/// How far an answer can be relied on.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Settled {
    /// The execution client has not judged it yet.
    pub execution_optimistic: bool,
    /// It is of the finalized chain.
    pub finalized: bool,
}

/// An answer with its standing, as most of the beacon group has it.
#[derive(Serialize)]
pub(super) struct Standing<T> {
    #[serde(flatten)]
    pub settled: Settled,
    pub data: T,
}

/// A block, as it is stored or with its payload, and where it stands.
pub(super) struct FoundBlock<B> {
    pub root: Hash256,
    pub block: B,
    pub canonical: bool,
    pub settled: Settled,
}

/// A state and where it stands.
pub(super) struct FoundState {
    pub state: Arc<BeaconState>,
    pub settled: Settled,
}

impl Api {
    /// The chain's handle.
    pub(super) fn chain(&self) -> &ChainHandle {
        &self.context.chain
    }

    /// What makes blocks and votes.
    pub(super) fn producer(&self) -> &Producer {
        &self.context.producer
    }

    /// The chain at this moment, for answers that make no sense while the head is behind.
    pub(super) fn synced(&self) -> Result<Arc<Snapshot>, ApiError> {
        let snapshot = self.chain().snapshot();
        match snapshot.is_syncing {
            true => Err(ApiError::unavailable("the node is syncing")),
            false => Ok(snapshot),
        }
    }

    /// The fork of a slot.
    pub(super) fn fork_at(&self, slot: Slot) -> Result<ForkName, ApiError> {
        let fork = self.chain().config().fork_name(compute_epoch_at_slot(slot));
        fork.ok_or_else(|| ApiError::not_found(format!("slot {slot} is of a fork that this version does not know")))
    }

    /// The root that an id names. A root names itself, whether there is such a block or not.
    pub(super) fn block_root(&self, id: ChainId) -> Result<Hash256, ApiError> {
        let snapshot = self.chain().snapshot();
        let slot = match id {
            ChainId::Head => return Ok(snapshot.head_root),
            ChainId::Justified => return Ok(snapshot.justified.root),
            ChainId::Finalized => return Ok(snapshot.finalized.root),
            ChainId::Root(root) => return Ok(root),
            ChainId::Genesis => 0,
            ChainId::Slot(slot) => slot,
        };
        let root = self.canonical_root(&snapshot, slot)?;
        root.ok_or_else(|| ApiError::not_found(format!("there is no block at slot {slot}, or it is not stored here")))
    }

    /// The canonical block of exactly this slot.
    pub(super) fn canonical_root(&self, snapshot: &Snapshot, slot: Slot) -> Result<Option<Hash256>, ApiError> {
        if slot > snapshot.head_slot {
            return Ok(None);
        }
        match snapshot.ancestor(snapshot.head_root, slot) {
            Some(root) => Ok(snapshot.blocks.get(&root).is_some_and(|info| info.slot == slot).then_some(root)),
            None => Ok(self.chain().database().canonical_root(slot)?),
        }
    }

    /// The standing of a block.
    pub(super) fn standing(&self, root: Hash256, slot: Slot) -> Result<(bool, Settled), ApiError> {
        let snapshot = self.chain().snapshot();
        let canonical = self.canonical_root(&snapshot, slot)? == Some(root);
        let finalized = canonical && slot <= compute_start_slot_at_epoch(snapshot.finalized.epoch);
        Ok((canonical, Settled { execution_optimistic: snapshot.is_optimistic && !finalized, finalized }))
    }

    /// The block that an id names, with its payload, which may have to be asked of the execution client.
    pub(super) fn block(&self, id: ChainId) -> Result<FoundBlock<SignedBeaconBlock>, ApiError> {
        let root = self.block_root(id)?;
        let block = block_on(self.chain().block(root))?;
        self.found(root, block, |block| block.message.slot)
    }

    /// The block that an id names, without its payload if it is stored so.
    pub(super) fn stored_block(&self, id: ChainId) -> Result<FoundBlock<StoredBlock>, ApiError> {
        let root = self.block_root(id)?;
        let block = self.chain().database().stored_block(root)?;
        self.found(root, block, StoredBlock::slot)
    }

    fn found<B>(&self, root: Hash256, block: Option<B>, slot: impl Fn(&B) -> Slot) -> Result<FoundBlock<B>, ApiError> {
        let block = block.ok_or_else(|| ApiError::not_found(format!("the block {root} is not stored here")))?;
        let (canonical, settled) = self.standing(root, slot(&block))?;
        Ok(FoundBlock { root, block, canonical, settled })
    }

    /// The state that an id names: the post-state of a block. A slot without a block has none here.
    pub(super) fn state(&self, id: ChainId) -> Result<FoundState, ApiError> {
        let snapshot = self.chain().snapshot();
        let state = match id {
            ChainId::Head => Some(snapshot.head_state.clone()),
            ChainId::Root(root) => block_on(self.chain().state_by_root(root)),
            _ => block_on(self.chain().state_by_block_root(self.block_root(id)?)),
        };
        let gone =
            || ApiError::not_found("this state is not kept here: ask for head, justified, finalized or a recent one");
        let state = state.ok_or_else(gone)?;
        let block = state.latest_block_header.slot;
        let finalized = block <= compute_start_slot_at_epoch(snapshot.finalized.epoch);
        let settled = Settled { execution_optimistic: snapshot.is_optimistic && !finalized, finalized };
        Ok(FoundState { state, settled })
    }
}

impl From<PayloadError> for ApiError {
    fn from(error: PayloadError) -> ApiError {
        match error {
            PayloadError::Db(error) => error.into(),
            PayloadError::Missing => ApiError::not_found(error),
            PayloadError::Unavailable | PayloadError::Wrong => ApiError::unavailable(error),
        }
    }
}
