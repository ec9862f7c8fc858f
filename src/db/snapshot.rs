//! The fork-choice snapshot: one file, replaced as a whole. Too large for a value of the index at mainnet size.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use snap::{read::FrameDecoder, write::FrameEncoder};

use super::{
    error::{Context, DbError},
    files,
};

/// A snapshot holds the votes of all validators, packed, and the balances of some checkpoints: 5 bytes of each of 2.3 million
/// today, and 20 MB of blocks at most; the rest is head-room.
const MAX_SNAPSHOT: u64 = 64 << 20;
/// [`MAGIC`], length of the content (8 bytes), CRC-32 of the content (4). Behind it is the content in snappy frames.
const HEADER_LEN: usize = 16;
/// The last byte is the layout's version. The first was not compressed; what it held is no longer understood either.
const MAGIC: [u8; 4] = *b"HrF2";

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
        let mut frames = FrameEncoder::new(BufWriter::new(file));
        frames.write_all(content)?;
        frames.into_inner().map_err(|e| e.into_error())?.flush()
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
    let mut header = [0; HEADER_LEN];
    if file.read_exact(&mut header).is_err() || header[..4] != MAGIC {
        return corrupt("the fork-choice snapshot has no valid header of this version");
    }
    let mut len = [0; 8];
    len.copy_from_slice(&header[4..12]);
    let len = u64::from_le_bytes(len);
    if len > MAX_SNAPSHOT {
        return corrupt("the fork-choice snapshot has an impossible length");
    }
    let mut content = Vec::new();
    // One byte more than is due, to see whether there is one.
    let frames = FrameDecoder::new(BufReader::new(file)).take(len + 1).read_to_end(&mut content);
    if frames.is_err() || content.len() as u64 != len || header[12..] != crc32fast::hash(&content).to_le_bytes() {
        return corrupt("the checksum of the fork-choice snapshot does not match");
    }
    Ok(Some(content))
}
