//! What the room is told at its start, and why it may fail to start.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::{
    budget::BudgetConfig,
    discovery::DiscoveryConfig,
    gossip::NetworkSize,
    late::LATE_AFTER,
    limits::{Exempt, Limits, MAX_PER_ADDRESS},
    messages::{ENRForkID, Status},
    transport::Muxers,
};
use crate::types::{Epoch, ForkDigest, ForkName, Version};

/// Peers at most, by default: enough for a stable gossip mesh (8 to 12), few enough for a small board and a home's line.
pub const DEFAULT_MAX_PEERS: usize = 24;
/// `CUSTODY_REQUIREMENT` of Fulu: the smallest custody group count that a node may have.
pub const DEFAULT_CUSTODY_GROUP_COUNT: u64 = 4;

/// The network's forks, as the clock sees them now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forks {
    /// The current fork: names the topics, and peers must be on it.
    pub current: ForkDigest,
    /// The current fork's name: how what comes by gossip is encoded.
    pub current_name: ForkName,
    /// Every digest that a block in a response may be marked with; `current` need not be in it.
    pub known: Vec<(ForkDigest, ForkName)>,
    /// Version of the next regular fork, or of the current one when none is planned.
    pub next_version: Version,
    /// Blobs that a block may have now.
    pub max_blobs: u64,
    /// Epoch of the next fork of any kind, or the far future.
    pub next_epoch: Epoch,
    /// Digest of the next fork, or zero.
    pub next_digest: ForkDigest,
    /// Forks besides the current one whose topics we listen to: the next shortly before it begins, the last shortly after it
    /// ended. Peers may be on them.
    pub also: Vec<ForkDigest>,
}

impl Forks {
    /// A network without planned forks.
    pub fn only(current: ForkDigest, version: Version) -> Forks {
        Forks {
            current,
            current_name: ForkName::default(),
            known: Vec::new(),
            next_version: version,
            max_blobs: 0,
            next_epoch: Epoch::MAX,
            next_digest: ForkDigest::default(),
            also: Vec::new(),
        }
    }

    /// The fork of a block that is marked with `digest`; `None` if no block may be.
    pub fn fork_of(&self, digest: ForkDigest) -> Option<ForkName> {
        if digest == self.current {
            return Some(self.current_name);
        }
        self.known.iter().find(|(known, _)| *known == digest).map(|(_, fork)| *fork)
    }

    /// Every fork whose topics we listen to.
    pub fn listened(&self) -> impl Iterator<Item = ForkDigest> + '_ {
        std::iter::once(self.current).chain(self.also.iter().copied().filter(|fork| *fork != self.current))
    }

    /// The record's `eth2` entry.
    pub fn enr_fork_id(&self) -> ENRForkID {
        ENRForkID { fork_digest: self.current, next_fork_version: self.next_version, next_fork_epoch: self.next_epoch }
    }
}

/// What the room is told at its start.
#[derive(Clone, Debug)]
pub struct P2pConfig {
    /// TCP sockets to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// UDP sockets to listen on for QUIC; without any, QUIC is off both ways.
    pub listen_quic: Vec<SocketAddr>,
    /// The address by which others reach us, for our record. Without it, a listening address that is not a wildcard.
    pub external_ip: Option<IpAddr>,
    /// File of the node's key; made when it does not exist.
    pub key_file: PathBuf,
    /// Peers to stay connected to: `enr:...`, `/ip4/.../tcp/...[/p2p/...]` or `/ip4/.../udp/.../quic-v1[/p2p/...]`. Discovery
    /// begins with their records, too.
    pub boot_nodes: Vec<String>,
    /// How other peers are found; none: only those that we were told, and those who come.
    pub discovery: Option<DiscoveryConfig>,
    /// Whether the router is asked to let others in.
    pub upnp: bool,
    /// Peers at most; there are a few more connections while it is decided who stays.
    pub max_peers: usize,
    /// Addresses that may have any number of connections and are never banned.
    pub exempt_addresses: Exempt,
    /// The network's forks.
    pub forks: Forks,
    /// Where our chain stands at the start.
    pub status: Status,
    /// Groups of data columns that we keep.
    pub custody_group_count: u64,
    /// How many messages gossip should bring.
    pub network_size: NetworkSize,
    /// How long gossip ids are remembered: two epochs.
    pub seen_ttl: Duration,
    /// Longest wait for the start of a response, and for each next piece of it.
    pub response_timeout: Duration,
    /// Time without a rest after which the network task counts as late: what peers fail to do in time is then excused.
    pub late_after: Duration,
    /// Time between two pings of a peer.
    pub ping_interval: Duration,
    /// Time between two exchanges of status with a peer.
    pub status_interval: Duration,
    /// Bytes of blocks per second that we serve to one peer; four times that to all.
    pub serve_bytes_per_second: u64,
    /// How much of the line we may use.
    pub budget: BudgetConfig,
    /// Multiplexers.
    pub muxers: Muxers,
}

impl P2pConfig {
    /// Everything by default but what has none.
    pub fn new(key_file: PathBuf, forks: Forks, status: Status) -> P2pConfig {
        P2pConfig {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 9000))],
            listen_quic: Vec::new(),
            external_ip: None,
            key_file,
            boot_nodes: Vec::new(),
            discovery: None,
            upnp: false,
            max_peers: DEFAULT_MAX_PEERS,
            exempt_addresses: Exempt::default(),
            forks,
            status,
            custody_group_count: DEFAULT_CUSTODY_GROUP_COUNT,
            network_size: NetworkSize { slot: Duration::from_secs(12), active_validators: 1_000_000 },
            seen_ttl: Duration::from_secs(2 * 32 * 12),
            response_timeout: Duration::from_secs(10),
            late_after: LATE_AFTER,
            ping_interval: Duration::from_secs(20),
            status_interval: Duration::from_secs(120),
            serve_bytes_per_second: 1 << 20,
            budget: BudgetConfig::default(),
            muxers: Muxers::Both,
        }
    }
}

impl P2pConfig {
    /// How many connections there may be.
    pub(super) fn limits(&self) -> Limits {
        Limits { peers: self.max_peers, per_address: MAX_PER_ADDRESS, exempt: self.exempt_addresses.clone() }
    }
}

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum P2pError {
    /// A boot node that cannot be used.
    #[error("boot node `{item}`: {reason}")]
    BootNode {
        /// As it was given.
        item: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key file cannot be read, made or understood.
    #[error("node key {path}: {reason}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The port is taken or the address is not ours.
    #[error(
        "cannot listen on {addr}: {reason}. Is another node running? Choose other ports with --port and --quic-port"
    )]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The system's reason.
        reason: String,
    },
    /// The port of discovery is taken.
    #[error(
        "cannot listen on {addr} (UDP): {reason}. Is another node running? Choose another port with --discovery-port"
    )]
    Discovery {
        /// The address.
        addr: SocketAddr,
        /// The system's reason.
        reason: String,
    },
    /// Anything else.
    #[error("cannot set up the network: {0}")]
    Setup(String),
}
