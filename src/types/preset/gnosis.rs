//! The gnosis preset: mainnet with the differences of
//! <https://github.com/gnosischain/specs/blob/master/beacon_chain.md#preset-diff>.
#![allow(missing_docs)] // each constant is the specification's, under its own name; amounts are in Gwei

use typenum as t;

/// What `PRESET_BASE` must say in a configuration for this build.
pub const PRESET_BASE: &str = "gnosis";

pub const MAX_COMMITTEES_PER_SLOT: usize = 64;
pub const TARGET_COMMITTEE_SIZE: u64 = 128;
pub const MAX_VALIDATORS_PER_COMMITTEE: usize = 2048;
pub const SHUFFLE_ROUND_COUNT: u64 = 90;
pub const HYSTERESIS_QUOTIENT: u64 = 4;
pub const HYSTERESIS_DOWNWARD_MULTIPLIER: u64 = 1;
pub const HYSTERESIS_UPWARD_MULTIPLIER: u64 = 5;
pub const MIN_DEPOSIT_AMOUNT: u64 = 1_000_000_000;
pub const MAX_EFFECTIVE_BALANCE: u64 = 32_000_000_000;
pub const EFFECTIVE_BALANCE_INCREMENT: u64 = 1_000_000_000;
pub const MIN_ATTESTATION_INCLUSION_DELAY: u64 = 1;
pub const SLOTS_PER_EPOCH: u64 = 16;
pub const MIN_SEED_LOOKAHEAD: u64 = 1;
pub const MAX_SEED_LOOKAHEAD: u64 = 4;
pub const EPOCHS_PER_ETH1_VOTING_PERIOD: u64 = 64;
pub const SLOTS_PER_HISTORICAL_ROOT: usize = 8192;
pub const MIN_EPOCHS_TO_INACTIVITY_PENALTY: u64 = 4;
pub const EPOCHS_PER_HISTORICAL_VECTOR: usize = 65536;
pub const EPOCHS_PER_SLASHINGS_VECTOR: usize = 8192;
pub const HISTORICAL_ROOTS_LIMIT: u64 = 16_777_216;
pub const VALIDATOR_REGISTRY_LIMIT: u64 = 1_099_511_627_776;
pub const BASE_REWARD_FACTOR: u64 = 25;
pub const WHISTLEBLOWER_REWARD_QUOTIENT: u64 = 512;
pub const PROPOSER_REWARD_QUOTIENT: u64 = 8;
pub const INACTIVITY_PENALTY_QUOTIENT: u64 = 67_108_864;
pub const MIN_SLASHING_PENALTY_QUOTIENT: u64 = 128;
pub const PROPORTIONAL_SLASHING_MULTIPLIER: u64 = 1;
pub const MAX_PROPOSER_SLASHINGS: usize = 16;
pub const MAX_ATTESTER_SLASHINGS: u64 = 2;
pub const MAX_ATTESTATIONS: u64 = 128;
pub const MAX_DEPOSITS: usize = 16;
pub const MAX_VOLUNTARY_EXITS: usize = 16;
pub const INACTIVITY_PENALTY_QUOTIENT_ALTAIR: u64 = 50_331_648;
pub const MIN_SLASHING_PENALTY_QUOTIENT_ALTAIR: u64 = 64;
pub const PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR: u64 = 2;
pub const SYNC_COMMITTEE_SIZE: usize = 512;
pub const EPOCHS_PER_SYNC_COMMITTEE_PERIOD: u64 = 512;
pub const MIN_SYNC_COMMITTEE_PARTICIPANTS: u64 = 1;
pub const UPDATE_TIMEOUT: u64 = 8192;
pub const INACTIVITY_PENALTY_QUOTIENT_BELLATRIX: u64 = 16_777_216;
pub const MIN_SLASHING_PENALTY_QUOTIENT_BELLATRIX: u64 = 32;
pub const PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX: u64 = 3;
pub const MAX_BYTES_PER_TRANSACTION: u64 = 1_073_741_824;
pub const MAX_TRANSACTIONS_PER_PAYLOAD: u64 = 1_048_576;
pub const BYTES_PER_LOGS_BLOOM: u64 = 256;
pub const MAX_EXTRA_DATA_BYTES: u64 = 32;
pub const MAX_BLS_TO_EXECUTION_CHANGES: usize = 16;
pub const MAX_WITHDRAWALS_PER_PAYLOAD: usize = 8;
pub const MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP: u64 = 8192;
pub const MAX_BLOB_COMMITMENTS_PER_BLOCK: usize = 4096;
pub const KZG_COMMITMENT_INCLUSION_PROOF_DEPTH: u64 = 17;
pub const FIELD_ELEMENTS_PER_BLOB: usize = 4096;
pub const MIN_ACTIVATION_BALANCE: u64 = 32_000_000_000;
pub const MAX_EFFECTIVE_BALANCE_ELECTRA: u64 = 2_048_000_000_000;
pub const MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA: u64 = 4096;
pub const WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA: u64 = 4096;
pub const PENDING_DEPOSITS_LIMIT: u64 = 134_217_728;
pub const PENDING_PARTIAL_WITHDRAWALS_LIMIT: u64 = 134_217_728;
pub const PENDING_CONSOLIDATIONS_LIMIT: u64 = 262_144;
pub const MAX_ATTESTER_SLASHINGS_ELECTRA: usize = 1;
pub const MAX_ATTESTATIONS_ELECTRA: usize = 8;
pub const MAX_DEPOSIT_REQUESTS_PER_PAYLOAD: u64 = 8192;
pub const MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD: u64 = 16;
pub const MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD: u64 = 2;
pub const MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP: usize = 6;
pub const MAX_PENDING_DEPOSITS_PER_EPOCH: u64 = 16;
pub const KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH: usize = 4;
pub const FIELD_ELEMENTS_PER_CELL: usize = 64;
pub const FIELD_ELEMENTS_PER_EXT_BLOB: usize = 8192;
pub const CELLS_PER_EXT_BLOB: usize = 128;
pub const NUMBER_OF_COLUMNS: usize = 128;

// The same numbers as types, for the lengths of lists and vectors that this preset changes.
pub type SyncCommitteeSize = t::U512;
pub type SyncSubcommitteeSize = t::U128;
pub type MaxCommitteesPerSlot = t::U64;
pub type MaxAttestersPerSlot = t::U131072;
pub type MaxWithdrawalsPerPayload = t::U8;
pub type MaxPendingAttestations = t::U2048;
pub type SlotsPerHistoricalRoot = t::U8192;
