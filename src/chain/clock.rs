//! The chain's time: slots by the system's clock, or by hand in tests.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::types::{Config, Epoch, Slot, compute_epoch_at_slot};

/// Tells the time in milliseconds since 1970 and in slots since genesis. Clones share it.
#[derive(Clone, Debug)]
pub struct Clock {
    genesis_ms: u64,
    slot_ms: u64,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    /// The system's clock and a shift in milliseconds.
    System(i64),
    Manual(Arc<Mutex<Manual>>),
}

#[derive(Debug, Default)]
struct Manual {
    now_ms: u64,
    sleepers: Vec<Waker>,
}

impl Clock {
    /// By the system's clock. `genesis_time` in seconds since 1970.
    pub fn system(genesis_time: u64, config: &Config) -> Clock {
        Clock::new(genesis_time, config, Source::System(0))
    }

    /// As the system's clock, but it is `now_ms` now: for tests on recorded chains.
    pub fn shifted(genesis_time: u64, config: &Config, now_ms: u64) -> Clock {
        let shift = i64::try_from(now_ms).unwrap_or(i64::MAX).saturating_sub_unsigned(system_ms());
        Clock::new(genesis_time, config, Source::System(shift))
    }

    /// Stands at `now_ms` until [`Clock::set_ms`] moves it.
    pub fn manual(genesis_time: u64, config: &Config, now_ms: u64) -> Clock {
        let manual = Manual { now_ms, sleepers: Vec::new() };
        Clock::new(genesis_time, config, Source::Manual(Arc::new(Mutex::new(manual))))
    }

    fn new(genesis_time: u64, config: &Config, source: Source) -> Clock {
        Clock { genesis_ms: genesis_time.saturating_mul(1000), slot_ms: config.slot_duration_ms.max(1), source }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        match &self.source {
            Source::System(shift) => system_ms().saturating_add_signed(*shift),
            Source::Manual(manual) => manual.lock().unwrap_or_else(PoisonError::into_inner).now_ms,
        }
    }

    /// Moves a manual clock, and wakes who waited for it. A manual clock may also go back; another clock does not move.
    pub fn set_ms(&self, now_ms: u64) {
        let Source::Manual(manual) = &self.source else { return };
        let sleepers = {
            let mut manual = manual.lock().unwrap_or_else(PoisonError::into_inner);
            manual.now_ms = now_ms;
            std::mem::take(&mut manual.sleepers)
        };
        sleepers.into_iter().for_each(Waker::wake);
    }

    /// The current slot; genesis before genesis.
    pub fn slot(&self) -> Slot {
        self.slot_at(self.now_ms())
    }

    /// The current epoch.
    pub fn epoch(&self) -> Epoch {
        compute_epoch_at_slot(self.slot())
    }

    /// The slot that a time in milliseconds is in; genesis before genesis.
    pub fn slot_at(&self, ms: u64) -> Slot {
        ms.saturating_sub(self.genesis_ms) / self.slot_ms
    }

    /// When a slot starts, in milliseconds since 1970. Spec: `compute_time_at_slot_ms`.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#compute_time_at_slot_ms>
    pub fn start_of(&self, slot: Slot) -> u64 {
        self.genesis_ms.saturating_add(slot.saturating_mul(self.slot_ms))
    }

    /// When genesis was or will be, in milliseconds since 1970.
    pub fn genesis_ms(&self) -> u64 {
        self.genesis_ms
    }

    /// Length of a slot in milliseconds.
    pub fn slot_ms(&self) -> u64 {
        self.slot_ms
    }

    /// Milliseconds since the start of the current slot.
    pub fn into_slot_ms(&self) -> u64 {
        let now = self.now_ms();
        now.saturating_sub(self.start_of(self.slot_at(now)))
    }

    /// Returns when the clock is at `ms` or later.
    pub async fn until(&self, ms: u64) {
        match &self.source {
            Source::System(_) => loop {
                // Again, should the system's clock have been set back.
                match ms.saturating_sub(self.now_ms()) {
                    0 => return,
                    left => smol::Timer::after(Duration::from_millis(left)).await,
                };
            },
            Source::Manual(manual) => {
                poll_fn(|context| {
                    let mut manual = manual.lock().unwrap_or_else(PoisonError::into_inner);
                    if manual.now_ms >= ms {
                        return Poll::Ready(());
                    }
                    manual.sleepers.push(context.waker().clone());
                    Poll::Pending
                })
                .await
            }
        }
    }

    /// Returns after `ms` milliseconds of this clock.
    pub async fn sleep(&self, ms: u64) {
        self.until(self.now_ms().saturating_add(ms)).await;
    }

    /// The result of `work`, or `None` if it takes more than `ms` milliseconds of this clock.
    pub async fn within<T>(&self, ms: u64, work: impl Future<Output = T>) -> Option<T> {
        smol::future::or(async { Some(work.await) }, async {
            self.sleep(ms).await;
            None
        })
        .await
    }
}

fn system_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(now_ms: u64) -> Clock {
        let config = Config { slot_duration_ms: 6000, ..Config::default() };
        Clock::manual(1000, &config, now_ms)
    }

    #[test]
    fn slots_start_at_their_time() {
        let clock = clock(1_000_000);
        assert_eq!((clock.slot(), clock.start_of(2)), (0, 1_012_000));
        clock.set_ms(1_011_999);
        assert_eq!((clock.slot(), clock.into_slot_ms()), (1, 5999));
        clock.set_ms(1_012_000);
        assert_eq!((clock.slot(), clock.into_slot_ms()), (2, 0));
        clock.set_ms(5);
        assert_eq!((clock.slot(), clock.into_slot_ms()), (0, 0));
    }

    #[test]
    fn sleepers_wake_when_the_clock_is_moved() {
        let clock = clock(0);
        let sleeper = smol::spawn({
            let clock = clock.clone();
            async move {
                clock.until(100).await;
                clock.now_ms()
            }
        });
        clock.set_ms(99);
        clock.set_ms(150);
        clock.set_ms(250);
        // Whether it began to sleep before or after the first moves, it sees a time that was long enough.
        let seen = smol::block_on(sleeper);
        assert!(seen >= 100, "{seen}");
    }

    #[test]
    fn what_takes_too_long_is_given_up() {
        let clock = clock(0);
        assert_eq!(smol::block_on(clock.within(0, std::future::pending::<()>())), None);
        assert_eq!(smol::block_on(clock.within(10, async { 3 })), Some(3));
    }

    #[test]
    fn a_shifted_clock_runs() {
        let clock = Clock::shifted(1000, &Config::default(), 5_000_000);
        let first = clock.now_ms();
        assert!((5_000_000..5_060_000).contains(&first), "{first}");
        smol::block_on(clock.sleep(2));
        assert!(clock.now_ms() >= first + 2);
    }
}
