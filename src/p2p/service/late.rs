//! What gossipsub is told of a peer: our own score, and a pardon for what may be our own fault.

use std::time::{Duration, Instant};

use libp2p::PeerId;
use tracing::warn;

use super::Service;
use crate::{
    metrics::{self, P2P_LATE},
    p2p::{
        gossip::{FORGIVABLE, GRAYLIST_SCORE, application_score},
        peer::Peer,
        score::Reason,
    },
};

impl Service {
    /// Tells gossipsub our own score of a peer, which fades with time, and what is to be pardoned.
    pub(super) fn tell_gossip(&mut self, id: PeerId, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let gossip = &mut self.swarm.behaviour_mut().gossip.sub;
        let Some(score) = gossip.peer_score(&id) else { return };
        peer.gossip_score = score - peer.told_gossip;
        let ours = peer.score.at(now);
        let is_pardoned = is_blameless(peer, now);
        let pardon = if is_pardoned { self.late.pardon(peer.gossip_score, peer.since, now) } else { 0.0 };
        peer.told_gossip = application_score(ours) + pardon;
        gossip.set_application_score(&id, peer.told_gossip);
    }

    /// Sends away a peer that is of no use to gossipsub any more, unless that is rather our fault.
    pub(super) fn judge_gossip(&mut self, id: PeerId, now: Instant) {
        self.tell_gossip(id, now);
        let may_be_our_fault =
            self.is_graylisted(&id) && self.peers.get(&id).is_some_and(|peer| is_blameless(peer, now));
        if may_be_our_fault && !self.late.blames(self.peers.len(), now) {
            self.pardon("peers", "more peers at once seem to keep messages back than would by chance", now);
        }
        // Without a pardon, or in spite of it.
        if self.is_graylisted(&id) {
            self.punish(id, Reason::GossipScore);
        }
    }

    fn is_graylisted(&self, id: &PeerId) -> bool {
        self.gossip().peer_score(id).is_some_and(|score| score < GRAYLIST_SCORE)
    }

    /// We had no rest for so long: what peers sent meanwhile lies unread, and is not to be held against them.
    pub(super) fn on_pause(&mut self, by: Duration, now: Instant) {
        self.pardon("pause", &format!("the network had no rest, or was stopped, for {:.1} s", by.as_secs_f32()), now);
    }

    fn pardon(&mut self, sign: &'static str, what: &str, now: Instant) {
        metrics::inc(&P2P_LATE, &[("sign", sign)]);
        if self.late.tells(now) {
            warn!(
                "{what}: this machine or its line can't keep up. Peers are not blamed for what comes late; if this is told often \
                 (every ten minutes at most; hornero_p2p_late_total counts), give the node more memory, time or bandwidth"
            );
        }
        let everyone: Vec<PeerId> = self.peers.keys().copied().collect();
        for peer in everyone {
            self.tell_gossip(peer, now);
        }
    }
}

/// Who lost more with us than good deliveries may make up for is no honest peer that was only slow.
fn is_blameless(peer: &Peer, now: Instant) -> bool {
    peer.score.at(now) >= FORGIVABLE
}
