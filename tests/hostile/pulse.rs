//! How long the machine, or this process, stood still: who is late by no more than that is not late by a stranger's doing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Between two looks at the clock.
const BEAT: Duration = Duration::from_millis(20);

/// A thread that wakes at each beat, until this is dropped.
pub struct Pulse {
    longest_ms: Arc<AtomicU64>,
    _alive: SyncSender<()>,
}

impl Pulse {
    pub fn start() -> Pulse {
        let (alive, ended) = sync_channel(1);
        let longest_ms = Arc::<AtomicU64>::default();
        let noted = longest_ms.clone();
        thread::spawn(move || {
            let mut last = Instant::now();
            while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                let pause = last.elapsed().saturating_sub(BEAT);
                noted.fetch_max(pause.as_millis() as u64, Ordering::Relaxed);
                last = Instant::now();
            }
        });
        Pulse { longest_ms, _alive: alive }
    }

    /// The longest pause since this was asked last.
    pub fn longest_pause(&self) -> Duration {
        Duration::from_millis(self.longest_ms.swap(0, Ordering::Relaxed))
    }
}
