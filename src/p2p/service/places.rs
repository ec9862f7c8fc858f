//! When there are more peers than places: who leaves.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use libp2p::{PeerId, gossipsub::TopicHash};
use tracing::debug;

use super::Service;
use crate::p2p::{
    messages::GoodbyeReason,
    peer::{Direction, PeerState},
};

/// A topic of ours that fewer peers than this listen to needs each of them: gossip wants 6 to 12 in its mesh.
const PEERS_PER_TOPIC: usize = 6;

/// A newcomer is judged after so long, when its subscriptions are known; until then it takes nobody's place.
const NEWCOMER_TIME: Duration = Duration::from_secs(1);

/// What a peer is worth, compared from the first field on; the least leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    /// Points lost, rounded: who behaves badly leaves first.
    score: i64,
    /// Topics of ours that need it.
    needed: usize,
    /// Whether we chose it. Those who come may be one person's.
    is_chosen: bool,
    /// Whose connection is older, by a number that grows with each new one. A newcomer must be better, not new.
    age: Reverse<u64>,
}

impl Service {
    /// Sends away who is worth least, while there are more peers than places.
    pub(super) fn make_room(&mut self, now: Instant) {
        let limits = self.config.limits();
        if self.peers.len() <= limits.places(Some(Direction::Inbound)) {
            return;
        }
        let needed = self.needed();
        for direction in [Some(Direction::Inbound), None] {
            loop {
                let staying = self.peers.iter().filter(|(_, peer)| {
                    peer.state == PeerState::Connected
                        && peer.since + NEWCOMER_TIME <= now
                        && direction.is_none_or(|it| peer.direction == it)
                });
                let mut worth: Vec<(Worth, PeerId)> =
                    staying.map(|(id, _)| (self.worth(id, &needed, now), *id)).collect();
                if worth.len() <= limits.places(direction) {
                    break;
                }
                worth.retain(|(_, id)| !self.dialer.contains(id));
                let Some((worth, id)) = worth.into_iter().min() else { break };
                debug!(peer = %id, ?worth, "no place for this peer");
                self.leave(id, GoodbyeReason::TooManyPeers);
            }
        }
    }

    fn worth(&self, id: &PeerId, needed: &HashMap<PeerId, usize>, now: Instant) -> Worth {
        let peer = &self.peers[id];
        Worth {
            score: peer.score.at(now).round() as i64,
            needed: needed.get(id).copied().unwrap_or(0),
            is_chosen: peer.direction == Direction::Outbound,
            age: Reverse(peer.session),
        }
    }

    /// For each peer, how many of our topics have few others.
    fn needed(&self) -> HashMap<PeerId, usize> {
        let gossip = &self.swarm.behaviour().gossip;
        let ours: HashSet<&TopicHash> = gossip.sub.topics().collect();
        let mut listeners: HashMap<&TopicHash, Vec<PeerId>> = HashMap::new();
        for (peer, topics) in gossip.sub.all_peers() {
            for topic in topics.into_iter().filter(|topic| ours.contains(*topic)) {
                listeners.entry(topic).or_default().push(*peer);
            }
        }
        let thin = listeners.into_values().filter(|peers| peers.len() < PEERS_PER_TOPIC);
        let mut needed = HashMap::new();
        for peer in thin.flatten() {
            *needed.entry(peer).or_default() += 1;
        }
        needed
    }
}
