//! BLS batches, KZG cells, signing domains.
//!
//! Everything here is single-threaded; callers that want more cores split their work.

mod batch;
mod bls;
mod columns;
mod domain;
pub mod kzg;
mod pubkeys;

pub use batch::{SignatureSet, verify_each, verify_sets};
pub use bls::*;
pub use columns::*;
pub use domain::*;
pub use pubkeys::PubkeyCache;
