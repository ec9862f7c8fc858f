//! States, each in a file of its own: written and read as a stream, in snappy frames (each with its own checksum), with a
//! trailer that says how long the state is.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Take, Write},
    path::{Path, PathBuf},
};

use snap::{read::FrameDecoder, write::FrameEncoder};

use super::{
    error::{Context, DbError},
    files,
};
use crate::types::{Hash256, Slot};

/// Length of the state (8 bytes), [`TRAILER_MAGIC`] (4), CRC-32 of these (4).
const TRAILER_LEN: u64 = 16;
const TRAILER_MAGIC: [u8; 4] = *b"HrS1";
/// Bytes of a state between two looks at the free space of the disk.
const SPACE_CHECK: u64 = 8 << 20;
const EXTENSION: &str = "ssz_snappy";

/// The directory of states.
pub(super) struct StateFiles {
    dir: PathBuf,
}

impl StateFiles {
    pub(super) fn open(dir: &Path) -> Result<StateFiles, DbError> {
        fs::create_dir_all(dir).doing("create", dir)?;
        Ok(StateFiles { dir: dir.to_path_buf() })
    }

    fn path(&self, slot: Slot, root: &Hash256) -> PathBuf {
        self.dir.join(format!("{slot:012}-{root}.{EXTENSION}"))
    }

    /// Streams a state to its file, which appears whole and durable or not at all.
    pub(super) fn write(
        &self,
        slot: Slot,
        root: &Hash256,
        reserve: u64,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), DbError> {
        files::check_space(&self.dir, reserve)?;
        files::replace(&self.path(slot, root), |file| {
            let inner = FrameEncoder::new(BufWriter::new(file));
            let mut counted = Counted { inner, len: 0, dir: &self.dir, reserve };
            write(&mut counted)?;
            let len = counted.len;
            let mut file = counted.inner.into_inner().map_err(|e| e.into_error())?;
            file.write_all(&trailer(len))?;
            file.flush()
        })?;
        Ok(())
    }

    /// A reader of the state's SSZ; none if there is no such file.
    pub(super) fn reader(&self, slot: Slot, root: &Hash256) -> Result<Option<StateReader>, DbError> {
        let path = self.path(slot, root);
        let mut file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result.doing("open", &path)?,
        };
        let (frames, len) = read_trailer(&mut file, &path)?;
        let frames = FrameDecoder::new(BufReader::new(file.take(frames)));
        Ok(Some(StateReader { frames, len, left: len }))
    }

    pub(super) fn remove(&self, slot: Slot, root: &Hash256) -> Result<(), DbError> {
        files::remove(&self.path(slot, root))
    }

    /// The states whose files are whole, as far as their trailers tell.
    pub(super) fn list(&self) -> Result<Vec<(Slot, Hash256)>, DbError> {
        let mut found = Vec::new();
        for path in files::list_finished(&self.dir)? {
            let named = path.file_name().and_then(|n| parse_name(n.to_str()?));
            let whole = File::open(&path).is_ok_and(|mut f| read_trailer(&mut f, &path).is_ok());
            found.extend(named.filter(|_| whole));
        }
        Ok(found)
    }

    /// Bytes on disk.
    pub(super) fn size(&self) -> Result<u64, DbError> {
        let mut size = 0;
        for entry in fs::read_dir(&self.dir).doing("list", &self.dir)? {
            // A file that is gone by now takes no room.
            size += entry.and_then(|e| e.metadata()).map_or(0, |m| m.len());
        }
        Ok(size)
    }
}

fn parse_name(name: &str) -> Option<(Slot, Hash256)> {
    let (slot, root) = name.strip_suffix(EXTENSION)?.strip_suffix('.')?.split_once('-')?;
    Some((slot.parse().ok()?, root.parse().ok()?))
}

fn trailer(len: u64) -> [u8; TRAILER_LEN as usize] {
    let mut bytes = [0; TRAILER_LEN as usize];
    bytes[..8].copy_from_slice(&len.to_le_bytes());
    bytes[8..12].copy_from_slice(&TRAILER_MAGIC);
    let crc = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Length of the frames on disk, and of the state; the file is back at its start.
fn read_trailer(file: &mut File, path: &Path) -> Result<(u64, u64), DbError> {
    let corrupt = |offset| DbError::Corrupt {
        file: path.to_path_buf(),
        offset,
        reason: "the state's file does not end as it should; remove it",
    };
    let size = file.metadata().doing("read", path)?.len();
    let frames = size.checked_sub(TRAILER_LEN).ok_or_else(|| corrupt(0))?;
    let mut bytes = [0; TRAILER_LEN as usize];
    file.seek(SeekFrom::Start(frames)).doing("read", path)?;
    file.read_exact(&mut bytes).doing("read", path)?;
    file.rewind().doing("read", path)?;
    let mut len = [0; 8];
    len.copy_from_slice(&bytes[..8]);
    let len = u64::from_le_bytes(len);
    if bytes != trailer(len) {
        return Err(corrupt(frames));
    }
    Ok((frames, len))
}

/// Counts what passes through, and stops before the disk is full: a state is large enough to take the room that the index
/// needs meanwhile.
struct Counted<'a, W> {
    inner: W,
    len: u64,
    dir: &'a Path,
    reserve: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        let before = self.len;
        self.len += written as u64;
        if before / SPACE_CHECK != self.len / SPACE_CHECK && fs2::available_space(self.dir)? < self.reserve {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "too little of the disk is left"));
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads a stored state's SSZ. A damaged file ends in an error of kind `InvalidData`, never in a shorter state.
pub struct StateReader {
    frames: FrameDecoder<BufReader<Take<File>>>,
    len: u64,
    left: u64,
}

impl StateReader {
    /// Length of the whole state in bytes, as SSZ.
    pub fn ssz_len(&self) -> u64 {
        self.len
    }
}

impl Read for StateReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let count = self.frames.read(buffer).map_err(|e| match e.kind() {
            io::ErrorKind::Interrupted => e,
            _ => invalid(format!("the stored state is damaged: {e}")),
        })?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(invalid(format!("the stored state ends {} bytes early", self.left)));
        }
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| invalid("the stored state is longer than it should be".to_owned()))?;
        Ok(count)
    }
}
