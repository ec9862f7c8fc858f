//! One way's token bucket.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Seconds of the rate that a full bucket holds: what may go at once after a rest. A minute can therefore see 5% more than
/// its share, which is what "the budget holds" allows for with room to spare.
const BURST_SECONDS: f64 = 3.0;
/// Seconds of the rate that may be owed at most: what gossip took beyond is forgotten, or the rest would never go again.
const DEBT_SECONDS: f64 = 60.0;
/// The shortest and the longest time until somebody who waits looks again.
const WAIT: (f64, f64) = (0.005, 1.0);

/// A bucket that fills with time and empties with the bytes that pass.
#[derive(Debug)]
pub(super) struct Lane {
    /// Bytes per second; none: no limit.
    rate: Option<f64>,
    bucket: Mutex<Bucket>,
    /// All that passed since it was last asked for.
    total: AtomicU64,
}

#[derive(Debug)]
struct Bucket {
    level: f64,
    at: Instant,
    /// Granted, and not passed yet.
    granted: f64,
}

impl Lane {
    pub(super) fn new(rate: Option<u64>, now: Instant) -> Lane {
        let rate = rate.map(|rate| rate.max(1) as f64);
        let bucket = Bucket { level: rate.unwrap_or(0.0) * BURST_SECONDS, at: now, granted: 0.0 };
        Lane { rate, bucket: Mutex::new(bucket), total: AtomicU64::new(0) }
    }

    /// The bucket as it is now, and the rate; `None` without a limit.
    fn with_bucket<T>(&self, now: Instant, work: impl FnOnce(&mut Bucket, f64) -> T) -> Option<T> {
        let rate = self.rate?;
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.level = (bucket.level + elapsed * rate).min(rate * BURST_SECONDS);
        bucket.at = bucket.at.max(now);
        Some(work(&mut bucket, rate))
    }

    /// So many bytes went over the wire.
    pub(super) fn passed(&self, bytes: u64, now: Instant) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
        self.with_bucket(now, |bucket, rate| bucket.level = (bucket.level - bytes as f64).max(-rate * DEBT_SECONDS));
    }

    /// Grants `bytes` if the part `leaves` of a full bucket is there; otherwise says when to ask again.
    pub(super) fn take(&self, leaves: f64, bytes: u64, now: Instant) -> Result<Grant<'_>, Duration> {
        let taken = self.with_bucket(now, |bucket, rate| {
            let missing = leaves * rate * BURST_SECONDS - (bucket.level - bucket.granted);
            if missing > 0.0 {
                return Err(Duration::from_secs_f64((missing / rate).clamp(WAIT.0, WAIT.1)));
            }
            bucket.granted += bytes as f64;
            Ok(())
        });
        match taken {
            None => Ok(Grant { lane: self, bytes: 0 }),
            Some(Ok(())) => Ok(Grant { lane: self, bytes }),
            Some(Err(wait)) => Err(wait),
        }
    }

    /// Whether more is owed than a full bucket holds.
    pub(super) fn is_overdrawn(&self, now: Instant) -> bool {
        self.with_bucket(now, |bucket, rate| bucket.level < -rate * BURST_SECONDS).unwrap_or(false)
    }

    /// What passed since this was last asked.
    pub(super) fn take_total(&self) -> u64 {
        self.total.swap(0, Ordering::Relaxed)
    }
}

/// Bytes that may go, and have not yet.
#[derive(Debug)]
pub struct Grant<'a> {
    lane: &'a Lane,
    bytes: u64,
}

impl Drop for Grant<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            let mut bucket = self.lane.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.granted = (bucket.granted - self.bytes as f64).max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::Use::{self, *},
        *,
    };

    const RATE: u64 = 2_500_000; // 20 mbit
    const STEP: Duration = Duration::from_millis(10);

    /// Runs a lane through time: in each step gossip passes, and every use in `greedy` takes chunks as long as it may. Returns
    /// the bytes of each second, and those of each use.
    fn run(seconds: u64, gossip: u64, greedy: &[(Use, u64)]) -> (Vec<u64>, Vec<u64>) {
        let start = Instant::now();
        let lane = Lane::new(Some(RATE), start);
        let (mut by_second, mut by_use) = (vec![0; seconds as usize], vec![0; greedy.len()]);
        for step in 0..seconds * 100 {
            let now = start + STEP * step as u32;
            let second = &mut by_second[step as usize / 100];
            lane.passed(gossip / 100, now);
            *second += gossip / 100;
            for ((what, chunk), used) in greedy.iter().zip(&mut by_use) {
                while let Ok(grant) = lane.take(what.leaves(), *chunk, now) {
                    lane.passed(*chunk, now);
                    drop(grant);
                    *used += chunk;
                    *second += chunk;
                }
            }
        }
        (by_second, by_use)
    }

    /// The largest and the smallest sum of any 60 seconds, as parts of the budget.
    fn minutes(by_second: &[u64]) -> (f64, f64) {
        let sums = by_second.windows(60).map(|minute| minute.iter().sum::<u64>() as f64 / (60 * RATE) as f64);
        sums.fold((0.0, f64::MAX), |(most, least), sum| (most.max(sum), least.min(sum)))
    }

    #[test]
    fn each_minute_keeps_to_the_budget_and_uses_it() {
        for gossip in [0, RATE / 4, RATE * 9 / 10] {
            let greedy = [(Custody, 50_000), (Serving, 150_000), (Backfill, 150_000)];
            let (by_second, _) = run(180, gossip, &greedy);
            let (most, least) = minutes(&by_second);
            assert!(most < 1.08 && least > 0.95, "{gossip}: {most} {least}");
        }
    }

    #[test]
    fn the_more_urgent_goes_first() {
        let (_, by_use) = run(60, RATE / 4, &[(Backfill, 100_000), (Serving, 100_000)]);
        assert!(by_use[1] > 20 * by_use[0], "{by_use:?}");
        let (_, by_use) = run(60, RATE / 4, &[(Serving, 100_000), (Custody, 100_000)]);
        assert!(by_use[1] > 20 * by_use[0], "{by_use:?}");
        // Alone, each gets all that gossip leaves.
        let (_, alone) = run(60, RATE / 4, &[(Backfill, 100_000)]);
        assert!(alone[0] as f64 > 0.9 * 45.0 * RATE as f64, "{alone:?}");
    }

    #[test]
    fn the_head_does_not_wait_and_gossip_is_paid_for() {
        let start = Instant::now();
        let lane = Lane::new(Some(RATE), start);
        lane.passed(RATE * 10, start);
        assert!(lane.is_overdrawn(start));
        assert!(lane.take(Head.leaves(), 1 << 20, start).is_ok());
        assert!(lane.take(Custody.leaves(), 1, start + Duration::from_secs(6)).is_err());
        assert!(lane.take(Custody.leaves(), 1, start + Duration::from_secs(8)).is_ok());
        // What was taken in vain does not block the lane for ever.
        let later = start + Duration::from_secs(8);
        lane.passed(RATE * 10_000, later);
        assert!(lane.take(Custody.leaves(), 1, later + Duration::from_secs(59)).is_err());
        assert!(lane.take(Custody.leaves(), 1, later + Duration::from_secs(61)).is_ok());
    }

    #[test]
    fn a_grant_counts_until_its_bytes_have_passed() {
        let start = Instant::now();
        let lane = Lane::new(Some(1000), start);
        let grant = lane.take(Serving.leaves(), 2500, start).unwrap();
        assert!(lane.take(Serving.leaves(), 1, start).is_err());
        lane.passed(100, start);
        drop(grant);
        assert!(lane.take(Serving.leaves(), 1, start).is_ok());
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let lane = Lane::new(None, Instant::now());
        lane.passed(u64::MAX / 2, Instant::now());
        assert!(lane.take(Backfill.leaves(), u64::MAX, Instant::now()).is_ok());
        assert_eq!((lane.take_total(), lane.take_total()), (u64::MAX / 2, 0));
        assert!(!lane.is_overdrawn(Instant::now()));
    }
}
