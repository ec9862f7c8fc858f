//! Merkleization, and columns that share their memory.
