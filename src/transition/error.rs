//! Why a block or a state is not valid.

use crate::{
    crypto::BlsError,
    types::{Hash256, Slot, ValidatorIndex},
};

/// Why the transition refused. Nothing here is for a home staker to repair: the block is invalid, or our state is damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// The state can only go forward.
    #[error("slot {target} is not after the state's slot {state}")]
    SlotNotAfter {
        /// The state's slot.
        state: Slot,
        /// The slot that was asked for.
        target: Slot,
    },
    /// A rule of the specification is broken.
    #[error("{operation}: {rule}")]
    Invalid {
        /// The part of the transition, such as `attestation`.
        operation: &'static str,
        /// What should have been so.
        rule: &'static str,
    },
    /// A number left the range of 64 bits; the specification calls that invalid.
    #[error("{0} overflows")]
    Overflow(&'static str),
    /// An index beyond the registry.
    #[error("there is no validator {0}")]
    UnknownValidator(ValidatorIndex),
    /// A key that is no point of the curve.
    #[error("the key of validator {index}: {error}")]
    Key {
        /// Whose key.
        index: ValidatorIndex,
        /// What is wrong with it.
        error: BlsError,
    },
    /// At least one of the block's signatures is false; the first of them belongs to this operation.
    #[error("{0}: the signature is not valid")]
    Signature(&'static str),
    /// The block promises another state.
    #[error("the block's state root is {block}, the state's is {computed}")]
    StateRoot {
        /// The root in the block.
        block: Hash256,
        /// The root of our state after the block.
        computed: Hash256,
    },
}

/// The specification's `assert`: an error that names the operation and the rule unless `condition` holds.
pub fn ensure(condition: bool, operation: &'static str, rule: &'static str) -> Result<(), TransitionError> {
    if condition { Ok(()) } else { Err(TransitionError::Invalid { operation, rule }) }
}
