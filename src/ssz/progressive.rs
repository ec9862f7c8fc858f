//! Merkleization of progressive lists: subtrees of 1, 4, 16, ... leaves, so that no limit is needed.

use super::{Hash256, hash_pair, merkleize};

/// The root of the tree above `chunks`, without the mixed-in length.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/ssz/simple-serialize.md#merkleization>
pub fn merkleize_progressive(chunks: &[Hash256]) -> Hash256 {
    from_subtree_of(0, chunks)
}

/// As [`merkleize_progressive`], when the next subtree has 2^`depth` leaves.
fn from_subtree_of(depth: usize, chunks: &[Hash256]) -> Hash256 {
    if chunks.is_empty() {
        return Hash256::ZERO;
    }
    let (subtree, rest) = chunks.split_at(chunks.len().min(1 << depth));
    hash_pair(&merkleize(subtree.to_vec(), 0, depth), &from_subtree_of(depth + 2, rest))
}
