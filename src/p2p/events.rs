//! What the network tells the rest of the node, and the queues in which it does.

use std::{sync::Arc, time::SystemTime};

use async_channel::{Receiver, Sender};
use libp2p::{PeerId, gossipsub::MessageId};

use super::{messages::Status, rpc_error::RpcError, server::ResponseChunk};
use crate::types::{Hash256, SignedAggregateAndProof, SignedBeaconBlock, Slot};

/// Gossiped blocks that wait: a slot brings one, a network in trouble a few.
pub(super) const GOSSIP_BLOCKS: usize = 64;
/// Gossiped aggregates that wait: a slot brings up to 1024; when we are late the oldest are worth least.
pub(super) const GOSSIP_AGGREGATES: usize = 256;
/// Requests for blocks that wait: more peers than this do not ask at the same moment.
pub(super) const REQUESTS: usize = 64;
/// News of peers that wait: several for each peer.
pub(super) const PEER_EVENTS: usize = 256;

/// What happens on the network. Who does not read a queue loses what overflows it.
pub struct P2pEvents {
    /// Gossiped blocks. When full, the newest is dropped.
    pub gossip_blocks: Receiver<GossipBlock>,
    /// Gossiped aggregates. When full, the oldest is dropped.
    pub gossip_aggregates: Receiver<GossipAggregate>,
    /// Peers' requests for blocks. When full, the peer is told that we are busy.
    pub requests: Receiver<InboundRequest>,
    /// Peers that come, go and tell where they stand. When full, the newest is dropped; `P2pHandle::peers` has them all.
    pub peers: Receiver<PeerEvent>,
}

/// The sending ends.
pub(super) struct Outputs {
    pub gossip_blocks: Sender<GossipBlock>,
    pub gossip_aggregates: Sender<GossipAggregate>,
    pub requests: Sender<InboundRequest>,
    pub peers: Sender<PeerEvent>,
}

/// Makes all queues.
pub(super) fn queues() -> (Outputs, P2pEvents) {
    let (block_sender, gossip_blocks) = async_channel::bounded(GOSSIP_BLOCKS);
    let (aggregate_sender, gossip_aggregates) = async_channel::bounded(GOSSIP_AGGREGATES);
    let (request_sender, requests) = async_channel::bounded(REQUESTS);
    let (peer_sender, peers) = async_channel::bounded(PEER_EVENTS);
    let outputs = Outputs {
        gossip_blocks: block_sender,
        gossip_aggregates: aggregate_sender,
        requests: request_sender,
        peers: peer_sender,
    };
    (outputs, P2pEvents { gossip_blocks, gossip_aggregates, requests, peers })
}

/// A block from gossip. It is passed on to other peers only when [`super::P2pHandle::verdict`] accepts it, within 4 s.
#[derive(Clone, Debug)]
pub struct GossipBlock {
    /// For the verdict.
    pub id: MessageId,
    /// Who sent it to us.
    pub peer: PeerId,
    /// The block.
    pub block: Arc<SignedBeaconBlock>,
    /// When it came.
    pub received_at: SystemTime,
}

/// An aggregate from gossip; as with a block, a verdict is due.
#[derive(Clone, Debug)]
pub struct GossipAggregate {
    /// For the verdict.
    pub id: MessageId,
    /// Who sent it to us.
    pub peer: PeerId,
    /// The aggregate.
    pub aggregate: Arc<SignedAggregateAndProof>,
    /// When it came.
    pub received_at: SystemTime,
}

/// What validation says of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Neither pass it on nor blame anybody.
    Ignore,
    /// Do not pass it on, and punish who sent it.
    Reject,
}

/// News of a peer.
#[derive(Clone, Debug)]
pub enum PeerEvent {
    /// A peer of our fork is connected and told where it stands.
    Connected {
        /// Who.
        peer: PeerId,
        /// Where its chain stands.
        status: Status,
    },
    /// A connected peer told again where it stands.
    Status {
        /// Who.
        peer: PeerId,
        /// Where its chain stands.
        status: Status,
    },
    /// A peer that was `Connected` is gone.
    Disconnected {
        /// Who.
        peer: PeerId,
    },
}

/// A peer asks for blocks.
#[derive(Debug)]
pub struct InboundRequest {
    /// Who.
    pub peer: PeerId,
    /// For which.
    pub kind: RequestKind,
    /// The answer, block by block; it holds one, so the next is to be read from disk when there is room. Dropping it ends
    /// the answer. Sending fails when the peer is gone. The first must come within 10 s, and each next one too.
    pub reply: Sender<ResponseChunk>,
}

/// Which blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Those of our chain with these slots, ascending.
    BlocksByRange {
        /// The first slot.
        start_slot: Slot,
        /// Slots from there on: 1 to [`super::MAX_REQUEST_BLOCKS`].
        count: u64,
    },
    /// Those with these roots, as far as we have them: 1 to [`super::MAX_REQUEST_BLOCKS`].
    BlocksByRoot {
        /// The roots, which the peer may have repeated.
        roots: Vec<Hash256>,
    },
}

/// The blocks of an answer. It ends after the last block, or with an error.
pub type Blocks = Receiver<Result<Arc<SignedBeaconBlock>, RpcError>>;

/// Why a message was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nobody is there to hear it.
    #[error("no connected peer is subscribed to the topic")]
    NoPeers,
    /// The network task has too much to do or has ended.
    #[error("the network task is busy or gone")]
    Busy,
    /// It is too large, or the queues to all peers are full.
    #[error("{0}")]
    Failed(String),
}
