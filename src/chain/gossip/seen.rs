//! What was accepted of late, so that nothing is accepted twice.

use std::{mem::size_of, sync::Arc};

use ssz::Encode as _;

use super::{Refusal, ensure, ignore};
use crate::{
    chain::{
        limits::*,
        recent::{RecentMap, RecentSet},
    },
    types::*,
};

/// A list of bits as bytes; those of one committee are equally long.
type Bits = Vec<u8>;

/// What was accepted of late. What is forgotten because a set is full would be accepted once more: that costs some work,
/// and is no fault.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#modified-seen>
#[derive(Debug)]
pub struct Seen {
    proposer_slots: RecentSet<(Slot, ValidatorIndex)>,
    aggregator_epochs: RecentSet<(Epoch, ValidatorIndex)>,
    /// By root of the data and committee.
    aggregate_bits: RecentMap<(Hash256, CommitteeIndex), Vec<Bits>>,
    voluntary_exit_indices: RecentSet<ValidatorIndex>,
    proposer_slashing_indices: RecentSet<ValidatorIndex>,
    attester_slashing_indices: RecentSet<ValidatorIndex>,
    attestation_validator_epochs: RecentSet<(Epoch, ValidatorIndex)>,
    sync_contribution_aggregator_slots: RecentSet<(Slot, ValidatorIndex, u64)>,
    /// By slot, head and subcommittee.
    sync_contribution_bits: RecentMap<(Slot, Hash256, u64), Vec<Bits>>,
    sync_message_validator_slots: RecentSet<(Slot, ValidatorIndex, u64)>,
    bls_to_execution_change_indices: RecentSet<ValidatorIndex>,
    blob_sidecar_tuples: RecentSet<(Slot, ValidatorIndex, u64)>,
    data_column_sidecar_tuples: RecentSet<(Slot, ValidatorIndex, ColumnIndex)>,
    /// Roots of blocks with their proposers' signatures that were verified: the same comes with the block and each column.
    signed_blocks: RecentSet<(Hash256, BLSSignature)>,
    /// By root of the block.
    partial_data_column_headers: RecentMap<Hash256, Arc<PartialDataColumnHeader>>,
    /// Blocks that were kept although their parents were not known.
    orphans: RecentMap<(Slot, ValidatorIndex), Hash256>,
}

impl Default for Seen {
    fn default() -> Self {
        Seen {
            proposer_slots: RecentSet::new(SEEN_PROPOSALS),
            aggregator_epochs: RecentSet::new(SEEN_AGGREGATORS),
            aggregate_bits: RecentMap::new(SEEN_AGGREGATES),
            voluntary_exit_indices: RecentSet::new(SEEN_EXITS),
            proposer_slashing_indices: RecentSet::new(SEEN_EXITS),
            attester_slashing_indices: RecentSet::new(SEEN_SLASHED_ATTESTERS),
            attestation_validator_epochs: RecentSet::new(SEEN_ATTESTERS),
            sync_contribution_aggregator_slots: RecentSet::new(SEEN_CONTRIBUTIONS),
            sync_contribution_bits: RecentMap::new(SEEN_CONTRIBUTIONS),
            sync_message_validator_slots: RecentSet::new(SEEN_SYNC_MESSAGES),
            bls_to_execution_change_indices: RecentSet::new(SEEN_EXITS),
            blob_sidecar_tuples: RecentSet::new(SEEN_BLOBS),
            data_column_sidecar_tuples: RecentSet::new(SEEN_COLUMNS),
            signed_blocks: RecentSet::new(SEEN_SIGNATURES),
            partial_data_column_headers: RecentMap::new(SEEN_PARTIAL_HEADERS),
            orphans: RecentMap::new(SEEN_ORPHANS),
        }
    }
}

/// What is remembered of an accepted message.
#[derive(Clone, Debug)]
pub(crate) enum Mark {
    Proposal(Slot, ValidatorIndex),
    Aggregate {
        aggregator: (Epoch, ValidatorIndex),
        committee: (Hash256, CommitteeIndex),
        bits: Bits,
    },
    Attestation(Epoch, ValidatorIndex),
    VoluntaryExit(ValidatorIndex),
    ProposerSlashing(ValidatorIndex),
    /// Those who gave both votes.
    AttesterSlashing(Vec<ValidatorIndex>),
    BlsToExecutionChange(ValidatorIndex),
    Contribution {
        aggregator: (Slot, ValidatorIndex, u64),
        data: (Slot, Hash256, u64),
        bits: Bits,
    },
    SyncMessage(Slot, ValidatorIndex, u64),
    DataColumn(Slot, ValidatorIndex, ColumnIndex),
    Blob(Slot, ValidatorIndex, u64),
}

impl Mark {
    /// What a message with this mark is when the mark was seen.
    pub(super) fn repeated(&self) -> Refusal {
        ignore(match self {
            Mark::Proposal(..) => "block is not the first valid block for this slot and proposer",
            Mark::Aggregate { .. } => "already seen aggregate for this epoch and aggregator",
            Mark::Attestation(..) => "already seen attestation for this epoch and validator",
            Mark::VoluntaryExit(_) => "already seen voluntary exit for this validator",
            Mark::ProposerSlashing(_) => "already seen proposer slashing for this proposer",
            Mark::AttesterSlashing(_) => "all attester slashing indices already seen",
            Mark::BlsToExecutionChange(_) => "already seen BLS to execution change for this validator",
            Mark::Contribution { .. } => "already seen contribution from this aggregator",
            Mark::SyncMessage(..) => "already seen message from this validator for this slot and subnet",
            Mark::DataColumn(..) => "already seen sidecar from this proposer for this slot and index",
            Mark::Blob(..) => "already seen blob sidecar from this proposer for this slot and index",
        })
    }
}

impl Seen {
    /// Whether a message with this mark would be new.
    pub(crate) fn check(&self, mark: &Mark) -> Result<(), Refusal> {
        let is_new = match mark {
            Mark::Proposal(slot, proposer) => !self.proposer_slots.contains(&(*slot, *proposer)),
            Mark::Aggregate { aggregator, committee, bits } => {
                let is_known = self.aggregate_bits.is_some_and(committee, |seen| is_non_strict_superset(seen, bits));
                ensure(!is_known, ignore("already seen aggregate for this data"))?;
                !self.aggregator_epochs.contains(aggregator)
            }
            Mark::Attestation(epoch, index) => !self.attestation_validator_epochs.contains(&(*epoch, *index)),
            Mark::VoluntaryExit(index) => !self.voluntary_exit_indices.contains(index),
            Mark::ProposerSlashing(index) => !self.proposer_slashing_indices.contains(index),
            Mark::AttesterSlashing(indices) => {
                indices.iter().any(|index| !self.attester_slashing_indices.contains(index))
            }
            Mark::BlsToExecutionChange(index) => !self.bls_to_execution_change_indices.contains(index),
            Mark::Contribution { aggregator, data, bits } => {
                let is_known = self.sync_contribution_bits.is_some_and(data, |seen| is_non_strict_superset(seen, bits));
                ensure(!is_known, ignore("already seen contribution for this data"))?;
                !self.sync_contribution_aggregator_slots.contains(aggregator)
            }
            Mark::SyncMessage(slot, index, subnet) => {
                !self.sync_message_validator_slots.contains(&(*slot, *index, *subnet))
            }
            Mark::DataColumn(slot, index, column) => {
                !self.data_column_sidecar_tuples.contains(&(*slot, *index, *column))
            }
            Mark::Blob(slot, index, blob) => !self.blob_sidecar_tuples.contains(&(*slot, *index, *blob)),
        };
        ensure(is_new, mark.repeated())
    }

    /// Remembers an accepted message.
    ///
    /// # Errors
    /// If it was accepted before, perhaps by another task just now.
    pub(crate) fn remember(&self, mark: Mark) -> Result<(), Refusal> {
        self.check(&mark)?;
        let repeated = mark.repeated();
        let is_new = match mark {
            Mark::Proposal(slot, proposer) => self.proposer_slots.add((slot, proposer)),
            Mark::Aggregate { aggregator, committee, bits } => {
                // Each aggregator is counted once, so a committee has few entries.
                self.aggregate_bits.update(committee, |seen| seen.push(bits));
                self.aggregator_epochs.add(aggregator)
            }
            Mark::Attestation(epoch, index) => self.attestation_validator_epochs.add((epoch, index)),
            Mark::VoluntaryExit(index) => self.voluntary_exit_indices.add(index),
            Mark::ProposerSlashing(index) => self.proposer_slashing_indices.add(index),
            Mark::AttesterSlashing(indices) => {
                // All of them, so not `any`, which ends at the first.
                indices.into_iter().filter(|index| self.attester_slashing_indices.add(*index)).count() > 0
            }
            Mark::BlsToExecutionChange(index) => self.bls_to_execution_change_indices.add(index),
            Mark::Contribution { aggregator, data, bits } => {
                self.sync_contribution_bits.update(data, |seen| seen.push(bits));
                self.sync_contribution_aggregator_slots.add(aggregator)
            }
            Mark::SyncMessage(slot, index, subnet) => self.sync_message_validator_slots.add((slot, index, subnet)),
            Mark::DataColumn(slot, index, column) => self.data_column_sidecar_tuples.add((slot, index, column)),
            Mark::Blob(slot, index, blob) => self.blob_sidecar_tuples.add((slot, index, blob)),
        };
        ensure(is_new, repeated)
    }

    /// Forgets three quarters of what fits into each set, the oldest first.
    pub fn forget_older(&self) {
        fn forget<K: Copy + Eq + std::hash::Hash, V>(seen: &RecentMap<K, V>) {
            seen.forget_older(seen.limit() / 4);
        }
        forget(&self.proposer_slots);
        forget(&self.aggregator_epochs);
        forget(&self.aggregate_bits);
        forget(&self.voluntary_exit_indices);
        forget(&self.proposer_slashing_indices);
        forget(&self.attester_slashing_indices);
        forget(&self.attestation_validator_epochs);
        forget(&self.sync_contribution_aggregator_slots);
        forget(&self.sync_contribution_bits);
        forget(&self.sync_message_validator_slots);
        forget(&self.bls_to_execution_change_indices);
        forget(&self.blob_sidecar_tuples);
        forget(&self.data_column_sidecar_tuples);
        forget(&self.signed_blocks);
        forget(&self.partial_data_column_headers);
        forget(&self.orphans);
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        let none = |(): &()| 0;
        let bits = |seen: &Vec<Bits>| {
            seen.capacity() * size_of::<Bits>() + seen.iter().map(|bits| bits.capacity()).sum::<usize>()
        };
        self.proposer_slots.bytes(none)
            + self.aggregator_epochs.bytes(none)
            + self.aggregate_bits.bytes(bits)
            + self.voluntary_exit_indices.bytes(none)
            + self.proposer_slashing_indices.bytes(none)
            + self.attester_slashing_indices.bytes(none)
            + self.attestation_validator_epochs.bytes(none)
            + self.sync_contribution_aggregator_slots.bytes(none)
            + self.sync_contribution_bits.bytes(bits)
            + self.sync_message_validator_slots.bytes(none)
            + self.bls_to_execution_change_indices.bytes(none)
            + self.blob_sidecar_tuples.bytes(none)
            + self.data_column_sidecar_tuples.bytes(none)
            + self.signed_blocks.bytes(none)
            + self.partial_data_column_headers.bytes(|header| header.as_ssz_bytes().len())
            + self.orphans.bytes(|_| 0)
    }

    /// Whether a well signed block may be kept although its parent is not known: the first of its proposer and slot, as of those
    /// whose parents are known. A proposer could sign any number otherwise, each of them stored, and judged when the parent comes.
    pub(crate) fn claim_orphan(&self, slot: Slot, proposer: ValidatorIndex, root: Hash256) -> bool {
        self.orphans.insert((slot, proposer), root) || self.orphans.get(&(slot, proposer)) == Some(root)
    }

    /// Whether a proposer's signature under a block is known to be good.
    pub fn is_signed(&self, block_root: Hash256, signature: BLSSignature) -> bool {
        self.signed_blocks.contains(&(block_root, signature))
    }

    /// Remembers a good signature under a block.
    pub fn remember_signed(&self, block_root: Hash256, signature: BLSSignature) {
        self.signed_blocks.add((block_root, signature));
    }

    /// The validated header of a block's partial columns.
    pub fn partial_header(&self, block_root: &Hash256) -> Option<Arc<PartialDataColumnHeader>> {
        self.partial_data_column_headers.get(block_root)
    }

    /// Remembers a validated header of a block's partial columns.
    pub fn remember_partial_header(&self, block_root: Hash256, header: PartialDataColumnHeader) {
        self.partial_data_column_headers.insert(block_root, Arc::new(header));
    }
}

/// Whether all bits that are set are set in one of those seen.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#is_non_strict_superset>
fn is_non_strict_superset(seen: &[Bits], new: &Bits) -> bool {
    let holds =
        |prior: &Bits| prior.len() == new.len() && prior.iter().zip(new).all(|(prior, new)| prior & new == *new);
    seen.iter().any(holds)
}
