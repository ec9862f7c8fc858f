//! The state's SSZ, read and written as a stream, and its fields' roots, all driven by the table of fields.

use std::io::{self, Read, Write};

use ssz::{Decode, Encode};
use tree_hash::TreeHash;

use super::{BeaconState, Field, Hashed, JustificationBits, fields};
use crate::{
    ssz::{Column, ColumnError, Element},
    types::{preset::*, *},
};

/// Bytes of an offset in SSZ.
const OFFSET: usize = 4;
/// Longest encoding of a payload header: its fixed part and 32 bytes of extra data.
const MAX_PAYLOAD_HEADER_LEN: u64 = 584 + 32;
/// Longest encoding of an epoch's pending attestations: of each an offset, 148 bytes and the bits of a full committee.
const MAX_PENDING_ATTESTATIONS_LEN: u64 =
    MAX_ATTESTATIONS * SLOTS_PER_EPOCH * (4 + 148 + MAX_VALIDATORS_PER_COMMITTEE as u64 / 8 + 1);

/// Why bytes are not a state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The source failed or ended early.
    #[error("{field:?}: {source}")]
    Io {
        /// Where it happened.
        field: Field,
        /// What happened.
        source: io::Error,
    },
    /// The bytes of a field are not its encoding.
    #[error("{field:?} is not validly encoded: {reason}")]
    Field {
        /// Which field.
        field: Field,
        /// What is wrong.
        reason: String,
    },
    /// Bytes are left after the last field.
    #[error("bytes are left after the last field")]
    TrailingBytes,
}

impl StateError {
    pub(super) fn field(field: Field, reason: impl ToString) -> Self {
        StateError::Field { field, reason: reason.to_string() }
    }
}

impl BeaconState {
    /// Reads `fork`'s state from a stream, straight into columns: nothing but what becomes the state is held. The source
    /// must end with the state. Compare the root with one that is trusted: a list cut off between two items at the very
    /// end of the stream can't be told from a shorter one.
    pub fn from_reader(fork: ForkName, source: &mut impl Read) -> Result<Self, StateError> {
        let mut state = BeaconState { fork_name: fork, ..BeaconState::default() };
        let mut offsets: Vec<(Field, u64)> = Vec::new();
        let mut fixed_len = 0;
        for field in fields(fork).iter().copied() {
            match fixed_len_of(field) {
                Some(len) => {
                    state.read_fixed(field, len, source)?;
                    fixed_len += len as u64;
                }
                None => {
                    let mut offset = [0; OFFSET];
                    source.read_exact(&mut offset).map_err(|source| StateError::Io { field, source })?;
                    offsets.push((field, u64::from(u32::from_le_bytes(offset))));
                    fixed_len += OFFSET as u64;
                }
            }
        }
        let mut expected = fixed_len;
        for (n, (field, offset)) in offsets.iter().copied().enumerate() {
            let end = offsets.get(n + 1).map(|(_, end)| *end);
            if offset != expected || end.is_some_and(|end| end < offset) {
                return Err(StateError::field(field, format!("offset {offset} where {expected} or more was due")));
            }
            state.read_variable(field, source, end.map(|end| end - offset))?;
            expected = end.unwrap_or(offset);
        }
        match source.read(&mut [0]) {
            Ok(0) => Ok(state),
            _ => Err(StateError::TrailingBytes),
        }
    }

    /// Decodes `fork`'s state from bytes at hand.
    pub fn from_ssz_bytes(fork: ForkName, mut bytes: &[u8]) -> Result<Self, StateError> {
        Self::from_reader(fork, &mut bytes)
    }

    /// Bytes of the state in SSZ.
    pub fn ssz_len(&self) -> usize {
        fields(self.fork_name)
            .iter()
            .map(|field| fixed_len_of(*field).unwrap_or_else(|| OFFSET + self.variable_len(*field)))
            .sum()
    }

    /// Writes the state's SSZ, piece by piece.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let all = fields(self.fork_name);
        let mut offset: usize = all.iter().map(|field| fixed_len_of(*field).unwrap_or(OFFSET)).sum();
        for field in all.iter().copied() {
            if fixed_len_of(field).is_some() {
                self.write_field(field, out)?;
            } else {
                let here = u32::try_from(offset).map_err(|_| io::Error::other("a state of 4 GiB has no encoding"))?;
                out.write_all(&here.to_le_bytes())?;
                offset += self.variable_len(field);
            }
        }
        for field in all.iter().copied().filter(|field| fixed_len_of(*field).is_none()) {
            self.write_field(field, out)?;
        }
        Ok(())
    }

    /// The state's SSZ in one piece: for tests and small states.
    pub fn to_ssz_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.ssz_len());
        self.write_to(&mut bytes).expect("writing to memory does not fail");
        bytes
    }

    fn read_fixed(&mut self, field: Field, len: usize, source: &mut impl Read) -> Result<(), StateError> {
        match field {
            Field::BlockRoots => self.block_roots = vector(field, source, SLOTS_PER_HISTORICAL_ROOT)?,
            Field::StateRoots => self.state_roots = vector(field, source, SLOTS_PER_HISTORICAL_ROOT)?,
            Field::RandaoMixes => self.randao_mixes = vector(field, source, EPOCHS_PER_HISTORICAL_VECTOR)?,
            Field::Slashings => self.slashings = vector(field, source, EPOCHS_PER_SLASHINGS_VECTOR)?,
            Field::ProposerLookahead => self.proposer_lookahead = vector(field, source, PROPOSER_LOOKAHEAD_LENGTH)?,
            _ => {
                // Everything else of fixed length is small: a sync committee is the longest.
                let mut bytes = vec![0; len];
                source.read_exact(&mut bytes).map_err(|source| StateError::Io { field, source })?;
                self.decode_small(field, &bytes).map_err(|error| StateError::field(field, format!("{error:?}")))?;
            }
        }
        Ok(())
    }

    pub(super) fn decode_small(&mut self, field: Field, bytes: &[u8]) -> Result<(), ssz::DecodeError> {
        match field {
            Field::GenesisTime => self.genesis_time = u64::from_ssz_bytes(bytes)?,
            Field::GenesisValidatorsRoot => self.genesis_validators_root = Hash256::from_ssz_bytes(bytes)?,
            Field::Slot => self.slot = u64::from_ssz_bytes(bytes)?,
            Field::Fork => self.fork = Fork::from_ssz_bytes(bytes)?,
            Field::LatestBlockHeader => self.latest_block_header = BeaconBlockHeader::from_ssz_bytes(bytes)?,
            Field::Eth1Data => self.eth1_data = Eth1Data::from_ssz_bytes(bytes)?,
            Field::Eth1DepositIndex => self.eth1_deposit_index = u64::from_ssz_bytes(bytes)?,
            Field::JustificationBits => self.justification_bits = JustificationBits::from_ssz_bytes(bytes)?,
            Field::PreviousJustifiedCheckpoint => {
                self.previous_justified_checkpoint = Checkpoint::from_ssz_bytes(bytes)?;
            }
            Field::CurrentJustifiedCheckpoint => self.current_justified_checkpoint = Checkpoint::from_ssz_bytes(bytes)?,
            Field::FinalizedCheckpoint => self.finalized_checkpoint = Checkpoint::from_ssz_bytes(bytes)?,
            Field::CurrentSyncCommittee => {
                self.current_sync_committee = Hashed::new(SyncCommittee::from_ssz_bytes(bytes)?);
            }
            Field::NextSyncCommittee => self.next_sync_committee = Hashed::new(SyncCommittee::from_ssz_bytes(bytes)?),
            Field::LatestExecutionPayloadHeader => {
                self.latest_execution_payload_header = ExecutionPayloadHeader::decode_as(self.fork_name, bytes)?;
            }
            Field::PreviousEpochAttestations => {
                self.previous_epoch_attestations = PendingAttestations::from_ssz_bytes(bytes)?;
            }
            Field::CurrentEpochAttestations => {
                self.current_epoch_attestations = PendingAttestations::from_ssz_bytes(bytes)?;
            }
            Field::NextWithdrawalIndex => self.next_withdrawal_index = u64::from_ssz_bytes(bytes)?,
            Field::NextWithdrawalValidatorIndex => self.next_withdrawal_validator_index = u64::from_ssz_bytes(bytes)?,
            Field::DepositRequestsStartIndex => self.deposit_requests_start_index = u64::from_ssz_bytes(bytes)?,
            Field::DepositBalanceToConsume => self.deposit_balance_to_consume = u64::from_ssz_bytes(bytes)?,
            Field::ExitBalanceToConsume => self.exit_balance_to_consume = u64::from_ssz_bytes(bytes)?,
            Field::EarliestExitEpoch => self.earliest_exit_epoch = u64::from_ssz_bytes(bytes)?,
            Field::ConsolidationBalanceToConsume => self.consolidation_balance_to_consume = u64::from_ssz_bytes(bytes)?,
            Field::EarliestConsolidationEpoch => self.earliest_consolidation_epoch = u64::from_ssz_bytes(bytes)?,
            _ => unreachable!("{field:?} is a column"),
        }
        Ok(())
    }

    fn read_variable(&mut self, field: Field, source: &mut impl Read, bytes: Option<u64>) -> Result<(), StateError> {
        match field {
            Field::HistoricalRoots => self.historical_roots = list(field, source, bytes, HISTORICAL_ROOTS_LIMIT)?,
            Field::Eth1DataVotes => self.eth1_data_votes = list(field, source, bytes, ETH1_DATA_VOTES_LIMIT)?,
            Field::Validators => {
                self.validators = Validators::read_list(source, bytes).map_err(|error| column_error(field, error))?;
            }
            Field::Balances => self.balances = list(field, source, bytes, VALIDATOR_REGISTRY_LIMIT)?,
            Field::PreviousEpochParticipation => {
                self.previous_epoch_participation = list(field, source, bytes, VALIDATOR_REGISTRY_LIMIT)?;
            }
            Field::CurrentEpochParticipation => {
                self.current_epoch_participation = list(field, source, bytes, VALIDATOR_REGISTRY_LIMIT)?;
            }
            Field::InactivityScores => self.inactivity_scores = list(field, source, bytes, VALIDATOR_REGISTRY_LIMIT)?,
            Field::HistoricalSummaries => {
                self.historical_summaries = list(field, source, bytes, HISTORICAL_ROOTS_LIMIT)?;
            }
            Field::PendingDeposits => self.pending_deposits = list(field, source, bytes, PENDING_DEPOSITS_LIMIT)?,
            Field::PendingPartialWithdrawals => {
                self.pending_partial_withdrawals = list(field, source, bytes, PENDING_PARTIAL_WITHDRAWALS_LIMIT)?;
            }
            Field::PendingConsolidations => {
                self.pending_consolidations = list(field, source, bytes, PENDING_CONSOLIDATIONS_LIMIT)?;
            }
            Field::PreviousEpochAttestations | Field::CurrentEpochAttestations => {
                self.read_small(field, source, bytes, MAX_PENDING_ATTESTATIONS_LEN)?;
            }
            Field::LatestExecutionPayloadHeader => self.read_small(field, source, bytes, MAX_PAYLOAD_HEADER_LEN)?,
            _ => unreachable!("{field:?} has a fixed length"),
        }
        Ok(())
    }

    /// Reads a field that is decoded in one piece of at most `limit` bytes. The last field of a state has no length: it goes
    /// on to the end of the source.
    fn read_small(
        &mut self,
        field: Field,
        source: &mut impl Read,
        bytes: Option<u64>,
        limit: u64,
    ) -> Result<(), StateError> {
        let wanted = bytes.unwrap_or(limit);
        if wanted > limit {
            return Err(StateError::field(field, format!("{wanted} bytes, more than {limit}")));
        }
        let mut piece = Vec::new();
        source.take(wanted).read_to_end(&mut piece).map_err(|source| StateError::Io { field, source })?;
        if bytes.is_some_and(|bytes| bytes != piece.len() as u64) {
            return Err(StateError::Io { field, source: io::ErrorKind::UnexpectedEof.into() });
        }
        self.decode_small(field, &piece).map_err(|error| StateError::field(field, format!("{error:?}")))
    }

    fn variable_len(&self, field: Field) -> usize {
        match field {
            Field::HistoricalRoots => self.historical_roots.ssz_len(),
            Field::Eth1DataVotes => self.eth1_data_votes.ssz_len(),
            Field::Validators => self.validators.ssz_len(),
            Field::Balances => self.balances.ssz_len(),
            Field::PreviousEpochParticipation => self.previous_epoch_participation.ssz_len(),
            Field::CurrentEpochParticipation => self.current_epoch_participation.ssz_len(),
            Field::InactivityScores => self.inactivity_scores.ssz_len(),
            Field::LatestExecutionPayloadHeader => self.latest_execution_payload_header.encode_as(self.fork_name).len(),
            Field::HistoricalSummaries => self.historical_summaries.ssz_len(),
            Field::PendingDeposits => self.pending_deposits.ssz_len(),
            Field::PendingPartialWithdrawals => self.pending_partial_withdrawals.ssz_len(),
            Field::PendingConsolidations => self.pending_consolidations.ssz_len(),
            Field::PreviousEpochAttestations => self.previous_epoch_attestations.ssz_bytes_len(),
            Field::CurrentEpochAttestations => self.current_epoch_attestations.ssz_bytes_len(),
            _ => unreachable!("{field:?} has a fixed length"),
        }
    }

    pub(super) fn write_field(&self, field: Field, out: &mut impl Write) -> io::Result<()> {
        match field {
            Field::GenesisTime => put(&self.genesis_time, out),
            Field::GenesisValidatorsRoot => put(&self.genesis_validators_root, out),
            Field::Slot => put(&self.slot, out),
            Field::Fork => put(&self.fork, out),
            Field::LatestBlockHeader => put(&self.latest_block_header, out),
            Field::BlockRoots => self.block_roots.write_to(out),
            Field::StateRoots => self.state_roots.write_to(out),
            Field::HistoricalRoots => self.historical_roots.write_to(out),
            Field::Eth1Data => put(&self.eth1_data, out),
            Field::Eth1DataVotes => self.eth1_data_votes.write_to(out),
            Field::Eth1DepositIndex => put(&self.eth1_deposit_index, out),
            Field::Validators => self.validators.write_to(out),
            Field::Balances => self.balances.write_to(out),
            Field::RandaoMixes => self.randao_mixes.write_to(out),
            Field::Slashings => self.slashings.write_to(out),
            Field::PreviousEpochAttestations => put(&self.previous_epoch_attestations, out),
            Field::CurrentEpochAttestations => put(&self.current_epoch_attestations, out),
            Field::PreviousEpochParticipation => self.previous_epoch_participation.write_to(out),
            Field::CurrentEpochParticipation => self.current_epoch_participation.write_to(out),
            Field::JustificationBits => put(&self.justification_bits, out),
            Field::PreviousJustifiedCheckpoint => put(&self.previous_justified_checkpoint, out),
            Field::CurrentJustifiedCheckpoint => put(&self.current_justified_checkpoint, out),
            Field::FinalizedCheckpoint => put(&self.finalized_checkpoint, out),
            Field::InactivityScores => self.inactivity_scores.write_to(out),
            Field::CurrentSyncCommittee => put(&*self.current_sync_committee, out),
            Field::NextSyncCommittee => put(&*self.next_sync_committee, out),
            Field::LatestExecutionPayloadHeader => {
                out.write_all(&self.latest_execution_payload_header.encode_as(self.fork_name))
            }
            Field::NextWithdrawalIndex => put(&self.next_withdrawal_index, out),
            Field::NextWithdrawalValidatorIndex => put(&self.next_withdrawal_validator_index, out),
            Field::HistoricalSummaries => self.historical_summaries.write_to(out),
            Field::DepositRequestsStartIndex => put(&self.deposit_requests_start_index, out),
            Field::DepositBalanceToConsume => put(&self.deposit_balance_to_consume, out),
            Field::ExitBalanceToConsume => put(&self.exit_balance_to_consume, out),
            Field::EarliestExitEpoch => put(&self.earliest_exit_epoch, out),
            Field::ConsolidationBalanceToConsume => put(&self.consolidation_balance_to_consume, out),
            Field::EarliestConsolidationEpoch => put(&self.earliest_consolidation_epoch, out),
            Field::PendingDeposits => self.pending_deposits.write_to(out),
            Field::PendingPartialWithdrawals => self.pending_partial_withdrawals.write_to(out),
            Field::PendingConsolidations => self.pending_consolidations.write_to(out),
            Field::ProposerLookahead => self.proposer_lookahead.write_to(out),
        }
    }

    pub(super) fn field_root(&mut self, field: Field) -> Hash256 {
        match field {
            Field::GenesisTime => self.genesis_time.tree_hash_root(),
            Field::GenesisValidatorsRoot => self.genesis_validators_root,
            Field::Slot => self.slot.tree_hash_root(),
            Field::Fork => self.fork.tree_hash_root(),
            Field::LatestBlockHeader => self.latest_block_header.tree_hash_root(),
            Field::BlockRoots => self.block_roots.vector_root(),
            Field::StateRoots => self.state_roots.vector_root(),
            Field::HistoricalRoots => self.historical_roots.list_root(HISTORICAL_ROOTS_LIMIT),
            Field::Eth1Data => self.eth1_data.tree_hash_root(),
            Field::Eth1DataVotes => self.eth1_data_votes.list_root(ETH1_DATA_VOTES_LIMIT),
            Field::Eth1DepositIndex => self.eth1_deposit_index.tree_hash_root(),
            Field::Validators => self.validators.hash_tree_root(),
            Field::Balances => self.balances.list_root(VALIDATOR_REGISTRY_LIMIT),
            Field::RandaoMixes => self.randao_mixes.vector_root(),
            Field::Slashings => self.slashings.vector_root(),
            Field::PreviousEpochAttestations => self.previous_epoch_attestations.tree_hash_root(),
            Field::CurrentEpochAttestations => self.current_epoch_attestations.tree_hash_root(),
            Field::PreviousEpochParticipation => self.previous_epoch_participation.list_root(VALIDATOR_REGISTRY_LIMIT),
            Field::CurrentEpochParticipation => self.current_epoch_participation.list_root(VALIDATOR_REGISTRY_LIMIT),
            Field::JustificationBits => self.justification_bits.tree_hash_root(),
            Field::PreviousJustifiedCheckpoint => self.previous_justified_checkpoint.tree_hash_root(),
            Field::CurrentJustifiedCheckpoint => self.current_justified_checkpoint.tree_hash_root(),
            Field::FinalizedCheckpoint => self.finalized_checkpoint.tree_hash_root(),
            Field::InactivityScores => self.inactivity_scores.list_root(VALIDATOR_REGISTRY_LIMIT),
            Field::CurrentSyncCommittee => self.current_sync_committee.root(),
            Field::NextSyncCommittee => self.next_sync_committee.root(),
            Field::LatestExecutionPayloadHeader => self.latest_execution_payload_header.root_as(self.fork_name),
            Field::NextWithdrawalIndex => self.next_withdrawal_index.tree_hash_root(),
            Field::NextWithdrawalValidatorIndex => self.next_withdrawal_validator_index.tree_hash_root(),
            Field::HistoricalSummaries => self.historical_summaries.list_root(HISTORICAL_ROOTS_LIMIT),
            Field::DepositRequestsStartIndex => self.deposit_requests_start_index.tree_hash_root(),
            Field::DepositBalanceToConsume => self.deposit_balance_to_consume.tree_hash_root(),
            Field::ExitBalanceToConsume => self.exit_balance_to_consume.tree_hash_root(),
            Field::EarliestExitEpoch => self.earliest_exit_epoch.tree_hash_root(),
            Field::ConsolidationBalanceToConsume => self.consolidation_balance_to_consume.tree_hash_root(),
            Field::EarliestConsolidationEpoch => self.earliest_consolidation_epoch.tree_hash_root(),
            Field::PendingDeposits => self.pending_deposits.list_root(PENDING_DEPOSITS_LIMIT),
            Field::PendingPartialWithdrawals => {
                self.pending_partial_withdrawals.list_root(PENDING_PARTIAL_WITHDRAWALS_LIMIT)
            }
            Field::PendingConsolidations => self.pending_consolidations.list_root(PENDING_CONSOLIDATIONS_LIMIT),
            Field::ProposerLookahead => self.proposer_lookahead.vector_root(),
        }
    }

    pub(super) fn field_eq(&self, other: &Self, field: Field) -> bool {
        match field {
            Field::BlockRoots => self.block_roots == other.block_roots,
            Field::StateRoots => self.state_roots == other.state_roots,
            Field::HistoricalRoots => self.historical_roots == other.historical_roots,
            Field::Eth1DataVotes => self.eth1_data_votes == other.eth1_data_votes,
            Field::Validators => self.validators == other.validators,
            Field::Balances => self.balances == other.balances,
            Field::RandaoMixes => self.randao_mixes == other.randao_mixes,
            Field::Slashings => self.slashings == other.slashings,
            Field::PreviousEpochParticipation => {
                self.previous_epoch_participation == other.previous_epoch_participation
            }
            Field::CurrentEpochParticipation => self.current_epoch_participation == other.current_epoch_participation,
            Field::InactivityScores => self.inactivity_scores == other.inactivity_scores,
            Field::HistoricalSummaries => self.historical_summaries == other.historical_summaries,
            Field::PendingDeposits => self.pending_deposits == other.pending_deposits,
            Field::PendingPartialWithdrawals => self.pending_partial_withdrawals == other.pending_partial_withdrawals,
            Field::PendingConsolidations => self.pending_consolidations == other.pending_consolidations,
            Field::ProposerLookahead => self.proposer_lookahead == other.proposer_lookahead,
            small => {
                let encoded = |state: &Self| {
                    let mut bytes = Vec::new();
                    state.write_field(small, &mut bytes).map(|()| bytes).ok()
                };
                encoded(self) == encoded(other)
            }
        }
    }
}

/// Bytes of a field of fixed length; `None` for one of variable length.
pub(super) fn fixed_len_of(field: Field) -> Option<usize> {
    let columns = |items: usize, item: usize| Some(items * item);
    match field {
        Field::BlockRoots | Field::StateRoots => columns(SLOTS_PER_HISTORICAL_ROOT, Hash256::SSZ_LEN),
        Field::RandaoMixes => columns(EPOCHS_PER_HISTORICAL_VECTOR, Hash256::SSZ_LEN),
        Field::Slashings => columns(EPOCHS_PER_SLASHINGS_VECTOR, u64::SSZ_LEN),
        Field::ProposerLookahead => columns(PROPOSER_LOOKAHEAD_LENGTH, u64::SSZ_LEN),
        Field::GenesisValidatorsRoot => Some(Hash256::SSZ_LEN),
        Field::Fork => Some(<Fork as Encode>::ssz_fixed_len()),
        Field::LatestBlockHeader => Some(<BeaconBlockHeader as Encode>::ssz_fixed_len()),
        Field::Eth1Data => Some(<Eth1Data as Element>::SSZ_LEN),
        Field::JustificationBits => Some(1),
        Field::PreviousJustifiedCheckpoint | Field::CurrentJustifiedCheckpoint | Field::FinalizedCheckpoint => {
            Some(<Checkpoint as Encode>::ssz_fixed_len())
        }
        Field::CurrentSyncCommittee | Field::NextSyncCommittee => Some(<SyncCommittee as Encode>::ssz_fixed_len()),
        Field::GenesisTime
        | Field::Slot
        | Field::Eth1DepositIndex
        | Field::NextWithdrawalIndex
        | Field::NextWithdrawalValidatorIndex
        | Field::DepositRequestsStartIndex
        | Field::DepositBalanceToConsume
        | Field::ExitBalanceToConsume
        | Field::EarliestExitEpoch
        | Field::ConsolidationBalanceToConsume
        | Field::EarliestConsolidationEpoch => Some(u64::SSZ_LEN),
        Field::HistoricalRoots
        | Field::Eth1DataVotes
        | Field::Validators
        | Field::Balances
        | Field::PreviousEpochAttestations
        | Field::CurrentEpochAttestations
        | Field::PreviousEpochParticipation
        | Field::CurrentEpochParticipation
        | Field::InactivityScores
        | Field::LatestExecutionPayloadHeader
        | Field::HistoricalSummaries
        | Field::PendingDeposits
        | Field::PendingPartialWithdrawals
        | Field::PendingConsolidations => None,
    }
}

/// Votes that `eth1_data_votes` has room for.
const ETH1_DATA_VOTES_LIMIT: u64 = EPOCHS_PER_ETH1_VOTING_PERIOD * SLOTS_PER_EPOCH;

fn put(value: &impl Encode, out: &mut impl Write) -> io::Result<()> {
    out.write_all(&value.as_ssz_bytes())
}

fn vector<T: Element>(field: Field, source: &mut impl Read, len: usize) -> Result<Column<T>, StateError> {
    Column::read_vector(source, len).map_err(|error| column_error(field, error))
}

fn list<T: Element>(
    field: Field,
    source: &mut impl Read,
    bytes: Option<u64>,
    limit: u64,
) -> Result<Column<T>, StateError> {
    Column::read_list(source, bytes, limit).map_err(|error| column_error(field, error))
}

pub(super) fn column_error(field: Field, error: ColumnError) -> StateError {
    match error {
        ColumnError::Io(source) => StateError::Io { field, source },
        other => StateError::field(field, other),
    }
}
