//! Decompressed keys of the registry, by validator index.

use std::sync::OnceLock;

use super::bls::{BlsError, PublicKey};
use crate::types::{BLSPubkey, ValidatorIndex};

/// Keys that are allocated together: 26 KB.
const CHUNK_LENGTH: usize = 256;
/// Chunks at most: 16.7 million validators, seven times mainnet's registry. Keys beyond are given but not kept.
const MAX_CHUNKS: usize = 1 << 16;

type Chunk = Box<[OnceLock<PublicKey>]>;

/// An append-only cache from validator index to key, filled as keys are asked for; all states share one.
///
/// There is no lock: each entry is written once, by whoever decompressed it first. After Electra, two branches may give
/// one index to different keys until deposits finalize, so an entry is used only if it is the key that the caller has.
/// Costs 104 bytes a key, and 1 MiB from the start.
pub struct PubkeyCache {
    chunks: Box<[OnceLock<Chunk>]>,
}

impl Default for PubkeyCache {
    fn default() -> PubkeyCache {
        PubkeyCache { chunks: empty(MAX_CHUNKS) }
    }
}

impl PubkeyCache {
    /// The decompressed form of `pubkey`, which the registry of a trusted state has at `index`.
    ///
    /// The subgroup is not checked: a key enters a registry only with a deposit whose signature was valid, see
    /// [`PublicKey::from_trusted_compressed`]. Errors if the bytes are no point, which no valid registry has.
    pub fn get(&self, index: ValidatorIndex, pubkey: &BLSPubkey) -> Result<PublicKey, BlsError> {
        let Some(entry) = self.entry(index) else {
            return PublicKey::from_trusted_compressed(pubkey);
        };
        if let Some(key) = entry.get()
            && key.to_compressed() == *pubkey
        {
            return Ok(*key);
        }
        let key = PublicKey::from_trusted_compressed(pubkey)?;
        // An entry that is there already stays: another thread's same key, or another branch's.
        let _ = entry.set(key);
        Ok(key)
    }

    /// The entry of `index`; its chunk is allocated if need be.
    fn entry(&self, index: ValidatorIndex) -> Option<&OnceLock<PublicKey>> {
        let index = usize::try_from(index).ok()?;
        let chunk = self.chunks.get(index / CHUNK_LENGTH)?.get_or_init(|| empty(CHUNK_LENGTH));
        chunk.get(index % CHUNK_LENGTH)
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
        assert_eq!(cache.entry(7).unwrap().get(), Some(&key(1)));
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
}
