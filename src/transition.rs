//! The specification's state transition: pure, synchronous, no clock, no input or output, no log.
//!
//! Functions keep the specification's names, a file for each of its headings. Where ours does the same thing in another
//! way, `docs/spec_deviations.md` says how and why.

mod block;
mod collector;
mod context;
pub mod epoch;
mod error;
mod genesis;
mod helpers;
mod signatures;
mod slots;
mod state_transition;
mod upgrade;
mod weak_subjectivity;

pub use block::*;
pub use collector::SignatureCollector;
pub use context::{Checks, Context};
pub use epoch::{process_justification_and_finalization, unrealized_checkpoints};
pub use error::{TransitionError, ensure};
pub use genesis::{initialize_beacon_state_from_eth1, is_valid_genesis_state};
pub use helpers::*;
pub use signatures::*;
pub use slots::process_slots;
pub use state_transition::{apply_block, state_transition};
pub use upgrade::*;
pub use weak_subjectivity::*;
