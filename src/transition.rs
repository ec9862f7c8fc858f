//! The specification's state transition: pure, synchronous, no clock, no input or output, no log.
//!
//! Functions keep the specification's names, a file for each of its headings. Where ours does the same thing in another
//! way, `docs/spec_deviations.md` says how and why.

mod block;
mod collector;
mod context;
mod error;
mod helpers;
mod signatures;
mod weak_subjectivity;

pub use block::*;
pub use collector::SignatureCollector;
pub use context::{Checks, Context};
pub use error::{TransitionError, ensure};
pub use helpers::*;
pub use signatures::*;
pub use weak_subjectivity::*;
