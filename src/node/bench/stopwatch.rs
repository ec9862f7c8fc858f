//! Time, as the clock shows it and as the processor was ours.

use std::{fs, thread, time::Instant};

use serde::Serialize;

/// How long something took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Time {
    /// By the clock on the wall.
    pub wall_ms: f64,
    /// For which this thread had a processor; where the kernel does not tell, the same as `wall_ms`.
    pub cpu_ms: f64,
}

impl Time {
    /// The smaller of each.
    pub fn best(self, other: Time) -> Time {
        Time { wall_ms: self.wall_ms.min(other.wall_ms), cpu_ms: self.cpu_ms.min(other.cpu_ms) }
    }
}

/// Runs `work`, and says how long it took.
pub fn time<R>(work: impl FnOnce() -> R) -> (R, Time) {
    let cpu_before = thread_nanoseconds();
    let started = Instant::now();
    let result = work();
    let wall_ms = started.elapsed().as_secs_f64() * 1e3;
    let cpu = cpu_before.zip(thread_nanoseconds()).map(|(before, after)| after.saturating_sub(before));
    (result, Time { wall_ms, cpu_ms: cpu.map_or(wall_ms, |nanoseconds| nanoseconds as f64 / 1e6) })
}

/// Processor time of this thread so far, as Linux counts it; none elsewhere.
fn thread_nanoseconds() -> Option<u64> {
    // The kernel brings the number up to date when it schedules, not when it is asked.
    thread::yield_now();
    fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}
