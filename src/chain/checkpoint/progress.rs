//! How far a download is.

use std::{
    io::{self, Read},
    time::{Duration, Instant},
};

/// Time between two reports: often enough to be seen moving. Who writes a log takes fewer of them.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// A moment of a download.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Bytes so far.
    pub bytes: u64,
    /// Bytes in all, if known.
    pub total: Option<u64>,
    /// Time since the start.
    pub elapsed: Duration,
}

impl Progress {
    /// Bytes a second so far.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / self.elapsed.as_secs_f64().max(1e-3)
    }

    /// Time left at that rate, if the total is known.
    pub fn left(&self) -> Option<Duration> {
        let left = self.total?.saturating_sub(self.bytes) as f64;
        Duration::try_from_secs_f64(left / self.rate().max(1.0)).ok()
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MB: f64 = 1e6;
        write!(f, "{:.1} MB", self.bytes as f64 / MB)?;
        if let Some(total) = self.total {
            write!(f, " of {:.1}", total as f64 / MB)?;
        }
        write!(f, ", {:.2} MB/s", self.rate() / MB)?;
        if let Some(left) = self.left() {
            write!(f, ", {} s left", left.as_secs())?;
        }
        Ok(())
    }
}

/// Counts what is read through it and reports now and then.
pub struct Counted<R, F> {
    inner: R,
    report: F,
    total: Option<u64>,
    bytes: u64,
    start: Instant,
    reported: Instant,
    ended: bool,
}

impl<R: Read, F: FnMut(Progress)> Counted<R, F> {
    /// Reads from `inner`, of which `total` bytes are expected.
    pub fn new(inner: R, total: Option<u64>, report: F) -> Self {
        let now = Instant::now();
        Counted { inner, report, total, bytes: 0, start: now, reported: now, ended: false }
    }
}

impl<R: Read, F: FnMut(Progress)> Read for Counted<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.bytes += n as u64;
        let now = Instant::now();
        let is_end = n == 0 && !self.ended && !buffer.is_empty();
        self.ended |= is_end;
        if is_end || now - self.reported >= REPORT_EVERY {
            self.reported = now;
            (self.report)(Progress { bytes: self.bytes, total: self.total, elapsed: now - self.start });
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_bytes_rate_and_time_left() {
        let progress = Progress { bytes: 80_000_000, total: Some(320_000_000), elapsed: Duration::from_secs(20) };
        assert_eq!(progress.to_string(), "80.0 MB of 320.0, 4.00 MB/s, 60 s left");
        let unknown = Progress { total: None, ..progress };
        assert_eq!(unknown.to_string(), "80.0 MB, 4.00 MB/s");
    }

    #[test]
    fn the_end_is_always_reported() {
        let mut last = None;
        let mut reader = Counted::new([7u8; 100].as_slice(), Some(100), |progress| last = Some(progress));
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(last.map(|progress| progress.bytes), Some(100));
    }
}
