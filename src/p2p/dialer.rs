//! Keeps us connected to the peers that we were told to stay connected to.

use std::time::{Duration, Instant};

use libp2p::{
    PeerId,
    swarm::{ConnectionId, dial_opts::DialOpts},
};
use rand::Rng as _;

use super::address::PeerAddress;

/// Wait after the first failure; it doubles with each next one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Failures that a peer without a place for us counts as: a wait of 64 s.
const CROWDED_FAILURES: u32 = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not connected; to be dialled at this time.
    Waiting(Instant),
    Dialing(ConnectionId),
    Connected,
}

struct Target {
    address: PeerAddress,
    state: State,
    failures: u32,
}

/// The peers to stay connected to.
pub struct Dialer(Vec<Target>);

impl Dialer {
    /// All are due at once.
    pub fn new(addresses: Vec<PeerAddress>, now: Instant) -> Dialer {
        let target = |address| Target { address, state: State::Waiting(now), failures: 0 };
        Dialer(addresses.into_iter().map(target).collect())
    }

    /// The dials that are due.
    pub fn due(&mut self, now: Instant) -> Vec<DialOpts> {
        let due = self.0.iter_mut().filter(|target| matches!(target.state, State::Waiting(at) if at <= now));
        due.filter_map(|target| {
            let opts = target.address.dial_opts()?;
            target.state = State::Dialing(opts.connection_id());
            Some(opts)
        })
        .collect()
    }

    /// A connection to `peer` stands, whoever opened it. Returns the record that we have of it.
    pub fn connected(&mut self, id: ConnectionId, peer: PeerId) -> Option<&PeerAddress> {
        let target = self.0.iter_mut().find(|t| t.state == State::Dialing(id) || t.address.peer == Some(peer))?;
        target.address.peer = Some(peer);
        target.state = State::Connected;
        Some(&target.address)
    }

    /// The first exchange with `peer` went well: the next loss starts again with the shortest wait.
    pub fn proved(&mut self, peer: &PeerId) {
        if let Some(target) = self.of(peer) {
            target.failures = 0;
        }
    }

    /// The dial failed.
    pub fn failed(&mut self, id: ConnectionId, now: Instant) {
        if let Some(target) = self.0.iter_mut().find(|target| target.state == State::Dialing(id)) {
            target.retry(now);
        }
    }

    /// The last connection to `peer` is gone.
    pub fn lost(&mut self, peer: &PeerId, now: Instant) {
        if let Some(target) = self.of(peer) {
            target.retry(now);
        }
    }

    /// `peer` is of no use to us for a long time.
    pub fn useless(&mut self, peer: &PeerId) {
        if let Some(target) = self.of(peer) {
            target.failures = u32::MAX;
        }
    }

    /// `peer` has no place for us: it is dialled again in a minute or more.
    pub fn crowded(&mut self, peer: &PeerId) {
        if let Some(target) = self.of(peer) {
            target.failures = target.failures.max(CROWDED_FAILURES);
        }
    }

    /// Whether we were told to stay connected to `peer`.
    pub fn contains(&self, peer: &PeerId) -> bool {
        self.0.iter().any(|target| target.address.peer.as_ref() == Some(peer))
    }

    fn of(&mut self, peer: &PeerId) -> Option<&mut Target> {
        self.0.iter_mut().find(|target| target.address.peer.as_ref() == Some(peer))
    }
}

impl Target {
    fn retry(&mut self, now: Instant) {
        self.state = State::Waiting(now + jitter(wait_after(self.failures)));
        self.failures = self.failures.saturating_add(1);
    }
}

fn wait_after(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT)
}

/// Spreads the dials of nodes that lost the same peer at the same time.
fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.75..1.25))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let seconds: Vec<u64> = (0..4).map(|n| wait_after(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8]);
        assert_eq!(wait_after(u32::MAX), LONGEST_WAIT);
    }

    #[test]
    fn a_lost_peer_is_dialled_again_but_not_at_once() {
        let now = Instant::now();
        let peer = PeerId::random();
        let address = super::super::address::parse(&format!("/ip4/127.0.0.1/tcp/9000/p2p/{peer}")).unwrap();
        let mut dialer = Dialer::new(vec![address], now);
        let first = dialer.due(now);
        assert_eq!(first.len(), 1);
        assert!(dialer.due(now).is_empty());
        dialer.failed(first[0].connection_id(), now);
        assert!(dialer.due(now).is_empty());
        let second = dialer.due(now + 2 * FIRST_WAIT);
        dialer.connected(second[0].connection_id(), peer);
        assert!(dialer.due(now + LONGEST_WAIT * 2).is_empty());
        dialer.proved(&peer);
        dialer.lost(&peer, now);
        assert_eq!(dialer.due(now + 2 * FIRST_WAIT).len(), 1);
    }
}
