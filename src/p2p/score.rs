//! A peer's score: what it did wrong counts, and is forgotten with time.

use std::time::{Duration, Instant};

/// At this score a peer is sent away and banned.
pub const BAN_BELOW: f64 = -50.0;
/// Half of a penalty is forgotten after this time.
const HALF_LIFE: Duration = Duration::from_secs(600);

/// Why a peer is punished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A gossip message that did not decompress or decode.
    GossipMalformed,
    /// A gossip message that failed validation.
    GossipRejected,
    /// More gossip than any honest peer sends: copies, blocks without parents, or nothing that is of use.
    GossipFlood,
    /// Gossipsub's own score for the peer fell below its last threshold.
    GossipScore,
    /// A request that could not be decoded.
    RequestMalformed,
    /// More requests at once than allowed.
    TooManyRequests,
    /// A response that could not be decoded, or was too long.
    ResponseMalformed,
    /// A block of an unknown fork, or one that was not asked for.
    ResponseUnrelated,
    /// A request was not answered in time, or an answer not read.
    Timeout,
    /// Gossip was not read at all while we had much of it.
    GossipUnread,
    /// The same request again and again.
    RequestRepeated,
    /// The connection failed inside an answer, or the peer answered with an error of its own.
    Failure,
    /// A block that is invalid.
    InvalidBlock,
    /// A column that is invalid.
    InvalidColumn,
    /// A range of blocks that does not form a chain, or misses blocks.
    BadRange,
}

impl Reason {
    /// All of them, in the order of the type.
    const ALL: [Reason; 15] = [
        Reason::GossipMalformed,
        Reason::GossipRejected,
        Reason::GossipFlood,
        Reason::GossipScore,
        Reason::RequestMalformed,
        Reason::TooManyRequests,
        Reason::ResponseMalformed,
        Reason::ResponseUnrelated,
        Reason::Timeout,
        Reason::GossipUnread,
        Reason::RequestRepeated,
        Reason::Failure,
        Reason::InvalidBlock,
        Reason::InvalidColumn,
        Reason::BadRange,
    ];

    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Reason::GossipMalformed => "gossip_malformed",
            Reason::GossipRejected => "gossip_rejected",
            Reason::GossipFlood => "gossip_flood",
            Reason::GossipScore => "gossip_score",
            Reason::RequestMalformed => "request_malformed",
            Reason::TooManyRequests => "too_many_requests",
            Reason::ResponseMalformed => "response_malformed",
            Reason::ResponseUnrelated => "response_unrelated",
            Reason::Timeout => "timeout",
            Reason::GossipUnread => "gossip_unread",
            Reason::RequestRepeated => "request_repeated",
            Reason::Failure => "failure",
            Reason::InvalidBlock => "invalid_block",
            Reason::InvalidColumn => "invalid_column",
            Reason::BadRange => "bad_range",
        }
    }

    /// What it costs. An honest peer may be slow or unlucky often; it never sends what cannot be decoded.
    const fn weight(self) -> f64 {
        match self {
            Reason::Failure => -2.0,
            Reason::Timeout | Reason::TooManyRequests => -5.0,
            Reason::GossipRejected | Reason::BadRange | Reason::GossipUnread | Reason::RequestRepeated => -10.0,
            Reason::GossipMalformed
            | Reason::GossipFlood
            | Reason::RequestMalformed
            | Reason::ResponseMalformed
            | Reason::ResponseUnrelated => -20.0,
            Reason::InvalidBlock | Reason::InvalidColumn => -25.0,
            Reason::GossipScore => BAN_BELOW,
        }
    }
}

/// One peer's score: zero is unblemished, below [`BAN_BELOW`] is banned.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    value: f64,
    at: Instant,
    /// How often for each reason.
    counts: [u32; Reason::ALL.len()],
}

impl Score {
    /// Unblemished.
    pub fn new(now: Instant) -> Score {
        Score { value: 0.0, at: now, counts: Default::default() }
    }

    /// The score at `now`, with what is forgotten by then.
    pub fn at(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at);
        self.value * 0.5f64.powf(age.as_secs_f64() / HALF_LIFE.as_secs_f64())
    }

    /// Counts `reason`; returns the new score.
    pub fn punish(&mut self, reason: Reason, now: Instant) -> f64 {
        (self.value, self.at) = (self.at(now) + reason.weight(), now);
        self.counts[reason as usize] = self.counts[reason as usize].saturating_add(1);
        self.value
    }

    /// Why points were lost, each with how often.
    pub fn penalties(&self) -> Vec<(&'static str, u32)> {
        let counted = Reason::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0);
        counted.map(|(reason, count)| (reason.label(), count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_add_up_and_fade() {
        let start = Instant::now();
        let mut score = Score::new(start);
        assert_eq!(score.punish(Reason::GossipMalformed, start), -20.0);
        assert_eq!(score.punish(Reason::ResponseMalformed, start), -40.0);
        assert_eq!(score.at(start + HALF_LIFE), -20.0);
        assert!(score.punish(Reason::RequestMalformed, start) < BAN_BELOW);
        score.punish(Reason::GossipMalformed, start);
        assert_eq!(score.penalties(), [("gossip_malformed", 2), ("request_malformed", 1), ("response_malformed", 1)]);
    }

    #[test]
    fn an_unlucky_peer_is_not_banned() {
        let mut now = Instant::now();
        let mut score = Score::new(now);
        for _ in 0..1000 {
            now += HALF_LIFE / 5;
            assert!(score.punish(Reason::Timeout, now) > BAN_BELOW);
        }
    }
}
