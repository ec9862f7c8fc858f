//! Presets, configuration, forks, containers and the state.

mod attestation;
mod basic;
mod block;
mod block_contents;
mod config;
mod data_column;
mod earlier;
mod execution;
mod fork;
mod light_client;
mod operations;
pub mod preset;
mod primitives;
mod shuffling;
mod state;
mod sync_committee;
mod validators;

pub use attestation::*;
pub use basic::*;
pub use block::*;
pub use block_contents::*;
pub use config::{BlobParameters, Config, ConfigError};
pub use data_column::*;
pub use earlier::*;
pub use execution::*;
pub use fork::*;
pub use light_client::*;
pub use operations::*;
pub use primitives::*;
pub use shuffling::{Caches, Shuffling};
pub use state::{BeaconState, Field, Hashed, JustificationBits, StateError, fields};
pub use sync_committee::*;
pub use validators::{VALIDATOR_LEN, Validators};
