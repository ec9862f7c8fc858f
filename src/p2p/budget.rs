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

impl BudgetConfig {
    /// Bytes per second that may go one way; none: without a limit.
    pub fn rate(&self, way: Way) -> Option<u64> {
        match way {
            Way::Down => self.download,
            Way::Up => self.upload,
        }
    }
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

    /// The longest wait for leave.
    const fn patience(self) -> Duration {
        match self {
            Use::Serving => ASKERS_PATIENCE,
            Use::Head | Use::Custody | Use::Backfill => PATIENCE,
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
    /// Both.
    pub const BOTH: [Way; 2] = [Way::Down, Way::Up];

    /// As metrics and the log write it.
    pub const fn label(self) -> &'static str {
        match self {
            Way::Down => "down",
            Way::Up => "up",
        }
    }
}

/// The longest wait for leave to ask: less than others' patience for the next piece of what they send, and than the chain's for
/// an answer.
const PATIENCE: Duration = Duration::from_secs(7);
/// The longest wait for leave to answer. Others wait 10 s for the next piece; a peer that then asks again, two at a time, still has no
/// more answers open than it may.
const ASKERS_PATIENCE: Duration = Duration::from_secs(15);

/// Both ways.
#[derive(Debug)]
pub struct Budget {
    down: Lane,
    up: Lane,
    cap: Option<u64>,
    month: Mutex<Month>,
}

impl Budget {
    /// Full buckets; `file` keeps the month's sums across restarts.
    pub fn new(config: BudgetConfig, file: &Path) -> Budget {
        for way in Way::BOTH {
            metrics::set(&BUDGET, &[("direction", way.label())], config.rate(way).unwrap_or(0) as f64);
        }
        metrics::set(&DATA_CAP, &[], config.data_cap.unwrap_or(0) as f64);
        let now = Instant::now();
        Budget {
            down: Lane::new(config.download, now),
            up: Lane::new(config.upload, now),
            cap: config.data_cap,
            month: Mutex::new(Month::load(file, SystemTime::now())),
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
                Err(_) if now - begin >= for_what.patience() => break None,
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

    /// Whether gossip, which never waits, owes more than a full bucket.
    pub fn is_overdrawn(&self, way: Way, now: Instant) -> bool {
        self.lane(way).is_overdrawn(now)
    }

    /// Keeps the month's sums.
    pub fn tick(&self) {
        let mut month = self.month.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = month.add(self.down.take_total(), self.up.take_total(), SystemTime::now(), self.cap);
        metrics::set(&MONTH_BYTES, &[("direction", Way::Down.label())], month.received as f64);
        metrics::set(&MONTH_BYTES, &[("direction", Way::Up.label())], month.sent as f64);
        if is_over {
            warn!("this month's traffic is over --data-cap; --max-bandwidth lowers it from now on");
        }
    }

    /// Writes the month's sums down.
    pub fn save(&self) {
        self.month.lock().unwrap_or_else(PoisonError::into_inner).save();
    }
}
