//! In which subnets we take part, and on which too few of our peers do.

use std::collections::BTreeSet;

use super::{
    messages::{Attnets, Syncnets},
    service::Service,
    topic::Topic,
};

/// Peers that a subnet of ours should have: one may be slow and one gone, and messages still come from two sides. A full mesh of
/// 8 on each of a dozen subnets would take more peers than a home has.
const PEERS_PER_SUBNET: usize = 4;

/// Which subnets matter to us now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnets {
    /// Topics of votes and sync committee messages to listen to, and no others.
    pub listen: BTreeSet<Topic>,
    /// Attestation subnets that our metadata and record announce.
    pub attnets: BTreeSet<u64>,
    /// Sync committee subnets that they announce.
    pub syncnets: BTreeSet<u64>,
    /// Topics on which we shall publish without listening: peers on them are looked for.
    pub publish: BTreeSet<Topic>,
}

/// A topic that we need, and how many of our peers are on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubnetPeers {
    /// Which.
    pub topic: Topic,
    /// Connected peers that are subscribed to it.
    pub peers: usize,
}

impl SubnetPeers {
    /// Whether more are looked for.
    pub fn is_thin(&self) -> bool {
        self.peers < PEERS_PER_SUBNET
    }
}

impl Service {
    /// Takes part in other subnets than before.
    pub(super) fn set_subnets(&mut self, subnets: Subnets) {
        let is_ruled = |topic: &Topic| matches!(topic, Topic::BeaconAttestation(_) | Topic::SyncCommittee(_));
        let left: Vec<Topic> =
            self.topics.iter().filter(|topic| is_ruled(topic) && !subnets.listen.contains(topic)).copied().collect();
        for topic in left {
            self.listen(topic, false);
        }
        for topic in subnets.listen.iter().filter(|topic| is_ruled(topic)) {
            self.listen(*topic, true);
        }
        let (mut attnets, mut syncnets) = (Attnets::default(), Syncnets::default());
        // Numbers beyond the vectors are no subnets.
        subnets.attnets.iter().for_each(|subnet| drop(attnets.set(*subnet as usize, true)));
        subnets.syncnets.iter().for_each(|subnet| drop(syncnets.set(*subnet as usize, true)));
        self.publish_on = subnets.publish;
        if (&self.metadata.attnets, &self.metadata.syncnets) != (&attnets, &syncnets) {
            self.metadata.attnets = attnets;
            self.metadata.syncnets = syncnets;
            self.metadata.seq_number += 1;
            self.renew_record();
        }
    }

    /// How many of our peers are on each subnet that we need, for listening or for publishing.
    pub(super) fn subnet_peers(&self) -> Vec<SubnetPeers> {
        let needed: BTreeSet<Topic> = self.topics.union(&self.publish_on).copied().collect();
        let subscriptions: Vec<Vec<_>> = self.gossip().all_peers().map(|(_, topics)| topics).collect();
        let counted = needed.into_iter().filter(|topic| topic.subnet().is_some()).map(|topic| {
            let hash = topic.on(self.forks.current).hash();
            let peers = subscriptions.iter().filter(|topics| topics.contains(&&hash)).count();
            SubnetPeers { topic, peers }
        });
        counted.collect()
    }
}
