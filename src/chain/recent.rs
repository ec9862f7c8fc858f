//! Sets and maps that forget the oldest when they are full, shared between tasks.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A map of at most `limit` keys. Clones of nothing: tasks share it by reference.
#[derive(Debug)]
pub struct RecentMap<K, V> {
    inner: Mutex<Inner<K, V>>,
    limit: usize,
}

/// A set of at most so many values.
pub type RecentSet<K> = RecentMap<K, ()>;

#[derive(Debug)]
struct Inner<K, V> {
    values: HashMap<K, V>,
    /// Oldest first.
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V> RecentMap<K, V> {
    /// An empty one.
    pub fn new(limit: usize) -> Self {
        RecentMap { inner: Mutex::new(Inner { values: HashMap::new(), order: VecDeque::new() }), limit }
    }

    /// Adds a value, unless the key has one. Says whether it was added.
    pub fn insert(&self, key: K, value: V) -> bool {
        let mut inner = self.lock();
        if inner.values.contains_key(&key) {
            return false;
        }
        inner.add(key, value, self.limit);
        true
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &K) -> bool {
        self.lock().values.contains_key(key)
    }

    /// A copy of the key's value.
    pub fn get(&self, key: &K) -> Option<V>
    where
        V: Clone,
    {
        self.lock().values.get(key).cloned()
    }

    /// What `look` says of the key's value, should it be there.
    pub fn is_some_and(&self, key: &K, look: impl FnOnce(&V) -> bool) -> bool {
        self.lock().values.get(key).is_some_and(look)
    }

    /// Changes the key's value, which is the default one if it was not there.
    pub fn update(&self, key: K, change: impl FnOnce(&mut V))
    where
        V: Default,
    {
        let mut inner = self.lock();
        if !inner.values.contains_key(&key) {
            inner.add(key, V::default(), self.limit);
        }
        inner.values.get_mut(&key).map(change);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> RecentSet<K> {
    /// Adds a value. False if it was there.
    pub fn add(&self, value: K) -> bool {
        self.insert(value, ())
    }
}

impl<K: Copy + Eq + Hash, V> Inner<K, V> {
    fn add(&mut self, key: K, value: V, limit: usize) {
        if self.values.len() >= limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
        self.values.insert(key, value);
        self.order.push_back(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let seen = RecentSet::new(2);
        assert!(seen.add(1) && seen.add(2) && !seen.add(1));
        assert!(seen.add(3));
        assert!(!seen.contains(&1) && seen.contains(&2) && seen.contains(&3));
        assert!(seen.add(1));
        assert!(!seen.contains(&2));
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn values_are_kept_with_their_keys() {
        let map: RecentMap<u8, Vec<u8>> = RecentMap::new(2);
        map.update(1, |list| list.push(7));
        map.update(1, |list| list.push(8));
        assert_eq!(map.get(&1), Some(vec![7, 8]));
        assert!(!map.insert(1, vec![]) && map.insert(2, vec![9]));
        map.update(3, |list| list.push(1));
        assert!(!map.contains(&1) && map.is_some_and(&2, |list| list.len() == 1));
    }
}
