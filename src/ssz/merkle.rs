//! Hashing pairs, and the root of a list of chunks.

use std::sync::LazyLock;

use ethereum_hashing::hash_fixed;

use super::Hash256;

/// Deepest tree that occurs: a list of 2^40 records, with room to spare.
const MAX_DEPTH: usize = 48;

/// `ZERO_HASHES[d]` is the root of a tree of depth `d` whose leaves are all zero.
pub static ZERO_HASHES: LazyLock<[Hash256; MAX_DEPTH + 1]> = LazyLock::new(|| {
    let mut hashes = [Hash256::ZERO; MAX_DEPTH + 1];
    for depth in 0..MAX_DEPTH {
        hashes[depth + 1] = hash_pair(&hashes[depth], &hashes[depth]);
    }
    hashes
});

/// The parent of two nodes.
pub fn hash_pair(left: &Hash256, right: &Hash256) -> Hash256 {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(left.as_slice());
    pair[32..].copy_from_slice(right.as_slice());
    Hash256::from(hash_fixed(&pair))
}

/// The root of a tree of depth `to` above `nodes`, which are roots of trees of depth `from`; what is missing counts as
/// zero. Uses `nodes` as its working space.
///
/// # Panics
/// When there are more nodes than such a tree holds: a caller's mistake, never input's.
pub fn merkleize(mut nodes: Vec<Hash256>, from: usize, to: usize) -> Hash256 {
    assert!(nodes.len() as u128 <= 1u128 << (to - from), "{} nodes do not fit a depth of {}", nodes.len(), to - from);
    if nodes.is_empty() {
        return ZERO_HASHES[to];
    }
    for zero in &ZERO_HASHES[from..to] {
        let parents = nodes.len().div_ceil(2);
        for i in 0..parents {
            nodes[i] = hash_pair(&nodes[2 * i], nodes.get(2 * i + 1).unwrap_or(zero));
        }
        nodes.truncate(parents);
    }
    nodes[0]
}

/// A list's root: the root of its contents and its length.
pub fn mix_in_length(root: &Hash256, length: usize) -> Hash256 {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(length as u64).to_le_bytes());
    hash_pair(root, &Hash256::from(bytes))
}
