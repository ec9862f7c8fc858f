//! What the network needs of a line and of peers, and we do not have: said when it begins, seldom after, and when it is over.

use std::time::{Duration, Instant};

use super::{
    budget::{BudgetConfig, Way},
    subnets::SubnetPeers,
    topic::Topic,
};
use crate::metrics::{self, BANDWIDTH_BELOW_NEED, PEERS_BELOW_NEED};

/// Peers without whom gossip's meshes, of eight, are not whole: what comes is late, or comes from two or three people.
const NEEDED_PEERS: usize = 8;
/// Time for which something that comes and goes has to last before it is said, and has to be well before that is said.
const LASTING: Duration = Duration::from_secs(600);
/// Time between two lines about what lasts: a person who looks into the log of a day sees it.
const AGAIN: Duration = Duration::from_secs(6 * 3600);
/// Above what gossip takes, something is to be left for columns that it did not bring, for what others ask for, and for history.
const HEADROOM: f64 = 1.25;
/// Subnets named in a line.
const NAMED: usize = 4;

/// How things stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing<'a> {
    /// Bytes in a second that gossip takes each way.
    pub gossip: f64,
    /// What we may use of the line.
    pub budget: BudgetConfig,
    /// Whether gossip owes more than a full bucket, in the order of [`Way::BOTH`].
    pub overdrawn: [bool; 2],
    /// Peers that there may be.
    pub target: usize,
    /// Peers that there are.
    pub peers: usize,
    /// The subnets that we need.
    pub subnets: &'a [SubnetPeers],
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Somebody should do something.
    Warning(String),
    /// It is over.
    Over(&'static str),
}

/// What was said, and since when it is so.
#[derive(Debug, Default)]
pub(super) struct Lacks {
    rate: Notice,
    debts: [Notice; 2],
    peers: Notice,
    subnets: Notice,
}

impl Lacks {
    /// Sets the gauges, and returns what is to be said now.
    pub fn look(&mut self, now: Instant, standing: &Standing) -> Vec<Line> {
        let mut lines = Vec::new();
        self.look_at_line(now, standing, &mut lines);
        self.look_at_peers(now, standing, &mut lines);
        lines
    }

    fn look_at_line(&mut self, now: Instant, standing: &Standing, lines: &mut Vec<Line>) {
        let too_low = |way: &Way| standing.budget.rate(*way).is_some_and(|rate| (rate as f64) < standing.gossip);
        let ways: Vec<Way> = Way::BOTH.into_iter().filter(too_low).collect();
        // A limit is one from the beginning.
        let news = self.rate.look(!ways.is_empty(), Duration::ZERO, now);
        lines.extend(
            news.line(|| limited(&ways, standing), "what the limits of bandwidth allow is enough for gossip again"),
        );
        for ((way, debt), is_overdrawn) in Way::BOTH.into_iter().zip(&mut self.debts).zip(standing.overdrawn) {
            let news = debt.look(is_overdrawn, LASTING, now);
            // The limit itself says it better.
            if !ways.contains(&way) {
                lines.extend(news.line(|| in_debt(way), "gossip has come down to what the limits of bandwidth allow"));
            }
            let is_below = ways.contains(&way) || debt.is_on;
            metrics::set(&BANDWIDTH_BELOW_NEED, &[("direction", way.label())], f64::from(is_below));
        }
    }

    fn look_at_peers(&mut self, now: Instant, standing: &Standing, lines: &mut Vec<Line>) {
        let Standing { target, peers, .. } = *standing;
        let patience = if target < NEEDED_PEERS { Duration::ZERO } else { LASTING };
        let news = self.peers.look(peers.min(target) < NEEDED_PEERS, patience, now);
        lines.extend(news.line(|| too_few(target, peers), "there are as many peers again as gossip needs"));
        metrics::set(&PEERS_BELOW_NEED, &[], f64::from(self.peers.is_on));
        // Without peers all are empty, which is no news.
        let empty = standing.subnets.iter().filter(|subnet| subnet.peers == 0 && peers > 0);
        let empty: Vec<Topic> = empty.map(|subnet| subnet.topic).collect();
        let news = self.subnets.look(!empty.is_empty(), LASTING, now);
        lines.extend(news.line(|| deserted(&empty), "all our subnets have peers again"));
    }
}

/// What is new about something that is so or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Nothing,
    /// It is so, which was not said or long ago.
    IsSo,
    Over,
}

impl News {
    fn line(self, warning: impl FnOnce() -> String, over: &'static str) -> Option<Line> {
        match self {
            News::Nothing => None,
            News::IsSo => Some(Line::Warning(warning())),
            News::Over => Some(Line::Over(over)),
        }
    }
}

/// Something that may last.
#[derive(Debug, Default)]
struct Notice {
    /// Whether it counts as so.
    is_on: bool,
    /// Since when it has been otherwise.
    changed: Option<Instant>,
    /// When it is said again.
    again: Option<Instant>,
}

impl Notice {
    /// Looks whether it has been so for as long as it takes to count, or not so for [`LASTING`].
    fn look(&mut self, is_so: bool, patience: Duration, now: Instant) -> News {
        if is_so == self.is_on {
            self.changed = None;
            let is_due = self.is_on && self.again.is_some_and(|again| again <= now);
            if is_due {
                self.again = Some(now + AGAIN);
            }
            return if is_due { News::IsSo } else { News::Nothing };
        }
        let since = *self.changed.get_or_insert(now);
        if now.saturating_duration_since(since) < if is_so { patience } else { LASTING } {
            return News::Nothing;
        }
        *self = Notice { is_on: is_so, changed: None, again: Some(now + AGAIN) };
        if is_so { News::IsSo } else { News::Over }
    }
}

fn mbit(bytes: f64) -> f64 {
    bytes * 8.0 / 1e6
}

/// The flags by which a way is limited.
fn flags(way: Way) -> &'static str {
    match way {
        Way::Down => "--max-bandwidth or --max-download",
        Way::Up => "--max-bandwidth or --max-upload",
    }
}

fn limited(ways: &[Way], standing: &Standing) -> String {
    let one = |way: &Way| {
        let rate = standing.budget.rate(*way).unwrap_or_default();
        format!("{:.1} mbit/s {} ({})", mbit(rate as f64), way.label(), flags(*way))
    };
    format!(
        "gossip takes about {:.1} mbit/s each way on this network, and what may be used of the line is {}: gossip goes beyond it, and \
         little else will go at all; allow {:.0}mbit or more",
        mbit(standing.gossip),
        ways.iter().map(one).collect::<Vec<_>>().join(" and "),
        mbit(standing.gossip * HEADROOM).ceil(),
    )
}

fn in_debt(way: Way) -> String {
    format!(
        "gossip alone has taken more {} for {} minutes than {} allows: raise it, or lower --target-peers, not below {NEEDED_PEERS}",
        way.label(),
        LASTING.as_secs() / 60,
        flags(way),
    )
}

fn too_few(target: usize, peers: usize) -> String {
    if target < NEEDED_PEERS {
        return format!(
            "--target-peers {target} is less than the {NEEDED_PEERS} peers that gossip needs: blocks and columns will come late or \
             not at all, and votes may get lost; give {NEEDED_PEERS} at least"
        );
    }
    format!(
        "for {} minutes there have been fewer than the {NEEDED_PEERS} peers that gossip needs, now {peers}: check the connection, \
         forward the port (TCP and UDP) in the router, and look at --no-discovery and --boot-nodes if they are set",
        LASTING.as_secs() / 60
    )
}

fn deserted(subnets: &[Topic]) -> String {
    let mut names: Vec<String> = subnets.iter().take(NAMED).map(|topic| topic.name()).collect();
    if subnets.len() > NAMED {
        names.push(format!("{} more", subnets.len() - NAMED));
    }
    format!(
        "for {} minutes some of our subnets have had no peers, now {}: what is said there does not reach us, nor others what we \
         say; raise --target-peers, and forward the port (TCP and UDP) in the router",
        LASTING.as_secs() / 60,
        names.join(", ")
    )
}

#[cfg(test)]
mod tests;
