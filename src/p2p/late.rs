//! Whether we are late ourselves. Then what looks like a peer's fault is ours.
//!
//! The network task runs out of work many times a second, and a tick wakes it four times a second. If it had no rest for
//! [`LATE_AFTER`], the process was stopped, the machine swaps, or there is more to do than it can. What peers sent meanwhile
//! lies unread, and by the clock they have all failed: our requests time out, and gossipsub counts each message that it asked
//! for and has not read three seconds later, takes the square, and remembers it for ten epochs. What it is offered late it asks
//! for when the peer has it no more, and counts that, too. Its counters can't be taken back. So for a while timeouts cost
//! nothing, and we make up for what gossipsub holds against peers.
//!
//! There are lags that no pause shows: each task gets its turn, and the sockets fill all the same, or the line does. Then many
//! peers fall below gossipsub's last threshold at once. One in eight may be sent away for that; if there are more, it is us.
//!
//! Nobody gains much by making us late. Only what a peer *fails* to do in time is excused: the clock that accuses it is ours.
//! What it *does* costs as always, however late we read it: messages and requests that are malformed or rejected, invalid blocks
//! and columns, floods (an account fills by time, also while we are stopped). What gossipsub counts of these counts with us as
//! well, and who lost more than a little with us is not pardoned; neither is who came afterwards. What remains to a peer that was
//! there and is blameless is to offer gossip which it does not send, for which we wait three seconds before we ask another, and
//! to graft out of turn. Gossipsub limits the offers of a heartbeat without any score.

use std::time::{Duration, Instant};

use super::gossip::Bucket;

/// Time without a rest after which we count as late. Gossipsub gives peers three seconds to send what it asked for: a
/// shorter pause leaves them some of that.
pub(super) const LATE_AFTER: Duration = Duration::from_secs(2);
/// How long after that what peers fail to do in time is excused: the requests that were under way, and those sent while the rest
/// of what lay there is read, have ended by then (10 s), and what was offered long ago has been asked for in vain (4 s).
const GRACE: Duration = Duration::from_secs(15);
/// What gossipsub's score is raised by within that time beforehand, since it sends peers out of the mesh in the same heartbeat in
/// which it counts. More than it can take from a peer in one: 5,000 ids, squared, by the steepest weight.
const BEFOREHAND: f64 = 1e12;
/// The part of all peers that may misbehave at once by itself, and the time in which as many may again.
const BLAMED_PART: usize = 8;
const BLAMED_WITHIN: Duration = Duration::from_secs(600);
/// The log tells no more often. The metric counts each time.
const TELL_EVERY: Duration = Duration::from_secs(600);

/// Notes how late the network task is.
pub(super) struct Lateness {
    after: Duration,
    /// How long gossipsub remembers.
    memory: Duration,
    /// When the task last had nothing to do.
    rested_at: Instant,
    /// Whether it has been found late since.
    is_noted: bool,
    /// When it was last late.
    late_at: Option<Instant>,
    /// When it was last found that gossipsub can't be right.
    pardoned_at: Option<Instant>,
    /// Peers that may still be blamed for gossipsub's score.
    blamed: Bucket,
    told_at: Option<Instant>,
}

impl Lateness {
    /// In time. The task is late after `after` without a rest; gossipsub remembers what peers failed to do for `memory`.
    pub fn new(after: Duration, memory: Duration, now: Instant) -> Lateness {
        let blamed = Bucket::new(f64::MAX, now);
        Lateness {
            after,
            memory,
            rested_at: now,
            is_noted: false,
            late_at: None,
            pardoned_at: None,
            blamed,
            told_at: None,
        }
    }

    /// The task has nothing to do.
    pub fn rest(&mut self, now: Instant) {
        self.rested_at = now;
        self.is_noted = false;
    }

    /// Looks at the clock before anything is done. If the task is late, says once by how much; it stays late until it rests.
    pub fn look(&mut self, now: Instant) -> Option<Duration> {
        let by = now.saturating_duration_since(self.rested_at);
        if by < self.after {
            return None;
        }
        (self.late_at, self.pardoned_at) = (Some(now), Some(now));
        let is_new = !std::mem::replace(&mut self.is_noted, true);
        is_new.then_some(by)
    }

    /// Whether one of `peers` may be blamed for gossipsub's score. If too many were, all are pardoned; but their timeouts are not
    /// excused, or else a few who sacrifice themselves could have that for the others.
    pub fn blames(&mut self, peers: usize, now: Instant) -> bool {
        let most = (peers / BLAMED_PART).max(1) as f64;
        let blames = self.blamed.draw(1.0, most, most / BLAMED_WITHIN.as_secs_f64(), now);
        if !blames {
            self.pardoned_at = Some(now);
        }
        blames
    }

    /// Whether it is time to tell it in the log.
    pub fn tells(&mut self, now: Instant) -> bool {
        let tells = self.told_at.is_none_or(|told| told + TELL_EVERY <= now);
        if tells {
            self.told_at = Some(now);
        }
        tells
    }

    /// Whether what peers fail to do in time may be our fault.
    pub fn excuses(&self, now: Instant) -> bool {
        self.late_at.is_some_and(|at| now < at + GRACE)
    }

    /// By how much gossipsub's score of a blameless peer that is connected since `since` has to be raised, if it is `score` without
    /// that: never above zero for longer than the time of grace.
    pub fn pardon(&self, score: f64, since: Instant, now: Instant) -> f64 {
        let was_there = self.pardoned_at.is_some_and(|at| since <= at && now < at + self.memory);
        match was_there {
            true if self.excuses(now) => BEFOREHAND,
            true => (-score).max(0.0),
            false => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Duration = Duration::from_secs(3840);
    const TICK: Duration = Duration::from_millis(250);

    fn in_time(now: Instant) -> Lateness {
        Lateness::new(LATE_AFTER, MEMORY, now)
    }

    /// One that was stopped for ten seconds, and when it noticed.
    fn stopped() -> (Lateness, Instant) {
        let start = Instant::now();
        let mut late = in_time(start);
        let woken = start + Duration::from_secs(10);
        assert_eq!(late.look(woken), Some(Duration::from_secs(10)));
        late.rest(woken);
        (late, woken)
    }

    #[test]
    fn who_rests_in_time_excuses_nobody() {
        let start = Instant::now();
        let mut late = in_time(start);
        for tick in 1..100 {
            let now = start + tick * TICK;
            assert_eq!(late.look(now), None);
            late.rest(now);
            assert!(!late.excuses(now));
            assert_eq!(late.pardon(-1e9, start, now), 0.0);
        }
    }

    #[test]
    fn a_stop_is_noted_once_and_excused_for_a_while() {
        let (mut late, woken) = stopped();
        assert_eq!(late.look(woken + TICK), None);
        assert!(late.excuses(woken) && late.excuses(woken + GRACE - TICK));
        assert!(!late.excuses(woken + GRACE));
    }

    #[test]
    fn work_without_a_rest_is_noted_once_and_excused_until_it_ends() {
        let start = Instant::now();
        let mut late = in_time(start);
        let noted = (0..400).filter_map(|tick| late.look(start + tick * TICK)).collect::<Vec<_>>();
        assert_eq!(noted, [LATE_AFTER]);
        let end = start + 399 * TICK;
        late.rest(end);
        assert!(late.excuses(end + GRACE - TICK) && !late.excuses(end + GRACE));
        // Another time is another matter.
        assert_eq!(late.look(end + LATE_AFTER), Some(LATE_AFTER));
    }

    #[test]
    fn gossipsubs_score_is_raised_beforehand_and_then_made_up_for_while_it_remembers() {
        let (late, woken) = stopped();
        let (since, afterwards) = (woken - TICK, woken + GRACE);
        for score in [-1e11, 0.0, 70.0] {
            assert!(late.pardon(score, since, woken) + score > 1e11);
        }
        assert_eq!(late.pardon(-20_000.0, since, afterwards), 20_000.0);
        assert_eq!(late.pardon(70.0, since, afterwards), 0.0, "what it earned it keeps, and gets no more");
        assert_eq!(late.pardon(-20_000.0, since, woken + MEMORY), 0.0);
    }

    #[test]
    fn who_came_afterwards_has_nothing_to_be_pardoned() {
        let (late, woken) = stopped();
        assert_eq!(late.pardon(-20_000.0, woken + TICK, woken + TICK), 0.0);
    }

    #[test]
    fn more_peers_than_misbehave_by_chance_are_pardoned_but_not_excused() {
        let start = Instant::now();
        let mut late = in_time(start);
        let blamed = (0..10).filter(|_| late.blames(24, start)).count();
        assert_eq!(blamed, 3);
        assert_eq!(late.pardon(-20_000.0, start, start), 20_000.0);
        assert!(!late.excuses(start));
        let afterwards = start + BLAMED_WITHIN;
        assert_eq!((0..10).filter(|_| late.blames(24, afterwards)).count(), 3);
        // Of a few, one.
        assert!(late.blames(3, start + 3 * BLAMED_WITHIN) && !late.blames(3, start + 3 * BLAMED_WITHIN));
    }

    #[test]
    fn the_log_is_told_at_a_modest_rate() {
        let start = Instant::now();
        let mut late = in_time(start);
        let told = (0..=20).filter(|minute| late.tells(start + Duration::from_secs(60 * minute))).collect::<Vec<_>>();
        assert_eq!(told, [0, 10, 20]);
    }
}
