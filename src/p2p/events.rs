//! What the network tells the rest of the node, and the queues in which it does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use async_channel::{Receiver, Sender};
use libp2p::{PeerId, gossipsub::MessageId};

use super::{messages::Status, protocol::Method, rpc_error::RpcError, server::ResponseChunk};
use crate::types::{
    ColumnIndex, DataColumnSidecar, GossipMessage, Hash256, SignedBeaconBlock, Slot, preset::NUMBER_OF_COLUMNS,
};

/// Gossiped blocks that wait: a slot brings one, a network in trouble a few.
pub(super) const GOSSIP_BLOCKS: usize = 64;
/// While fewer wait, all may be of one peer, who tells of what came while it, or we, were away.
pub(super) const GOSSIP_BLOCKS_CROWDED: usize = 16;
/// Else so many of one peer: a slot's, and one that was late. Strangers come again under other names as fast as they are sent away, and
/// would fill the queue, so that the head's block finds no room; what an honest peer loses here is asked for when another builds on it.
pub(super) const GOSSIP_BLOCKS_OF_PEER: usize = 2;
/// Gossiped votes that wait: a slot brings up to 1024 aggregates; when we are late the oldest are worth least.
pub(super) const GOSSIP_VOTES: usize = 256;
/// Gossiped operations that wait: there are a few in an hour, but one may be 2 MB.
pub(super) const GOSSIP_OPERATIONS: usize = 16;
/// Gossiped columns that wait: those of two blocks, for a node that keeps all. The bytes below are the tighter limit for a
/// stranger's; a column that is dropped here may be one that nobody else keeps.
pub(super) const GOSSIP_COLUMNS: usize = 2 * NUMBER_OF_COLUMNS;
/// Gossiped updates for light clients that wait: a slot brings one or two, 1 to 2 KB each.
pub(super) const GOSSIP_LIGHT_CLIENTS: usize = 16;
/// Bytes of blocks and columns that wait, as SSZ: three of the largest blocks, or all that a healthy slot brings many times over.
/// Without it, 64 blocks of ten megabytes could.
pub(super) const GOSSIP_BYTES: usize = 32 << 20;
/// Requests for blocks and columns that wait: more peers than this do not ask at the same moment.
pub(super) const REQUESTS: usize = 64;
/// News of peers that wait: several for each peer.
pub(super) const PEER_EVENTS: usize = 256;

/// What happens on the network. Who does not read a queue loses what overflows it.
pub struct P2pEvents {
    /// Gossiped blocks. When full, the newest is dropped.
    pub gossip_blocks: Receiver<GossipBlock>,
    /// Gossiped votes and sync committee signatures, aggregated or not. When full, the oldest is dropped.
    pub gossip_votes: Receiver<GossipSmall>,
    /// Gossiped operations: exits, slashings, changes of credentials. When full, the newest is dropped.
    pub gossip_operations: Receiver<GossipSmall>,
    /// Gossiped columns. When full, the newest is dropped.
    pub gossip_columns: Receiver<GossipColumn>,
    /// Gossiped updates for light clients. When full, the newest is dropped.
    pub gossip_light_clients: Receiver<GossipSmall>,
    /// Peers' requests that only the chain can answer. When full, the peer is told that we are busy.
    pub requests: Receiver<InboundRequest>,
    /// Peers that come, go and tell where they stand. When full, the newest is dropped; `P2pHandle::peers` has them all.
    pub peers: Receiver<PeerEvent>,
}

/// Counts the bytes that wait in queues.
#[derive(Debug, Default)]
pub(super) struct Queued(Arc<AtomicUsize>);

/// Bytes that wait, until this is dropped.
#[derive(Debug)]
pub struct Held {
    bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Queued {
    /// Room for a message of `bytes`, if there is any.
    pub fn hold(&self, bytes: usize) -> Option<Arc<Held>> {
        let held = Held { bytes, all: self.0.clone() };
        // What did not fit is given back as it is dropped.
        (self.0.fetch_add(bytes, Ordering::Relaxed) + bytes <= GOSSIP_BYTES).then(|| Arc::new(held))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The sending ends.
pub(super) struct Outputs {
    pub queued: Queued,
    pub gossip_blocks: Sender<GossipBlock>,
    pub gossip_votes: Sender<GossipSmall>,
    pub gossip_operations: Sender<GossipSmall>,
    pub gossip_columns: Sender<GossipColumn>,
    pub gossip_light_clients: Sender<GossipSmall>,
    pub requests: Sender<InboundRequest>,
    pub peers: Sender<PeerEvent>,
}

/// Makes all queues.
pub(super) fn queues() -> (Outputs, P2pEvents) {
    let (block_sender, gossip_blocks) = async_channel::bounded(GOSSIP_BLOCKS);
    let (vote_sender, gossip_votes) = async_channel::bounded(GOSSIP_VOTES);
    let (operation_sender, gossip_operations) = async_channel::bounded(GOSSIP_OPERATIONS);
    let (column_sender, gossip_columns) = async_channel::bounded(GOSSIP_COLUMNS);
    let (light_client_sender, gossip_light_clients) = async_channel::bounded(GOSSIP_LIGHT_CLIENTS);
    let (request_sender, requests) = async_channel::bounded(REQUESTS);
    let (peer_sender, peers) = async_channel::bounded(PEER_EVENTS);
    let outputs = Outputs {
        queued: Queued::default(),
        gossip_blocks: block_sender,
        gossip_votes: vote_sender,
        gossip_operations: operation_sender,
        gossip_columns: column_sender,
        gossip_light_clients: light_client_sender,
        requests: request_sender,
        peers: peer_sender,
    };
    let events = P2pEvents {
        gossip_blocks,
        gossip_votes,
        gossip_operations,
        gossip_columns,
        gossip_light_clients,
        requests,
        peers,
    };
    (outputs, events)
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
    /// Its place among the bytes that may wait.
    pub held: Arc<Held>,
    /// Its place among its peer's blocks.
    pub place: Arc<()>,
}

/// A small message from gossip; as with a block, a verdict is due.
#[derive(Clone, Debug)]
pub struct GossipSmall {
    /// For the verdict.
    pub id: MessageId,
    /// Who sent it to us.
    pub peer: PeerId,
    /// The message, which knows its topic.
    pub message: GossipMessage,
    /// When it came.
    pub received_at: SystemTime,
}

/// A column from gossip; as with a block, a verdict is due.
#[derive(Clone, Debug)]
pub struct GossipColumn {
    /// For the verdict.
    pub id: MessageId,
    /// Who sent it to us.
    pub peer: PeerId,
    /// The subnet that it came in.
    pub subnet: u64,
    /// The column.
    pub sidecar: Arc<DataColumnSidecar>,
    /// When it came.
    pub received_at: SystemTime,
    /// Its place among the bytes that may wait.
    pub held: Arc<Held>,
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
    /// A connected peer told again where it stands, or what it keeps.
    Status {
        /// Who.
        peer: PeerId,
        /// Where its chain stands.
        status: Status,
        /// Which columns it keeps; unknown until it told its metadata.
        custody: Option<Custody>,
    },
    /// A peer that was `Connected` is gone.
    Disconnected {
        /// Who.
        peer: PeerId,
    },
}

/// What says which columns a peer keeps: see `types::columns_of_node`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Custody {
    /// Its node id, big-endian.
    pub node_id: [u8; 32],
    /// Its custody groups, as it claims.
    pub groups: u64,
}

/// A peer asks for what only the chain has.
#[derive(Debug)]
pub struct InboundRequest {
    /// Who.
    pub peer: PeerId,
    /// For which.
    pub kind: RequestKind,
    /// The answer, piece by piece; it holds one, so the next is to be read from disk when there is room. Dropping it ends
    /// the answer. Sending fails when the peer is gone. The first must come within 10 s, and each next one too.
    pub reply: Sender<ResponseChunk>,
}

/// What is asked for, by a peer or of one. Not more than the specification allows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    /// The block with this root and those before it, descending.
    BlocksByHead {
        /// The first.
        root: Hash256,
        /// So many at most: 1 to [`super::MAX_REQUEST_BLOCKS`].
        count: u64,
    },
    /// Columns of our chain's blocks with these slots, by slot and column.
    ColumnsByRange {
        /// The first slot.
        start_slot: Slot,
        /// Slots from there on: 1 to [`super::MAX_REQUEST_BLOCKS`].
        count: u64,
        /// Which columns, ascending, each once, at least one.
        columns: Vec<ColumnIndex>,
    },
    /// Columns of at most [`super::MAX_REQUEST_BLOCKS`] blocks.
    ColumnsByRoot {
        /// Which columns of which blocks; of each block at least one, ascending, each once.
        wanted: Vec<(Hash256, Vec<ColumnIndex>)>,
    },
    /// Where a light client starts that trusts this block.
    LightClientBootstrap {
        /// The block.
        root: Hash256,
    },
    /// The best updates of these periods, ascending.
    LightClientUpdates {
        /// The first period.
        start_period: u64,
        /// Periods from there on: 1 to 128.
        count: u64,
    },
    /// The newest update with finality.
    LightClientFinalityUpdate,
    /// The newest update.
    LightClientOptimisticUpdate,
}

impl RequestKind {
    /// Which method this is.
    pub(super) fn method(&self) -> Method {
        match self {
            RequestKind::BlocksByRange { .. } => Method::BlocksByRange,
            RequestKind::BlocksByRoot { .. } => Method::BlocksByRoot,
            RequestKind::BlocksByHead { .. } => Method::BlocksByHead,
            RequestKind::ColumnsByRange { .. } => Method::ColumnsByRange,
            RequestKind::ColumnsByRoot { .. } => Method::ColumnsByRoot,
            RequestKind::LightClientBootstrap { .. } => Method::LightClientBootstrap,
            RequestKind::LightClientUpdates { .. } => Method::LightClientUpdates,
            RequestKind::LightClientFinalityUpdate => Method::LightClientFinalityUpdate,
            RequestKind::LightClientOptimisticUpdate => Method::LightClientOptimisticUpdate,
        }
    }

    /// How many chunks may answer it. None: it asks for nothing.
    pub(super) fn limit(&self) -> usize {
        match self {
            RequestKind::BlocksByRange { count, .. }
            | RequestKind::BlocksByHead { count, .. }
            | RequestKind::LightClientUpdates { count, .. } => *count as usize,
            RequestKind::BlocksByRoot { roots } => roots.len(),
            RequestKind::ColumnsByRange { count, columns, .. } => *count as usize * columns.len(),
            RequestKind::ColumnsByRoot { wanted } => wanted.iter().map(|(_, columns)| columns.len()).sum(),
            RequestKind::LightClientBootstrap { .. }
            | RequestKind::LightClientFinalityUpdate
            | RequestKind::LightClientOptimisticUpdate => 1,
        }
    }
}

/// The columns of an answer, as with [`Blocks`].
pub type Columns = Receiver<Result<Arc<DataColumnSidecar>, RpcError>>;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_wait_have_a_bound_and_are_given_back() {
        let queued = Queued::default();
        let half = queued.hold(GOSSIP_BYTES / 2).unwrap();
        let other = queued.hold(GOSSIP_BYTES / 2).unwrap();
        assert!(queued.hold(1).is_none());
        drop(half);
        assert!(queued.hold(GOSSIP_BYTES / 2 + 1).is_none());
        assert!(queued.hold(GOSSIP_BYTES / 2).is_some());
        drop(other);
        assert_eq!(queued.0.load(Ordering::Relaxed), 0);
    }
}
