//! Decompressed keys of the registry, by validator index.

mod file;
mod recent;

use std::{io, path::Path};

use self::{
    file::{KeyFile, NO_RECORD, Record, key_of},
    recent::RecentKeys,
};
use super::bls::{BlsError, PublicKey};
use crate::types::{BLSPubkey, ValidatorIndex};

/// Memory for keys that were asked for lately: 160,000 of them, more than the absent members, proposers and sync committees
/// of a day. Committees' keys are not among them: they are summed up once and not needed singly.
const RECENT_BYTES: usize = 16 << 20;
/// Records that are read together, 24 KiB: about what lies between neighbours on a card's page, and little to read in vain.
const WINDOW: usize = 256;

/// Gives the decompressed keys of the registry; all states share one.
///
/// The keys are in a file in the data directory, and the latest in memory. Without a file, what is not among the latest is
/// decompressed again. After Electra, two branches may give one index to different keys until deposits finalize, so a key is
/// given only to a caller who has its compressed form.
pub struct PubkeyCache {
    recent: RecentKeys,
    file: Option<KeyFile>,
}

impl Default for PubkeyCache {
    fn default() -> PubkeyCache {
        PubkeyCache { recent: RecentKeys::new(RECENT_BYTES), file: None }
    }
}

impl PubkeyCache {
    /// With a file that keys are read from and written to, 96 bytes for each index up to the largest.
    ///
    /// # Errors
    /// When the file can neither be opened nor made.
    pub fn open(path: &Path) -> io::Result<PubkeyCache> {
        Ok(PubkeyCache { file: Some(KeyFile::open(path)?), ..PubkeyCache::default() })
    }

    /// The decompressed form of `pubkey`, which the registry of a trusted state has at `index`.
    ///
    /// The subgroup is not checked: a key enters a registry only with a deposit whose signature was valid, see
    /// [`PublicKey::from_trusted_compressed`].
    ///
    /// # Errors
    /// If the bytes are no point, which no valid registry has.
    pub fn get(&self, index: ValidatorIndex, pubkey: &BLSPubkey) -> Result<PublicKey, BlsError> {
        let Ok(index) = u32::try_from(index) else { return PublicKey::from_trusted_compressed(pubkey) };
        if let Some(key) = self.recent.get(index)
            && key.to_compressed() == *pubkey
        {
            return Ok(key);
        }
        let mut record = [NO_RECORD];
        self.read(index as usize, &mut record);
        let key = self.key_of(index, &record[0], pubkey)?;
        self.recent.insert(index, key);
        Ok(key)
    }

    /// The decompressed keys of many validators, in the order of `indices`; `pubkey` gives the compressed form that the
    /// registry has. The file is read from front to end, once. Costs 200 bytes a key while it works.
    ///
    /// # Errors
    /// The first index whose bytes are no point.
    pub fn get_many<'a>(
        &self,
        indices: &[u32],
        pubkey: impl Fn(u32) -> &'a BLSPubkey,
    ) -> Result<Vec<PublicKey>, (u32, BlsError)> {
        if self.file.is_none() {
            let get = |index: &u32| self.get((*index).into(), pubkey(*index)).map_err(|error| (*index, error));
            return indices.iter().map(get).collect();
        }
        let mut order: Vec<(u32, u32)> = indices.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let mut keys = vec![PublicKey::default(); indices.len()];
        let mut records = [NO_RECORD; WINDOW];
        for group in order.chunk_by(|(a, _), (b, _)| *a as usize / WINDOW == *b as usize / WINDOW) {
            let (first, last) = (group[0].0, group[group.len() - 1].0);
            let records = &mut records[..=(last - first) as usize];
            self.read(first as usize, records);
            for (index, place) in group {
                let record = &records[(index - first) as usize];
                let key = self.key_of(*index, record, pubkey(*index)).map_err(|error| (*index, error))?;
                keys[*place as usize] = key;
            }
        }
        Ok(keys)
    }

    /// Puts the missing ones of these keys into the file; the first of them has the index `first`, and those that are `None` are
    /// not wanted. Says how many had to be decompressed, which is what takes time; without a file, none.
    pub fn fill(&self, first: usize, pubkeys: &[Option<&BLSPubkey>]) -> usize {
        let Some(file) = &self.file else { return 0 };
        let mut records = vec![NO_RECORD; pubkeys.len()];
        file.read(first, &mut records);
        let mut decompressed = 0;
        for (record, pubkey) in records.iter_mut().zip(pubkeys) {
            if let Some(pubkey) = pubkey
                && key_of(record, pubkey).is_none()
                && let Ok(key) = PublicKey::from_trusted_compressed(pubkey)
            {
                *record = key.to_uncompressed();
                decompressed += 1;
            }
        }
        if decompressed > 0 {
            file.write(first, &records);
        }
        decompressed
    }

    /// Whether keys are kept in a file.
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.recent.bytes()
    }

    /// Gives memory back until at most `bytes` are held, and holds no more from then on; by itself it never holds more than
    /// 16 MiB. What is forgotten is read again.
    pub fn shrink_to(&self, bytes: usize) {
        self.recent.set_limit(bytes.min(RECENT_BYTES));
    }

    fn read(&self, first: usize, records: &mut [Record]) {
        if let Some(file) = &self.file {
            file.read(first, records);
        }
    }

    /// The key of a record that was read, or decompressed and written if the record is not of that key: another branch's, or
    /// none.
    fn key_of(&self, index: u32, record: &Record, pubkey: &BLSPubkey) -> Result<PublicKey, BlsError> {
        if let Some(key) = key_of(record, pubkey) {
            return Ok(key);
        }
        let key = PublicKey::from_trusted_compressed(pubkey)?;
        if let Some(file) = &self.file {
            file.write(index as usize, &[key.to_uncompressed()]);
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;

    pub(super) fn key(number: u8) -> PublicKey {
        let mut bytes = [0; 32];
        bytes[31] = number;
        SecretKey::from_bytes(&bytes).unwrap().public_key()
    }

    fn key_at(index: u64) -> PublicKey {
        key((index % 100) as u8 + 1)
    }

    /// What the file has.
    fn on_disk(cache: &PubkeyCache, index: u64) -> Option<PublicKey> {
        let mut record = [NO_RECORD];
        cache.read(index as usize, &mut record);
        PublicKey::from_trusted_uncompressed(&record[0]).ok()
    }

    fn ask_for(cache: &PubkeyCache, indices: impl IntoIterator<Item = u64>) {
        for index in indices {
            assert_eq!(cache.get(index, &key_at(index).to_compressed()), Ok(key_at(index)), "index {index}");
        }
    }

    #[test]
    fn keys_are_given_before_and_after_they_are_cached() {
        let cache = PubkeyCache::default();
        for index in [0, 255, 256, 1_000_000, 16_777_216, u64::from(u32::MAX), u64::MAX] {
            ask_for(&cache, [index; 2]);
        }
    }

    #[test]
    fn another_branch_gets_its_own_key() {
        let dir = tempfile::tempdir().unwrap();
        for cache in [PubkeyCache::default(), PubkeyCache::open(&dir.path().join("keys")).unwrap()] {
            for number in [1, 2, 1, 2] {
                let compressed = key(number).to_compressed();
                assert_eq!(cache.get(7, &compressed), Ok(key(number)));
                assert_eq!(cache.get_many(&[7, 7], |_| &compressed), Ok(vec![key(number); 2]));
            }
        }
    }

    #[test]
    fn noise_is_refused_and_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PubkeyCache::open(&dir.path().join("keys")).unwrap();
        assert_eq!(cache.get(7, &BLSPubkey::ZERO), Err(BlsError::InvalidPublicKey));
        assert_eq!(cache.get_many(&[7], |_| &BLSPubkey::ZERO), Err((7, BlsError::InvalidPublicKey)));
        assert_eq!(cache.fill(7, &[Some(&BLSPubkey::ZERO)]), 0);
        assert_eq!(on_disk(&cache, 7), None);
        assert_eq!(cache.get(7, &key(1).to_compressed()), Ok(key(1)));
    }

    #[test]
    fn threads_agree() {
        let cache = PubkeyCache::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| ask_for(&cache, 0..20));
            }
        });
    }

    #[test]
    fn keys_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        ask_for(&PubkeyCache::open(&path).unwrap(), [3, 255, 256, 5000]);
        ask_for(&PubkeyCache::open(&path).unwrap(), [4, 5000]);
        let cache = PubkeyCache::open(&path).unwrap();
        assert!(cache.has_file() && !PubkeyCache::default().has_file());
        for index in [3, 4, 255, 256, 5000] {
            assert_eq!(on_disk(&cache, index), Some(key_at(index)), "index {index}");
        }
        for index in [0, 5, 254, 257, 5001, 100_000] {
            assert_eq!(on_disk(&cache, index), None, "index {index}");
        }
    }

    #[test]
    fn many_are_given_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PubkeyCache::open(&dir.path().join("keys")).unwrap();
        let compressed: Vec<_> = (0..3000).map(|index| key_at(index).to_compressed()).collect();
        ask_for(&cache, (0..3000).filter(|index| index % 7 == 3));
        let indices = [2999, 3, 0, 256, 255, 3, 1024, 1500, 1501, 1502, 2];
        let expected: Vec<_> = indices.iter().map(|index| key_at((*index).into())).collect();
        for cache in [&cache, &cache, &PubkeyCache::default()] {
            assert_eq!(cache.get_many(&indices, |index| &compressed[index as usize]).as_ref(), Ok(&expected));
            assert_eq!(cache.get_many(&[], |index| &compressed[index as usize]), Ok(vec![]));
        }
        assert_eq!(on_disk(&cache, 1501), Some(key_at(1501)), "what was missing is kept");
    }

    #[test]
    fn missing_keys_are_filled_in_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let cache = PubkeyCache::open(&path).unwrap();
        ask_for(&cache, [101, 103]);
        let compressed: Vec<_> = (100..110).map(|index| key_at(index).to_compressed()).collect();
        let wanted: Vec<_> = compressed.iter().enumerate().map(|(i, key)| (i != 5).then_some(key)).collect();
        assert_eq!(cache.fill(100, &wanted), 7);
        assert_eq!(cache.fill(100, &wanted), 0);
        let restarted = PubkeyCache::open(&path).unwrap();
        for index in 99..=110 {
            let expected = (100..110).contains(&index) && index != 105;
            assert_eq!(on_disk(&restarted, index).is_some(), expected, "index {index}");
        }
        assert_eq!(PubkeyCache::default().fill(100, &wanted), 0);
    }

    #[test]
    fn a_damaged_file_costs_time_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        ask_for(&PubkeyCache::open(&path).unwrap(), 0..600);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[96] ^= 0xff; // no point
        bytes.copy_within(2 * 96..3 * 96, 3 * 96); // the neighbour's
        bytes.truncate(550 * 96 + 10); // torn
        std::fs::write(&path, bytes).unwrap();
        let cache = PubkeyCache::open(&path).unwrap();
        let compressed: Vec<_> = (0..600).map(|index| key_at(index).to_compressed()).collect();
        let all: Vec<_> = compressed.iter().map(Some).collect();
        assert_eq!(cache.fill(0, &all), 52);
        ask_for(&cache, 0..600);
        assert!(PubkeyCache::open(dir.path()).is_err(), "a directory is no file");
    }

    #[test]
    fn memory_is_bounded_and_can_be_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PubkeyCache::open(&dir.path().join("keys")).unwrap();
        assert_eq!(cache.bytes(), 0);
        ask_for(&cache, 0..500);
        let before = cache.bytes();
        assert!((50_000..=RECENT_BYTES).contains(&before), "{before}");
        cache.shrink_to(before / 4);
        assert!(cache.bytes() <= before / 4);
        ask_for(&cache, 0..500);
        assert!(cache.bytes() <= before / 4, "it does not grow again");
        cache.shrink_to(usize::MAX);
        ask_for(&cache, 0..500);
        assert!(cache.bytes() > before / 4, "until it may");
    }
}
