//! The remembered hashes of a column.
//!
//! Three levels are kept: the root of each *group* of leaves, the root of each *block* of 128 groups, and the root of all. A
//! change marks its group; the next root hashes the marked groups, their blocks, and the few nodes above.

use super::{
    CHUNK, Chunks, Hash256, ZERO_HASHES,
    merkle::{Node, fold, merkleize},
};

/// Groups under one remembered root of the upper level: a piece of them.
const BLOCK_GROUPS: usize = CHUNK;
const WORD: usize = u64::BITS as usize;
const BLOCK_WORDS: usize = BLOCK_GROUPS / WORD;
const _: () = assert!(Chunks::<Hash256>::PER_PIECE == BLOCK_GROUPS, "a block's groups are one piece");

/// Remembered hashes over leaves that live elsewhere, in groups of `GROUP` leaves.
#[derive(Clone, Debug, Default)]
pub struct HashTree<const GROUP: usize> {
    groups: Chunks<Hash256>,
    blocks: Chunks<Hash256>,
    // A bit per group, whole blocks at a time; empty when none is set, so that copies of a hashed column copy none.
    dirty: Vec<u64>,
    leaves: usize,
    // The root of all, with its depth, until something changes.
    top: Option<(usize, Hash256)>,
}

impl<const GROUP: usize> HashTree<GROUP> {
    const GROUP_DEPTH: usize = GROUP.ilog2() as usize;
    const BLOCK_DEPTH: usize = Self::GROUP_DEPTH + BLOCK_GROUPS.ilog2() as usize;

    /// Says that `leaf` changed. Leaves beyond the end count as changed anyway once they are there.
    pub fn mark(&mut self, leaf: usize) {
        let group = leaf / GROUP;
        if group >= self.groups.len() {
            return;
        }
        if self.dirty.is_empty() {
            self.dirty = vec![0; self.blocks.len() * BLOCK_WORDS];
            self.top = None;
        }
        self.dirty[group / WORD] |= 1 << (group % WORD);
    }

    /// Brings the remembered hashes up to date with `leaves` leaves. `fill(firsts, out)` writes groups of leaves into `out`,
    /// which comes zeroed: the nth group begins with the leaf `firsts[n]`. It leaves alone what is beyond the end.
    pub fn update(&mut self, leaves: usize, fill: impl Fn(&[usize], &mut [Node])) {
        self.resize(leaves);
        let mut work = Work::default();
        for (block, bits) in std::mem::take(&mut self.dirty).chunks_exact(BLOCK_WORDS).enumerate() {
            work.firsts.clear();
            for (word, bits) in bits.iter().enumerate().filter(|(_, bits)| **bits != 0) {
                let groups = (0..WORD).filter(|bit| bits >> bit & 1 == 1);
                let first = block * BLOCK_GROUPS + word * WORD;
                work.firsts.extend(groups.map(|bit| (first + bit) * GROUP).filter(|first| *first < leaves));
            }
            if !work.firsts.is_empty() {
                self.update_block(block, &mut work, &fill);
            }
        }
    }

    /// The root of a tree of `depth` above the leaves. Call [`HashTree::update`] first.
    pub fn root(&mut self, depth: usize) -> Hash256 {
        debug_assert!(self.dirty.is_empty(), "update comes before root");
        if let Some((_, root)) = self.top.filter(|(of, _)| *of == depth) {
            return root;
        }
        let (nodes, from) = match depth {
            _ if depth >= Self::BLOCK_DEPTH => (&self.blocks, Self::BLOCK_DEPTH),
            _ => (&self.groups, Self::GROUP_DEPTH),
        };
        assert!(depth >= from, "a list with a limit under {GROUP} leaves is not worth a tree");
        let root = merkleize(nodes.iter().copied().collect(), from, depth);
        self.top = Some((depth, root));
        root
    }

    /// Bytes on the heap that keeping `self` beside `other` costs.
    pub fn bytes_beside(&self, other: &Self) -> usize {
        let dirty = self.dirty.capacity() * size_of::<u64>();
        dirty + self.groups.bytes_beside(&other.groups) + self.blocks.bytes_beside(&other.blocks)
    }

    fn resize(&mut self, leaves: usize) {
        if leaves == self.leaves {
            return;
        }
        let groups = leaves.div_ceil(GROUP);
        let first_changed = leaves.min(self.leaves) / GROUP;
        let blocks = groups.div_ceil(BLOCK_GROUPS);
        self.groups.resize(groups, ZERO_HASHES[Self::GROUP_DEPTH]);
        self.blocks.resize(blocks, ZERO_HASHES[Self::BLOCK_DEPTH]);
        self.leaves = leaves;
        self.top = None;
        self.dirty.resize(blocks * BLOCK_WORDS, 0);
        // From the first group that gained or lost a leaf on; where it ended with a group, the block lost others all the same.
        for group in first_changed.min(groups.saturating_sub(1))..groups {
            self.mark(group * GROUP);
        }
    }

    /// Hashes the groups of a block that begin with the leaves `work.firsts`, and the block.
    fn update_block(&mut self, block: usize, work: &mut Work, fill: &impl Fn(&[usize], &mut [Node])) {
        work.leaves.clear();
        work.leaves.resize(work.firsts.len() * GROUP, [0; 32]);
        fill(&work.firsts, &mut work.leaves);
        let distinct = work.drop_equal_neighbours(GROUP);
        let roots = fold(&mut work.leaves[..distinct * GROUP], Self::GROUP_DEPTH);
        debug_assert_eq!(roots, distinct);

        let first = block * BLOCK_GROUPS;
        work.groups.clear();
        work.groups.extend_from_slice(self.groups.slice(block));
        for (leaf, place) in work.firsts.iter().zip(&work.places) {
            work.groups[leaf / GROUP - first] = Hash256::from(work.leaves[*place]);
        }
        self.groups.replace_piece(block, &work.groups);
        let root = if self.groups.is_shared_with_previous(block) {
            *self.blocks.get(block - 1).expect("the block before")
        } else {
            Self::block_root(&work.groups)
        };
        self.blocks.set(block, root);
    }

    fn block_root(groups: &[Hash256]) -> Hash256 {
        let mut nodes = [ZERO_HASHES[Self::GROUP_DEPTH].0; BLOCK_GROUPS];
        for (node, group) in nodes.iter_mut().zip(groups) {
            *node = group.0;
        }
        fold(&mut nodes, BLOCK_GROUPS.ilog2() as usize);
        Hash256::from(nodes[0])
    }
}

/// Working space of an update, of a block at most.
#[derive(Default)]
struct Work {
    // The first leaf of each group to hash.
    firsts: Vec<usize>,
    leaves: Vec<Node>,
    // Of each group to hash, its place among the distinct ones.
    places: Vec<usize>,
    groups: Vec<Hash256>,
}

impl Work {
    /// Moves groups of leaves together, so that those equal to the one before are hashed once: most scores and flags. Says how
    /// many are left.
    fn drop_equal_neighbours(&mut self, group: usize) -> usize {
        let mut kept = 0;
        self.places.clear();
        for start in (0..self.leaves.len()).step_by(group) {
            let is_new =
                kept == 0 || self.leaves[start..start + group] != self.leaves[(kept - 1) * group..kept * group];
            if is_new {
                self.leaves.copy_within(start..start + group, kept * group);
                kept += 1;
            }
            self.places.push(kept - 1);
        }
        kept
    }
}
