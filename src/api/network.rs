//! What the API tells of the network. The node fills it, so that neither room knows the other.

use std::collections::BTreeMap;

use serde::Serialize;

/// Where the API learns of us and our peers. All are called on the blocking pool and may wait for an answer, but not long.
pub struct NetworkInfo {
    /// Who we are.
    pub identity: Box<dyn Fn() -> Identity + Send + Sync>,
    /// The peers we know of.
    pub peers: Box<dyn Fn() -> Vec<Peer> + Send + Sync>,
    /// The same peers with all that we know of them, and who is banned.
    pub details: Box<dyn Fn() -> PeerDetails + Send + Sync>,
}

/// All peers in detail: not of the Beacon API, for people who want to know why their node has the peers that it has.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PeerDetails {
    /// Those connected.
    pub peers: Vec<PeerDetail>,
    /// Those banned.
    pub bans: Vec<Ban>,
}

/// A connected peer in detail.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerDetail {
    /// What the Beacon API tells.
    #[serde(flatten)]
    pub peer: Peer,
    /// `tcp` or `quic`.
    pub transport: &'static str,
    /// What it says it runs.
    pub agent: Option<String>,
    /// Seconds since it connected.
    pub connected_seconds: u64,
    /// 0 is unblemished; at -50 it is banned.
    pub score: f64,
    /// Why it lost score, and how often.
    pub penalties: BTreeMap<&'static str, u32>,
    /// What gossipsub holds of it, without that and without pardons.
    pub gossip_score: f64,
    /// Bytes that came from it.
    pub received_bytes: u64,
    /// Bytes that went to it.
    pub sent_bytes: u64,
    /// Its attestation and sync committee subnets, and how many groups of columns it keeps.
    pub metadata: Option<MetaData>,
    /// Where its chain stood when it last told.
    pub head_slot: Option<u64>,
    /// The epoch that it has finalized.
    pub finalized_epoch: Option<u64>,
    /// From where on it has blocks.
    pub earliest_available_slot: Option<u64>,
    /// The code with which it said goodbye.
    pub goodbye: Option<u64>,
}

/// A banned peer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ban {
    /// The libp2p peer id in base58.
    pub peer_id: String,
    /// Seconds until it may come again.
    pub seconds_left: u64,
}

/// Who a node is on the network, as text that other programs understand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Identity {
    /// The libp2p peer id in base58.
    pub peer_id: String,
    /// The node record, `enr:...`.
    pub enr: String,
    /// Multiaddresses at which peers reach us, with our peer id.
    pub p2p_addresses: Vec<String>,
    /// Multiaddresses at which we are found; none without discovery.
    pub discovery_addresses: Vec<String>,
    /// What we subscribe to and keep.
    pub metadata: MetaData,
}

/// The metadata that peers ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetaData {
    /// Grows with every change.
    #[serde(with = "serde_utils::quoted_u64")]
    pub seq_number: u64,
    /// Attestation subnets, the bits in hexadecimal with `0x`.
    pub attnets: String,
    /// Sync committee subnets, likewise.
    pub syncnets: String,
    /// Groups of columns that we keep.
    #[serde(with = "serde_utils::quoted_u64")]
    pub custody_group_count: u64,
}

/// A peer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Peer {
    /// The libp2p peer id in base58.
    pub peer_id: String,
    /// Its record, if known.
    pub enr: Option<String>,
    /// The multiaddress of its latest connection.
    pub last_seen_p2p_address: String,
    /// How the connection stands.
    pub state: PeerState,
    /// Who opened it.
    pub direction: Direction,
}

/// How a connection to a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerState {
    /// Gone.
    Disconnected,
    /// Being dialled.
    Connecting,
    /// Open.
    Connected,
    /// Told goodbye.
    Disconnecting,
}

impl PeerState {
    /// As the Beacon API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            PeerState::Disconnected => "disconnected",
            PeerState::Connecting => "connecting",
            PeerState::Connected => "connected",
            PeerState::Disconnecting => "disconnecting",
        }
    }
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The peer.
    Inbound,
    /// We.
    Outbound,
}

impl Direction {
    /// As the Beacon API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }
}
