//! Merkle branches: from a container's field to its root, and their check.

use super::{Hash256, ZERO_HASHES, hash_pair};

/// The siblings on the way from field `index` up to the root of a container with these field roots, lowest first.
///
/// The container is as wide as the next power of two; what is missing counts as zeros. `index` must be a field's.
pub fn field_branch(field_roots: &[Hash256], index: usize) -> Vec<Hash256> {
    let depth = field_roots.len().next_power_of_two().trailing_zeros() as usize;
    branch(field_roots, depth, index)
}

/// The siblings on the way from item `index` up to the root of a list with these item roots and room for `2^depth`,
/// lowest first; the last is the list's length.
pub fn list_branch(item_roots: &[Hash256], depth: usize, index: usize) -> Vec<Hash256> {
    let mut length = Hash256::ZERO;
    length[..8].copy_from_slice(&(item_roots.len() as u64).to_le_bytes());
    let mut siblings = branch(item_roots, depth, index);
    siblings.push(length);
    siblings
}

fn branch(leaves: &[Hash256], depth: usize, index: usize) -> Vec<Hash256> {
    let mut layer = leaves.to_vec();
    let mut branch = Vec::with_capacity(depth);
    for level in 0..depth {
        let zero = ZERO_HASHES[level];
        branch.push(layer.get((index >> level) ^ 1).copied().unwrap_or(zero));
        layer = layer.chunks(2).map(|pair| hash_pair(&pair[0], pair.get(1).unwrap_or(&zero))).collect();
    }
    branch
}

/// Whether `leaf` at `index` among `2^depth` leaves is under `root`. The branch must be exactly `depth` long.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#is_valid_merkle_branch>
pub fn is_valid_merkle_branch(leaf: Hash256, branch: &[Hash256], depth: usize, index: u64, root: Hash256) -> bool {
    if branch.len() != depth {
        return false;
    }
    let mut value = leaf;
    for (level, sibling) in branch.iter().enumerate() {
        // Bits beyond the width of an index are zero.
        let is_right = index.checked_shr(level as u32).unwrap_or(0) & 1 == 1;
        value = if is_right { hash_pair(sibling, &value) } else { hash_pair(&value, sibling) };
    }
    value == root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<Hash256> {
        (1..=count).map(Hash256::repeat_byte).collect()
    }

    /// The root by the definition: pad to a power of two, then hash layer by layer.
    fn root(leaves: &[Hash256]) -> Hash256 {
        let mut layer = leaves.to_vec();
        layer.resize(leaves.len().next_power_of_two(), Hash256::ZERO);
        while layer.len() > 1 {
            layer = layer.chunks(2).map(|pair| hash_pair(&pair[0], &pair[1])).collect();
        }
        layer[0]
    }

    #[test]
    fn branches_of_every_field_are_valid() {
        for count in [1, 2, 3, 5, 8, 13, 38] {
            let (leaves, depth) = (leaves(count), count.next_power_of_two().trailing_zeros() as usize);
            for (index, &leaf) in leaves.iter().enumerate() {
                let branch = field_branch(&leaves, index);
                assert!(
                    is_valid_merkle_branch(leaf, &branch, depth, index as u64, root(&leaves)),
                    "{index} of {count}"
                );
            }
        }
    }

    #[test]
    fn branches_of_every_item_of_a_list_are_valid() {
        for count in [1, 2, 5, 8] {
            let leaves = leaves(count);
            let mut padded = leaves.clone();
            padded.resize(16, Hash256::ZERO);
            let list_root = crate::ssz::mix_in_length(&root(&padded), count.into());
            for (index, &leaf) in leaves.iter().enumerate() {
                let branch = list_branch(&leaves, 4, index);
                assert!(is_valid_merkle_branch(leaf, &branch, 5, index as u64, list_root), "{index} of {count}");
            }
        }
    }

    #[test]
    fn what_is_not_right_is_refused() {
        let (leaves, root) = (leaves(5), root(&leaves(5)));
        let branch = field_branch(&leaves, 2);
        assert!(is_valid_merkle_branch(leaves[2], &branch, 3, 2, root));
        assert!(!is_valid_merkle_branch(leaves[2], &branch, 3, 3, root), "another index");
        assert!(!is_valid_merkle_branch(leaves[1], &branch, 3, 2, root), "another leaf");
        assert!(!is_valid_merkle_branch(leaves[2], &branch[..2], 3, 2, root), "a branch too short");
        assert!(!is_valid_merkle_branch(leaves[2], &branch[..2], 2, 2, root), "and with its own depth");
        assert!(!is_valid_merkle_branch(leaves[2], &[branch.clone(), branch].concat(), 3, 2, root), "too long");
        assert!(
            !is_valid_merkle_branch(leaves[2], &[Hash256::ZERO; 100], 100, 2, root),
            "deeper than an index is wide"
        );
    }
}
