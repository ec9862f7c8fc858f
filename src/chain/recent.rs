//! Sets and maps that forget the oldest when they are full, shared between tasks.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    mem::size_of,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::memory::hash_map_bytes;

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

    /// Forgets all but the newest `keep`, and gives their memory back.
    pub fn forget_older(&self, keep: usize) {
        let mut inner = self.lock();
        while inner.order.len() > keep {
            let Some(oldest) = inner.order.pop_front() else { break };
            inner.values.remove(&oldest);
        }
        inner.order.shrink_to_fit();
        inner.values.shrink_to_fit();
    }

    /// How many there may be.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes on the heap; `of_value` says what a value has there.
    pub fn bytes(&self, of_value: impl Fn(&V) -> usize) -> usize {
        let inner = self.lock();
        let order = inner.order.capacity() * size_of::<K>();
        hash_map_bytes::<K, V>(inner.values.capacity()) + order + inner.values.values().map(of_value).sum::<usize>()
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
    fn forgetting_the_older_gives_their_memory_back() {
        let seen = RecentSet::new(1 << 12);
        (0..1u64 << 12).for_each(|n| assert!(seen.add(n)));
        let full = seen.bytes(|()| 0);
        assert!(full >= (1 << 12) * 2 * 8, "{full}");
        seen.forget_older(16);
        assert_eq!(seen.len(), 16);
        assert!(seen.contains(&4095) && !seen.contains(&4079));
        assert!(seen.bytes(|()| 0) < full / 50, "{}", seen.bytes(|()| 0));
        assert!(seen.add(1) && seen.contains(&1), "it may grow again");
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
