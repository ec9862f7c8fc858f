//! The specification's fork-choice `Store`: pure, one owner, one message at a time.
//!
//! The store holds no state. What it needs of one travels in an [`ImportedBlock`], which is made where the transition
//! runs. A vote costs 8 bytes a validator, a block about 330; nothing here walks all validators but a change of the
//! justified checkpoint and pruning.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md>

mod balances;
mod fast_confirmation;
mod head;
mod import;
mod merge_block;
mod node;
mod on_attestation;
mod on_block;
mod on_tick;
mod payload;
mod proposer_head;
mod prune;
mod size;
mod snapshot;
mod store;
mod votes;

pub use balances::Balances;
pub use fast_confirmation::{FastConfirmation, HeadFacts, StaleFacts};
pub use import::import_block;
pub use merge_block::{MergeBlockError, check_merge, is_valid_terminal_pow_block, validate_merge_block};
pub use node::{Node, PayloadStatus};
pub use on_attestation::{OnAttestationError, equivocating_indices};
pub use on_block::{BodyAttestation, ImportedBlock, OnBlockError};
pub use payload::PayloadError;
pub use snapshot::SnapshotError;
pub use store::{AnchorError, MAX_NODES, Store};

#[cfg(test)]
mod tests;
