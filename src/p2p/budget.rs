//! The bandwidth budget: how much of the line the owner gives us, each way.
//!
//! What goes over the wire is counted where it does, below encryption. Gossip keeps us in the mesh and never waits, but it
//! is paid from the same bucket as all else; what we choose to do waits until the bucket holds what its use leaves for those
//! before it. So the sum holds, whatever gossip takes, as long as gossip alone fits.

mod lane;
mod month;
mod rate;

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use smol::Timer;
use tracing::warn;

pub use self::lane::Grant;
pub use self::rate::{Bandwidth, ByteAmount, RateError};
use self::{lane::Lane, month::Month};
use crate::metrics::{self, BUDGET, BUDGET_DELAY_SECONDS, BUDGET_DELAYED, DATA_CAP, MONTH_BYTES};

/// How much of the line we may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetConfig {
    /// Received, in bytes per second; none: without a limit.
    pub download: Option<u64>,
    /// Sent, in bytes per second.
    pub upload: Option<u64>,
    /// Both together in a calendar month, in bytes. It is shown and warned of, not enforced: a node that stops is worse.
    pub data_cap: Option<u64>,
}

/// What bytes are for, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Blocks that the head needs. They never wait.
    Head,
    /// Columns that we have to keep, and blocks on the way to the head.
    Custody,
    /// What others ask us for.
    Serving,
    /// History.
    Backfill,
}

impl Use {
    const fn label(self) -> &'static str {
        match self {
            Use::Head => "head",
            Use::Custody => "custody",
            Use::Serving => "serving",
            Use::Backfill => "backfill",
        }
    }

    /// The part of a full bucket that must be there before such bytes go: the less urgent, the more is left to others.
    const fn leaves(self) -> f64 {
        match self {
            Use::Head => f64::NEG_INFINITY,
            Use::Custody => 0.0,
            Use::Serving => 0.3,
            Use::Backfill => 0.6,
        }
    }
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To us.
    Down,
    /// From us.
    Up,
}

impl Way {
    const fn label(self) -> &'static str {
        match self {
            Way::Down => "down",
            Way::Up => "up",
        }
    }
}

/// The longest wait for leave: less than others' patience for the next piece of what they sent or asked for, and than the
/// chain's for an answer.
const PATIENCE: Duration = Duration::from_secs(7);
/// Time for which gossip alone must exceed the budget before we say so, and between two such lines.
const OVERDRAWN_TIME: Duration = Duration::from_secs(600);

/// Both ways.
#[derive(Debug)]
pub struct Budget {
    down: Lane,
    up: Lane,
    cap: Option<u64>,
    month: Mutex<Month>,
    /// Since when gossip alone has taken more than there is; moved on with each warning.
    overdrawn: Mutex<Option<Instant>>,
}

impl Budget {
    /// Full buckets; `file` keeps the month's sums across restarts.
    pub fn new(config: BudgetConfig, file: &Path) -> Budget {
        for (way, rate) in [(Way::Down, config.download), (Way::Up, config.upload)] {
            metrics::set(&BUDGET, &[("direction", way.label())], rate.unwrap_or(0) as f64);
        }
        metrics::set(&DATA_CAP, &[], config.data_cap.unwrap_or(0) as f64);
        let now = Instant::now();
        Budget {
            down: Lane::new(config.download, now),
            up: Lane::new(config.upload, now),
            cap: config.data_cap,
            month: Mutex::new(Month::load(file, SystemTime::now())),
            overdrawn: Mutex::new(None),
        }
    }

    fn lane(&self, way: Way) -> &Lane {
        match way {
            Way::Down => &self.down,
            Way::Up => &self.up,
        }
    }

    /// So many bytes went over the wire, for whatever.
    pub fn passed(&self, way: Way, bytes: usize) {
        self.lane(way).passed(bytes as u64, Instant::now());
    }

    /// Whether something may be begun now. What it brings is paid for as it comes.
    pub fn is_ready(&self, way: Way, for_what: Use) -> bool {
        self.lane(way).take(for_what.leaves(), 0, Instant::now()).is_ok()
    }

    /// Waits until `bytes` may go over the wire; `None` when that takes too long. They count as gone while the grant is held, and
    /// as what they are when they pass: so it is to be dropped when they have.
    pub async fn wait(&self, way: Way, for_what: Use, bytes: usize) -> Option<Grant<'_>> {
        let lane = self.lane(way);
        let begin = Instant::now();
        let mut now = begin;
        let grant = loop {
            match lane.take(for_what.leaves(), bytes as u64, now) {
                Ok(grant) => break Some(grant),
                Err(_) if now - begin >= PATIENCE => break None,
                Err(wait) => Timer::after(wait).await,
            };
            now = Instant::now();
        };
        if now > begin {
            let labels = [("direction", way.label()), ("use", for_what.label())];
            metrics::add(&BUDGET_DELAYED, &labels, bytes as u64);
            metrics::observe(&BUDGET_DELAY_SECONDS, &labels, (now - begin).as_secs_f64());
        }
        grant
    }

    /// Keeps the month's sums, and says when the budget is too small for what the network needs.
    pub fn tick(&self, now: Instant) {
        let mut month = self.month.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = month.add(self.down.take_total(), self.up.take_total(), SystemTime::now(), self.cap);
        metrics::set(&MONTH_BYTES, &[("direction", Way::Down.label())], month.received as f64);
        metrics::set(&MONTH_BYTES, &[("direction", Way::Up.label())], month.sent as f64);
        if is_over {
            warn!("this month's traffic is over --data-cap; --max-bandwidth lowers it from now on");
        }
        drop(month);
        self.warn_if_overdrawn(now);
    }

    fn warn_if_overdrawn(&self, now: Instant) {
        let is_overdrawn = self.down.is_overdrawn(now) || self.up.is_overdrawn(now);
        let mut since = self.overdrawn.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_overdrawn {
            *since = None;
        } else if now.saturating_duration_since(*since.get_or_insert(now)) >= OVERDRAWN_TIME {
            *since = Some(now);
            warn!("gossip alone takes more than --max-bandwidth allows: raise it, or lower --target-peers");
        }
    }

    /// Writes the month's sums down.
    pub fn save(&self) {
        self.month.lock().unwrap_or_else(PoisonError::into_inner).save();
    }
}
