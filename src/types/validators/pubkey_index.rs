//! Which validator has a key.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, OnceLock},
};

use crate::{
    ssz::{CHUNK, Chunks},
    types::BLSPubkey,
};

/// Records in a bucket of [`Sealed`], on average: what a search compares, against half a byte a record for where buckets begin.
const PER_BUCKET: usize = 8;
/// Records that a registry may grow by before it is sealed again: a day of mainnet's. A state that adds one copies the others'
/// keys, up to 64 KiB.
const MAX_LATER: usize = 1024;

/// Finds a validator by its key: the first `sealed_len` records in a table that is made when first asked for and shared by
/// every copy, and a map for those that came later.
#[derive(Clone, Debug, Default)]
pub(super) struct PubkeyIndex {
    sealed_len: usize,
    sealed: Arc<OnceLock<Sealed>>,
    later: Arc<BTreeMap<BLSPubkey, u32>>,
}

/// The indices of the registry's first records by their keys' buckets, ascending within each: 4.5 bytes a record.
#[derive(Debug)]
struct Sealed {
    /// Odd and random, so that nobody can choose keys that share a bucket.
    multiplier: u64,
    /// Where each bucket begins in `indices`, and where the last ends. A power of two of buckets.
    starts: Vec<u32>,
    indices: Vec<u32>,
}

impl PubkeyIndex {
    /// Adds the record after the last.
    pub(super) fn push(&mut self, pubkey: BLSPubkey, index: usize) {
        // The first of equal keys, as the specification's `index` finds it.
        Arc::make_mut(&mut self.later).entry(pubkey).or_insert(index as u32);
        if self.later.len() >= MAX_LATER {
            self.seal(index + 1);
        }
    }

    /// Says that the first `len` records, which are all, are there to stay.
    pub(super) fn seal(&mut self, len: usize) {
        *self = PubkeyIndex { sealed_len: len, ..PubkeyIndex::default() };
    }

    /// Bytes on the heap that keeping `self` beside `other` costs.
    pub(super) fn bytes_beside(&self, other: &Self) -> usize {
        let sealed = self.sealed.get().filter(|_| !Arc::ptr_eq(&self.sealed, &other.sealed));
        let later = if Arc::ptr_eq(&self.later, &other.later) { 0 } else { self.later.len() };
        sealed.map_or(0, Sealed::bytes) + later * size_of::<(BLSPubkey, u32)>()
    }

    /// The first record with this key. `pubkeys` are those of the registry.
    pub(super) fn find(&self, pubkeys: &Chunks<BLSPubkey>, pubkey: &BLSPubkey) -> Option<usize> {
        let sealed = self.sealed.get_or_init(|| Sealed::new(pubkeys, self.sealed_len));
        let found = sealed.bucket(pubkey).iter().copied().find(|index| pubkeys.get(*index as usize) == Some(pubkey));
        found.or_else(|| self.later.get(pubkey).copied()).map(|index| index as usize)
    }
}

impl Sealed {
    /// A counting sort in two passes over the first `len` keys: 20 ms for a million.
    fn new(pubkeys: &Chunks<BLSPubkey>, len: usize) -> Sealed {
        let buckets = (len / PER_BUCKET).next_power_of_two();
        let multiplier = RandomState::new().hash_one(len) | 1;
        let mut table = Sealed { multiplier, starts: vec![0; buckets + 1], indices: vec![0; len] };
        for pubkey in pubkeys.iter().take(len) {
            let place = table.place(pubkey);
            table.starts[place] += 1;
        }
        // From how many there are in each to where each ends; filling it from its end leaves where it begins.
        let mut end = 0;
        for start in &mut table.starts {
            end += *start;
            *start = end;
        }
        for slice in (0..len.div_ceil(CHUNK)).rev() {
            let first = slice * CHUNK;
            for (i, pubkey) in pubkeys.slice(slice).iter().enumerate().rev().filter(|(i, _)| first + i < len) {
                let place = table.place(pubkey);
                table.starts[place] -= 1;
                table.indices[table.starts[place] as usize] = (first + i) as u32;
            }
        }
        table
    }

    fn place(&self, pubkey: &BLSPubkey) -> usize {
        // The coordinate's lowest bits: the highest are not evenly spread.
        let [.., a, b, c, d, e, f, g, h] = pubkey.0;
        let low = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let buckets = self.starts.len() as u128 - 1;
        ((u128::from(low.wrapping_mul(self.multiplier)) * buckets) >> 64) as usize
    }

    /// The records that may have this key.
    fn bucket(&self, pubkey: &BLSPubkey) -> &[u32] {
        let place = self.place(pubkey);
        &self.indices[self.starts[place] as usize..self.starts[place + 1] as usize]
    }

    fn bytes(&self) -> usize {
        (self.starts.capacity() + self.indices.capacity()) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u16) -> BLSPubkey {
        let mut key = BLSPubkey::repeat_byte(0xa1);
        key[40..42].copy_from_slice(&number.to_be_bytes());
        key
    }

    fn registry(numbers: &[u16]) -> Chunks<BLSPubkey> {
        numbers.iter().map(|number| key(*number)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_key_is_found_at_its_first_place(
            numbers in prop::collection::vec(0_u16..2000, 0..1500),
            sealed in 0_usize..1500,
            strangers in prop::collection::vec(any::<u16>(), 20),
        ) {
            let sealed = sealed.min(numbers.len());
            let mut index = PubkeyIndex::default();
            index.seal(sealed);
            for (at, number) in numbers.iter().enumerate().skip(sealed) {
                index.push(key(*number), at);
            }
            let pubkeys = registry(&numbers);
            for number in numbers.iter().chain(&strangers) {
                let expected = numbers.iter().position(|known| known == number);
                prop_assert_eq!(index.find(&pubkeys, &key(*number)), expected);
            }
        }
    }

    #[test]
    fn a_registry_that_grows_is_sealed_again() {
        let numbers: Vec<u16> = (0..3 * MAX_LATER as u16).collect();
        let pubkeys = registry(&numbers);
        let mut index = PubkeyIndex::default();
        for (at, number) in numbers.iter().enumerate() {
            let before = index.clone();
            index.push(key(*number), at);
            assert!(index.later.len() < MAX_LATER);
            assert_eq!(before.find(&pubkeys, &key(*number)), None, "a copy does not see what came after it");
            assert_eq!(index.find(&pubkeys, &key(*number)), Some(at));
        }
    }

    #[test]
    fn the_table_is_small_and_shared() {
        let numbers: Vec<u16> = (0..10_000).collect();
        let mut index = PubkeyIndex::default();
        index.seal(numbers.len());
        assert_eq!(index.bytes_beside(&PubkeyIndex::default()), 0, "nobody has asked yet");
        index.find(&registry(&numbers), &key(7));
        let bytes = index.bytes_beside(&PubkeyIndex::default());
        assert!((40_000..50_000).contains(&bytes), "{bytes}");
        assert_eq!(index.bytes_beside(&index.clone()), 0);
    }
}
