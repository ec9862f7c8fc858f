//! How long the disk takes until something is really written.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    time::{Duration, Instant},
};

use serde::Serialize;

/// Small writes, each synced: what a node does for each block and column.
const APPENDS: usize = 50;
const APPEND_BYTES: usize = 4096;
/// Then a larger one, synced at its end: what a node does for a state. With the appends, all that is written here.
const PIECES: usize = 32;
const PIECE_BYTES: usize = 1 << 20;
/// A disk that takes longer is judged by fewer, so that it cannot hold up the rest.
const ENOUGH: Duration = Duration::from_secs(15);

/// The disk, as the node feels it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Disk {
    /// Small writes that were measured.
    pub syncs: usize,
    /// Half of them took no longer until they were written, in milliseconds.
    pub sync_p50_ms: f64,
    /// The slowest, in milliseconds.
    pub sync_worst_ms: f64,
    /// Mebibytes written in a second, the sync at the end included.
    pub write_mib_per_second: f64,
}

impl Disk {
    /// Writes a file of 32 MiB below `dir` and removes it again.
    ///
    /// # Errors
    /// When that cannot be done there.
    pub fn measure(dir: &Path) -> Result<Disk, String> {
        let scratch = Scratch::new(dir, "disk")?;
        let write = || {
            let mut file = scratch.open()?;
            let waits = sync_waits(&mut file)?;
            Ok((waits, sequential_mib_per_second(&mut file)?))
        };
        let (waits, write_mib_per_second) =
            write().map_err(|error: io::Error| format!("writing to {}: {error}", dir.display()))?;
        let (sync_p50_ms, sync_worst_ms) = (waits[waits.len() / 2], waits[waits.len() - 1]);
        Ok(Disk { syncs: waits.len(), sync_p50_ms, sync_worst_ms, write_mib_per_second })
    }
}

/// In milliseconds, ascending; at least one.
fn sync_waits(file: &mut File) -> io::Result<Vec<f64>> {
    let begun = Instant::now();
    let mut waits = Vec::with_capacity(APPENDS);
    while waits.len() < APPENDS && begun.elapsed() < ENOUGH {
        let bytes = noise(APPEND_BYTES, waits.len() as u64);
        let started = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        waits.push(started.elapsed().as_secs_f64() * 1e3);
    }
    waits.sort_by(f64::total_cmp);
    Ok(waits)
}

fn sequential_mib_per_second(file: &mut File) -> io::Result<f64> {
    let piece = noise(PIECE_BYTES, 0);
    let started = Instant::now();
    let mut written = 0;
    while written < PIECES && started.elapsed() < ENOUGH {
        file.write_all(&piece)?;
        written += 1;
    }
    file.sync_data()?;
    Ok(written as f64 / started.elapsed().as_secs_f64())
}

/// Bytes that no disk can make smaller (xorshift).
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut word = seed + 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        word.to_le_bytes()
    };
    (0..length / 8).flat_map(|_| next()).collect()
}

/// A file that is removed when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new, empty file below `dir`.
    ///
    /// # Errors
    /// When it cannot be made; says what to do.
    pub fn new(dir: &Path, what: &str) -> Result<Scratch, String> {
        let path = dir.join(format!("hornero-bench-{}-{what}.tmp", process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => Ok(Scratch(path)),
            Err(error) => Err(format!(
                "cannot write to {}: {error}; name a directory on the node's disk with --datadir",
                dir.display()
            )),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new().append(true).open(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing can be done about a file that stays, and nothing depends on it.
        let _ = fs::remove_file(&self.0);
    }
}
