//! The beacon state: one struct for every fork, its long lists in columns.
//!
//! A table of fields per fork ([`fields`]) drives decoding, encoding and hashing, so that a fork is one more table. A copy
//! shares its columns with the original until one of them writes.

mod codec;
mod difference;
mod fields;
mod hashed;
mod size;

use ssz_types::BitVector;

pub use codec::StateError;
pub use fields::{Field, fields};
pub use hashed::Hashed;

use super::{shuffling::Caches, *};
use crate::ssz::{Column, Record, merkleize};

/// Bits of the last four epochs, newest first.
pub type JustificationBits = BitVector<typenum::U4>;

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#beaconstate>
///
/// Fields that a fork does not have keep their default and do not count in its encoding or root.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // the fields are the specification's
pub struct BeaconState {
    pub fork_name: ForkName,
    pub genesis_time: u64,
    pub genesis_validators_root: Hash256,
    pub slot: Slot,
    pub fork: Fork,
    pub latest_block_header: BeaconBlockHeader,
    /// `SLOTS_PER_HISTORICAL_ROOT` of them.
    pub block_roots: Column<Hash256>,
    /// `SLOTS_PER_HISTORICAL_ROOT` of them.
    pub state_roots: Column<Hash256>,
    pub historical_roots: Column<Hash256>,
    pub eth1_data: Eth1Data,
    pub eth1_data_votes: Column<Eth1Data>,
    pub eth1_deposit_index: u64,
    pub validators: Validators,
    /// In Gwei, by validator.
    pub balances: Column<Gwei>,
    /// `EPOCHS_PER_HISTORICAL_VECTOR` of them.
    pub randao_mixes: Column<Hash256>,
    /// `EPOCHS_PER_SLASHINGS_VECTOR` sums in Gwei.
    pub slashings: Column<Gwei>,
    /// Phase 0 only.
    pub previous_epoch_attestations: PendingAttestations,
    /// Phase 0 only.
    pub current_epoch_attestations: PendingAttestations,
    // Altair.
    pub previous_epoch_participation: Column<ParticipationFlags>,
    pub current_epoch_participation: Column<ParticipationFlags>,
    pub justification_bits: JustificationBits,
    pub previous_justified_checkpoint: Checkpoint,
    pub current_justified_checkpoint: Checkpoint,
    pub finalized_checkpoint: Checkpoint,
    pub inactivity_scores: Column<u64>,
    pub current_sync_committee: Hashed<SyncCommittee>,
    pub next_sync_committee: Hashed<SyncCommittee>,
    // Bellatrix.
    pub latest_execution_payload_header: ExecutionPayloadHeader,
    // Capella.
    pub next_withdrawal_index: u64,
    pub next_withdrawal_validator_index: ValidatorIndex,
    pub historical_summaries: Column<HistoricalSummary>,
    // Electra.
    pub deposit_requests_start_index: u64,
    pub deposit_balance_to_consume: Gwei,
    pub exit_balance_to_consume: Gwei,
    pub earliest_exit_epoch: Epoch,
    pub consolidation_balance_to_consume: Gwei,
    pub earliest_consolidation_epoch: Epoch,
    /// Tens of thousands on mainnet, which move up by a few each epoch.
    pub pending_deposits: Column<Hashed<PendingDeposit>>,
    pub pending_partial_withdrawals: Column<PendingPartialWithdrawal>,
    pub pending_consolidations: Column<PendingConsolidation>,
    // Fulu.
    /// `PROPOSER_LOOKAHEAD_LENGTH` of them.
    pub proposer_lookahead: Column<ValidatorIndex>,
    /// Derived values, shared between copies; not part of the state.
    pub caches: Caches,
}

impl BeaconState {
    /// The state's root. Hashes only what changed since the last call on this state or the one that it was copied from.
    pub fn hash_tree_root(&mut self) -> Hash256 {
        let roots = self.field_roots();
        let depth = roots.len().next_power_of_two().ilog2() as usize;
        merkleize(roots, 0, depth)
    }

    /// The root of each field, in order: the leaves of the state's own tree, for Merkle branches.
    pub fn field_roots(&mut self) -> Vec<Hash256> {
        fields(self.fork_name).iter().map(|field| self.field_root(*field)).collect()
    }

    /// The epoch of the state's slot. Spec: `get_current_epoch`.
    pub fn current_epoch(&self) -> Epoch {
        compute_epoch_at_slot(self.slot)
    }

    /// The epoch before, or genesis. Spec: `get_previous_epoch`.
    pub fn previous_epoch(&self) -> Epoch {
        self.current_epoch().saturating_sub(1)
    }
}

impl PartialEq for BeaconState {
    /// Compares what SSZ would encode; caches do not count.
    fn eq(&self, other: &Self) -> bool {
        self.fork_name == other.fork_name && fields(self.fork_name).iter().all(|field| self.field_eq(other, *field))
    }
}

impl Record for Eth1Data {
    const LEN: usize = 72;
}

impl Record for HistoricalSummary {
    const LEN: usize = 64;
}

impl Record for PendingDeposit {
    const LEN: usize = 192;
}

impl Record for PendingPartialWithdrawal {
    const LEN: usize = 24;
}

impl Record for PendingConsolidation {
    const LEN: usize = 16;
}

#[cfg(test)]
mod tests;
