//! How the rest of the node talks to the network task.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_channel::{Receiver, Sender};
use libp2p::{Multiaddr, PeerId, gossipsub::MessageId};

use super::{
    client::{BlockSender, ColumnSender},
    config::Forks,
    events::{Blocks, Columns, PublishError, RequestKind, Verdict},
    identity::Enr,
    messages::{GoodbyeReason, MetaData, Status},
    peer::PeerInfo,
    protocol::MAX_REQUEST_BLOCKS,
    rpc_error::RpcError,
    score::Reason,
    server::distinct,
    subnets::Subnets,
    topic::Topic,
};
use crate::{
    metrics::{self, QUEUE_DROPPED},
    types::{ColumnIndex, Hash256, Slot},
};

/// Commands that wait. Verdicts are the most frequent: hundreds within a slot.
pub(super) const COMMANDS: usize = 512;
/// Blocks of an answer that wait for the asker; each may be megabytes.
const BLOCKS_AHEAD: usize = 2;
/// Columns of an answer that wait for the asker, some 45 KB each with today's blobs.
const COLUMNS_AHEAD: usize = 8;

/// What the network task can be told.
pub(super) enum Command {
    Publish { topic: Topic, ssz: Vec<u8>, reply: Sender<Result<(), PublishError>> },
    Verdict { id: MessageId, peer: PeerId, verdict: Verdict },
    Blocks { peer: PeerId, wanted: RequestKind, reply: BlockSender },
    Columns { peer: PeerId, wanted: RequestKind, reply: ColumnSender },
    Report { peer: PeerId, reason: Reason },
    Goodbye { peer: PeerId, reason: GoodbyeReason },
    AskStatus(PeerId),
    Listen { topic: Topic, listens: bool },
    SetStatus(Status),
    SetForks(Forks),
    SetActiveValidators(u64),
    SetCustody(u64),
    SetSubnets(Subnets),
    Peers(Sender<Vec<PeerInfo>>),
    Bans(Sender<Vec<(PeerId, Duration)>>),
    Shutdown(Sender<()>),
}

/// Who we are on the network.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Our peer id.
    pub peer_id: PeerId,
    /// Our record.
    pub enr: Enr,
    /// Where we listen, without the peer id.
    pub listen_addrs: Vec<Multiaddr>,
    /// Where discovery listens, without the peer id; nothing without it.
    pub discovery_addrs: Vec<Multiaddr>,
    /// What we subscribe to and keep.
    pub metadata: MetaData,
}

/// Tells the network task what to do. No call waits for room in its mailbox: when that is full, the call fails or is
/// dropped and counted.
#[derive(Clone)]
pub struct P2pHandle {
    commands: Sender<Command>,
    identity: Arc<Mutex<Identity>>,
}

impl P2pHandle {
    pub(super) fn new(commands: Sender<Command>, identity: Arc<Mutex<Identity>>) -> P2pHandle {
        P2pHandle { commands, identity }
    }

    /// Publishes the SSZ of a message. `Ok` also when we or others have published the same before.
    pub async fn publish(&self, topic: Topic, ssz: Vec<u8>) -> Result<(), PublishError> {
        self.ask(|reply| Command::Publish { topic, ssz, reply }).await.unwrap_or(Err(PublishError::Busy))
    }

    /// Says what validation found of a gossip message.
    pub fn verdict(&self, id: MessageId, peer: PeerId, verdict: Verdict) {
        self.tell(Command::Verdict { id, peer, verdict });
    }

    /// Asks for the blocks of `count` slots, at most [`MAX_REQUEST_BLOCKS`], from `start_slot` on. The answer is checked
    /// for order, range and known forks; not for anything that needs the chain.
    pub fn blocks_by_range(&self, peer: PeerId, start_slot: Slot, count: u64) -> Blocks {
        self.blocks(peer, RequestKind::BlocksByRange { start_slot, count: count.min(MAX_REQUEST_BLOCKS as u64) })
    }

    /// Asks for the blocks with these roots, of which the first [`MAX_REQUEST_BLOCKS`] count. Whether a block has one of
    /// the roots is for the caller to check: it has to compute its root anyway.
    pub fn blocks_by_root(&self, peer: PeerId, mut roots: Vec<Hash256>) -> Blocks {
        roots.truncate(MAX_REQUEST_BLOCKS);
        self.blocks(peer, RequestKind::BlocksByRoot { roots })
    }

    /// Asks for the block with this root and those before it, at most [`MAX_REQUEST_BLOCKS`]. The answer is checked for
    /// descending slots and known forks; whether each is the last one's parent is for the caller to check.
    pub fn blocks_by_head(&self, peer: PeerId, root: Hash256, count: u64) -> Blocks {
        self.blocks(peer, RequestKind::BlocksByHead { root, count: count.min(MAX_REQUEST_BLOCKS as u64) })
    }

    /// Asks for columns of the blocks of `count` slots, at most [`MAX_REQUEST_BLOCKS`], from `start_slot` on. The answer is
    /// checked for order, range, columns and one block in a slot; proofs are for the caller to check.
    pub fn columns_by_range(&self, peer: PeerId, start_slot: Slot, count: u64, columns: &[ColumnIndex]) -> Columns {
        let (count, columns) = (count.min(MAX_REQUEST_BLOCKS as u64), distinct(columns));
        self.columns(peer, RequestKind::ColumnsByRange { start_slot, count, columns })
    }

    /// Asks for columns of certain blocks, of which the first [`MAX_REQUEST_BLOCKS`] count. What comes was asked for and
    /// comes once; proofs are for the caller to check.
    pub fn columns_by_root(&self, peer: PeerId, mut wanted: Vec<(Hash256, Vec<ColumnIndex>)>) -> Columns {
        wanted.truncate(MAX_REQUEST_BLOCKS);
        let wanted = wanted.into_iter().map(|(root, columns)| (root, distinct(&columns))).collect();
        self.columns(peer, RequestKind::ColumnsByRoot { wanted })
    }

    fn columns(&self, peer: PeerId, wanted: RequestKind) -> Columns {
        let (reply, columns) = async_channel::bounded(COLUMNS_AHEAD);
        let command = Command::Columns { peer, wanted, reply: reply.clone() };
        if self.commands.try_send(command).is_err() {
            // The queue is new and has room.
            let _ = reply.try_send(Err(RpcError::Busy));
        }
        columns
    }

    fn blocks(&self, peer: PeerId, wanted: RequestKind) -> Blocks {
        let (reply, blocks) = async_channel::bounded(BLOCKS_AHEAD);
        let command = Command::Blocks { peer, wanted, reply: reply.clone() };
        if self.commands.try_send(command).is_err() {
            // The queue is new and has room.
            let _ = reply.try_send(Err(RpcError::Busy));
        }
        blocks
    }

    /// Punishes a peer for what the chain found.
    pub fn report(&self, peer: PeerId, reason: Reason) {
        self.tell(Command::Report { peer, reason });
    }

    /// Says goodbye to a peer and disconnects.
    pub fn goodbye(&self, peer: PeerId, reason: GoodbyeReason) {
        self.tell(Command::Goodbye { peer, reason });
    }

    /// Asks a peer where it stands now; the answer is a [`super::PeerEvent::Status`].
    pub fn ask_status(&self, peer: PeerId) {
        self.tell(Command::AskStatus(peer));
    }

    /// Begins to listen to a topic besides the global ones, which we always listen to, or ends it.
    pub fn listen(&self, topic: Topic, listens: bool) {
        self.tell(Command::Listen { topic, listens });
    }

    /// Sets where our chain stands. Its fork digest is replaced by the current one.
    pub fn set_status(&self, status: Status) {
        self.tell(Command::SetStatus(status));
    }

    /// The clock entered another fork: topics, record and status change, and peers must be on it.
    pub fn set_forks(&self, forks: Forks) {
        self.tell(Command::SetForks(forks));
    }

    /// So many validators attest now: gossip's scores follow from how many messages there should be.
    pub fn set_active_validators(&self, count: u64) {
        self.tell(Command::SetActiveValidators(count));
    }

    /// Sets how many custody groups we keep from now on: metadata and record tell others. The number never falls.
    pub fn set_custody(&self, groups: u64) {
        self.tell(Command::SetCustody(groups));
    }

    /// Takes part in other subnets of votes and sync committee messages than before; metadata and record tell others.
    pub fn set_subnets(&self, subnets: Subnets) {
        self.tell(Command::SetSubnets(subnets));
    }

    /// All connected peers.
    pub async fn peers(&self) -> Vec<PeerInfo> {
        self.ask(Command::Peers).await.unwrap_or_default()
    }

    /// All banned peers, and for how much longer.
    pub async fn bans(&self) -> Vec<(PeerId, Duration)> {
        self.ask(Command::Bans).await.unwrap_or_default()
    }

    /// Says goodbye to all peers and ends the task. Returns within about a second.
    pub async fn shutdown(&self) {
        self.ask(Command::Shutdown).await;
    }

    /// Who we are.
    pub fn identity(&self) -> Identity {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Our record.
    pub fn local_enr(&self) -> Enr {
        self.identity().enr
    }

    /// Our peer id.
    pub fn peer_id(&self) -> PeerId {
        self.identity().peer_id
    }

    /// Where we listen, without the peer id.
    pub fn listen_addrs(&self) -> Vec<Multiaddr> {
        self.identity().listen_addrs
    }

    fn tell(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            metrics::inc(&QUEUE_DROPPED, &[("queue", "p2p_commands")]);
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> Option<T> {
        let (reply, answer): (Sender<T>, Receiver<T>) = async_channel::bounded(1);
        self.commands.try_send(command(reply)).ok()?;
        answer.recv().await.ok()
    }
}
