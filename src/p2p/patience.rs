//! How long we bear with a peer that does not keep up.
//!
//! One answer that comes too late is bad luck and costs a few points. A peer for whom everything is too late holds a place that
//! others want, however few its points: it is sent away, but not banned, since it may only have a bad line.

use std::{
    collections::{VecDeque, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    time::{Duration, Instant},
};

use super::events::RequestKind;

/// Things in a row that may be late. Two of a kind are under way at once, so a single pause of the line makes two late, or four.
const MOST_LATE: u32 = 4;
/// ... and at least for so many times the limit of one, so that it takes more than one pause.
const LATE_FOR: u32 = 2;

/// A row of things that were late, with nothing in time between them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    late: u32,
    since: Option<Instant>,
}

impl Patience {
    /// Something was in time.
    pub fn well(&mut self) {
        *self = Patience::default();
    }

    /// Something took longer than `limit`. True when that has gone on for too long.
    pub fn late(&mut self, limit: Duration, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        self.late = self.late.saturating_add(1);
        self.late >= MOST_LATE && now.saturating_duration_since(since) >= LATE_FOR * limit
    }
}

/// Gossip waits for a peer no longer than this while hardly any byte goes there: a phone call's drop-out, not a way of reading.
const UNREAD_FOR: Duration = Duration::from_secs(20);
/// Bytes a second, of all kinds, below which it counts as not reading: a thirtieth of what we serve the slowest.
const UNREAD_BYTES_PER_SECOND: u64 = 1024;
/// Gossipsub tells of a full queue each heartbeat (0.7 s); after so long without a word it has emptied.
const EMPTIED_AFTER: Duration = Duration::from_secs(5);

/// Since when a peer's queue of gossip has been full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unread(Option<Full>);

#[derive(Clone, Copy, Debug)]
struct Full {
    since: Instant,
    /// Bytes that had been sent to the peer then.
    sent: u64,
    last: Instant,
}

impl Unread {
    /// The queue is full, and so many bytes have been sent to the peer since it connected. True when it does not read.
    pub fn full(&mut self, sent: u64, now: Instant) -> bool {
        let fresh = Full { since: now, sent, last: now };
        let Some(full) = self.0.as_mut().filter(|full| now - full.last < EMPTIED_AFTER) else {
            self.0 = Some(fresh);
            return false;
        };
        full.last = now;
        let waited = now.saturating_duration_since(full.since);
        if waited < UNREAD_FOR {
            return false;
        }
        if sent - full.sent < UNREAD_BYTES_PER_SECOND * waited.as_secs() {
            return true;
        }
        // It reads, slowly; what it missed it will ask others for.
        self.0 = Some(fresh);
        false
    }
}

/// Answers to a peer that we remember: those of a sync with several ranges at a time, many times over.
const REMEMBERED: usize = 64;
/// So often a small answer is given within [`REPEATS_FOR`]: an honest peer needs a block once, and again after a failure of its own.
const MOST_REPEATS: u32 = 32;
/// So many blocks or columns of one answer are given in all, but each answer [`LEAST_REPEATS`] times: others try a batch five times.
const MOST_ITEMS: usize = 1024;
const LEAST_REPEATS: u32 = 8;
const REPEATS_FOR: Duration = Duration::from_secs(600);

/// What a peer was given whole, and how often. What was refused or broken off it may well ask for again.
#[derive(Debug, Default)]
pub(super) struct Repeats(VecDeque<Given>);

#[derive(Debug)]
struct Given {
    what: u64,
    since: Instant,
    times: u32,
}

impl Repeats {
    /// Tells requests from each other; nothing for those whose answer is a new one each slot.
    pub fn name_of(kind: &RequestKind) -> Option<u64> {
        let changes = matches!(kind, RequestKind::LightClientFinalityUpdate | RequestKind::LightClientOptimisticUpdate);
        let mut hasher = DefaultHasher::new();
        kind.hash(&mut hasher);
        (!changes).then(|| hasher.finish())
    }

    /// True if it was given this, of so many items at most, so often that it can't be in want of it.
    pub fn is_too_often(&self, what: u64, items: usize, now: Instant) -> bool {
        let most = (MOST_ITEMS / items.max(1)).clamp(LEAST_REPEATS as usize, MOST_REPEATS as usize);
        let is_it = |given: &Given| given.what == what && now.saturating_duration_since(given.since) < REPEATS_FOR;
        self.0.iter().any(|given| is_it(given) && given.times as usize >= most)
    }

    /// It was given this.
    pub fn given(&mut self, what: u64, now: Instant) {
        self.0.retain(|given| now.saturating_duration_since(given.since) < REPEATS_FOR);
        if let Some(given) = self.0.iter_mut().find(|given| given.what == what) {
            given.times = given.times.saturating_add(1);
            return;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(Given { what, since: now, times: 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn one_pause_is_borne_and_lateness_is_not() {
        let start = Instant::now();
        let mut patience = Patience::default();
        // Two of two kinds, all at once.
        assert!((0..4).all(|_| !patience.late(LIMIT, start)));
        assert!(!patience.late(LIMIT, start + LIMIT));
        assert!(patience.late(LIMIT, start + 2 * LIMIT));
        patience.well();
        assert!(!patience.late(LIMIT, start + 3 * LIMIT), "it begins anew");
        assert!((4..6).all(|n| !patience.late(LIMIT, start + n * LIMIT)), "three are few, however slow");
        assert!(patience.late(LIMIT, start + 6 * LIMIT));
    }

    #[test]
    fn who_takes_no_gossip_is_told_from_who_is_slow() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut unread = Unread::default();
        assert!((0..20).all(|seconds| !unread.full(100, at(seconds))));
        assert!(unread.full(100 + 20 * 1024 - 1, at(20)), "pings alone");
        let mut slow = Unread::default();
        assert!((0..100).all(|seconds| !slow.full(2000 * seconds, at(seconds))));
        let mut recovers = Unread::default();
        assert!((0..100).step_by(6).all(|seconds| !recovers.full(0, at(seconds))));
    }

    #[test]
    fn the_same_is_given_often_and_not_for_ever() {
        let start = Instant::now();
        let range = |start_slot| Repeats::name_of(&RequestKind::BlocksByRange { start_slot, count: 128 }).unwrap();
        assert_eq!(Repeats::name_of(&RequestKind::LightClientFinalityUpdate), None);
        let mut repeats = Repeats::default();
        (0..1000).for_each(|slot| repeats.given(range(slot), start));
        assert!(repeats.0.len() <= REMEMBERED, "a sync");
        (1..MOST_REPEATS).for_each(|_| repeats.given(range(999), start));
        assert!(repeats.is_too_often(range(999), 1, start) && !repeats.is_too_often(range(998), 1, start));
        assert!(!repeats.is_too_often(range(999), 1, start + REPEATS_FOR));
        (1..LEAST_REPEATS).for_each(|_| repeats.given(range(998), start));
        assert!(repeats.is_too_often(range(998), 128, start) && !repeats.is_too_often(range(998), 64, start));
    }
}
