//! The remembered hashes of a column.
//!
//! Two levels are kept: the root of each *group* of 8 leaves, and the root of each *block* of 128 groups. A change marks
//! its group; the next root hashes the marked groups, their blocks, and the few nodes above.

use super::{Chunks, Hash256, ZERO_HASHES, merkleize};

/// Leaves under one remembered root of the lower level.
pub const GROUP_LEAVES: usize = 8;
const GROUP_DEPTH: usize = GROUP_LEAVES.ilog2() as usize;
/// Groups under one remembered root of the upper level.
const BLOCK_GROUPS: usize = 128;
const BLOCK_DEPTH: usize = GROUP_DEPTH + BLOCK_GROUPS.ilog2() as usize;
const WORD: usize = u64::BITS as usize;
const BLOCK_WORDS: usize = BLOCK_GROUPS / WORD;

/// Remembered hashes over leaves that live elsewhere.
#[derive(Clone, Debug, Default)]
pub struct HashTree {
    groups: Chunks<Hash256>,
    blocks: Vec<Hash256>,
    // A bit per group; whole blocks at a time.
    dirty: Vec<u64>,
    leaves: usize,
}

impl HashTree {
    /// Says that `leaf` changed. Leaves beyond the end count as changed anyway once they are there.
    pub fn mark(&mut self, leaf: usize) {
        let group = leaf / GROUP_LEAVES;
        if let Some(word) = self.dirty.get_mut(group / WORD) {
            *word |= 1 << (group % WORD);
        }
    }

    /// Brings the remembered hashes up to date with `leaves` leaves. `fill(first, out)` writes the leaves from number
    /// `first` on into `out`, which comes zeroed; it leaves alone what is beyond the end.
    pub fn update(&mut self, leaves: usize, fill: impl Fn(usize, &mut [Hash256; GROUP_LEAVES])) {
        self.resize(leaves);
        for block in 0..self.blocks.len() {
            let words = block * BLOCK_WORDS..(block + 1) * BLOCK_WORDS;
            if self.dirty[words.clone()].iter().all(|word| *word == 0) {
                continue;
            }
            for word in words {
                self.update_groups(word, &fill);
            }
            self.blocks[block] = self.block_root(block);
        }
    }

    /// The root of a tree of `depth` above the leaves. Call [`HashTree::update`] first.
    pub fn root(&self, depth: usize) -> Hash256 {
        debug_assert!(self.dirty.iter().all(|word| *word == 0), "update comes before root");
        if depth >= BLOCK_DEPTH {
            return merkleize(self.blocks.clone(), BLOCK_DEPTH, depth);
        }
        assert!(depth >= GROUP_DEPTH, "a list with a limit under {GROUP_LEAVES} leaves is not worth a tree");
        merkleize(self.groups.iter().copied().collect(), GROUP_DEPTH, depth)
    }

    /// Bytes on the heap that keeping `self` beside `other` costs.
    pub fn bytes_beside(&self, other: &Self) -> usize {
        let own = self.blocks.capacity() * size_of::<Hash256>() + self.dirty.capacity() * size_of::<u64>();
        own + self.groups.bytes_beside(&other.groups)
    }

    fn resize(&mut self, leaves: usize) {
        if leaves == self.leaves {
            return;
        }
        let groups = leaves.div_ceil(GROUP_LEAVES);
        let first_changed = leaves.min(self.leaves) / GROUP_LEAVES;
        let blocks = groups.div_ceil(BLOCK_GROUPS);
        self.groups.truncate(groups);
        while self.groups.len() < groups {
            self.groups.push(Hash256::ZERO);
        }
        self.blocks.resize(blocks, Hash256::ZERO);
        self.dirty.resize(blocks * BLOCK_WORDS, 0);
        // From the first group that gained or lost a leaf on; a group beyond the end is harmless.
        for group in first_changed..groups.max(first_changed + 1).min(blocks * BLOCK_GROUPS) {
            self.mark(group * GROUP_LEAVES);
        }
        self.leaves = leaves;
    }

    fn update_groups(&mut self, word: usize, fill: &impl Fn(usize, &mut [Hash256; GROUP_LEAVES])) {
        let mut bits = std::mem::take(&mut self.dirty[word]);
        while bits != 0 {
            let group = word * WORD + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            if group < self.groups.len() {
                let mut leaves = [Hash256::ZERO; GROUP_LEAVES];
                fill(group * GROUP_LEAVES, &mut leaves);
                self.groups.set(group, fold(&mut leaves, 0));
            }
        }
    }

    fn block_root(&self, block: usize) -> Hash256 {
        let mut nodes = [ZERO_HASHES[GROUP_DEPTH]; BLOCK_GROUPS];
        let groups = block * BLOCK_GROUPS..((block + 1) * BLOCK_GROUPS).min(self.groups.len());
        for (node, group) in nodes.iter_mut().zip(groups) {
            *node = *self.groups.get(group).expect("within the groups");
        }
        fold(&mut nodes, GROUP_DEPTH)
    }
}

/// The root of a full tree above nodes that are roots of trees of depth `depth`; `nodes`, a power of two of them, is used
/// up. What is zero throughout needs no hashing: most scores and flags.
fn fold(nodes: &mut [Hash256], depth: usize) -> Hash256 {
    let mut len = nodes.len();
    if nodes.iter().all(|node| *node == ZERO_HASHES[depth]) {
        return ZERO_HASHES[depth + len.ilog2() as usize];
    }
    while len > 1 {
        len /= 2;
        for i in 0..len {
            nodes[i] = super::hash_pair(&nodes[2 * i], &nodes[2 * i + 1]);
        }
    }
    nodes[0]
}
