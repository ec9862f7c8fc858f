//! The memory budget: what caches do when the process comes near its limit, in a fixed order, before the kernel ends it.
//!
//! [`Budget`] decides by readings of resident memory and nothing else; [`Keeper`] reads and carries out. Nothing that consensus
//! needs is in the order: what is dropped is computed or read again when it is asked for.

mod caches;
mod keeper;
mod limit;
mod release;

pub use caches::Caches;
pub use keeper::Keeper;
pub use limit::{ByteCount, LimitError, MemoryLimit};
pub use release::share_one_arena;

/// What is made smaller, in this order: first what costs least to have again.
pub const ORDER: [Step; 5] =
    [Step::RebuiltStates, Step::RecentStates, Step::PublicKeys, Step::PreparedState, Step::SeenGossip];

/// A cache that can be made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// States that somebody asked for, over the API as a rule.
    RebuiltStates,
    /// States of recent blocks but for a few; a block on another one waits until its parent's state is replayed.
    RecentStates,
    /// Decompressed keys in memory; they are read from the file again.
    PublicKeys,
    /// The next epoch's state that was prepared, with its shuffling; the epoch's first block takes longer.
    PreparedState,
    /// What was seen of gossip; repetitions are verified once more.
    SeenGossip,
}

impl Step {
    /// Its name in metrics and in the log.
    pub fn label(self) -> &'static str {
        match self {
            Step::RebuiltStates => "rebuilt states",
            Step::RecentStates => "recent states",
            Step::PublicKeys => "public keys",
            Step::PreparedState => "prepared state",
            Step::SeenGossip => "seen gossip",
        }
    }
}

/// What is to be done after a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make it small, and keep it so.
    Shrink(Step),
    /// It may grow again.
    Restore(Step),
}

/// Above this part of the limit, in 32nds, one step after the other is taken: 960 MiB of 1 GiB.
const HIGH: u64 = 30;
/// Above this part all are taken at once.
const CRITICAL: u64 = 31;
/// Below this part steps are taken back, one after the other, when it has lasted. The gap is what a cache may grow by without
/// coming up again at once.
const LOW: u64 = 27;
/// Readings, one a second, until the next step: what was freed has to show.
const PAUSE: u32 = 3;
/// Readings after which the steps are taken anew where all were taken: caches fill again within their bounds.
const AGAIN: u32 = 30;
/// Readings below the low mark before a step is taken back: some slots.
const CALM: u32 = 60;
/// Where a cache had to be made small again, the next time is twice as far; an hour at most.
const MOST_CALM: u32 = 3600;

/// Decides, by readings of resident memory, one a second.
#[derive(Clone, Debug)]
pub struct Budget {
    limit: u64,
    /// How many of [`ORDER`] have been taken.
    taken: usize,
    /// Readings since the last step.
    since: u32,
    /// Readings in a row below the low mark.
    calm: u32,
    /// How many of those it takes now.
    patience: u32,
    /// Whether a step was taken back since the last one was taken.
    was_restored: bool,
}

impl Budget {
    /// For a limit in bytes.
    pub fn new(limit: u64) -> Budget {
        Budget { limit, taken: 0, since: PAUSE + 1, calm: 0, patience: CALM, was_restored: false }
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What is small now.
    pub fn shrunk(&self) -> &'static [Step] {
        &ORDER[..self.taken]
    }

    /// What to do now that so many bytes are resident.
    pub fn on_reading(&mut self, resident: u64) -> Vec<Action> {
        let part = |of_32: u64| self.limit / 32 * of_32;
        let (low, high, critical) = (part(LOW), part(HIGH), part(CRITICAL));
        self.since = self.since.saturating_add(1);
        self.calm = if resident < low { self.calm + 1 } else { 0 };
        if resident >= critical {
            // At the limit nobody waits for what the last step has done.
            self.shrink(ORDER.len(), 0)
        } else if resident >= high {
            self.shrink(self.taken + 1, PAUSE)
        } else {
            self.restore()
        }
    }

    /// Takes steps until `wanted` are taken, if the last was more than `pause` readings ago; all of them anew, now and then, if
    /// they are already.
    fn shrink(&mut self, wanted: usize, pause: u32) -> Vec<Action> {
        let is_all = self.taken == ORDER.len();
        if self.since <= if is_all { AGAIN } else { pause } {
            return Vec::new();
        }
        let from = if is_all { 0 } else { self.taken };
        if std::mem::take(&mut self.was_restored) {
            self.patience = (self.patience * 2).min(MOST_CALM);
        }
        (self.taken, self.since) = (wanted.min(ORDER.len()), 0);
        ORDER[from..self.taken].iter().map(|step| Action::Shrink(*step)).collect()
    }

    /// Takes the last step back, if memory has been low for long enough.
    fn restore(&mut self) -> Vec<Action> {
        if self.taken == 0 || self.calm < self.patience {
            return Vec::new();
        }
        (self.taken, self.calm, self.was_restored) = (self.taken - 1, 0, true);
        vec![Action::Restore(ORDER[self.taken])]
    }
}

#[cfg(test)]
mod tests;
