//! The preset: constants that shape the containers, fixed when the program is compiled.
//!
//! `mainnet` is the default; the cargo features `minimal` and `gnosis` choose another. A [`super::Config`] whose
//! `PRESET_BASE` differs from [`PRESET_BASE`] is refused. Values and names:
//! <https://github.com/ethereum/consensus-specs/tree/a08d8a6e2/presets>.

#[cfg(feature = "gnosis")]
mod gnosis;
#[cfg(not(any(feature = "minimal", feature = "gnosis")))]
mod mainnet;
#[cfg(feature = "minimal")]
mod minimal;

#[cfg(all(feature = "minimal", feature = "gnosis"))]
compile_error!("choose one preset: `minimal` or `gnosis`, not both");

#[cfg(all(feature = "gnosis", not(feature = "minimal")))]
pub use gnosis::*;
#[cfg(not(any(feature = "minimal", feature = "gnosis")))]
pub use mainnet::*;
#[cfg(feature = "minimal")]
pub use minimal::*;

/// Constants that no preset changes, and lengths that follow from others.
mod shared {
    use super::{MAX_COMMITTEES_PER_SLOT, MAX_VALIDATORS_PER_COMMITTEE, MIN_SEED_LOOKAHEAD, SLOTS_PER_EPOCH};

    /// `uint64(2**64 - 1)`: an epoch that never comes.
    pub const FAR_FUTURE_EPOCH: u64 = u64::MAX;
    /// The first slot.
    pub const GENESIS_SLOT: u64 = 0;
    /// The first epoch.
    pub const GENESIS_EPOCH: u64 = 0;
    /// `UNSET_DEPOSIT_REQUESTS_START_INDEX` (Electra).
    pub const UNSET_DEPOSIT_REQUESTS_START_INDEX: u64 = u64::MAX;
    /// `FULL_EXIT_REQUEST_AMOUNT` (Electra).
    pub const FULL_EXIT_REQUEST_AMOUNT: u64 = 0;
    /// Depth of the deposit contract's tree.
    pub const DEPOSIT_CONTRACT_TREE_DEPTH: u64 = 32;
    /// Length of `justification_bits`.
    pub const JUSTIFICATION_BITS_LENGTH: usize = 4;
    /// Sync committees are gossiped in this many subnets.
    pub const SYNC_COMMITTEE_SUBNET_COUNT: usize = 4;
    /// Aggregators wanted per committee.
    pub const TARGET_AGGREGATORS_PER_COMMITTEE: u64 = 16;
    /// Aggregators wanted per sync subcommittee.
    pub const TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE: u64 = 16;
    /// Weights of the parts of a reward, and their sum.
    pub const TIMELY_SOURCE_WEIGHT: u64 = 14;
    /// See [`TIMELY_SOURCE_WEIGHT`].
    pub const TIMELY_TARGET_WEIGHT: u64 = 26;
    /// See [`TIMELY_SOURCE_WEIGHT`].
    pub const TIMELY_HEAD_WEIGHT: u64 = 14;
    /// See [`TIMELY_SOURCE_WEIGHT`].
    pub const SYNC_REWARD_WEIGHT: u64 = 2;
    /// See [`TIMELY_SOURCE_WEIGHT`].
    pub const PROPOSER_WEIGHT: u64 = 8;
    /// See [`TIMELY_SOURCE_WEIGHT`].
    pub const WEIGHT_DENOMINATOR: u64 = 64;
    /// Index of the flag in an epoch's participation.
    pub const TIMELY_SOURCE_FLAG_INDEX: usize = 0;
    /// See [`TIMELY_SOURCE_FLAG_INDEX`].
    pub const TIMELY_TARGET_FLAG_INDEX: usize = 1;
    /// See [`TIMELY_SOURCE_FLAG_INDEX`].
    pub const TIMELY_HEAD_FLAG_INDEX: usize = 2;
    /// `PARTICIPATION_FLAG_WEIGHTS`, by flag index.
    pub const PARTICIPATION_FLAG_WEIGHTS: [u64; 3] = [TIMELY_SOURCE_WEIGHT, TIMELY_TARGET_WEIGHT, TIMELY_HEAD_WEIGHT];
    /// First byte of withdrawal credentials: BLS key.
    pub const BLS_WITHDRAWAL_PREFIX: u8 = 0x00;
    /// First byte of withdrawal credentials: execution address.
    pub const ETH1_ADDRESS_WITHDRAWAL_PREFIX: u8 = 0x01;
    /// First byte of withdrawal credentials: compounding.
    pub const COMPOUNDING_WITHDRAWAL_PREFIX: u8 = 0x02;
    /// Basis points in a whole.
    pub const BASIS_POINTS: u64 = 10_000;
    /// `MAX_COMMITTEES_PER_SLOT * MAX_VALIDATORS_PER_COMMITTEE`: attesters of one attestation since Electra.
    pub const MAX_ATTESTERS_PER_SLOT: usize = MAX_COMMITTEES_PER_SLOT * MAX_VALIDATORS_PER_COMMITTEE;
    /// Entries of `proposer_lookahead`.
    pub const PROPOSER_LOOKAHEAD_LENGTH: usize = ((MIN_SEED_LOOKAHEAD + 1) * SLOTS_PER_EPOCH) as usize;
}
pub use shared::*;
