//! Why a block is not imported, why a task ends, why the chain does not start.

use crate::{
    db::DbError,
    types::{Epoch, Hash256, Slot},
};

/// Why a block was not imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// It breaks a rule: whoever made it is at fault.
    #[error("the block is invalid: {0}")]
    Invalid(String),
    /// The proposer's signature is not valid. The block itself, signed well, may be.
    #[error("the proposer's signature is not valid")]
    BadSignature,
    /// The same block, or one that it builds on, was found invalid before.
    #[error("the block, or one that it builds on, is known to be invalid")]
    KnownInvalid,
    /// It builds on a block that is known to be invalid, or is one, as only who asked an execution client can tell.
    #[error("the block, or one that it builds on, has a payload that was judged, and is invalid")]
    InvalidPayload,
    /// Its slot has not come yet.
    #[error("the block is from the future: slot {slot}, and it is slot {now}")]
    Future {
        /// The block's.
        slot: Slot,
        /// The clock's.
        now: Slot,
    },
    /// It is not after the finalized slot.
    #[error("the block is of slot {slot}, which is finalized")]
    Finalized {
        /// The block's.
        slot: Slot,
    },
    /// Another block of its proposer for its slot was seen first.
    #[error("another block of the same proposer and slot was seen first")]
    Equivocation,
    /// Its parent is not known; it is looked for.
    #[error("the parent {parent} is not known yet")]
    UnknownParent {
        /// The parent's root.
        parent: Hash256,
    },
    /// Too far ahead of the head to be kept until range sync gets there.
    #[error("the block is of slot {slot}, too far ahead of our head")]
    TooFarAhead {
        /// The block's.
        slot: Slot,
    },
    /// Columns of its blobs are missing; they are looked for.
    #[error("{missing} of the sampled columns of its blobs are not here yet")]
    DataUnavailable {
        /// How many.
        missing: usize,
    },
    /// Something that is not here yet is needed to judge it.
    #[error("the block can't be judged yet: {0}")]
    NotYet(String),
    /// We failed; the block may be fine.
    #[error("the block could not be imported: {0}")]
    Internal(String),
}

impl BlockError {
    /// Whether whoever sent the block broke a rule.
    pub fn is_fault(&self) -> bool {
        matches!(self, BlockError::Invalid(_) | BlockError::BadSignature | BlockError::KnownInvalid)
    }

    /// The label in metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            BlockError::Invalid(_) => "invalid",
            BlockError::BadSignature => "bad_signature",
            BlockError::KnownInvalid => "known_invalid",
            BlockError::InvalidPayload => "invalid_payload",
            BlockError::Future { .. } => "future",
            BlockError::Finalized { .. } => "finalized",
            BlockError::Equivocation => "equivocation",
            BlockError::UnknownParent { .. } => "unknown_parent",
            BlockError::TooFarAhead { .. } => "too_far_ahead",
            BlockError::DataUnavailable { .. } => "data_unavailable",
            BlockError::NotYet(_) => "not_yet",
            BlockError::Internal(_) => "internal",
        }
    }
}

impl From<DbError> for BlockError {
    fn from(error: DbError) -> Self {
        BlockError::Internal(error.to_string())
    }
}

/// Why a task ended although the node goes on.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// It can't be started twice, because what it owned is lost.
    #[error("the {0} task can't be started again; the node must be restarted")]
    NotRestartable(&'static str),
    /// The tasks that it serves are gone.
    #[error("the {0} task has nobody left to work for")]
    Abandoned(&'static str),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why the chain can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory has no chain.
    #[error("the data directory holds no chain yet: start with --checkpoint-sync-url or --checkpoint-state")]
    Empty,
    /// What the data directory holds does not fit together.
    #[error("the data directory is damaged ({0}): move it away and start with --checkpoint-sync-url")]
    Damaged(String),
    /// The anchor is not what it should be.
    #[error("the checkpoint can't be used: {0}")]
    Anchor(String),
    /// The data directory, or the checkpoint, is too old to be trusted.
    #[error(
        "the chain stops at epoch {epoch}, {behind} epochs ago, and is trusted for {period} only (the weak subjectivity \
         period): move the data directory away and start with --checkpoint-sync-url"
    )]
    TooFarBehind {
        /// Of the latest finalized state.
        epoch: Epoch,
        /// Epochs since.
        behind: u64,
        /// Epochs that are allowed.
        period: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}
