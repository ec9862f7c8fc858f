//! The decompressed keys on disk: 96 bytes each, at the place of their index.
//!
//! Nothing in it needs to be trusted or complete. A record that is missing, torn or of another key costs one decompression: what
//! is no point is left out when it is read, and the cache compares every key with the one that is asked for. So there is
//! no header and no checksum, and nothing waits for the disk.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::crypto::PublicKey;

/// Both coordinates.
const RECORD: usize = 96;

/// A sparse file: what was never written reads as zeros, which are no key.
pub(super) struct KeyFile {
    file: File,
    /// The disk refused to write. It is not asked again; the keys are in memory.
    is_refused: AtomicBool,
}

impl KeyFile {
    pub(super) fn open(path: &Path) -> io::Result<KeyFile> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(KeyFile { file, is_refused: AtomicBool::new(false) })
    }

    /// Puts what is known of the keys from index `first` on into `keys`.
    pub(super) fn read(&self, first: usize, keys: &[OnceLock<PublicKey>]) {
        let mut bytes = vec![0; keys.len() * RECORD];
        let len = self.fill(&mut bytes, first);
        let (records, _) = bytes[..len].as_chunks::<RECORD>();
        for (key, record) in keys.iter().zip(records) {
            if *record != [0; RECORD]
                && let Ok(known) = PublicKey::from_trusted_uncompressed(record)
            {
                let _ = key.set(known);
            }
        }
    }

    /// How many bytes there are, if fewer than asked for: the file ends, or cannot be read.
    fn fill(&self, bytes: &mut [u8], first: usize) -> usize {
        let mut len = 0;
        while len < bytes.len() {
            match self.file.read_at(&mut bytes[len..], (first * RECORD + len) as u64) {
                Ok(0) => break,
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        len
    }

    /// Writes the keys from index `first` on. When two threads write the same, the later may lack a key of the other's.
    pub(super) fn write(&self, first: usize, keys: &[OnceLock<PublicKey>]) {
        if self.is_refused.load(Ordering::Relaxed) {
            return;
        }
        let record = |key: &OnceLock<PublicKey>| key.get().map_or([0; RECORD], PublicKey::to_uncompressed);
        let bytes: Vec<u8> = keys.iter().flat_map(record).collect();
        if let Err(error) = self.file.write_all_at(&bytes, (first * RECORD) as u64) {
            self.is_refused.store(true, Ordering::Relaxed);
            tracing::warn!(%error, "decompressed keys cannot be saved; the next start takes longer");
        }
    }
}
