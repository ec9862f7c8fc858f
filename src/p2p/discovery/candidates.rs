//! Who may be dialled next: those found, without those whom we tried in vain a short while ago.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

use libp2p::{
    PeerId,
    swarm::{ConnectionId, dial_opts::DialOpts},
};
use rand::Rng as _;

use super::{Needs, record, scope::Network, scope::is_dialable};
use crate::{
    metrics::{self, NODES_FOUND},
    p2p::{
        address::{PeerAddress, from_record},
        identity::{Enr, peer_id_of},
    },
};

/// Nodes that wait to be dialled: a search brings 16, and the oldest make room. 100 KB.
const MAX_WAITING: usize = 128;
/// Dials under way at once: more would be a burst on a home line.
pub const MAX_DIALS: usize = 8;
/// Peers that we remember not to dial for a while. Those whose time comes first make room. 100 KB.
const MAX_TRIED: usize = 1024;
/// Connections to one network of addresses that we open: one party could have all of its addresses.
const MAX_PER_NETWORK: usize = 2;
/// Wait after the first failure, and after a connection that ended; it doubles with each next failure.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(4 * 3600);
/// Failures that a peer of another fork, or a banned one, counts as.
const USELESS: u32 = 7;
/// Failures that a peer without a place for us counts as; with the loss that follows, it is left alone for eight minutes.
const CROWDED: u32 = 4;

struct Candidate {
    peer: PeerId,
    ip: IpAddr,
    address: PeerAddress,
    record: Enr,
}

#[derive(Clone, Copy)]
struct Tried {
    failures: u32,
    again_at: Instant,
}

/// Who may be dialled next.
pub struct Candidates {
    private_addresses: bool,
    waiting: VecDeque<Candidate>,
    dialing: HashMap<ConnectionId, Candidate>,
    tried: HashMap<PeerId, Tried>,
}

impl Candidates {
    /// Nobody yet.
    pub fn new(private_addresses: bool) -> Candidates {
        Candidates { private_addresses, waiting: VecDeque::new(), dialing: HashMap::new(), tried: HashMap::new() }
    }

    /// A node was found. Returns whether it is new and may be dialled.
    pub fn offer(&mut self, record: Enr, now: Instant) -> bool {
        let result = self.take(record, now);
        metrics::inc(&NODES_FOUND, &[("result", result)]);
        result == "new"
    }

    fn take(&mut self, record: Enr, now: Instant) -> &'static str {
        let Some(peer) = peer_id_of(&record) else { return "no_address" };
        let Some(address) = from_record(record.clone()) else { return "no_address" };
        // One private address among others says that the record is not made for us.
        if !record::addresses(&record).all(|ip| is_dialable(ip, self.private_addresses)) {
            return "private_address";
        }
        let Some(ip) = record::addresses(&record).next() else { return "no_address" };
        if self.tried.get(&peer).is_some_and(|tried| now < tried.again_at) {
            return "tried";
        }
        if self.dialing.values().any(|other| other.peer == peer) {
            return "known";
        }
        let candidate = Candidate { peer, ip, address, record };
        if let Some(known) = self.waiting.iter_mut().find(|known| known.peer == peer) {
            if known.record.seq() < candidate.record.seq() {
                *known = candidate;
            }
            return "known";
        }
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(candidate);
        "new"
    }

    /// Dials to those that meet most of our needs, and at least as many as the number says. `wanted` is how many peers we lack,
    /// `ours` whom we must not dial, and `connected` the addresses to which we have opened connections.
    pub fn due(
        &mut self,
        wanted: usize,
        (needs, least): (&Needs, usize),
        mut ours: impl FnMut(&PeerId) -> bool,
        connected: impl Iterator<Item = IpAddr>,
    ) -> Vec<DialOpts> {
        let wanted = wanted.min(MAX_DIALS).saturating_sub(self.dialing.len());
        let mut networks: HashMap<Network, usize> = HashMap::new();
        for network in connected.chain(self.dialing.values().map(|dial| dial.ip)).filter_map(Network::of) {
            *networks.entry(network).or_default() += 1;
        }
        self.waiting.retain(|candidate| !ours(&candidate.peer));
        let mut dials = Vec::new();
        while dials.len() < wanted {
            let is_free = |candidate: &Candidate| {
                let is_enough = least == 0 || needs.met_by(&candidate.record) >= least;
                is_enough
                    && Network::of(candidate.ip).is_none_or(|it| networks.get(&it).is_none_or(|n| *n < MAX_PER_NETWORK))
            };
            let free = self.waiting.iter().enumerate().filter(|(_, candidate)| is_free(candidate));
            // Of equals the first, which waits longest.
            let best = free.min_by_key(|(_, candidate)| std::cmp::Reverse(needs.met_by(&candidate.record)));
            let Some(candidate) = best.map(|(at, _)| at).and_then(|at| self.waiting.remove(at)) else { break };
            if let Some(network) = Network::of(candidate.ip) {
                *networks.entry(network).or_default() += 1;
            }
            dials.extend(self.dial(candidate));
        }
        dials
    }

    fn dial(&mut self, candidate: Candidate) -> Option<DialOpts> {
        let opts = candidate.address.dial_opts()?;
        self.dialing.insert(opts.connection_id(), candidate);
        Some(opts)
    }

    /// Whether one of those that wait meets a need.
    pub fn has_for(&self, needs: &Needs) -> bool {
        self.waiting.iter().any(|candidate| needs.met_by(&candidate.record) > 0)
    }

    /// How many wait to be dialled.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many dials are under way.
    pub fn dialing(&self) -> usize {
        self.dialing.len()
    }

    /// A dial succeeded. Returns the peer's record.
    pub fn connected(&mut self, id: ConnectionId) -> Option<Enr> {
        self.dialing.remove(&id).map(|candidate| candidate.record)
    }

    /// A dial failed.
    pub fn failed(&mut self, id: ConnectionId, now: Instant) {
        if let Some(candidate) = self.dialing.remove(&id) {
            self.wait(candidate.peer, 1, now);
        }
    }

    /// The first exchange with a peer went well.
    pub fn proved(&mut self, peer: &PeerId) {
        self.tried.remove(peer);
    }

    /// A connection ended.
    pub fn lost(&mut self, peer: PeerId, now: Instant) {
        self.wait(peer, 1, now);
    }

    /// A peer said that it has no place for us.
    pub fn crowded(&mut self, peer: &PeerId, now: Instant) {
        self.wait(*peer, CROWDED, now);
    }

    /// A peer is of no use for a long time.
    pub fn useless(&mut self, peer: PeerId, now: Instant) {
        self.wait(peer, USELESS, now);
    }

    fn wait(&mut self, peer: PeerId, failures: u32, now: Instant) {
        self.tried.retain(|_, tried| now < tried.again_at + LONGEST_WAIT);
        if self.tried.len() >= MAX_TRIED && !self.tried.contains_key(&peer) {
            let first = self.tried.iter().min_by_key(|(_, tried)| tried.again_at).map(|(peer, _)| *peer);
            first.map(|first| self.tried.remove(&first));
        }
        let failures = self.tried.get(&peer).map_or(0, |tried| tried.failures).saturating_add(failures);
        let wait = FIRST_WAIT.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_WAIT);
        let again_at = now + wait.mul_f64(rand::rng().random_range(0.75..1.0));
        self.tried.insert(peer, Tried { failures, again_at });
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::record::tests::{forks, record},
        *,
    };
    use crate::p2p::messages::MetaData;

    fn at(n: u8, ip: &str) -> Enr {
        record(n, ip, &forks(), &MetaData::default())
    }

    fn due(candidates: &mut Candidates, wanted: usize) -> Vec<DialOpts> {
        candidates.due(wanted, (&Needs::default(), 0), |_| false, std::iter::empty())
    }

    #[test]
    fn at_most_two_of_a_network_and_eight_at_once() {
        let (mut candidates, now) = (Candidates::new(false), Instant::now());
        for n in 1..=4 {
            assert!(candidates.offer(at(n, &format!("3.3.3.{n}")), now));
        }
        assert_eq!(due(&mut candidates, 50).len(), MAX_PER_NETWORK);
        assert!(due(&mut candidates, 50).is_empty());
        for n in 5..=24 {
            candidates.offer(at(n, &format!("4.4.{n}.1")), now);
        }
        assert_eq!(due(&mut candidates, 50).len(), MAX_DIALS - MAX_PER_NETWORK);
        assert_eq!(candidates.dialing(), MAX_DIALS);
    }

    #[test]
    fn addresses_that_are_connected_count_too() {
        let (mut candidates, now) = (Candidates::new(false), Instant::now());
        candidates.offer(at(1, "3.3.3.1"), now);
        let connected = ["3.3.3.8", "3.3.3.9"].map(|ip| ip.parse().unwrap());
        assert!(candidates.due(5, (&Needs::default(), 0), |_| false, connected.into_iter()).is_empty());
        assert_eq!(due(&mut candidates, 5).len(), 1);
    }

    #[test]
    fn private_addresses_are_refused_on_a_public_network() {
        let now = Instant::now();
        assert!(!Candidates::new(false).offer(at(1, "192.168.1.1"), now));
        assert!(!Candidates::new(false).offer(at(1, "127.0.0.1"), now));
        assert!(Candidates::new(true).offer(at(1, "127.0.0.1"), now));
    }

    #[test]
    fn who_failed_waits_longer_each_time_until_it_is_proved() {
        let (mut candidates, mut now) = (Candidates::new(false), Instant::now());
        let peer = peer_id_of(&at(1, "3.3.3.3")).unwrap();
        let mut waits = Vec::new();
        for _ in 0..4 {
            assert!(candidates.offer(at(1, "3.3.3.3"), now));
            let dial = due(&mut candidates, 1).remove(0);
            candidates.failed(dial.connection_id(), now);
            assert!(!candidates.offer(at(1, "3.3.3.3"), now));
            let again_at = candidates.tried[&peer].again_at;
            waits.push(again_at - now);
            now = again_at;
        }
        assert!(waits.is_sorted() && waits[3] > 4 * FIRST_WAIT, "{waits:?}");
        candidates.proved(&peer);
        candidates.lost(peer, now);
        assert!(candidates.offer(at(1, "3.3.3.3"), now + FIRST_WAIT));
    }

    #[test]
    fn who_has_no_place_for_us_is_left_alone_for_longer() {
        let (mut candidates, now) = (Candidates::new(false), Instant::now());
        let peer = peer_id_of(&at(1, "3.3.3.3")).unwrap();
        candidates.proved(&peer);
        candidates.crowded(&peer, now);
        candidates.lost(peer, now);
        assert!(!candidates.offer(at(1, "3.3.3.3"), now + 11 * FIRST_WAIT));
        assert!(candidates.offer(at(1, "3.3.3.3"), now + 16 * FIRST_WAIT));
    }

    #[test]
    fn who_is_of_no_use_is_left_alone_for_most_of_an_hour() {
        let (mut candidates, now) = (Candidates::new(false), Instant::now());
        let peer = peer_id_of(&at(1, "3.3.3.3")).unwrap();
        candidates.proved(&peer);
        candidates.useless(peer, now);
        candidates.lost(peer, now);
        assert!(!candidates.offer(at(1, "3.3.3.3"), now + 95 * FIRST_WAIT));
        assert!(candidates.offer(at(1, "3.3.3.3"), now + 128 * FIRST_WAIT));
    }

    #[test]
    fn who_meets_a_need_comes_first() {
        let (mut candidates, now) = (Candidates::new(false), Instant::now());
        let mut metadata = MetaData::default();
        candidates.offer(record(1, "3.3.3.3", &forks(), &metadata), now);
        metadata.attnets.set(9, true).unwrap();
        let useful = record(2, "4.4.4.4", &forks(), &metadata);
        candidates.offer(useful.clone(), now);
        let needs = Needs { attestation: [9].into(), ..Needs::default() };
        let dials = candidates.due(1, (&needs, 1), |_| false, std::iter::empty());
        assert_eq!(candidates.connected(dials[0].connection_id()), Some(useful));
        assert!(!candidates.has_for(&needs));
        assert!(candidates.due(1, (&needs, 1), |_| false, std::iter::empty()).is_empty(), "the other meets none");
    }

    #[test]
    fn tables_have_a_bound() {
        let (mut candidates, now) = (Candidates::new(false), Instant::now());
        for n in 0..2 * MAX_TRIED {
            candidates.lost(PeerId::random(), now + Duration::from_millis(n as u64));
        }
        assert_eq!(candidates.tried.len(), MAX_TRIED);
        for n in 1..=200 {
            candidates.offer(at(n, &format!("3.3.{n}.3")), now);
        }
        assert_eq!(candidates.waiting(), MAX_WAITING);
    }
}
