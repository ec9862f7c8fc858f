//! Append-only files, each for a range of slots: what is written together is synced together, what is old is deleted whole.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::warn;

use super::{
    error::{Context, DbError},
    files::{self, sync_dir, sync_file},
    handles::Handles,
    record::{self, HEADER_LEN, Header, Kind, MAX_PAYLOAD},
    schema::{Location, SegmentId, range_of},
};
use crate::{
    metrics,
    types::{Hash256, Slot},
};

/// A file that would grow beyond this is followed by another one of the same range: checking a whole file stays a matter
/// of a second, and a flash card's controller copes better with many middle-sized files than with a huge one.
const MAX_SEGMENT_BYTES: u64 = 64 << 20;

/// The segment files of one kind, in one directory.
pub(super) struct Segments {
    dir: PathBuf,
    kind: Kind,
    handles: Handles,
    /// [`MAX_SEGMENT_BYTES`], less in tests.
    pub(super) file_limit: u64,
    /// The checked length of each file; what lies beyond it does not count.
    ends: Mutex<BTreeMap<SegmentId, u64>>,
}

impl Segments {
    /// Opens the directory, and makes it if it is not there. The files' tails are not checked yet.
    pub(super) fn open(dir: &Path, kind: Kind) -> Result<Segments, DbError> {
        fs::create_dir_all(dir).doing("create", dir)?;
        let mut ends = BTreeMap::new();
        for path in files::list_finished(dir)? {
            match path.file_name().and_then(|n| SegmentId::from_file_name(n.to_str()?)) {
                Some(id) => {
                    ends.insert(id, fs::metadata(&path).doing("read", &path)?.len());
                }
                None => warn!("{} is not a file of this program, it is left alone", path.display()),
            }
        }
        let ends = Mutex::new(ends);
        let handles = Handles::default();
        Ok(Segments { dir: dir.to_path_buf(), kind, handles, file_limit: MAX_SEGMENT_BYTES, ends })
    }

    pub(super) fn path(&self, id: SegmentId) -> PathBuf {
        self.dir.join(id.file_name())
    }

    fn ends(&self) -> MutexGuard<'_, BTreeMap<SegmentId, u64>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every file and its length, oldest first.
    pub(super) fn list(&self) -> Vec<(SegmentId, u64)> {
        self.ends().iter().map(|(id, end)| (*id, *end)).collect()
    }

    /// The open file of `id`, and its length.
    pub(super) fn file(&self, id: SegmentId) -> Result<Arc<File>, DbError> {
        let path = self.path(id);
        self.handles.get(id, &path, false).doing("open", &path)
    }

    /// Cuts a file off at `end`.
    pub(super) fn cut(&self, id: SegmentId, end: u64) -> Result<(), DbError> {
        let path = self.path(id);
        let file = self.file(id)?;
        file.set_len(end).doing("cut", &path)?;
        sync_file(&file, &path)?;
        self.ends().insert(id, end);
        Ok(())
    }

    /// Deletes a file and says how long it was.
    pub(super) fn remove(&self, id: SegmentId) -> Result<u64, DbError> {
        let mut ends = self.ends();
        // In this order: a reader that comes in between can only get the old file, and that is forgotten.
        files::remove(&self.path(id))?;
        self.handles.forget(id);
        Ok(ends.remove(&id).unwrap_or(0))
    }

    /// Makes deletions durable.
    pub(super) fn sync_dir(&self) -> Result<(), DbError> {
        sync_dir(&self.dir)
    }

    /// The payload at `at`, checked against its checksums and against `root`. None when the file or the place in it does
    /// not exist.
    pub(super) fn read(&self, at: Location, root: Hash256) -> Result<Option<Vec<u8>>, DbError> {
        let path = self.path(at.segment);
        let corrupt = |reason| {
            metrics::inc(&metrics::DB_CORRUPT, &[]);
            Err(DbError::Corrupt { file: path.clone(), offset: at.offset, reason })
        };
        if at.stored_len as usize > MAX_PAYLOAD {
            return corrupt("the index gives it an impossible length");
        }
        let file = match self.handles.get(at.segment, &path, false) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result.doing("open", &path)?,
        };
        let mut bytes = vec![0; HEADER_LEN + at.stored_len as usize];
        match file.read_exact_at(&mut bytes, at.offset) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            result => result.doing("read", &path)?,
        }
        metrics::add(&metrics::DB_READ, &[], bytes.len() as u64);
        let Some(header) = Header::decode(&bytes) else {
            return corrupt("the record's header is not valid");
        };
        if header.root != root || header.kind != self.kind {
            return corrupt("another record is in this place");
        }
        header.unpack(&bytes[HEADER_LEN..]).map(Some).or_else(corrupt)
    }

    /// Starts a group of records that becomes durable, and visible, at once.
    pub(super) fn append(&self) -> Append<'_> {
        Append { segments: self, ends: self.ends(), growing: Vec::new(), buffer: Vec::new() }
    }
}

/// A group of records on its way to disk. Dropped without [`Append::commit`], the files are as they were.
pub(super) struct Append<'a> {
    segments: &'a Segments,
    ends: MutexGuard<'a, BTreeMap<SegmentId, u64>>,
    growing: Vec<Growing>,
    buffer: Vec<u8>,
}

/// A file that this group makes longer.
struct Growing {
    id: SegmentId,
    file: Arc<File>,
    start: u64,
    end: u64,
    is_new: bool,
}

impl Append<'_> {
    /// Writes one record. It is not durable, and does not count, until [`Append::commit`].
    pub(super) fn put(&mut self, slot: Slot, root: Hash256, payload: &[u8]) -> Result<Location, DbError> {
        if payload.len() > MAX_PAYLOAD {
            let (len, max) = (payload.len() as u64, MAX_PAYLOAD as u64);
            return Err(DbError::TooLarge { what: "a record", len, max });
        }
        self.buffer.clear();
        let header = record::pack(self.segments.kind, slot, root, payload, &mut self.buffer);
        let file = self.file_for(range_of(slot), header.record_len())?;
        let growing = &mut self.growing[file];
        growing.file.write_all_at(&self.buffer, growing.end).doing("write", &self.segments.path(growing.id))?;
        let at = Location { segment: growing.id, offset: growing.end, stored_len: header.stored_len };
        growing.end += header.record_len();
        Ok(at)
    }

    /// Index in `growing` of the file of `range` that has room for `len` bytes.
    fn file_for(&mut self, range: u64, len: u64) -> Result<usize, DbError> {
        let limit = self.segments.file_limit;
        let has_room = |end: u64| end == 0 || end + len <= limit;
        let last_growing = self.growing.iter().rposition(|g| g.id.range == range);
        if let Some(at) = last_growing.filter(|at| has_room(self.growing[*at].end)) {
            return Ok(at);
        }
        let of_range = SegmentId { range, part: 0 }..=SegmentId { range, part: u32::MAX };
        let last = match last_growing {
            Some(at) => Some((self.growing[at].id, self.growing[at].end)),
            None => self.ends.range(of_range).next_back().map(|(id, end)| (*id, *end)),
        };
        let (id, start) = match last {
            Some((id, end)) if has_room(end) => (id, end),
            Some((id, _)) => (SegmentId { range, part: id.part.saturating_add(1) }, 0),
            None => (SegmentId { range, part: 0 }, 0),
        };
        let path = self.segments.path(id);
        let file = self.segments.handles.get(id, &path, true).doing("create", &path)?;
        let is_new = !self.ends.contains_key(&id);
        self.growing.push(Growing { id, file, start, end: start, is_new });
        Ok(self.growing.len() - 1)
    }

    /// Syncs what was written. On an error nothing of the group counts.
    pub(super) fn commit(mut self) -> Result<(), DbError> {
        for growing in &self.growing {
            sync_file(&growing.file, &self.segments.path(growing.id))?;
        }
        if self.growing.iter().any(|g| g.is_new) {
            sync_dir(&self.segments.dir)?;
        }
        for growing in self.growing.drain(..) {
            metrics::add(&metrics::DB_WRITTEN, &[], growing.end - growing.start);
            self.ends.insert(growing.id, growing.end);
        }
        Ok(())
    }

    /// Where each touched file ends once this group is committed.
    pub(super) fn new_ends(&self) -> Vec<(SegmentId, u64)> {
        self.growing.iter().map(|g| (g.id, g.end)).collect()
    }
}

impl Drop for Append<'_> {
    fn drop(&mut self) {
        for growing in &self.growing {
            // Should this fail too, the next opening finds whole records, which are welcome, or a torn one, which it cuts.
            if growing.file.set_len(growing.start).is_err() {
                warn!("could not undo an unfinished write to {}", self.segments.path(growing.id).display());
            }
            if growing.is_new {
                let _ = fs::remove_file(self.segments.path(growing.id));
                self.segments.handles.forget(growing.id);
            }
        }
    }
}
