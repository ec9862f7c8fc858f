//! A block in the tree.

use crate::types::*;

/// What the execution client said of a block's payload.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/sync/optimistic.md>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadStatus {
    /// Nothing yet: the block was imported optimistically.
    #[default]
    NotValidated,
    /// Valid, and so are all payloads before it.
    Valid,
    /// Invalid: neither the block nor what builds on it can be the head.
    Invalid,
}

/// A block in the tree, with what fork choice has to know of its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The block's root.
    pub root: Hash256,
    /// The parent's root; the parent itself may have been pruned.
    pub parent_root: Hash256,
    /// The block's slot.
    pub slot: Slot,
    /// Who proposed it.
    pub proposer_index: ValidatorIndex,
    /// Root of the state after the block.
    pub state_root: Hash256,
    /// Hash of its execution payload.
    pub execution_block_hash: Hash256,
    /// What the execution client said of that.
    pub payload_status: PayloadStatus,
    /// `current_justified_checkpoint` of the state after the block.
    pub justified_checkpoint: Checkpoint,
    /// Epoch of `finalized_checkpoint` of that state.
    pub finalized_epoch: Epoch,
    /// The same as if the epoch ended with this block. Spec: `store.unrealized_justifications`.
    pub unrealized_justified_checkpoint: Checkpoint,
    /// Whether it came before attestations were due in its slot. Spec: `store.block_timeliness`.
    pub is_timely: bool,
    /// Weight of the votes for this block or a descendant, in Gwei and without boost, at the last `get_head`.
    pub weight: Gwei,
    /// Weight of the votes for exactly this block, always up to date.
    pub(super) votes: Gwei,
    /// Position of the parent, which is always before its children; none for the oldest block.
    pub(super) parent: Option<u32>,
}
