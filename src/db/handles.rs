//! A few open files, the most recently used ones.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::schema::SegmentId;

/// Open files at most: the head's, one for backfill, and those that a few peers read from. Reopening one is cheap.
const MAX_OPEN: usize = 16;

/// Open segment files, last used last.
#[derive(Default)]
pub(super) struct Handles {
    open: Mutex<Vec<(SegmentId, Arc<File>)>>,
}

impl Handles {
    /// The file of `id` at `path`, from the cache or opened for reading and writing.
    pub(super) fn get(&self, id: SegmentId, path: &Path, create: bool) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match open.iter().position(|(other, _)| *other == id) {
            Some(at) => open.remove(at).1,
            None => Arc::new(OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)?),
        };
        if open.len() >= MAX_OPEN {
            open.remove(0);
        }
        open.push((id, file.clone()));
        Ok(file)
    }

    /// Forgets a file that is to be removed.
    pub(super) fn forget(&self, id: SegmentId) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|(other, _)| *other != id);
    }
}
