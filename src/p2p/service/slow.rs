//! Peers that do not keep up: points for each thing that is late, and an end when everything is.

use std::time::{Duration, Instant};

use libp2p::PeerId;
use tracing::debug;

use super::Service;
use crate::{
    metrics::{self, GOSSIP_UNSENT},
    p2p::{
        messages::GoodbyeReason,
        patience::Patience,
        peer::{Peer, PeerState},
        score::Reason,
    },
};

/// Another peer with whom something ended well within this time shows that it is not our own line that stands still.
const OTHERS_WELL_WITHIN: Duration = Duration::from_secs(10);

impl Service {
    /// A request of ours, or of the peer's, ended well.
    pub(super) fn on_well(&mut self, id: PeerId, with: fn(&mut Peer) -> &mut Patience) {
        if let Some(peer) = self.peers.get_mut(&id) {
            with(peer).well();
            peer.well_at = Some(Instant::now());
        }
    }

    /// One took longer than it may.
    pub(super) fn on_late(&mut self, id: PeerId, with: fn(&mut Peer) -> &mut Patience) {
        self.punish(id, Reason::Timeout);
        let (limit, now) = (self.config.response_timeout, Instant::now());
        // What costs no points for we are late ourselves wears out no patience either.
        let is_over =
            !self.late.excuses(now) && self.peers.get_mut(&id).is_some_and(|peer| with(peer).late(limit, now));
        if is_over && self.do_others_well(id) {
            self.give_up(id, "everything is late");
        }
    }

    /// Gossipsub had no room for messages to a peer, whose queue is full.
    pub(super) fn on_slow_gossip(&mut self, id: PeerId, messages: usize) {
        metrics::add(&GOSSIP_UNSENT, &[], messages as u64);
        let now = Instant::now();
        if self.late.excuses(now) {
            // Its queue is full because we did not send.
            return;
        }
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.state == PeerState::Connected) else { return };
        let sent = peer.meter.as_ref().map_or(0, |meter| meter.read().1);
        if peer.unread.full(sent, now) && self.do_others_well(id) {
            self.punish(id, Reason::GossipUnread);
            self.give_up(id, "it does not read gossip");
        }
    }

    fn do_others_well(&self, id: PeerId) -> bool {
        let is_well = |peer: &Peer| peer.well_at.is_some_and(|at| at.elapsed() < OTHERS_WELL_WITHIN);
        self.peers.iter().any(|(other, peer)| *other != id && is_well(peer))
    }

    fn give_up(&mut self, id: PeerId, why: &'static str) {
        debug!(peer = %id, why, "given up");
        self.on_crowded(&id, Instant::now());
        self.leave(id, GoodbyeReason::Fault);
    }
}
