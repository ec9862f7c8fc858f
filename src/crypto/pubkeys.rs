//! Decompressed keys of the registry, by validator index.

mod file;

use std::{
    io,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use self::file::KeyFile;
use super::bls::{BlsError, PublicKey};
use crate::types::{BLSPubkey, ValidatorIndex};

/// Keys that are allocated, read and written together: 26 KB in memory, 24 KiB on disk.
const CHUNK_LENGTH: usize = 256;
/// Chunks at most: 16.7 million validators, seven times mainnet's registry. Keys beyond are given but not kept.
const MAX_CHUNKS: usize = 1 << 16;
/// New keys after which their chunk is written: a crash loses few, and a card is written to four times, not 256 times.
const SAVE_AFTER: usize = 64;

struct Chunk {
    keys: Box<[OnceLock<PublicKey>]>,
    /// Keys that were decompressed since the chunk was written.
    unsaved: AtomicUsize,
}

/// An append-only cache from validator index to key, filled as keys are asked for; all states share one.
///
/// There is no lock: each entry is written once, by whoever decompressed it first. After Electra, two branches may give
/// one index to different keys until deposits finalize, so an entry is used only if it is the key that the caller has.
/// Costs 104 bytes a key, and 2 MiB from the start. With a file, a restart reads the keys instead of decompressing them.
pub struct PubkeyCache {
    chunks: Box<[OnceLock<Chunk>]>,
    file: Option<KeyFile>,
}

impl Default for PubkeyCache {
    fn default() -> PubkeyCache {
        PubkeyCache { chunks: empty(MAX_CHUNKS), file: None }
    }
}

impl PubkeyCache {
    /// With a file that the keys are read from, a chunk when one of its keys is asked for, and saved to, as they come and when
    /// the cache is dropped. It holds 96 bytes for each index up to the largest.
    ///
    /// # Errors
    /// When the file can neither be opened nor made.
    pub fn open(path: &Path) -> io::Result<PubkeyCache> {
        Ok(PubkeyCache { chunks: empty(MAX_CHUNKS), file: Some(KeyFile::open(path)?) })
    }

    /// The decompressed form of `pubkey`, which the registry of a trusted state has at `index`.
    ///
    /// The subgroup is not checked: a key enters a registry only with a deposit whose signature was valid, see
    /// [`PublicKey::from_trusted_compressed`]. Errors if the bytes are no point, which no valid registry has.
    pub fn get(&self, index: ValidatorIndex, pubkey: &BLSPubkey) -> Result<PublicKey, BlsError> {
        let Some((nth, chunk, entry)) = self.entry(index) else {
            return PublicKey::from_trusted_compressed(pubkey);
        };
        if let Some(key) = entry.get()
            && key.to_compressed() == *pubkey
        {
            return Ok(*key);
        }
        let key = PublicKey::from_trusted_compressed(pubkey)?;
        // An entry that is there already stays: another thread's same key, or another branch's.
        if entry.set(key).is_ok() && chunk.unsaved.fetch_add(1, Ordering::Relaxed) + 1 >= SAVE_AFTER {
            self.save(nth, chunk);
        }
        Ok(key)
    }

    /// The entry of `index`, and its chunk, which is made and read if need be.
    fn entry(&self, index: ValidatorIndex) -> Option<(usize, &Chunk, &OnceLock<PublicKey>)> {
        let index = usize::try_from(index).ok()?;
        let nth = index / CHUNK_LENGTH;
        let chunk = self.chunks.get(nth)?.get_or_init(|| self.load(nth));
        Some((nth, chunk, chunk.keys.get(index % CHUNK_LENGTH)?))
    }

    fn load(&self, nth: usize) -> Chunk {
        let keys = empty(CHUNK_LENGTH);
        if let Some(file) = &self.file {
            file.read(nth * CHUNK_LENGTH, &keys);
        }
        Chunk { keys, unsaved: AtomicUsize::new(0) }
    }

    fn save(&self, nth: usize, chunk: &Chunk) {
        if let Some(file) = &self.file
            && chunk.unsaved.swap(0, Ordering::Relaxed) > 0
        {
            file.write(nth * CHUNK_LENGTH, &chunk.keys);
        }
    }
}

impl Drop for PubkeyCache {
    fn drop(&mut self) {
        for (nth, chunk) in self.chunks.iter().enumerate() {
            if let Some(chunk) = chunk.get() {
                self.save(nth, chunk);
            }
        }
    }
}

fn empty<T>(length: usize) -> Box<[OnceLock<T>]> {
    std::iter::repeat_with(OnceLock::new).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;

    fn key(number: u8) -> PublicKey {
        let mut bytes = [0; 32];
        bytes[31] = number;
        SecretKey::from_bytes(&bytes).unwrap().public_key()
    }

    /// What the cache has without being given the key.
    fn known(cache: &PubkeyCache, index: u64) -> Option<PublicKey> {
        cache.entry(index)?.2.get().copied()
    }

    fn ask_for(cache: &PubkeyCache, indices: impl IntoIterator<Item = u64>) {
        for index in indices {
            let expected = key((index % 100) as u8 + 1);
            assert_eq!(cache.get(index, &expected.to_compressed()), Ok(expected), "index {index}");
        }
    }

    #[test]
    fn keys_are_given_before_and_after_they_are_cached() {
        let cache = PubkeyCache::default();
        for index in [0, 255, 256, 1_000_000, 16_777_215, 16_777_216, u64::MAX] {
            let expected = key((index % 100) as u8 + 1);
            for _ in 0..2 {
                assert_eq!(cache.get(index, &expected.to_compressed()), Ok(expected), "index {index}");
            }
        }
    }

    #[test]
    fn another_branch_gets_its_own_key() {
        let cache = PubkeyCache::default();
        for number in [1, 2, 1, 2] {
            assert_eq!(cache.get(7, &key(number).to_compressed()), Ok(key(number)));
        }
        assert_eq!(known(&cache, 7), Some(key(1)));
    }

    #[test]
    fn noise_is_refused_and_not_kept() {
        let cache = PubkeyCache::default();
        assert_eq!(cache.get(7, &BLSPubkey::ZERO), Err(BlsError::InvalidPublicKey));
        assert_eq!(cache.get(7, &key(1).to_compressed()), Ok(key(1)));
    }

    #[test]
    fn threads_agree() {
        let cache = PubkeyCache::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 1..=20 {
                        assert_eq!(cache.get(number.into(), &key(number).to_compressed()), Ok(key(number)));
                    }
                });
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
        for index in [3, 4, 255, 256, 5000] {
            assert_eq!(known(&cache, index), Some(key((index % 100) as u8 + 1)), "index {index}");
        }
        for index in [0, 5, 254, 257, 5001, 100_000] {
            assert_eq!(known(&cache, index), None, "index {index}");
        }
    }

    #[test]
    fn many_keys_are_saved_without_a_clean_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let running = PubkeyCache::open(&path).unwrap();
        ask_for(&running, 0..SAVE_AFTER as u64);
        let restarted = PubkeyCache::open(&path).unwrap();
        assert!((0..SAVE_AFTER as u64).all(|index| known(&restarted, index).is_some()));
        ask_for(&running, 0..2 * SAVE_AFTER as u64);
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
        assert_eq!(known(&cache, 1), None);
        assert_eq!(known(&cache, 3), Some(key(3)));
        assert!(known(&cache, 549).is_some() && known(&cache, 550).is_none());
        ask_for(&cache, 0..600);
        assert!(PubkeyCache::open(dir.path()).is_err(), "a directory is no file");
    }
}
