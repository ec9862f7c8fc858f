//! A validator client: duties and signing, over the Beacon API.
//!
//! It knows nothing of the node but its address, as any validator client does: what it needs, others can use. Today it
//! serves the devnet: keys are the well-known interop keys and there is no slashing protection, so it refuses other keys by
//! not being able to load any.
//!
//! In each slot: a block at its start, attestations and sync messages at a third, aggregates at two thirds.

mod beacon;
mod duties;
mod keys;
mod service;
mod signer;
#[cfg(test)]
mod tests;

pub use beacon::{BeaconClient, BeaconError};
pub use keys::{InteropKeys, interop_secret_key};
pub use service::{ValidatorConfig, run};
pub use signer::{Signer, is_aggregator, is_sync_committee_aggregator};
