//! The store as bytes, so that a restart needs neither a checkpoint nor a replay.
//!
//! A mark with the format's version; the length of what follows in SSZ, 300 bytes a block; then what has a number for each
//! validator, packed: how far it is from its neighbour's, in as few bytes as that needs. One for a vote's block and one for
//! its epoch, as a rule, and one for a balance; chunks of balances that checkpoints share are written once. What is written
//! is held once.

use std::{collections::HashMap, sync::Arc};

use ssz::{Decode, Encode};
use ssz_derive::{Decode, Encode};

use super::{
    Balances, FastConfirmation, MAX_NODES, Node, PayloadStatus, Store,
    balances::CHUNK,
    fast_confirmation::Observed,
    votes::{MAX_VALIDATORS, NO_NODE, Vote, Votes},
};
use crate::types::*;

/// Begins every snapshot; its last byte is the format's version.
const MARK: &[u8; 8] = b"hrnr-fc\x04";
/// More than all coins of any network, in Gwei; keeps sums far from overflowing.
const MAX_TOTAL_BALANCE: Gwei = 1 << 60;

/// Why a snapshot can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not one of ours, or another version's.
    #[error("it is not a fork-choice snapshot of this version")]
    Mark,
    /// Cut off or damaged.
    #[error("it is not well formed")]
    Malformed,
    /// Well formed, but contradicts itself.
    #[error("it contradicts itself: {0}")]
    Inconsistent(&'static str),
}

#[derive(Encode, Decode)]
struct Snapshot {
    time_ms: u64,
    genesis_time: u64,
    justified_checkpoint: Checkpoint,
    finalized_checkpoint: Checkpoint,
    unrealized_justified_checkpoint: Checkpoint,
    unrealized_finalized_checkpoint: Checkpoint,
    proposer_boost_root: Hash256,
    nodes: Vec<NodeRecord>,
    /// How many validators have votes.
    votes: u32,
    /// How many balances each chunk has.
    chunk_lens: Vec<u32>,
    /// The first are those in use.
    balances: Vec<BalancesRecord>,
    confirmed_root: Hash256,
    previous_slot_head: Hash256,
    current_slot_head: Hash256,
    previous_epoch_observed_justified: BalancesRecord,
    current_epoch_observed_justified: BalancesRecord,
    previous_epoch_greatest_unrealized: BalancesRecord,
}

#[derive(Encode, Decode)]
struct NodeRecord {
    root: Hash256,
    parent_root: Hash256,
    slot: Slot,
    proposer_index: ValidatorIndex,
    state_root: Hash256,
    execution_block_hash: Hash256,
    payload_status: u8,
    justified_checkpoint: Checkpoint,
    finalized_epoch: Epoch,
    unrealized_justified_checkpoint: Checkpoint,
    is_timely: bool,
    parent: u32,
}

#[derive(Encode, Decode)]
struct BalancesRecord {
    checkpoint: Checkpoint,
    /// Zero if the balances are not known, which is less than any total.
    total_active_balance: Gwei,
    /// Positions in the snapshot's chunks.
    chunks: Vec<u32>,
}

impl Store {
    /// The store as bytes.
    pub fn to_snapshot(&self) -> Vec<u8> {
        let mut chunks = ChunkTable::default();
        let in_use = (self.weighed_by, &self.balances);
        let others = self.checkpoint_balances.iter().map(|(checkpoint, balances)| (*checkpoint, balances));
        let balances = [in_use].into_iter().chain(others);
        let balances = balances.map(|(checkpoint, balances)| chunks.record(checkpoint, balances)).collect();
        let FastConfirmation {
            confirmed_root,
            previous_epoch_observed_justified,
            current_epoch_observed_justified,
            previous_epoch_greatest_unrealized,
            previous_slot_head,
            current_slot_head,
        } = &self.fast_confirmation;
        let snapshot = Snapshot {
            time_ms: self.time_ms,
            genesis_time: self.genesis_time,
            justified_checkpoint: self.justified_checkpoint,
            finalized_checkpoint: self.finalized_checkpoint,
            unrealized_justified_checkpoint: self.unrealized_justified_checkpoint,
            unrealized_finalized_checkpoint: self.unrealized_finalized_checkpoint,
            proposer_boost_root: self.proposer_boost_root,
            nodes: self.nodes.iter().map(NodeRecord::of).collect(),
            votes: self.votes.all.len() as u32,
            balances,
            confirmed_root: *confirmed_root,
            previous_slot_head: *previous_slot_head,
            current_slot_head: *current_slot_head,
            previous_epoch_observed_justified: chunks.observed(previous_epoch_observed_justified),
            current_epoch_observed_justified: chunks.observed(current_epoch_observed_justified),
            previous_epoch_greatest_unrealized: chunks.observed(previous_epoch_greatest_unrealized),
            chunk_lens: chunks.chunks.iter().map(|chunk| chunk.len() as u32).collect(),
        };
        let mut bytes = MARK.to_vec();
        bytes.extend_from_slice(&(snapshot.ssz_bytes_len() as u64).to_le_bytes());
        snapshot.ssz_append(&mut bytes);
        // No block is the neighbour of the first, not of the last possible one.
        pack(self.votes.all.iter().map(|vote| vote.node.wrapping_add(1)), &mut bytes);
        pack(self.votes.all.iter().map(|vote| vote.stamp), &mut bytes);
        for chunk in &chunks.chunks {
            pack(chunk.iter().map(|entry| u32::from(*entry)), &mut bytes);
        }
        bytes
    }

    /// The store that [`Store::to_snapshot`] wrote. Memory is bounded by the bytes given.
    ///
    /// # Errors
    /// When the bytes are of another version, damaged, or contradict themselves. Then begin from a checkpoint again.
    pub fn from_snapshot(bytes: &[u8], config: Arc<Config>) -> Result<Store, SnapshotError> {
        let body = bytes.strip_prefix(MARK).ok_or(SnapshotError::Mark)?;
        let (len, body) = body.split_first_chunk().ok_or(SnapshotError::Malformed)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| SnapshotError::Malformed)?;
        let (fixed, mut packed) = body.split_at_checked(len).ok_or(SnapshotError::Malformed)?;
        let snapshot = Snapshot::from_ssz_bytes(fixed).map_err(|_| SnapshotError::Malformed)?;
        let nodes = read_nodes(&snapshot.nodes)?;
        let positions: HashMap<_, _> = nodes.iter().zip(0..).map(|(node, at)| (node.root, at)).collect();
        let votes = read_votes(snapshot.votes, &mut packed, nodes.len())?;
        let to_u16 = |entry: u32| u16::try_from(entry).ok();
        let chunks: Vec<Arc<[u16]>> =
            snapshot.chunk_lens.iter().map(|len| unpack(*len, &mut packed, to_u16)).collect::<Result<_, _>>()?;
        if !packed.is_empty() {
            return Err(SnapshotError::Malformed);
        }
        let mut balances = read_balances(&snapshot.balances, &chunks)?;
        let (weighed_by, in_use) = balances.pop_front().ok_or(SnapshotError::Inconsistent("it has no balances"))?;
        let anchors = [&snapshot.justified_checkpoint, &snapshot.finalized_checkpoint];
        if positions.len() != nodes.len() {
            return Err(SnapshotError::Inconsistent("it has a block twice"));
        }
        if anchors.iter().any(|checkpoint| !positions.contains_key(&checkpoint.root)) {
            return Err(SnapshotError::Inconsistent("it lacks the block of its own checkpoint"));
        }
        let mut store = Store {
            fast_confirmation: read_fast_confirmation(&snapshot, &chunks)?,
            config,
            time_ms: snapshot.time_ms,
            genesis_time: snapshot.genesis_time,
            justified_checkpoint: snapshot.justified_checkpoint,
            finalized_checkpoint: snapshot.finalized_checkpoint,
            unrealized_justified_checkpoint: snapshot.unrealized_justified_checkpoint,
            unrealized_finalized_checkpoint: snapshot.unrealized_finalized_checkpoint,
            proposer_boost_root: snapshot.proposer_boost_root,
            votes,
            nodes,
            positions,
            balances: in_use,
            weighed_by,
            checkpoint_balances: balances,
        };
        store.weigh_all_votes();
        Ok(store)
    }
}

/// Gives every distinct chunk one place.
#[derive(Default)]
struct ChunkTable {
    places: HashMap<*const u16, u32>,
    chunks: Vec<Arc<[u16]>>,
}

impl ChunkTable {
    fn place(&mut self, chunk: &Arc<[u16]>) -> u32 {
        *self.places.entry(chunk.as_ptr()).or_insert_with(|| {
            self.chunks.push(chunk.clone());
            self.chunks.len() as u32 - 1
        })
    }

    fn record(&mut self, checkpoint: Checkpoint, balances: &Balances) -> BalancesRecord {
        BalancesRecord {
            checkpoint,
            total_active_balance: balances.total_active_balance,
            chunks: balances.chunks.iter().map(|chunk| self.place(chunk)).collect(),
        }
    }

    fn observed(&mut self, Observed { checkpoint, balances }: &Observed) -> BalancesRecord {
        self.record(*checkpoint, balances.as_deref().unwrap_or(&Balances::default()))
    }
}

/// Writes how far each number is from the one before: a byte while that is less than 64 up or down.
fn pack(numbers: impl Iterator<Item = u32>, out: &mut Vec<u8>) {
    let (mut last, mut buffer) = (0u32, unsigned_varint::encode::u32_buffer());
    for number in numbers {
        let change = number.wrapping_sub(last) as i32;
        let folded = (change << 1 ^ change >> 31) as u32;
        out.extend_from_slice(unsigned_varint::encode::u32(folded, &mut buffer));
        last = number;
    }
}

/// Reads so many numbers that [`pack`] wrote, and collects what `make` makes of them. Each has a byte or more.
fn unpack<T, C: FromIterator<T>>(
    count: u32,
    packed: &mut &[u8],
    mut make: impl FnMut(u32) -> Option<T>,
) -> Result<C, SnapshotError> {
    if count as usize > packed.len() {
        return Err(SnapshotError::Malformed);
    }
    let mut last = 0u32;
    let numbers = (0..count).map(|_| {
        let (folded, rest) = unsigned_varint::decode::u32(packed).map_err(|_| SnapshotError::Malformed)?;
        *packed = rest;
        last = last.wrapping_add(folded >> 1 ^ (folded & 1).wrapping_neg());
        make(last).ok_or(SnapshotError::Malformed)
    });
    numbers.collect()
}

impl NodeRecord {
    fn of(node: &Node) -> NodeRecord {
        NodeRecord {
            root: node.root,
            parent_root: node.parent_root,
            slot: node.slot,
            proposer_index: node.proposer_index,
            state_root: node.state_root,
            execution_block_hash: node.execution_block_hash,
            payload_status: match node.payload_status {
                PayloadStatus::NotValidated => 0,
                PayloadStatus::Valid => 1,
                PayloadStatus::Invalid => 2,
            },
            justified_checkpoint: node.justified_checkpoint,
            finalized_epoch: node.finalized_epoch,
            unrealized_justified_checkpoint: node.unrealized_justified_checkpoint,
            is_timely: node.is_timely,
            parent: node.parent.unwrap_or(NO_NODE),
        }
    }

    fn read(&self) -> Result<Node, SnapshotError> {
        Ok(Node {
            root: self.root,
            parent_root: self.parent_root,
            slot: self.slot,
            proposer_index: self.proposer_index,
            state_root: self.state_root,
            execution_block_hash: self.execution_block_hash,
            payload_status: match self.payload_status {
                0 => PayloadStatus::NotValidated,
                1 => PayloadStatus::Valid,
                2 => PayloadStatus::Invalid,
                _ => return Err(SnapshotError::Inconsistent("it has an unknown payload status")),
            },
            justified_checkpoint: self.justified_checkpoint,
            finalized_epoch: self.finalized_epoch,
            unrealized_justified_checkpoint: self.unrealized_justified_checkpoint,
            is_timely: self.is_timely,
            weight: 0,
            votes: 0,
            parent: (self.parent != NO_NODE).then_some(self.parent),
        })
    }
}

/// Only the first block has no parent; all others come after theirs, in place and in slot.
fn read_nodes(records: &[NodeRecord]) -> Result<Vec<Node>, SnapshotError> {
    if records.is_empty() || records.len() > MAX_NODES {
        return Err(SnapshotError::Inconsistent("its number of blocks is out of bounds"));
    }
    let nodes: Vec<Node> = records.iter().map(NodeRecord::read).collect::<Result<_, _>>()?;
    let is_above_parent = |at: usize| match nodes[at].parent.map(|parent| parent as usize) {
        None => at == 0,
        Some(parent) => {
            parent < at && nodes[parent].slot < nodes[at].slot && nodes[parent].root == nodes[at].parent_root
        }
    };
    if (0..nodes.len()).all(is_above_parent) {
        Ok(nodes)
    } else {
        Err(SnapshotError::Inconsistent("a block is not above its parent"))
    }
}

fn read_votes(count: u32, packed: &mut &[u8], blocks: usize) -> Result<Votes, SnapshotError> {
    if count as usize > MAX_VALIDATORS {
        return Err(SnapshotError::Inconsistent("its number of votes is out of bounds"));
    }
    let nodes = unpack(count, packed, |node| Some(Vote { node: node.wrapping_sub(1), stamp: 0 }));
    let mut all: Vec<Vote> = nodes?;
    let mut votes = all.iter_mut();
    let stamps = unpack(count, packed, |stamp| votes.next().map(|vote| vote.stamp = stamp));
    stamps.map(|_: Vec<()>| ())?;
    if all.iter().any(|vote| vote.node != NO_NODE && vote.node as usize >= blocks) {
        return Err(SnapshotError::Inconsistent("a vote is for a block that is not there"));
    }
    Ok(Votes { all })
}

type AllBalances = std::collections::VecDeque<(Checkpoint, Arc<Balances>)>;

fn read_balances(records: &[BalancesRecord], chunks: &[Arc<[u16]>]) -> Result<AllBalances, SnapshotError> {
    let read = |record: &BalancesRecord| Ok((record.checkpoint, Arc::new(record.read(chunks)?)));
    records.iter().map(read).collect()
}

fn read_fast_confirmation(snapshot: &Snapshot, chunks: &[Arc<[u16]>]) -> Result<FastConfirmation, SnapshotError> {
    let observed = |record: &BalancesRecord| {
        let is_known = record.total_active_balance != 0;
        let balances = if is_known { Some(Arc::new(record.read(chunks)?)) } else { None };
        Ok(Observed { checkpoint: record.checkpoint, balances })
    };
    Ok(FastConfirmation {
        confirmed_root: snapshot.confirmed_root,
        previous_epoch_observed_justified: observed(&snapshot.previous_epoch_observed_justified)?,
        current_epoch_observed_justified: observed(&snapshot.current_epoch_observed_justified)?,
        previous_epoch_greatest_unrealized: observed(&snapshot.previous_epoch_greatest_unrealized)?,
        previous_slot_head: snapshot.previous_slot_head,
        current_slot_head: snapshot.current_slot_head,
    })
}

impl BalancesRecord {
    fn read(&self, chunks: &[Arc<[u16]>]) -> Result<Balances, SnapshotError> {
        let wrong = SnapshotError::Inconsistent("its balances are not in order");
        let shared = self.chunks.iter().map(|place| chunks.get(*place as usize).cloned());
        let chunks: Vec<_> = shared.collect::<Option<_>>().ok_or(wrong)?;
        let (last, full) = chunks.split_last().map_or((0, &chunks[..]), |(last, full)| (last.len(), full));
        if last > CHUNK || full.iter().any(|chunk| chunk.len() != CHUNK) || chunks.len() > MAX_VALIDATORS / CHUNK {
            return Err(wrong);
        }
        let balances = Balances { chunks, total_active_balance: self.total_active_balance };
        let sum: u128 = balances.active_balances().map(u128::from).sum();
        if balances.total_active_balance > MAX_TOTAL_BALANCE || sum > u128::from(balances.total_active_balance) {
            return Err(wrong);
        }
        Ok(balances)
    }
}
