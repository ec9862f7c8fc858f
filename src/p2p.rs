//! The network: transport, gossip, request/response, peers. Knows nothing of the chain.
//!
//! [`start`] starts one task that owns the libp2p swarm. It is told what to do through a [`P2pHandle`] and tells what
//! happens through [`P2pEvents`]; all queues between are bounded, and none of them can stop the task: what does not fit is
//! dropped and counted. Each request and response runs in a small task of its own, with limits on size and time.

mod address;
mod bans;
mod budget;
mod client;
mod codec;
mod config;
mod counted;
mod dialer;
mod discovery;
mod events;
mod gossip;
mod handle;
mod identity;
mod lacks;
mod late;
mod limits;
mod messages;
mod meter;
mod pace;
mod patience;
mod peer;
mod protocol;
mod quic;
mod rpc_error;
mod score;
mod server;
mod service;
mod streams;
mod subnets;
mod tcp;
mod topic;
mod transport;
mod upnp;
mod useful;
pub mod wire;
mod yamux;

pub use address::{PeerAddress, parse as parse_peer_address};
pub use budget::{Bandwidth, BudgetConfig, ByteAmount, RateError};
pub use config::{DEFAULT_CUSTODY_GROUP_COUNT, DEFAULT_MAX_PEERS, Forks, P2pConfig, P2pError};
pub use discovery::DiscoveryConfig;
pub use events::{
    Blocks, Columns, Custody, GossipBlock, GossipColumn, GossipSmall, Held, InboundRequest, P2pEvents, PeerEvent,
    PublishError, RequestKind, Verdict,
};
pub use gossip::NetworkSize;
pub use handle::{Identity, P2pHandle};
pub use identity::{Enr, node_id};
pub use libp2p::{Multiaddr, PeerId, gossipsub::MessageId};
pub use limits::Exempt;
pub use messages::{Attnets, ENRForkID, GoodbyeReason, MetaData, Status, Syncnets};
pub use peer::{Direction, PeerInfo, PeerState};
pub use protocol::{MAX_REQUEST_BLOCKS, MAX_REQUEST_LIGHT_CLIENT_UPDATES};
pub use rpc_error::RpcError;
pub use score::Reason;
pub use server::{ErrorCode, ResponseChunk};
pub use service::start;
pub use subnets::Subnets;
pub use topic::Topic;
pub use transport::{Muxers, plain_transport};

#[cfg(test)]
pub(crate) mod tests;
