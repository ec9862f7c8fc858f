//! Merkleization, and columns that share their memory.
//!
//! A [`Column`] is a long list whose copies share chunks until one of them writes, and which remembers the hashes of what
//! did not change. Containers small enough to be hashed whole use the `tree_hash` crate instead.

mod chunks;
mod column;
pub mod difference;
mod merkle;
mod progressive;
pub mod proof;
mod stamp;
mod tree;

pub use chunks::{CHUNK, Chunks};
pub use column::{Column, ColumnError, Element, Record};
pub use merkle::{Node, ZERO_HASHES, fold, hash_pair, hash_pairs, merkleize, mix_in_length};
pub use progressive::merkleize_progressive;
pub use stamp::Stamp;
pub use tree::HashTree;

/// A node of a Merkle tree.
pub type Hash256 = alloy_primitives::B256;

#[cfg(test)]
mod tests;
