//! The decompressed keys on disk: 96 bytes each, at the place of their index.
//!
//! Nothing in it needs to be trusted or complete. A record that is missing, torn or of another key costs one decompression: each
//! is compared with the compressed key that the reader has. So there is no header and no checksum, and nothing waits for the disk.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{crypto::PublicKey, types::BLSPubkey};

/// Both coordinates, 48 bytes each, the highest first.
pub(super) type Record = [u8; 96];
/// What was never written: no key.
pub(super) const NO_RECORD: Record = [0; 96];

/// Half of the field's order, rounded down. Of a point and its opposite, the one with the `y` above it has the sign.
const HALF: [u8; 48] = *b"\
    \x0d\x00\x88\xf5\x1c\xbf\xf3\x4d\x25\x8d\xd3\xdb\x21\xa5\xd6\x6b\xb2\x3b\xa5\xc2\x79\xc2\x89\x5f\
    \xb3\x98\x69\x50\x7b\x58\x7b\x12\x0f\x55\xff\xff\x58\xa9\xff\xff\xdc\xff\x7f\xff\xff\xff\xd5\x55";
/// Flags in the first byte of a compressed key.
const COMPRESSED: u8 = 0x80;
const SIGN: u8 = 0x20;

/// The key of a record, if that is a point of the curve and `pubkey` is its compressed form.
pub(super) fn key_of(record: &Record, pubkey: &BLSPubkey) -> Option<PublicKey> {
    let (x, y) = record.split_at(48);
    let sign = if *y > HALF[..] { SIGN } else { 0 };
    let is_of = pubkey[0] == x[0] | COMPRESSED | sign && pubkey[1..] == x[1..];
    if is_of { PublicKey::from_trusted_uncompressed(record).ok() } else { None }
}

/// A sparse file: what was never written reads as zeros.
pub(super) struct KeyFile {
    file: File,
    /// The disk refused to write. It is not asked again.
    is_refused: AtomicBool,
}

impl KeyFile {
    pub(super) fn open(path: &Path) -> io::Result<KeyFile> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(KeyFile { file, is_refused: AtomicBool::new(false) })
    }

    /// Fills `records` with what is known of the keys from index `first` on; where the file ends, or cannot be read, with none.
    pub(super) fn read(&self, first: usize, records: &mut [Record]) {
        let bytes = records.as_flattened_mut();
        let mut len = 0;
        while len < bytes.len() {
            match self.file.read_at(&mut bytes[len..], (first * size_of::<Record>() + len) as u64) {
                Ok(0) => break,
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        bytes[len..].fill(0);
    }

    /// Writes the records from index `first` on.
    pub(super) fn write(&self, first: usize, records: &[Record]) {
        if self.is_refused.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = self.file.write_all_at(records.as_flattened(), (first * size_of::<Record>()) as u64) {
            self.is_refused.store(true, Ordering::Relaxed);
            tracing::warn!(%error, "decompressed keys cannot be saved: blocks and the next start take longer; free some space");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::pubkeys::tests::key;

    #[test]
    fn a_record_is_told_from_that_of_every_other_key() {
        let mut signs = [0; 2];
        for number in 1..=60 {
            let (key, pubkey) = (key(number), key(number).to_compressed());
            signs[usize::from(pubkey[0] & SIGN != 0)] += 1;
            let record = key.to_uncompressed();
            assert_eq!(key_of(&record, &pubkey), Some(key));
            // The opposite point has the same `x`.
            let mut opposite = pubkey;
            opposite[0] ^= SIGN;
            assert_eq!(key_of(&record, &opposite), None);
            for byte in [0, 5, 47, 48, 95] {
                let mut damaged = record;
                damaged[byte] ^= 1;
                assert_eq!(key_of(&damaged, &pubkey), None, "byte {byte}");
            }
            assert_eq!(key_of(&NO_RECORD, &pubkey), None);
            assert_eq!(key_of(&record, &BLSPubkey::ZERO), None);
        }
        assert!(signs.iter().all(|count| *count > 10), "{signs:?}");
    }
}
