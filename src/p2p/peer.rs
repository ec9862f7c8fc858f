//! What we know of one connected peer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use libp2p::{Multiaddr, PeerId};

use super::{
    events::Custody,
    gossip::Bucket,
    identity::{Enr, node_id_of},
    messages::{MetaData, Status},
    meter::Meter,
    pace::Pace,
    patience::{Patience, Repeats, Unread},
    protocol::Method,
    score::Score,
    transport,
    useful::Useful,
};

/// Who opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer.
    Inbound,
    /// We.
    Outbound,
}

impl Direction {
    /// As the Beacon API and metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }
}

/// How far we are with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// Connected, status unknown.
    Connecting,
    /// Of our network.
    Connected,
    /// Goodbye was said.
    Disconnecting,
}

impl PeerState {
    /// As the Beacon API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            PeerState::Connecting => "connecting",
            PeerState::Connected => "connected",
            PeerState::Disconnecting => "disconnecting",
        }
    }
}

/// A peer as others see it.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Who.
    pub peer: PeerId,
    /// The other end of the connection.
    pub addr: Multiaddr,
    /// Who opened it.
    pub direction: Direction,
    /// How far we are.
    pub state: PeerState,
    /// What the peer says it runs; a stranger's words without control characters.
    pub agent: Option<String>,
    /// 0 is unblemished, below -50 is banned.
    pub score: f64,
    /// Why it lost score, each with how often.
    pub penalties: Vec<(&'static str, u32)>,
    /// What gossipsub holds of it, without our own score and pardons; below -16,000 its gossip is not read.
    pub gossip_score: f64,
    /// Where its chain stood when it last told.
    pub status: Option<Status>,
    /// What it subscribes to and keeps.
    pub metadata: Option<MetaData>,
    /// Its record, if we have it.
    pub enr: Option<Enr>,
    /// How long it has been connected.
    pub connected_for: Duration,
    /// `tcp` or `quic`.
    pub transport: &'static str,
    /// The code with which it said goodbye, if it did.
    pub goodbye: Option<u64>,
    /// Bytes that came from it over its connection: with TCP all but the packets' headers, with QUIC those of streams.
    pub received_bytes: u64,
    /// Bytes that went to it, counted in the same way.
    pub sent_bytes: u64,
}

/// A connected peer.
pub(super) struct Peer {
    /// Tells this connection from earlier ones of the same peer.
    pub session: u64,
    pub since: Instant,
    pub addr: Multiaddr,
    pub direction: Direction,
    pub state: PeerState,
    pub agent: Option<String>,
    pub record: Option<Enr>,
    pub score: Score,
    /// Gossipsub's score without what we told it, when we last looked.
    pub gossip_score: f64,
    /// What we told gossipsub to add.
    pub told_gossip: f64,
    pub status: Option<Status>,
    pub metadata: Option<MetaData>,
    /// New blocks that it may still gossip.
    pub blocks: Bucket,
    /// Held by each of its blocks that waits.
    pub blocks_waiting: Arc<()>,
    /// What its gossip was worth.
    pub useful: Useful,
    /// Requests under way to the peer, by method.
    pub asked: [u8; Method::COUNT],
    /// Requests of the peer under way, by method.
    pub serving: [u8; Method::COUNT],
    /// With its answers.
    pub answers: Patience,
    /// With its requests, and its reading of what we answered.
    pub requests: Patience,
    /// With its reading of gossip.
    pub unread: Unread,
    pub repeats: Repeats,
    /// When a request, of ours or of its, last ended well.
    pub well_at: Option<Instant>,
    /// The code with which it said goodbye.
    pub goodbye: Option<u64>,
    /// Counts its bytes.
    pub meter: Option<Arc<Meter>>,
    /// How fast we serve it.
    pub pace: Arc<Pace>,
    pub next_ping: Instant,
    pub next_status: Instant,
    /// When to end the connection: without a status, or after a goodbye.
    pub leave_by: Option<Instant>,
}

impl Peer {
    /// What the peer, which has this name, says to keep; none while it is not known.
    pub fn custody(&self, peer: &PeerId) -> Option<Custody> {
        let groups = self.metadata.as_ref()?.custody_group_count;
        Some(Custody { node_id: node_id_of(peer)?, groups })
    }

    /// A copy for others.
    pub fn info(&self, peer: PeerId, now: Instant) -> PeerInfo {
        let (received_bytes, sent_bytes) = self.meter.as_ref().map_or((0, 0), |meter| meter.read());
        PeerInfo {
            peer,
            addr: self.addr.clone(),
            direction: self.direction,
            state: self.state,
            agent: self.agent.clone(),
            score: self.score.at(now),
            penalties: self.score.penalties(),
            gossip_score: self.gossip_score,
            status: self.status,
            metadata: self.metadata.clone(),
            enr: self.record.clone(),
            connected_for: now.saturating_duration_since(self.since),
            transport: transport::name(&self.addr),
            goodbye: self.goodbye,
            received_bytes,
            sent_bytes,
        }
    }
}
