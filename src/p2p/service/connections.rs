//! Peers that come and go.

use std::{sync::Arc, time::Instant};

use libp2p::{PeerId, core::ConnectedPoint, identify, swarm::DialError, swarm::SwarmEvent};
use tracing::{debug, info, warn};

use super::{BehaviourEvent, GOODBYE_TIME, Service};
use crate::{
    metrics::{self, ADDRESSES_BANNED, DIALS, GOODBYES_SENT, PEERS_BANNED},
    p2p::{
        client::printable,
        events::PeerEvent,
        gossip::Bucket,
        limits::Address,
        messages::{GoodbyeReason, Status},
        pace::Pace,
        patience::{Patience, Repeats, Unread},
        peer::{Direction, Peer, PeerState},
        score::Score,
        service::{gossip::BLOCKS_AT_ONCE, measure::MEASURE_EVERY, outbound::Call},
        useful::Useful,
    },
};

/// The dialler sends its status at once; after this many response timeouts without one, we ask, and later give up.
const STATUS_PATIENCE: u32 = 3;
/// The longest agent name that we keep.
const MAX_AGENT: usize = 128;

impl Service {
    pub(super) fn on_connection(&mut self, event: SwarmEvent<BehaviourEvent>) {
        let now = Instant::now();
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, num_established, .. } => {
                let record = self.dialer.connected(connection_id, peer_id).and_then(|address| address.record.clone());
                let record = self.on_found_connected(connection_id, &endpoint).or(record);
                if endpoint.is_dialer() {
                    metrics::inc(&DIALS, &[("result", "connected")]);
                }
                if num_established.get() == 1 {
                    self.on_new_peer(peer_id, &endpoint, now);
                }
                if let Some(peer) = self.peers.get_mut(&peer_id)
                    && record.is_some()
                {
                    peer.record = record;
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => {
                debug!(peer = %peer_id, ?cause, "disconnected");
                self.on_lost_peer(peer_id, now);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                metrics::inc(&DIALS, &[("result", "failed")]);
                if let DialError::WrongPeerId { obtained, .. } = &error {
                    warn!(expected = ?peer_id, %obtained, "another peer answers at this address; is the boot node's record old?");
                }
                debug!(peer = ?peer_id, %error, "dial failed");
                self.dialer.failed(connection_id, now);
                self.on_found_failed(connection_id, now);
            }
            SwarmEvent::ListenerError { error, .. } => {
                warn!("cannot accept connections: {error}. If files are short, raise the limit of open files");
            }
            SwarmEvent::IncomingConnectionError { error, .. } => debug!(%error, "incoming connection failed"),
            _ => {}
        }
    }

    fn on_new_peer(&mut self, id: PeerId, endpoint: &ConnectedPoint, now: Instant) {
        let direction = if endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound };
        let patience = self.config.response_timeout;
        let peer = Peer {
            session: self.new_id(),
            since: now,
            addr: endpoint.get_remote_address().clone(),
            direction,
            state: PeerState::Connecting,
            agent: None,
            record: None,
            score: Score::new(now),
            gossip_score: 0.0,
            told_gossip: 0.0,
            status: None,
            metadata: None,
            blocks: Bucket::new(BLOCKS_AT_ONCE, now),
            blocks_waiting: Arc::default(),
            useful: Useful::default(),
            asked: Default::default(),
            serving: Default::default(),
            answers: Patience::default(),
            requests: Patience::default(),
            unread: Unread::default(),
            repeats: Repeats::default(),
            well_at: None,
            meter: self.meters.of(endpoint.get_remote_address()),
            pace: Arc::new(Pace::new(self.config.serve_bytes_per_second)),
            goodbye: None,
            next_ping: now + self.config.ping_interval,
            next_status: now + patience,
            leave_by: Some(now + STATUS_PATIENCE * patience),
        };
        self.peers.insert(id, peer);
        // Gossipsub may remember what we told it of an earlier connection.
        self.swarm.behaviour_mut().gossip.sub.set_application_score(&id, 0.0);
        self.count_peers();
        if self.stopping.is_some() {
            return self.leave(id, GoodbyeReason::Shutdown);
        }
        if direction == Direction::Outbound {
            self.ask_status(id);
        }
    }

    fn on_lost_peer(&mut self, id: PeerId, now: Instant) {
        self.fail_openings(|opening| opening.peer == id);
        let known = self.peers.remove(&id).is_some_and(|peer| peer.status.is_some());
        if known {
            self.tell_of_peer(PeerEvent::Disconnected { peer: id });
        }
        self.dialer.lost(&id, now);
        self.on_found_lost(id, now);
        self.count_peers();
    }

    pub(super) fn on_identify(&mut self, event: identify::Event) {
        if let identify::Event::Received { peer_id, info, .. } = event
            && let Some(peer) = self.peers.get_mut(&peer_id)
        {
            let agent: String = info.agent_version.chars().take(MAX_AGENT).collect();
            peer.agent = Some(printable(agent.as_bytes()));
        }
    }

    /// A peer told where it stands, as an answer or of its own.
    pub(super) fn on_status(&mut self, id: PeerId, status: Status) {
        let now = Instant::now();
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.next_status = now + self.config.status_interval;
        if peer.state == PeerState::Disconnecting {
            return;
        }
        if !self.forks.listened().any(|fork| fork == status.fork_digest) {
            info!(peer = %id, theirs = %status.fork_digest, ours = %self.forks.current, "peer is on another network or fork");
            self.on_useless(id, now);
            return self.leave(id, GoodbyeReason::IrrelevantNetwork);
        }
        let first = peer.status.replace(status).is_none();
        if first {
            peer.state = PeerState::Connected;
            peer.leave_by = None;
            self.on_proved(&id);
            self.call(id, Call::MetaData);
            self.tell_of_peer(PeerEvent::Connected { peer: id, status });
        } else {
            self.tell_status(id);
        }
    }

    /// Tells the chain what is known of a peer of our fork.
    pub(super) fn tell_status(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get(&id).filter(|peer| peer.state == PeerState::Connected) else { return };
        if let Some(status) = peer.status {
            let custody = peer.custody(&id);
            self.tell_of_peer(PeerEvent::Status { peer: id, status, custody });
        }
    }

    /// Says goodbye; the connection ends when it was heard, or soon.
    pub(super) fn leave(&mut self, id: PeerId, reason: GoodbyeReason) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.state == PeerState::Disconnecting {
            return;
        }
        let words = GoodbyeReason::describe(reason as u64);
        debug!(peer = %id, words, "saying goodbye");
        metrics::inc(&GOODBYES_SENT, &[("reason", words)]);
        peer.state = PeerState::Disconnecting;
        peer.leave_by = Some(Instant::now() + GOODBYE_TIME);
        self.call(id, Call::Goodbye(reason));
    }

    /// Ends the connections to a peer now.
    pub(super) fn disconnect(&mut self, id: PeerId) {
        if self.bans.contains(&id) {
            self.swarm.behaviour_mut().blocked.block_peer(id);
        }
        // An error means that it is not connected.
        let _ = self.swarm.disconnect_peer_id(id);
    }

    /// Sends a peer away for a while, and its address, too, if it is one of too many there.
    pub(super) fn ban(&mut self, id: PeerId, now: Instant) {
        info!(peer = %id, "peer banned for a while");
        metrics::inc(&PEERS_BANNED, &[]);
        let address = self.peers.get(&id).and_then(|peer| self.config.exempt_addresses.limited(&peer.addr));
        let added = self.bans.add(id, address, now);
        let behaviour = self.swarm.behaviour_mut();
        if let Some(evicted) = added.evicted_peer {
            behaviour.blocked.unblock_peer(evicted);
        }
        if let Some(evicted) = added.evicted_address {
            behaviour.limits.pardon(&evicted);
        }
        self.on_useless(id, now);
        match added.address {
            None => self.leave(id, GoodbyeReason::Banned),
            Some(address) => self.ban_address(address),
        }
    }

    /// Nobody comes from there for a while, and who is there leaves.
    fn ban_address(&mut self, address: Address) {
        info!(?address, "address banned for a while: too many peers of it were");
        metrics::inc(&ADDRESSES_BANNED, &[]);
        self.swarm.behaviour_mut().limits.ban(address);
        let there = self.peers.iter().filter(|(_, peer)| Address::of(&peer.addr) == Some(address));
        let there: Vec<PeerId> = there.map(|(id, _)| *id).collect();
        for id in there {
            self.leave(id, GoodbyeReason::BannedAddress);
        }
    }

    /// Everything that time brings about.
    pub(super) fn on_tick(&mut self, now: Instant) {
        let expired = self.bans.expire(now);
        let behaviour = self.swarm.behaviour_mut();
        for id in expired.peers {
            behaviour.blocked.unblock_peer(id);
        }
        for address in expired.addresses {
            behaviour.limits.pardon(&address);
        }
        if self.stopping.is_none() {
            self.dial_due(now);
            self.find_peers(now);
        }
        if self.next_measure <= now {
            self.next_measure = now + MEASURE_EVERY;
            self.measure(now);
        }
        let limit = self.config.response_timeout;
        self.fail_openings(|opening| opening.since + limit <= now);
        let ids: Vec<PeerId> = self.peers.keys().copied().collect();
        for id in ids {
            self.tick_peer(id, now);
        }
        self.budget.tick();
        if self.stopping.is_none() {
            self.make_room(now);
        }
    }

    fn dial_due(&mut self, now: Instant) {
        for opts in self.dialer.due(now) {
            let (id, peer) = (opts.connection_id(), opts.get_peer_id());
            match self.swarm.dial(opts) {
                Ok(()) => {}
                Err(DialError::DialPeerConditionFalse(_)) if peer.is_some_and(|p| self.swarm.is_connected(&p)) => {
                    peer.map(|peer| self.dialer.connected(id, peer).is_some());
                }
                Err(error) => {
                    debug!(?peer, %error, "cannot dial");
                    self.dialer.failed(id, now);
                }
            }
        }
    }

    fn tick_peer(&mut self, id: PeerId, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.leave_by.is_some_and(|at| at <= now) {
            // A peer that never told its status gets a goodbye first.
            return match peer.state {
                PeerState::Connecting => self.leave(id, GoodbyeReason::Fault),
                _ => self.disconnect(id),
            };
        }
        if peer.state == PeerState::Disconnecting {
            return;
        }
        if peer.next_ping <= now && peer.state == PeerState::Connected {
            peer.next_ping = now + self.config.ping_interval;
            let seq = self.metadata.seq_number;
            self.call(id, Call::Ping(seq));
        }
        if self.peers.get(&id).is_some_and(|peer| peer.next_status <= now) {
            self.ask_status(id);
        }
        self.judge_gossip(id, now);
    }
}
