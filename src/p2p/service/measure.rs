//! Gauges of gossip: meshes, subnets, scores; and what is said when the line or the peers are not enough for it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::Service;
use crate::{
    metrics::{self, GOSSIP_MESH_PEERS, GOSSIP_SCORES, SUBNET_PEERS, THIN_SUBNETS},
    p2p::{
        budget::Way,
        gossip::{GOSSIP_SCORE, GRAYLIST_SCORE, PUBLISH_SCORE},
        lacks::{Line, Standing},
        peer::PeerState,
        subnets::SubnetPeers,
        topic::Topic,
    },
};

/// Time between two looks: meshes change once in a heartbeat, and whoever reads metrics does so every ten seconds or so.
pub(super) const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Bands of gossipsub's scores, from their lower ends on.
const BANDS: [(&str, f64); 6] = [
    ("positive", f64::MIN_POSITIVE),
    ("zero", 0.0),
    ("negative", GOSSIP_SCORE),
    ("no_gossip", PUBLISH_SCORE),
    ("no_publish", GRAYLIST_SCORE),
    ("graylisted", f64::NEG_INFINITY),
];

/// One of each kind that has subnets.
const WITH_SUBNETS: [Topic; 3] = [Topic::BeaconAttestation(0), Topic::SyncCommittee(0), Topic::DataColumnSidecar(0)];

impl Service {
    /// Sets the gauges, and says what is lacking.
    pub(super) fn measure(&mut self, now: Instant) {
        let subnets = self.subnet_peers();
        self.measure_gossip(&subnets);
        for line in self.lacks_now(&subnets, now) {
            match line {
                Line::Warning(text) => warn!("{text}"),
                Line::Over(text) => info!("{text}"),
            }
        }
    }

    /// What is to be said of the line and of peers.
    pub(super) fn lacks_now(&mut self, subnets: &[SubnetPeers], now: Instant) -> Vec<Line> {
        let connected = self.peers.values().filter(|peer| peer.state == PeerState::Connected);
        let (size, max_peers) = (self.config.network_size, self.config.max_peers);
        let standing = Standing {
            gossip: size.gossip_rate(&self.topics, max_peers, self.forks.max_blobs),
            budget: self.config.budget,
            overdrawn: Way::BOTH.map(|way| self.budget.is_overdrawn(way, now)),
            target: max_peers,
            peers: connected.count(),
            subnets,
        };
        self.lacks.look(now, &standing)
    }

    fn measure_gossip(&self, subnets: &[SubnetPeers]) {
        let least = |sizes: &mut BTreeMap<&'static str, usize>, label, size: usize| {
            sizes.entry(label).and_modify(|least| *least = size.min(*least)).or_insert(size);
        };
        let mut meshes = BTreeMap::new();
        for topic in &self.topics {
            least(&mut meshes, topic.label(), self.gossip().mesh_peers(&topic.on(self.forks.current).hash()).count());
        }
        for (topic, peers) in meshes {
            metrics::set(&GOSSIP_MESH_PEERS, &[("topic", topic)], peers as f64);
        }
        let mut fewest = BTreeMap::new();
        subnets.iter().for_each(|subnet| least(&mut fewest, subnet.topic.label(), subnet.peers));
        for (topic, peers) in fewest {
            metrics::set(&SUBNET_PEERS, &[("topic", topic)], peers as f64);
        }
        for topic in WITH_SUBNETS.map(Topic::label) {
            let thin = subnets.iter().filter(|subnet| subnet.is_thin() && subnet.topic.label() == topic);
            let peers: Vec<usize> = thin.map(|subnet| subnet.peers).collect();
            let none = peers.iter().filter(|peers| **peers == 0).count();
            for (label, count) in [("none", none), ("few", peers.len() - none)] {
                metrics::set(&THIN_SUBNETS, &[("topic", topic), ("peers", label)], count as f64);
            }
        }
        let mut bands = BANDS.map(|(band, _)| (band, 0));
        for score in self.peers.keys().filter_map(|peer| self.gossip().peer_score(peer)) {
            if let Some(at) = BANDS.iter().position(|(_, from)| score >= *from) {
                bands[at].1 += 1;
            }
        }
        for (band, peers) in bands {
            metrics::set(&GOSSIP_SCORES, &[("band", band)], f64::from(peers));
        }
    }
}
