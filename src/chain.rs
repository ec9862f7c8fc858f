//! The chain's tasks: clock, store, block import, pending blocks, sync, pools.
//!
//! | task | owns | is told by |
//! |---|---|---|
//! | blocks | the queue of blocks; starts one block task for each | the network, pending, the API |
//! | store | the fork-choice store; publishes the [`Snapshot`] | block tasks, votes, operations, the clock |
//! | pending | orphans, and the roots of their parents | block tasks, store |
//! | votes, operations | small messages of gossip that wait for their batch | the network, the API |
//! | columns | - | the network |
//! | missing columns | - | the clock: which columns blocks wait for |
//! | blob pool | - | block tasks, columns: whose blobs the execution client may have |
//! | sync | peers' statuses, ranges of blocks | the network |
//! | backfill | - | the clock: blocks before the anchor |
//! | serve | answers to peers' requests | the network |
//! | subnets | which subnets our validators need | the clock, the API |
//! | light clients | what is collected for light clients, and which updates were passed on | the store (events), serve, the network |
//! | ahead | - | the clock: what the next epoch needs |
//! | payloads | - | the clock: old blocks whose payloads the execution client keeps |
//! | keys | how much of the file of decompressed keys is filled | the clock |
//! | recorder | what is written behind the chain: canonical index, states, fork choice, pruning | store |
//!
//! What all of them share is in `Shared`, which never changes but for the published snapshot and a few bounded sets.
//! `.send().await` goes downstream only: network, block, database, store. Upstream nobody waits.

mod advance;
mod ahead;
pub mod availability;
mod backfill;
mod block_task;
pub mod checkpoint;
mod clock;
pub mod columns;
mod confirm;
mod custody;
mod detour;
mod error;
mod events;
mod execution;
mod fill_keys;
pub mod gossip;
mod handle;
pub mod light_client;
mod light_client_task;
mod limits;
mod memory;
mod messages;
pub mod network;
mod payloads;
mod pending;
pub mod pools;
pub mod produce;
mod range_sync;
mod rebuild;
mod recent;
mod recorder;
mod resume;
mod serve;
mod shufflings;
mod snapshot;
mod start;
mod states;
mod store_task;
mod stored;
pub mod subnets;
mod upkeep;
// The recorded chain is of the minimal preset.
#[cfg(all(test, feature = "minimal"))]
mod tests;

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption};
use async_channel::Sender;
use smol::lock::Semaphore;

pub use crate::engine::kzg_commitment_to_versioned_hash;
use crate::{
    crypto::{PubkeyCache, compute_fork_digest},
    db::Database,
    metrics::{self, EARLIEST_AVAILABLE_SLOT, QUEUE_DROPPED},
    types::{
        BeaconState, CommitteeIndex, Config, DataColumnSidecar, Epoch, ForkDigest, ForkName, Hash256,
        SignedBeaconBlock, Slot,
    },
};
use advance::Advanced;
pub use advance::take_to_epoch;
pub use clock::Clock;
use columns::{ColumnSet, Columns, PoolRequest};
pub(crate) use custody::Custody;
pub use custody::get_validators_custody_requirement;
use detour::Detours;
pub use error::{BlockError, StartError, TaskError};
pub use events::ChainEvent;
use events::Subscribers;
pub use execution::{BodiesRequest, ExecutionCommand, ExecutionQueue, PayloadVerdict};
use gossip::{InvalidBlocks, Seen, View};
pub use handle::ChainHandle;
use light_client_task::LightClientMessage;
pub use limits::Capacities;
use memory::Sizes;
pub use memory::{CacheBytes, StateSizes};
use messages::MessageWork;
use network::{GossipId, NetworkCommand, Peer, Status};
pub use payloads::{BlindReport, PayloadError};
use pending::PendingMessage;
use pools::Verified;
use range_sync::SyncMessage;
pub use recent::{RecentMap, RecentSet};
use shufflings::RecentShufflings;
pub use snapshot::{BlockInfo, KnownBlocks, Snapshot};
pub use start::start;
use states::Entry;
pub use states::StateLimits;
use store_task::StoreMessage;
pub use store_task::Vote;

/// Where a block came from.
#[derive(Clone, Debug)]
pub enum BlockSource {
    /// Gossip; a verdict is due.
    Gossip(GossipId),
    /// A peer, which was asked for its root.
    ByRoot(Peer),
    /// A peer, which was asked for its range.
    ByRange(Peer),
    /// Our own database: its parent has come, or the node starts again.
    Stored,
    /// A validator, over the API or in this process: it is published too.
    Api,
}

/// What is checked of a validator's block before it is published. The checks of gossip refuse a second block of a slot.
/// <https://ethereum.github.io/beacon-APIs/#/Beacon/publishBlockV2>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BroadcastValidation {
    /// What everybody checks who passes it on.
    #[default]
    Gossip,
    /// All but that its data are here: the transition, and the execution client's word.
    Consensus,
}

/// A block on its way to a block task.
pub(crate) struct BlockWork {
    pub block: Arc<SignedBeaconBlock>,
    pub source: BlockSource,
    /// In milliseconds since 1970.
    pub received_ms: u64,
    /// Who waits for the result.
    pub reply: Option<Sender<Result<Hash256, BlockError>>>,
    /// What goes with it, if it is ours.
    pub ours: OurBlock,
}

/// What goes with a block of our own.
#[derive(Default)]
pub(crate) struct OurBlock {
    /// Its columns: published with it.
    pub columns: Vec<Arc<DataColumnSidecar>>,
    /// When it is published.
    pub validation: BroadcastValidation,
}

/// A peer, as the tasks that ask peers know it.
#[derive(Clone, Debug)]
pub(crate) struct KnownPeer {
    pub peer: Peer,
    /// Where it stands.
    pub status: Status,
    /// The columns that it keeps.
    pub custody: ColumnSet,
}

/// What every task has at hand.
pub(crate) struct Shared {
    pub config: Arc<Config>,
    pub genesis_validators_root: Hash256,
    pub clock: Clock,
    pub db: Database,
    pub keys: Arc<PubkeyCache>,
    pub capacities: Capacities,
    pub snapshot: ArcSwap<Snapshot>,
    /// Where the peers stand; written by the sync task.
    pub peers: ArcSwap<Vec<KnownPeer>>,
    pub subscribers: Subscribers,
    /// Which columns we keep.
    pub custody: Custody,
    /// Which columns are here.
    pub columns: Columns,
    /// What was accepted of gossip.
    pub seen: Seen,
    /// Roots of blocks that are invalid.
    pub invalid_blocks: InvalidBlocks,
    /// Whether ranges are being fetched.
    pub is_syncing: AtomicBool,
    /// The first slot from which on all blocks of our chain are stored.
    pub earliest_slot: AtomicU64,
    /// The first slot from which on all columns of our custody are stored.
    pub earliest_columns: AtomicU64,
    /// One for each block task that may run.
    pub block_permits: Arc<Semaphore>,
    /// Where blocks of old branches wait for each other.
    pub detours: Detours,
    /// The whole state on disk that differences are written against. Those that were read from disk share most of it.
    pub anchor: ArcSwap<Entry>,
    /// One state is rebuilt at a time.
    pub rebuilding: Semaphore,
    pub network: Sender<NetworkCommand>,
    pub execution: Option<ExecutionQueue>,
    /// Verified messages go here too, for the blocks that we propose.
    pub pools: Option<Sender<Verified>>,
    /// The head's state at a later epoch, if somebody needed it or will.
    pub advanced: ArcSwapOption<Advanced>,
    /// Held on the blocking pool while that is made, so that it is made once for all who need it at the same moment.
    pub advancing: Mutex<()>,
    /// Committees whose votes ours aggregate soon: only theirs are summed one by one.
    pub aggregating: ArcSwap<BTreeSet<(Slot, CommitteeIndex)>>,
    /// Whether one of our validators is in the sync committee.
    pub signs_heads: AtomicBool,
    /// Committees that several states need.
    pub shufflings: RecentShufflings,
    /// Block tasks at work. What can wait waits for them.
    pub blocks_running: AtomicUsize,
    /// Validators, from the first on, whose decompressed keys are known to be in their file.
    pub keys_checked: AtomicUsize,
    /// What tasks have measured of what they own.
    pub sizes: Sizes,
    pub work: Sender<BlockWork>,
    pub votes: Sender<MessageWork>,
    pub operations: Sender<MessageWork>,
    pub subnets: Sender<subnets::SubnetMessage>,
    pub store: Sender<StoreMessage>,
    pub pending: Sender<PendingMessage>,
    pub sync: Sender<SyncMessage>,
    pub light_client: Sender<LightClientMessage>,
    pub blob_pool: Sender<PoolRequest>,
}

impl Shared {
    /// Tells the network, or counts what could not be told.
    pub fn tell_network(&self, command: NetworkCommand) {
        if self.network.try_send(command).is_err() {
            metrics::inc(&QUEUE_DROPPED, &[("queue", "network_commands")]);
        }
    }

    /// What gossip is judged against now.
    pub fn view<'a>(&'a self, snapshot: &'a Snapshot, state: &'a BeaconState) -> View<'a> {
        let (invalid_blocks, seen) = (&self.invalid_blocks, &self.seen);
        View {
            config: &self.config,
            keys: &self.keys,
            snapshot,
            state,
            invalid_blocks,
            seen,
            now_ms: self.clock.now_ms(),
        }
    }

    /// The digest of an epoch's fork.
    pub fn fork_digest(&self, epoch: Epoch) -> ForkDigest {
        let blobs =
            (self.config.fork_name(epoch) == Some(ForkName::Fulu)).then(|| self.config.get_blob_parameters(epoch));
        let version = self.config.fork_version(epoch);
        compute_fork_digest(version, self.genesis_validators_root, blobs.map(|b| (b.epoch, b.max_blobs_per_block)))
    }

    /// Where our chain stands. Before the first finality the finalized root is zero, as peers expect it.
    pub fn status(&self, snapshot: &Snapshot) -> Status {
        let finalized = snapshot.finalized;
        let earliest_available_slot = serve::earliest_available_slot(self, snapshot);
        metrics::set(&EARLIEST_AVAILABLE_SLOT, &[], earliest_available_slot as f64);
        Status {
            fork_digest: self.fork_digest(self.clock.epoch()),
            finalized_root: if finalized.epoch == 0 { Hash256::ZERO } else { finalized.root },
            finalized_epoch: finalized.epoch,
            head_root: snapshot.head_root,
            head_slot: snapshot.head_slot,
            earliest_available_slot,
        }
    }
}

/// The ends of the chain's queues that the network feeds. Feeding them may wait: that is downstream.
#[derive(Clone)]
pub struct ChainInputs {
    /// Gossiped blocks.
    pub gossip_blocks: Sender<network::GossipBlock>,
    /// Gossiped votes and sync committee signatures.
    pub gossip_votes: Sender<network::GossipSmall>,
    /// Gossiped operations.
    pub gossip_operations: Sender<network::GossipSmall>,
    /// Gossiped columns.
    pub gossip_columns: Sender<network::GossipColumn>,
    /// Gossiped updates for light clients.
    pub gossip_light_clients: Sender<network::GossipSmall>,
    /// Peers' requests.
    pub requests: Sender<network::InboundRequest>,
    /// News of peers.
    pub peers: Sender<network::PeerEvent>,
}

/// What a task is while it runs.
pub type TaskFuture = Pin<Box<dyn Future<Output = Result<(), TaskError>> + Send>>;

/// A task for `node` to supervise. It ends well only when the chain is shut down.
pub struct ChainTask {
    /// For logs.
    pub name: &'static str,
    /// Whether it can be started again after it failed or panicked. If not, the node has to be restarted: systemd does it.
    pub restartable: bool,
    /// Starts it; may be called again if it is restartable.
    pub start: Box<dyn Fn() -> TaskFuture + Send + Sync>,
}

/// A chain that is ready: its tasks run as soon as somebody starts them.
pub struct Chain {
    /// For everybody.
    pub handle: ChainHandle,
    /// For the network.
    pub inputs: ChainInputs,
    /// For the supervisor.
    pub tasks: Vec<ChainTask>,
}

/// Where the chain starts.
pub enum Start {
    /// From a trusted state and its block, in an empty data directory.
    Checkpoint {
        /// The state after the block.
        state: Box<BeaconState>,
        /// The block.
        block: Box<SignedBeaconBlock>,
    },
    /// From what the data directory has.
    Resume,
}

/// What the chain needs to start.
pub struct ChainConfig {
    /// The network's configuration.
    pub config: Arc<Config>,
    /// The data directory.
    pub db: Database,
    /// Where to start.
    pub start: Start,
    /// Who we are on the network, from the network's key: says which columns we keep. Without it we keep none.
    pub node_id: Option<[u8; 32]>,
    /// Tests give one that they move by hand; otherwise it is made from the state's genesis time.
    pub clock: Option<Clock>,
    /// Where what we want of the network goes.
    pub network: Sender<NetworkCommand>,
    /// The execution client or its stand-in. Without one, all blocks stay unverified and the log says so.
    pub execution: Option<ExecutionQueue>,
    /// Where verified messages go besides the fork choice; dropped when full.
    pub pools: Option<Sender<Verified>>,
    /// How much each queue holds.
    pub capacities: Capacities,
    /// Whether to fetch the blocks before the anchor that peers may ask for.
    pub backfill: bool,
    /// Whether old blocks are stored without payloads that the execution client keeps.
    pub prune_payloads: bool,
}
