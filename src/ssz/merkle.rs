//! Hashing pairs, one or many at once, and the root of a list of chunks.

use std::sync::LazyLock;

use ethereum_hashing::hash_fixed;

use super::Hash256;

/// A node of a Merkle tree where many lie side by side to be hashed at once.
pub type Node = [u8; 32];

/// Deepest tree that occurs: a list of 2^40 records, with room to spare.
const MAX_DEPTH: usize = 48;

/// Pairs that are hashed in one call while a level is folded in place: several times the widest instructions' 16, and few
/// enough to stay in the nearest cache.
const WIDE: usize = 64;

/// `ZERO_HASHES[d]` is the root of a tree of depth `d` whose leaves are all zero.
pub static ZERO_HASHES: LazyLock<[Hash256; MAX_DEPTH + 1]> = LazyLock::new(|| {
    let mut hashes = [Hash256::ZERO; MAX_DEPTH + 1];
    for depth in 0..MAX_DEPTH {
        hashes[depth + 1] = hash_pair(&hashes[depth], &hashes[depth]);
    }
    hashes
});

/// Lets the library see once what this processor can do. It may not be used before, nor while it does so.
static CHOOSE_INSTRUCTIONS: LazyLock<()> = LazyLock::new(|| {
    hashtree_rs::init();
});

/// The parent of two nodes.
pub fn hash_pair(left: &Hash256, right: &Hash256) -> Hash256 {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(left.as_slice());
    pair[32..].copy_from_slice(right.as_slice());
    Hash256::from(hash_fixed(&pair))
}

/// Hashes many pairs with the widest instructions of this processor, chosen at run time: `parents[i]` becomes the parent of
/// `nodes[2 i]` and `nodes[2 i + 1]`.
///
/// # Panics
/// When there are not twice as many nodes as parents.
pub fn hash_pairs(nodes: &[Node], parents: &mut [Node]) {
    // The library trusts the count that it is given.
    assert_eq!(nodes.len(), 2 * parents.len(), "two nodes have one parent");
    if parents.is_empty() {
        return;
    }
    LazyLock::force(&CHOOSE_INSTRUCTIONS);
    let count = parents.len();
    hashtree_rs::hash(parents.as_flattened_mut(), nodes.as_flattened(), count);
}

/// Replaces nodes by their ancestors `levels` above them, which come to stand in front; says how many these are.
///
/// # Panics
/// When the nodes are not whole subtrees of that height.
pub fn fold(nodes: &mut [Node], levels: usize) -> usize {
    let mut len = nodes.len();
    let mut parents = [[0; 32]; WIDE];
    for _ in 0..levels {
        assert!(len.is_multiple_of(2), "a subtree has no half a pair");
        len /= 2;
        for first in (0..len).step_by(WIDE) {
            let count = WIDE.min(len - first);
            hash_pairs(&nodes[2 * first..2 * (first + count)], &mut parents[..count]);
            nodes[first..first + count].copy_from_slice(&parents[..count]);
        }
    }
    len
}

/// The root of a tree of depth `to` above `nodes`, which are roots of trees of depth `from`; what is missing counts as
/// zero. Uses `nodes` as its working space.
///
/// # Panics
/// When there are more nodes than such a tree holds: a caller's mistake, never input's.
pub fn merkleize(nodes: Vec<Hash256>, from: usize, to: usize) -> Hash256 {
    assert!(nodes.len() as u128 <= 1u128 << (to - from), "{} nodes do not fit a depth of {}", nodes.len(), to - from);
    if nodes.is_empty() {
        return ZERO_HASHES[to];
    }
    let mut nodes: Vec<Node> = nodes.into_iter().map(|node| node.0).collect();
    for zero in &ZERO_HASHES[from..to] {
        if !nodes.len().is_multiple_of(2) {
            nodes.push(zero.0);
        }
        let parents = fold(&mut nodes, 1);
        nodes.truncate(parents);
    }
    Hash256::from(nodes[0])
}

/// A list's root: the root of its contents and its length.
pub fn mix_in_length(root: &Hash256, length: usize) -> Hash256 {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(length as u64).to_le_bytes());
    hash_pair(root, &Hash256::from(bytes))
}
