//! Files that appear whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use super::error::{Context, DbError};
use crate::metrics;

/// Extension of a file that is not finished; such files are removed on opening.
pub(super) const TEMP_EXTENSION: &str = "tmp";

/// Makes names in `dir` durable: a new file is only found after a power cut once its directory is synced.
pub(super) fn sync_dir(dir: &Path) -> Result<(), DbError> {
    File::open(dir).and_then(|d| d.sync_all()).doing("sync", dir)
}

/// Makes a file's content durable, and measures how long the disk takes.
pub(super) fn sync_file(file: &File, path: &Path) -> Result<(), DbError> {
    let start = Instant::now();
    let result = file.sync_data().doing("sync", path);
    metrics::observe(&metrics::DB_SYNC_SECONDS, &[], start.elapsed().as_secs_f64());
    result
}

/// Refuses to go on when less than `reserve` bytes are free on the disk of `dir`.
pub(super) fn check_space(dir: &Path, reserve: u64) -> Result<(), DbError> {
    let left = fs2::available_space(dir).doing("read the free space of", dir)?;
    if left < reserve {
        return Err(DbError::DiskFull { path: dir.to_path_buf(), left, reserve });
    }
    Ok(())
}

/// Writes `path` through a temporary neighbour: readers see the old file or the new one, also after a crash.
/// Returns the file's length.
pub(super) fn replace(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> Result<u64, DbError> {
    let temp = path.with_extension(TEMP_EXTENSION);
    let result = replace_through(&temp, path, write);
    if result.is_err() {
        // What is half written goes; should that fail too, the next opening removes it.
        let _ = fs::remove_file(&temp);
    }
    result
}

fn replace_through(temp: &Path, path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> Result<u64, DbError> {
    let file = File::create(temp).doing("create", temp)?;
    write(&file).and_then(|()| (&file).flush()).doing("write", path)?;
    let len = file.metadata().doing("read", temp)?.len();
    sync_file(&file, temp)?;
    fs::rename(temp, path).doing("rename", temp)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    metrics::add(&metrics::DB_WRITTEN, &[], len);
    Ok(len)
}

/// The files in `dir` (not its directories), after removing what was left unfinished.
pub(super) fn list_finished(dir: &Path) -> Result<Vec<PathBuf>, DbError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).doing("list", dir)? {
        let path = entry.doing("list", dir)?.path();
        if path.extension().is_some_and(|e| e == TEMP_EXTENSION) {
            fs::remove_file(&path).doing("remove", &path)?;
        } else if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Removes a file; that it is gone already is fine.
pub(super) fn remove(path: &Path) -> Result<(), DbError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.doing("remove", path),
    }
}
