//! A value with its root, hashed once and shared.

use std::{fmt, ops::Deref, sync::Arc};

use tree_hash::TreeHash;

use crate::{
    ssz::{Column, Element, Record},
    types::Hash256,
};

/// A value that is replaced, never changed; copies share it and its root.
#[derive(Clone)]
pub struct Hashed<T>(Arc<(T, Hash256)>);

impl<T: TreeHash> Hashed<T> {
    /// Hashes `value` now.
    pub fn new(value: T) -> Self {
        let root = value.tree_hash_root();
        Hashed(Arc::new((value, root)))
    }
}

impl<T> Hashed<T> {
    /// The value's root.
    pub fn root(&self) -> Hash256 {
        self.0.1
    }
}

impl<T: ssz::Encode> Hashed<T> {
    /// Bytes that keeping `self` beside `other` costs: none if they share the value, else about what its SSZ takes.
    pub fn bytes_beside(&self, other: &Self) -> usize {
        if Arc::ptr_eq(&self.0, &other.0) { 0 } else { size_of::<(T, Hash256)>() + self.ssz_bytes_len() }
    }
}

/// Records of a long queue: it moves up often, and then neither copies nor hashes them again.
impl<T: Record> Element for Hashed<T> {
    const SSZ_LEN: usize = T::LEN;
    const PER_LEAF: usize = 1;

    fn write(&self, out: &mut [u8]) {
        Element::write(&**self, out);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        T::read(bytes).map(Hashed::new)
    }

    fn leaf(items: &[Self]) -> Hash256 {
        items[0].root()
    }
}

impl<T: Record> Hashed<T> {
    /// Bytes that keeping the values of `queue` beside those of `other` costs. One of the two may have lost the first ones of
    /// the other since.
    pub(super) fn values_beside(queue: &Column<Self>, other: &Column<Self>) -> usize {
        let is_same = |a: &Self, b: &Self| Arc::ptr_eq(&a.0, &b.0);
        let find = |item: Option<&Self>, among: &Column<Self>| {
            item.and_then(|item| among.iter().position(|candidate| is_same(item, candidate)))
        };
        let ours = find(other.get(0), queue);
        let theirs = find(queue.get(0), other);
        let shared = match (ours, theirs) {
            (None, None) => 0,
            _ => {
                let other = other.iter().skip(theirs.unwrap_or(0));
                queue.iter().skip(ours.unwrap_or(0)).zip(other).filter(|(a, b)| is_same(a, b)).count()
            }
        };
        (queue.len() - shared) * (2 * size_of::<usize>() + size_of::<(T, Hash256)>())
    }
}

impl<T> Deref for Hashed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.0
    }
}

impl<T: TreeHash + Default> Default for Hashed<T> {
    fn default() -> Self {
        Hashed::new(T::default())
    }
}

impl<T> PartialEq for Hashed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.root() == other.root()
    }
}

impl<T> Eq for Hashed<T> {}

impl<T: fmt::Debug> fmt::Debug for Hashed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.fmt(f)
    }
}
