//! The fork-choice snapshot: one file, replaced as a whole. Too large for a value of the index at mainnet size.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use super::{
    error::{Context, DbError},
    files,
};

/// A snapshot holds the votes of all validators: 2.3 million at some 24 bytes each today, with head-room.
const MAX_SNAPSHOT: u64 = 256 << 20;
/// [`MAGIC`], length of the content (8 bytes), CRC-32 of the content (4).
const HEADER_LEN: usize = 16;
const MAGIC: [u8; 4] = *b"HrF1";

pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), DbError> {
    let len = content.len() as u64;
    if len > MAX_SNAPSHOT {
        return Err(DbError::TooLarge { what: "the fork-choice snapshot", len, max: MAX_SNAPSHOT });
    }
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&MAGIC);
    header[4..12].copy_from_slice(&len.to_le_bytes());
    header[12..].copy_from_slice(&crc32fast::hash(content).to_le_bytes());
    files::replace(path, |mut file| {
        file.write_all(&header)?;
        file.write_all(content)
    })?;
    Ok(())
}

/// None if there is none yet.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, DbError> {
    let corrupt = |reason| Err(DbError::Corrupt { file: path.to_path_buf(), offset: 0, reason });
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.doing("open", path)?,
    };
    let size = file.metadata().doing("read", path)?.len();
    if !(HEADER_LEN as u64..=HEADER_LEN as u64 + MAX_SNAPSHOT).contains(&size) {
        return corrupt("the fork-choice snapshot has an impossible length");
    }
    let mut bytes = Vec::with_capacity(size as usize);
    (&mut file).take(size).read_to_end(&mut bytes).doing("read", path)?;
    if bytes.len() as u64 != size || bytes[..4] != MAGIC {
        return corrupt("the fork-choice snapshot has no valid header");
    }
    let content = bytes.split_off(HEADER_LEN);
    let len_fits = bytes[4..12] == (content.len() as u64).to_le_bytes();
    if !len_fits || bytes[12..] != crc32fast::hash(&content).to_le_bytes() {
        return corrupt("the checksum of the fork-choice snapshot does not match");
    }
    Ok(Some(content))
}
