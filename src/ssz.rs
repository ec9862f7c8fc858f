//! Merkleization, and columns that share their memory.

pub mod proof;
