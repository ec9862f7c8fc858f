//! What the chain holds in memory, by cache, and how it holds less.

use std::{
    mem::size_of,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{ChainHandle, StateLimits, StoreMessage};

/// The bytes of a cache, under the name that the metrics give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheBytes {
    /// Its name.
    pub cache: &'static str,
    /// Allocated bytes, as the cache itself counts them; without what the allocator adds.
    pub bytes: usize,
}

/// What tasks have measured of what they own, for everybody.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    /// The fork-choice store: blocks, votes, balances.
    pub fork_choice: AtomicUsize,
    /// What is collected for light clients.
    pub light_clients: AtomicUsize,
}

/// States in memory, and what they cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSizes {
    /// The anchor's full size in bytes, shufflings included.
    pub anchor: usize,
    /// States beside it.
    pub count: usize,
    /// What these cost beside it.
    pub bytes: usize,
    /// What is allowed.
    pub limits: StateLimits,
}

impl ChainHandle {
    /// The bytes of every cache of the chain but the pools, which have a task of their own. No byte is in two of them. Walks a
    /// state's chunks, so call it on the blocking pool.
    pub fn cache_bytes(&self) -> Vec<CacheBytes> {
        let shared = &self.shared;
        let snapshot = shared.snapshot.load_full();
        let prepared = shared.advanced_bytes(&snapshot);
        // The whole state that those on disk are differences against, which is the anchor or an older one.
        let stored = shared.anchor.load_full();
        let is_base = Arc::ptr_eq(&stored.1, &snapshot.states.base().1);
        let stored = if is_base { 0 } else { stored.1.bytes_beside(&snapshot.states.base().1) };
        let named = [
            ("anchor", snapshot.states.base_bytes()),
            ("hot states", snapshot.states.bytes()),
            ("prepared state", prepared),
            ("stored anchor", stored),
            ("public keys", shared.keys.bytes()),
            ("known blocks", snapshot.blocks.bytes()),
            ("fork choice", shared.sizes.fork_choice.load(Ordering::Relaxed)),
            ("light clients", shared.sizes.light_clients.load(Ordering::Relaxed)),
            ("columns", shared.columns.bytes()),
            ("seen gossip", shared.seen.bytes()),
            ("database index", shared.db.memory_bytes().map_or(0, |bytes| bytes as usize)),
        ];
        named.into_iter().map(|(cache, bytes)| CacheBytes { cache, bytes }).collect()
    }

    /// How many states are in memory, and what they cost.
    pub fn state_sizes(&self) -> StateSizes {
        let states = &self.shared.snapshot.load().states;
        let (anchor, count, bytes) = (states.base_bytes(), states.len(), states.bytes());
        StateSizes { anchor, count, bytes, limits: states.limits() }
    }

    /// Sets how many states may be kept from now on. What consensus needs stays in any case; what is dropped is rebuilt when
    /// somebody asks for it.
    pub async fn limit_states(&self, limits: StateLimits) {
        // The store task is gone only when the node stops.
        let _ = self.shared.store.send(StoreMessage::Limit(limits)).await;
        let _ = self.shared.store.send(StoreMessage::Publish).await;
    }

    /// Forgets the state that was prepared for the next epoch, with its shuffling. It is made again when it is needed.
    pub fn forget_prepared(&self) {
        self.shared.forget_prepared();
    }

    /// Forgets most of what was seen of gossip, the oldest first: a repetition of it would be verified and passed on once more.
    pub fn forget_seen(&self) {
        self.shared.seen.forget_older();
    }

    /// Keeps at most so many bytes of decompressed public keys from now on; the rest is read or decompressed again.
    pub fn limit_keys(&self, bytes: usize) {
        self.shared.keys.shrink_to(bytes);
    }
}

/// What a standard map with so much capacity has allocated: a byte beside each place, and at least an eighth of them free.
pub(super) fn hash_map_bytes<K, V>(capacity: usize) -> usize {
    let places = if capacity == 0 { 0 } else { (capacity * 8 / 7).next_power_of_two() };
    places * (size_of::<(K, V)>() + 1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_maps_bytes_are_those_of_its_places() {
        assert_eq!(hash_map_bytes::<u64, u64>(0), 0);
        let map: HashMap<u64, u64> = HashMap::with_capacity(1000);
        // 1,000 need 1,143 places, of which there are a power of two.
        assert_eq!(hash_map_bytes::<u64, u64>(map.capacity()), 2048 * 17);
    }
}
