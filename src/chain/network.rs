//! What the chain and the network say to each other, in the chain's words. `node` translates for `p2p`.

use std::{fmt, sync::Arc};

use async_channel::Sender;

use super::subnets::SubnetPlan;
use crate::types::{
    ColumnIndex, DataColumnSidecar, Epoch, ForkDigest, GossipMessage, Hash256, SignedBeaconBlock, Slot, Topic,
};

/// A peer's name. The chain only compares, prints and hands it back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub Arc<str>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A gossip message that waits for a verdict: who sent it, and its id on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipId {
    /// Who sent it to us.
    pub peer: Peer,
    /// The network's id of the message.
    pub message: Arc<[u8]>,
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

impl Verdict {
    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Verdict::Accept => "accept",
            Verdict::Ignore => "ignore",
            Verdict::Reject => "reject",
        }
    }
}

/// What a peer did that only the chain can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A block that is invalid.
    InvalidBlock,
    /// A range of blocks that does not form a chain, or misses blocks.
    BadRange,
    /// A column that is invalid, or not of the block that it was asked for.
    InvalidColumn,
    /// A block that was not asked for.
    Unrelated,
    /// No answer in time.
    Timeout,
}

/// Why we part from a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It is on another chain.
    IrrelevantNetwork,
}

/// Where a node's chain stands; as status v2 has it.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#status-v2>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The fork that the clock says is current.
    pub fork_digest: ForkDigest,
    /// Root of the finalized block; zero before the first finality.
    pub finalized_root: Hash256,
    /// The finalized epoch.
    pub finalized_epoch: Epoch,
    /// Root of the head.
    pub head_root: Hash256,
    /// Slot of the head's block.
    pub head_slot: Slot,
    /// The first slot from which on the node serves blocks.
    pub earliest_available_slot: Slot,
}

/// Why a request to a peer failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It could not be sent, or the peer is gone, or does not have what was asked for: nobody is to blame.
    #[error("{0}")]
    Unavailable(String),
    /// The peer failed; the network has punished it.
    #[error("{0}")]
    PeerFailed(String),
}

/// Blocks of an answer, one by one; it ends when the sender is dropped, or with an error.
pub type AnswerSender = Sender<Result<Arc<SignedBeaconBlock>, RequestError>>;

/// Columns of an answer, one by one; it ends when the sender is dropped, or with an error.
pub type ColumnAnswerSender = Sender<Result<Arc<DataColumnSidecar>, RequestError>>;

/// A message to gossip.
#[derive(Clone, Debug)]
pub enum Publication {
    /// On `beacon_block`.
    Block(Arc<SignedBeaconBlock>),
    /// All columns of a block of ours, each on its subnet.
    Columns(Vec<Arc<DataColumnSidecar>>),
    /// Columns that we made of our execution client's blobs, each on its subnet.
    PooledColumns(Vec<Arc<DataColumnSidecar>>),
    /// On the topic of a small message.
    Message(GossipMessage),
}

/// What the chain wants of the network. Sent without waiting: when the queue is full, the message is dropped and counted.
#[derive(Clone, Debug)]
pub enum NetworkCommand {
    /// What validation says of a gossip message.
    Verdict {
        /// Its topic.
        topic: Topic,
        /// Which message.
        id: GossipId,
        /// What to do with it.
        verdict: Verdict,
    },
    /// Gossip something of our own.
    Publish(Publication),
    /// Ask for the blocks of a range of slots.
    BlocksByRange {
        /// Whom.
        peer: Peer,
        /// From this slot on.
        start_slot: Slot,
        /// So many slots.
        count: u64,
        /// Where to.
        answer: AnswerSender,
    },
    /// Ask for the blocks with these roots.
    BlocksByRoot {
        /// Whom.
        peer: Peer,
        /// Which.
        roots: Vec<Hash256>,
        /// Where to.
        answer: AnswerSender,
    },
    /// Ask for the block with this root and those before it.
    BlocksByHead {
        /// Whom.
        peer: Peer,
        /// The first, and newest.
        root: Hash256,
        /// So many at most.
        count: u64,
        /// Where to. What comes has descending slots; whether each is the last one's parent is not known.
        answer: AnswerSender,
    },
    /// Ask for columns of the blocks in a range of slots.
    ColumnsByRange {
        /// Whom.
        peer: Peer,
        /// From this slot on.
        start_slot: Slot,
        /// So many slots.
        count: u64,
        /// Which columns.
        columns: Vec<ColumnIndex>,
        /// Where to. What comes was asked for, in its order and only once; whether it is valid is not known.
        answer: ColumnAnswerSender,
    },
    /// Ask for columns of certain blocks.
    ColumnsByRoot {
        /// Whom.
        peer: Peer,
        /// Which columns of which blocks.
        wanted: Vec<(Hash256, Vec<ColumnIndex>)>,
        /// Where to. What comes was asked for, and only once; whether it is valid is not known.
        answer: ColumnAnswerSender,
    },
    /// Begin or end to listen to a topic of a subnet.
    Listen {
        /// Which.
        topic: Topic,
        /// Whether to begin.
        listens: bool,
    },
    /// Which subnets of votes and sync committee messages we listen to and announce, instead of the plan before.
    SetSubnets(SubnetPlan),
    /// How many custody groups we keep from now on; others are told. Fewer than before are not believed.
    SetCustody {
        /// Groups.
        groups: u64,
    },
    /// Punish a peer.
    Report {
        /// Whom.
        peer: Peer,
        /// What for.
        fault: Fault,
    },
    /// Part from a peer.
    Goodbye {
        /// Whom.
        peer: Peer,
        /// Why.
        reason: Parting,
    },
    /// Ask a peer where it stands; the answer is a [`PeerEvent::Status`].
    AskStatus(Peer),
    /// Where our chain stands now.
    SetStatus(Status),
}

/// A block from gossip.
#[derive(Clone, Debug)]
pub struct GossipBlock {
    /// For the verdict.
    pub id: GossipId,
    /// The block.
    pub block: Arc<SignedBeaconBlock>,
    /// When its bytes came, in milliseconds since 1970.
    pub received_ms: u64,
}

/// A small message from gossip.
#[derive(Clone, Debug)]
pub struct GossipSmall {
    /// For the verdict.
    pub id: GossipId,
    /// The message, which knows its topic.
    pub message: GossipMessage,
    /// When its bytes came, in milliseconds since 1970.
    pub received_ms: u64,
}

/// A column from gossip.
#[derive(Clone, Debug)]
pub struct GossipColumn {
    /// For the verdict.
    pub id: GossipId,
    /// The subnet that it came in.
    pub subnet: u64,
    /// The column.
    pub sidecar: Arc<DataColumnSidecar>,
    /// When its bytes came, in milliseconds since 1970.
    pub received_ms: u64,
}

/// News of a peer.
#[derive(Clone, Debug)]
pub enum PeerEvent {
    /// A peer is connected, or told again where it stands.
    Status {
        /// Who.
        peer: Peer,
        /// Where its chain stands.
        status: Status,
        /// The columns that it keeps; none while that is not known.
        custody: Arc<[ColumnIndex]>,
    },
    /// A peer is gone.
    Disconnected {
        /// Who.
        peer: Peer,
    },
}

/// A peer asks for what the chain has.
#[derive(Clone, Debug)]
pub struct InboundRequest {
    /// Who.
    pub peer: Peer,
    /// For which.
    pub kind: RequestKind,
    /// Piece by piece. Dropping it ends the answer; sending fails when the peer is gone.
    pub reply: Sender<ResponseChunk>,
}

/// What a peer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Those of our chain with these slots, ascending.
    BlocksByRange {
        /// The first slot.
        start_slot: Slot,
        /// Slots from there on.
        count: u64,
    },
    /// Those with these roots, as far as we have them.
    BlocksByRoot {
        /// The roots, which the peer may have repeated.
        roots: Vec<Hash256>,
    },
    /// The block with this root and those before it, descending.
    BlocksByHead {
        /// The first.
        root: Hash256,
        /// So many at most.
        count: u64,
    },
    /// Columns of our chain's blocks with these slots, by slot and column.
    ColumnsByRange {
        /// The first slot.
        start_slot: Slot,
        /// Slots from there on.
        count: u64,
        /// Which columns.
        columns: Vec<ColumnIndex>,
    },
    /// Columns of these blocks, as far as we have them.
    ColumnsByRoot {
        /// Which columns of which blocks.
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
        /// Periods from there on.
        count: u64,
    },
    /// The newest update with finality.
    LightClientFinalityUpdate,
    /// The newest update.
    LightClientOptimisticUpdate,
}

/// One piece of the answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseChunk {
    /// A block or a column.
    Item {
        /// The fork that it is of.
        fork_digest: ForkDigest,
        /// Its SSZ.
        ssz: Vec<u8>,
    },
    /// The end: we do not have it.
    ResourceUnavailable(&'static str),
    /// The end: we failed.
    ServerError(&'static str),
}
