//! Gauges of gossip: meshes, subnets, scores.

use std::{collections::BTreeMap, time::Duration};

use super::Service;
use crate::{
    metrics::{self, GOSSIP_MESH_PEERS, GOSSIP_SCORES, SUBNET_PEERS, SUBNETS_THIN},
    p2p::gossip::{GOSSIP_SCORE, GRAYLIST_SCORE, PUBLISH_SCORE},
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

impl Service {
    /// Sets the gauges.
    pub(super) fn measure(&self) {
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
        let mut subnets = BTreeMap::new();
        self.subnet_peers().iter().for_each(|subnet| least(&mut subnets, subnet.topic.label(), subnet.peers));
        for (topic, peers) in subnets {
            metrics::set(&SUBNET_PEERS, &[("topic", topic)], peers as f64);
        }
        metrics::set(&SUBNETS_THIN, &[], self.thin_subnets().len() as f64);
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
