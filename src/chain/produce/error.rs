//! Why there is nothing to sign, and why what was signed is not taken.

use super::NO_CLIENT;
use crate::{
    engine::EngineError,
    transition::TransitionError,
    types::{Epoch, Hash256, Slot},
};

/// Why a block or a vote can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProduceError {
    /// The node can't do it yet: ask again later. HTTP 503.
    #[error("{0}: try again later")]
    NotReady(&'static str),
    /// Nobody here can tell valid blocks from others. HTTP 503.
    #[error("{NO_CLIENT}")]
    NoClient,
    /// The slot is not one of those that can be asked about. HTTP 400.
    #[error("slot {slot}: {why}")]
    Slot {
        /// Which slot.
        slot: Slot,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The epoch is not one of those that can be asked about. HTTP 400.
    #[error("epoch {epoch}: {why}")]
    Epoch {
        /// Which epoch.
        epoch: Epoch,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The execution client gave no payload.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Our own block is not valid: a fault of this program.
    #[error("the block that was made is not valid ({0}); please report it")]
    Transition(#[from] TransitionError),
}

/// Why something that a validator signed is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It breaks a rule: whoever signed it is wrong.
    #[error("{0}")]
    Invalid(&'static str),
    /// Too old, or too early.
    #[error("it is for slot {slot}, and the clock says {now}")]
    NotNow {
        /// Its slot.
        slot: Slot,
        /// The clock's.
        now: Slot,
    },
    /// It is for a block that this node does not know.
    #[error("the block {0} is not known to this node")]
    UnknownBlock(Hash256),
    /// The node can't judge it.
    #[error(transparent)]
    NotReady(#[from] ProduceError),
}

impl From<TransitionError> for SubmitError {
    fn from(_: TransitionError) -> Self {
        SubmitError::Invalid("it names a validator or a committee that does not exist")
    }
}
