//! A value with its root, hashed once and shared.

use std::{fmt, ops::Deref, sync::Arc};

use tree_hash::TreeHash;

use crate::types::Hash256;

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
