//! Sets that forget the oldest when they are full.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A set of at most `limit` values, shared between tasks.
#[derive(Debug)]
pub(crate) struct Seen<T> {
    inner: Mutex<Inner<T>>,
    limit: usize,
}

#[derive(Debug)]
struct Inner<T> {
    values: HashSet<T>,
    order: VecDeque<T>,
}

impl<T: Copy + Eq + Hash> Seen<T> {
    pub fn new(limit: usize) -> Seen<T> {
        Seen { inner: Mutex::new(Inner { values: HashSet::new(), order: VecDeque::new() }), limit }
    }

    /// Adds a value. False if it was there.
    pub fn insert(&self, value: T) -> bool {
        let mut inner = self.lock();
        if !inner.values.insert(value) {
            return false;
        }
        inner.order.push_back(value);
        if inner.order.len() > self.limit
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.values.remove(&oldest);
        }
        true
    }

    pub fn contains(&self, value: &T) -> bool {
        self.lock().values.contains(value)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let seen = Seen::new(2);
        assert!(seen.insert(1) && seen.insert(2) && !seen.insert(1));
        assert!(seen.insert(3));
        assert!(!seen.contains(&1) && seen.contains(&2) && seen.contains(&3));
        assert!(seen.insert(1));
        assert!(!seen.contains(&2));
    }
}
