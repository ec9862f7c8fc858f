//! A list of fixed-size items with shared memory and remembered hashes.

use std::io::{self, Read, Write};

use super::{
    CHUNK, Chunks, Hash256, HashTree, Stamp,
    merkle::{Node, merkleize, mix_in_length},
};

/// Leaves under one remembered root: a kibibyte, which is a piece of numbers.
const GROUP_LEAVES: usize = 32;

/// What a column can hold: an item of fixed SSZ length.
pub trait Element: Clone + PartialEq {
    /// Bytes of one item in SSZ.
    const SSZ_LEN: usize;
    /// Items in one leaf of the tree: several for basic types, one for containers and hashes.
    const PER_LEAF: usize;

    /// Writes the item's SSZ into `out`, which is `SSZ_LEN` long.
    fn write(&self, out: &mut [u8]);
    /// The item that `bytes`, `SSZ_LEN` long, encode; `None` when they encode none.
    fn read(bytes: &[u8]) -> Option<Self>;
    /// The leaf of up to `PER_LEAF` items.
    fn leaf(items: &[Self]) -> Hash256;
}

/// A container of fixed length that a column holds: each is one leaf.
pub trait Record: ssz::Encode + ssz::Decode + tree_hash::TreeHash + Clone + PartialEq {
    /// Bytes of one in SSZ.
    const LEN: usize;
}

impl<T: Record> Element for T {
    const SSZ_LEN: usize = T::LEN;
    const PER_LEAF: usize = 1;

    fn write(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.as_ssz_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        T::from_ssz_bytes(bytes).ok()
    }

    fn leaf(items: &[Self]) -> Hash256 {
        items[0].tree_hash_root()
    }
}

/// Why a column could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ColumnError {
    /// The source failed or ended early.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// More items than the list's limit.
    #[error("more than {limit} items")]
    TooLong {
        /// The list's limit.
        limit: u64,
    },
    /// The bytes are not a whole number of items.
    #[error("{bytes} bytes are not a whole number of items of {item} bytes")]
    Remainder {
        /// Bytes left over for the list.
        bytes: u64,
        /// Bytes in one item.
        item: usize,
    },
    /// An item's bytes are not a valid encoding.
    #[error("item {index} is not validly encoded")]
    Item {
        /// Its place in the list.
        index: usize,
    },
}

/// A list of items. Copies share memory; the root is remembered where nothing changed.
#[derive(Clone, Debug)]
pub struct Column<T> {
    items: Chunks<T>,
    tree: HashTree<GROUP_LEAVES>,
    stamp: Stamp,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Column { items: Chunks::default(), tree: HashTree::default(), stamp: Stamp::default() }
    }
}

impl<T: Element> Column<T> {
    /// `len` copies of `value`.
    pub fn filled(value: T, len: usize) -> Self {
        Column { items: Chunks::filled(value, len), ..Column::default() }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The item at `index`.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.items.get(index)
    }

    /// Writes `value` at `index`.
    ///
    /// # Panics
    /// When `index` is out of range, as a slice does.
    pub fn set(&mut self, index: usize, value: T) {
        if self.items.set(index, value) {
            self.stamp.forget();
            self.tree.mark(index / T::PER_LEAF);
        }
    }

    /// Appends an item.
    pub fn push(&mut self, value: T) {
        self.extend_from_slice(&[value]);
    }

    /// Appends items: many cost less at once.
    pub fn extend_from_slice(&mut self, items: &[T]) {
        self.stamp.forget();
        self.tree.mark(self.items.len() / T::PER_LEAF);
        self.items.extend_from_slice(items);
    }

    /// Removes all items.
    pub fn clear(&mut self) {
        *self = Column::default();
    }

    /// Removes the first `count` items. Costs a copy of the rest.
    pub fn drop_front(&mut self, count: usize) {
        if count > 0 {
            *self = self.items.iter().skip(count).cloned().collect();
        }
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// The items as slices of [`CHUNK`] items, the last perhaps shorter: the fast way to scan.
    pub fn slices(&self) -> impl Iterator<Item = &[T]> {
        self.items.slices()
    }

    /// The items without their hashes.
    pub fn items(&self) -> &Chunks<T> {
        &self.items
    }

    /// Replaces each item by `f(index, item)`, in order. A chunk in which nothing changes stays shared and hashed.
    pub fn update_each(&mut self, mut f: impl FnMut(usize, &T) -> T) {
        let mut scratch = Vec::new();
        for number in 0..self.len().div_ceil(CHUNK) {
            self.update_chunk(number, &mut scratch, |items| {
                for (i, item) in items.iter_mut().enumerate() {
                    *item = f(number * CHUNK + i, item);
                }
            });
        }
    }

    /// Replaces each item at one of `indices` by `f(item)`: for many at once, in any order. What does not change stays shared
    /// and hashed.
    ///
    /// # Panics
    /// When an index is out of range.
    pub fn update_scattered(&mut self, indices: &[u32], f: impl Fn(&T) -> T) {
        let (tree, stamp) = (&mut self.tree, &mut self.stamp);
        self.items.update_scattered(indices, f, |index| {
            stamp.forget();
            tree.mark(index / T::PER_LEAF);
        });
    }

    /// Lets `f` write on a copy of the chunk with this number, and takes the copy in the chunk's place if it is not equal;
    /// else the chunk stays shared and hashed. `scratch` is the copy's memory, for the caller's next chunk.
    ///
    /// # Panics
    /// When there is no such chunk.
    pub fn update_chunk<R>(&mut self, number: usize, scratch: &mut Vec<T>, f: impl FnOnce(&mut [T]) -> R) -> R {
        let old = self.items.slice(number);
        scratch.clear();
        scratch.extend_from_slice(old);
        let result = f(scratch);
        if scratch[..] != *old {
            self.replace_chunk(number, scratch);
        }
        result
    }

    /// The name of what the column holds now: see [`Stamp`].
    pub fn stamp(&mut self) -> u64 {
        self.stamp.get()
    }

    /// The name, if somebody has asked for it since the last change.
    pub fn known_stamp(&self) -> Option<u64> {
        self.stamp.known()
    }

    /// Puts other items in the place of the chunk with this number, as many as it has.
    ///
    /// # Panics
    /// When there is no such chunk, or its length is another.
    pub fn replace_chunk(&mut self, number: usize, new: &[T]) {
        self.stamp.forget();
        let old = self.items.slice(number);
        let per_group = GROUP_LEAVES * T::PER_LEAF;
        for (n, (old, new)) in old.chunks(per_group).zip(new.chunks(per_group)).enumerate() {
            if old != new {
                self.tree.mark(number * CHUNK / T::PER_LEAF + n * GROUP_LEAVES);
            }
        }
        self.items.replace_chunk(number, new);
    }

    /// The root as an SSZ vector.
    pub fn vector_root(&mut self) -> Hash256 {
        self.contents_root(self.len() as u64)
    }

    /// The root as an SSZ list of at most `limit` items.
    pub fn list_root(&mut self, limit: u64) -> Hash256 {
        let contents = self.contents_root(limit);
        mix_in_length(&contents, self.len())
    }

    fn contents_root(&mut self, limit: u64) -> Hash256 {
        let leaves = self.len().div_ceil(T::PER_LEAF);
        let items = &self.items;
        let depth = depth_of(limit.div_ceil(T::PER_LEAF as u64));
        if 1 << depth <= GROUP_LEAVES {
            // Too small to be worth remembering.
            let mut nodes = [[0; 32]; GROUP_LEAVES];
            fill_group(items, 0, &mut nodes);
            return merkleize(nodes[..leaves].iter().map(|node| Hash256::from(*node)).collect(), 0, depth);
        }
        self.tree.update(leaves, |firsts, out: &mut [Node]| {
            firsts
                .iter()
                .zip(out.chunks_exact_mut(GROUP_LEAVES))
                .for_each(|(first, out)| fill_group(items, *first, out));
        });
        self.tree.root(depth)
    }

    /// Bytes on the heap, hashes included, that keeping `self` beside `other` costs.
    pub fn bytes_beside(&self, other: &Self) -> usize {
        self.items.bytes_beside(&other.items) + self.tree.bytes_beside(&other.tree)
    }

    /// Bytes of the column in SSZ.
    pub fn ssz_len(&self) -> usize {
        self.len() * T::SSZ_LEN
    }

    /// Writes the items' SSZ, a chunk at a time.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(CHUNK.min(self.len()) * T::SSZ_LEN);
        for slice in self.slices() {
            bytes.resize(slice.len() * T::SSZ_LEN, 0);
            for (item, place) in slice.iter().zip(bytes.chunks_exact_mut(T::SSZ_LEN)) {
                item.write(place);
            }
            out.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Reads a vector of `len` items.
    pub fn read_vector(source: &mut impl Read, len: usize) -> Result<Self, ColumnError> {
        Self::read_list(source, Some((len * T::SSZ_LEN) as u64), len as u64)
    }

    /// Reads a list of at most `limit` items: `bytes` of them, or all until the source ends. Memory grows with what was
    /// read, never with what was announced.
    pub fn read_list(source: &mut impl Read, bytes: Option<u64>, limit: u64) -> Result<Self, ColumnError> {
        if let Some(bytes) = bytes {
            if !bytes.is_multiple_of(T::SSZ_LEN as u64) {
                return Err(ColumnError::Remainder { bytes, item: T::SSZ_LEN });
            }
            if bytes / T::SSZ_LEN as u64 > limit {
                return Err(ColumnError::TooLong { limit });
            }
        }
        let mut column = Column::default();
        let mut buffer = vec![0; Chunks::<T>::PER_PIECE * T::SSZ_LEN];
        let mut left = bytes.unwrap_or(u64::MAX);
        loop {
            let want = (buffer.len() as u64).min(left) as usize;
            let got = read_up_to(source, &mut buffer[..want])?;
            column.append(&buffer[..got], limit)?;
            left -= got as u64;
            if left == 0 {
                return Ok(column);
            }
            if got < want {
                return if bytes.is_none() {
                    Ok(column)
                } else {
                    Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                };
            }
        }
    }

    /// Appends a chunk of items from their SSZ.
    fn append(&mut self, bytes: &[u8], limit: u64) -> Result<(), ColumnError> {
        let items = bytes.chunks_exact(T::SSZ_LEN);
        if !items.remainder().is_empty() {
            return Err(ColumnError::Remainder { bytes: bytes.len() as u64, item: T::SSZ_LEN });
        }
        if (self.len() + items.len()) as u64 > limit {
            return Err(ColumnError::TooLong { limit });
        }
        let mut chunk = Vec::with_capacity(items.len());
        for item in items {
            chunk.push(T::read(item).ok_or(ColumnError::Item { index: self.len() + chunk.len() })?);
        }
        self.extend_from_slice(&chunk);
        Ok(())
    }
}

impl<T: Element> FromIterator<T> for Column<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Column { items: items.into_iter().collect(), ..Column::default() }
    }
}

impl<T: PartialEq> PartialEq for Column<T> {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items
    }
}

impl<T: Element> std::ops::Index<usize> for Column<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        match self.items.get(index) {
            Some(item) => item,
            None => panic!("index {index} in a column of {}", self.len()),
        }
    }
}

/// Depth of the smallest tree with room for `leaves`.
fn depth_of(leaves: u64) -> usize {
    leaves.max(1).next_power_of_two().ilog2() as usize
}

/// Writes the leaves of the group that begins with the leaf `first`, as far as there are items.
fn fill_group<T: Element>(items: &Chunks<T>, first: usize, out: &mut [Node]) {
    // A chunk may be less than a group (of flags), or more (of hashes); a leaf never lies in two.
    let (mut item, mut out) = (first * T::PER_LEAF, out);
    while item < items.len() && !out.is_empty() {
        let slice = &items.slice(item / CHUNK)[item % CHUNK..];
        for (items, leaf) in slice.chunks(T::PER_LEAF).zip(out.iter_mut()) {
            *leaf = T::leaf(items).0;
        }
        let leaves = slice.len().div_ceil(T::PER_LEAF).min(out.len());
        item += leaves * T::PER_LEAF;
        out = &mut out[leaves..];
    }
}

/// Fills `buffer` as far as the source reaches; says how far.
pub(super) fn read_up_to(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

impl Element for u8 {
    const SSZ_LEN: usize = 1;
    const PER_LEAF: usize = 32;

    fn write(&self, out: &mut [u8]) {
        out[0] = *self;
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.first().copied()
    }

    fn leaf(items: &[Self]) -> Hash256 {
        Hash256::right_padding_from(items)
    }
}

impl Element for u64 {
    const SSZ_LEN: usize = 8;
    const PER_LEAF: usize = 4;

    fn write(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    fn leaf(items: &[Self]) -> Hash256 {
        let mut leaf = Hash256::ZERO;
        for (item, out) in items.iter().zip(leaf.chunks_exact_mut(8)) {
            item.write(out);
        }
        leaf
    }
}

impl Element for Hash256 {
    const SSZ_LEN: usize = 32;
    const PER_LEAF: usize = 1;

    fn write(&self, out: &mut [u8]) {
        out.copy_from_slice(self.as_slice());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Hash256::try_from(bytes).ok()
    }

    fn leaf(items: &[Self]) -> Hash256 {
        items[0]
    }
}
