//! How fast we serve others. A response that exceeds the pace is not refused: its next chunk waits, as the specification asks.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What a chunk costs at least: finding a small block is work too.
const MIN_COST: u64 = 16 * 1024;
/// Seconds of the rate that may be taken at once after a rest.
const BURST_SECONDS: u64 = 4;

/// A token bucket, kept as the time at which it will be full again.
pub struct Pace {
    bytes_per_second: u64,
    full_at: Mutex<Instant>,
}

impl Pace {
    /// A full bucket.
    pub fn new(bytes_per_second: u64) -> Pace {
        Pace { bytes_per_second: bytes_per_second.max(1), full_at: Mutex::new(Instant::now()) }
    }

    /// Takes `bytes` and says how long to wait before sending them.
    pub fn take(&self, bytes: usize, now: Instant) -> Duration {
        let cost = (bytes as u64).max(MIN_COST);
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        *full_at = (*full_at).max(now) + Duration::from_secs_f64(cost as f64 / self.bytes_per_second as f64);
        full_at.saturating_duration_since(now + Duration::from_secs(BURST_SECONDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_the_rate_holds() {
        let now = Instant::now();
        let pace = Pace::new(MIN_COST);
        let waits: Vec<u64> = (0..7).map(|_| pace.take(1, now).as_millis().div_ceil(1000) as u64).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 3]);
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.take(MIN_COST as usize, later), Duration::ZERO);
        assert!(pace.take(100 * MIN_COST as usize, later) > Duration::from_secs(90));
    }
}
