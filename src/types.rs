//! Presets, configuration, forks, containers and the state.

mod attestation;
mod basic;
mod block;
mod data_column;
mod execution;
mod fork;
mod light_client;
mod operations;
pub mod preset;
mod primitives;
mod sync_committee;

pub use attestation::*;
pub use basic::*;
pub use block::*;
pub use data_column::*;
pub use execution::*;
pub use fork::*;
pub use light_client::*;
pub use operations::*;
pub use primitives::*;
pub use sync_committee::*;
