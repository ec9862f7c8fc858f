//! States as differences against a whole one: a row of pieces in segment files, and an entry of the index that names them.
//!
//! The pieces are synced before the index names them. What it does not name is cut off when the directory is opened, or goes
//! with its file: a difference that a crash lost only makes the next start replay more.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::{self, Read, Write},
    sync::{Arc, atomic::Ordering},
};

use super::{
    Database, Inner,
    error::DbError,
    files,
    prune::PruneReport,
    record::HEADER_LEN,
    schema::{DifferenceEntry, Location, SegmentId},
    segment::Append,
};
use crate::types::{Hash256, Slot};

/// Bytes of a difference in one record: what writing and reading hold, twice with what they are compressed to.
const PIECE: usize = 512 << 10;
/// Pieces of a difference at most: their places fit one value of the index, and 100 MiB before compression are a third of
/// mainnet's state, which then should be written whole.
const MAX_PIECES: usize = 200;

/// A stored difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The root that the state is stored under, its block's.
    pub root: Hash256,
    /// The state's slot.
    pub slot: Slot,
    /// Under which root the whole state is stored that this is a difference against.
    pub anchor: Hash256,
    /// The state's own root.
    pub state_root: Hash256,
}

impl Database {
    /// Stores a state's difference. `write` streams it; no more than a piece is held. Returns the bytes that it takes on disk,
    /// zero if there was one under this root already. When this returns it is durable; on an error there is no trace of it.
    pub fn put_difference(
        &self,
        new: &Difference,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<u64, DbError> {
        let inner = &self.inner;
        let _guard = inner.write_state();
        if inner.index_failed.load(Ordering::Relaxed) {
            return Err(DbError::ReadOnly);
        }
        if inner.index.difference(&new.root)?.is_some() {
            return Ok(0);
        }
        let append = inner.differences.append();
        let mut pieces = Pieces { inner, new, append, buffer: Vec::new(), places: Vec::new(), failed: None };
        let written = write(&mut pieces).and_then(|()| pieces.flush());
        if let Some(error) = pieces.failed.take() {
            return Err(error);
        }
        let path = inner.path.join(super::DIFFERENCES_DIR);
        written.map_err(|source| DbError::Io { doing: "write to", path, source })?;
        let Pieces { append, places, .. } = pieces;
        append.commit()?;
        let bytes = places.iter().map(record_len).sum();
        let entry = DifferenceEntry { difference: *new, pieces: places };
        inner.index.put_difference(&entry)?;
        inner.index.flush()?;
        Ok(bytes)
    }

    /// What is stored under this root, and a reader of it; none if nothing is.
    pub fn difference(&self, root: Hash256) -> Result<Option<(Difference, DifferenceReader)>, DbError> {
        let Some(entry) = self.inner.index.difference(&root)? else { return Ok(None) };
        let reader = DifferenceReader {
            inner: self.inner.clone(),
            root,
            pieces: entry.pieces.into(),
            piece: io::Cursor::default(),
        };
        Ok(Some((entry.difference, reader)))
    }

    /// All stored differences and the bytes that each takes on disk, by slot.
    pub fn differences(&self) -> Result<Vec<(Difference, u64)>, DbError> {
        let entries = self.inner.index.differences()?;
        let sized = |entry: DifferenceEntry| (entry.difference, entry.pieces.iter().map(record_len).sum());
        let mut found: Vec<_> = entries.into_iter().map(sized).collect();
        found.sort_by_key(|(difference, _)| (difference.slot, difference.root));
        Ok(found)
    }

    /// Forgets all differences but those for which `keep` is true, and deletes the files in which none is left.
    pub fn keep_differences(&self, keep: impl Fn(&Difference) -> bool) -> Result<PruneReport, DbError> {
        let inner = &self.inner;
        let _guard = inner.write_state();
        let mut report = PruneReport::default();
        let mut kept = BTreeSet::new();
        for entry in inner.index.differences()? {
            if keep(&entry.difference) {
                kept.extend(entry.pieces.iter().map(|piece| piece.segment));
            } else {
                inner.index.remove_difference(&entry.difference.root)?;
                report.states += 1;
            }
        }
        // First: the index never names what is not there.
        inner.index.flush()?;
        for (id, _) in inner.differences.list().into_iter().filter(|(id, _)| !kept.contains(id)) {
            report.bytes += inner.differences.remove(id)?;
            report.files += 1;
        }
        inner.differences.sync_dir()?;
        Ok(report)
    }
}

impl Inner {
    /// Forgets differences whose pieces are not there, and cuts off what no difference names. Says how many were lost.
    pub(super) fn check_differences(&self) -> Result<u64, DbError> {
        let files: BTreeMap<SegmentId, u64> = self.differences.list().into_iter().collect();
        let mut ends: BTreeMap<SegmentId, u64> = BTreeMap::new();
        let mut lost = 0;
        for entry in self.index.differences()? {
            let end_of = |piece: &Location| piece.offset + record_len(piece);
            if !entry.pieces.iter().all(|piece| files.get(&piece.segment).is_some_and(|len| end_of(piece) <= *len)) {
                self.index.remove_difference(&entry.difference.root)?;
                lost += 1;
                continue;
            }
            for piece in &entry.pieces {
                let end = ends.entry(piece.segment).or_default();
                *end = end_of(piece).max(*end);
            }
        }
        for (id, len) in files {
            match ends.get(&id) {
                Some(end) if *end < len => self.differences.cut(id, *end)?,
                Some(_) => {}
                None => _ = self.differences.remove(id)?,
            }
        }
        Ok(lost)
    }
}

fn record_len(piece: &Location) -> u64 {
    HEADER_LEN as u64 + u64::from(piece.stored_len)
}

/// Cuts a stream into records.
struct Pieces<'a> {
    inner: &'a Inner,
    new: &'a Difference,
    append: Append<'a>,
    buffer: Vec<u8>,
    places: Vec<Location>,
    failed: Option<DbError>,
}

impl Pieces<'_> {
    fn put(&mut self) -> Result<(), DbError> {
        if self.places.len() == MAX_PIECES {
            let (len, max) = ((PIECE * MAX_PIECES + self.buffer.len()) as u64, (PIECE * MAX_PIECES) as u64);
            return Err(DbError::TooLarge { what: "a state's difference", len, max });
        }
        files::check_space(&self.inner.path, self.inner.reserve)?;
        self.places.push(self.append.put(self.new.slot, self.new.root, &self.buffer)?);
        self.buffer.clear();
        Ok(())
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    /// Writes what has gathered as a piece of its own.
    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.put().map_err(|error| {
            let words = error.to_string();
            self.failed = Some(error);
            io::Error::other(words)
        })
    }
}

/// Reads a stored difference. What is damaged ends in an error of kind `InvalidData`.
pub struct DifferenceReader {
    inner: Arc<Inner>,
    root: Hash256,
    pieces: VecDeque<Location>,
    piece: io::Cursor<Vec<u8>>,
}

impl Read for DifferenceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(place) = self.pieces.pop_front() else { return Ok(0) };
            let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
            let piece = self.inner.differences.read(place, self.root).map_err(|error| invalid(error.to_string()))?;
            self.piece = io::Cursor::new(piece.ok_or_else(|| invalid("a piece of it is not there".into()))?);
        }
    }
}
