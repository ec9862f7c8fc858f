//! What the API tells of the network. The node fills it, so that neither room knows the other.

use serde::Serialize;

/// Where the API learns of us and our peers. Both are called on the blocking pool and may wait for an answer, but not long.
pub struct NetworkInfo {
    /// Who we are.
    pub identity: Box<dyn Fn() -> Identity + Send + Sync>,
    /// The peers we know of.
    pub peers: Box<dyn Fn() -> Vec<Peer> + Send + Sync>,
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
