//! The specification's helper functions.

mod accessors;
mod attestation;
mod churn;
mod committee_keys;
mod misc;
mod mutators;
mod participation;
mod predicates;
mod proposer;
mod registry;
mod shuffling;
mod sync_committee;

pub use accessors::*;
pub use attestation::*;
pub use churn::*;
pub use committee_keys::*;
pub use misc::*;
pub use mutators::*;
pub use participation::*;
pub use predicates::*;
pub use proposer::*;
pub use registry::*;
pub use shuffling::*;
pub use sync_committee::*;

#[cfg(test)]
mod tests;
