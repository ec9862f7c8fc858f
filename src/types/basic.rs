//! Small containers that many others hold.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#containers>

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use tree_hash_derive::TreeHash;

use super::primitives::*;

/// Which fork the state is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Fork {
    /// Version before `epoch`.
    pub previous_version: Version,
    /// Version from `epoch` on.
    pub current_version: Version,
    /// Epoch of the latest fork.
    #[serde(with = "serde_utils::quoted_u64")]
    pub epoch: Epoch,
}

/// What a fork digest is the start of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ForkData {
    /// Current version.
    pub current_version: Version,
    /// Genesis validators root.
    pub genesis_validators_root: Hash256,
}

/// The first block of an epoch, or the last before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub epoch: Epoch,
    /// Root of the block.
    pub root: Hash256,
}

/// What is signed: an object and what for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SigningData {
    /// Object root.
    pub object_root: Hash256,
    /// Domain.
    pub domain: Domain,
}

/// A block with its body replaced by its root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct BeaconBlockHeader {
    /// Slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: Slot,
    /// Proposer index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub proposer_index: ValidatorIndex,
    /// Parent root.
    pub parent_root: Hash256,
    /// Root of the state after the block; zero in the state's own latest header until the next slot.
    pub state_root: Hash256,
    /// Body root.
    pub body_root: Hash256,
}

/// A header and its proposer's signature.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SignedBeaconBlockHeader {
    /// Message.
    pub message: BeaconBlockHeader,
    /// Signature.
    pub signature: BLSSignature,
}

/// What a block says of the deposit contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Eth1Data {
    /// Deposit root.
    pub deposit_root: Hash256,
    /// Deposit count.
    #[serde(with = "serde_utils::quoted_u64")]
    pub deposit_count: u64,
    /// Block hash.
    pub block_hash: Hash256,
}

/// A block of the former proof-of-work chain (validator guide only).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Eth1Block {
    /// Timestamp.
    #[serde(with = "serde_utils::quoted_u64")]
    pub timestamp: u64,
    /// Deposit root.
    pub deposit_root: Hash256,
    /// Deposit count.
    #[serde(with = "serde_utils::quoted_u64")]
    pub deposit_count: u64,
}

/// One record of the registry, as SSZ has it. The state itself keeps these in columns: [`super::Validators`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Validator {
    /// Pubkey.
    pub pubkey: BLSPubkey,
    /// Withdrawal credentials.
    pub withdrawal_credentials: Hash256,
    /// Effective balance.
    #[serde(with = "serde_utils::quoted_u64")]
    pub effective_balance: Gwei,
    /// Whether it was slashed.
    pub slashed: bool,
    /// Activation eligibility epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub activation_eligibility_epoch: Epoch,
    /// Activation epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub activation_epoch: Epoch,
    /// Exit epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub exit_epoch: Epoch,
    /// Withdrawable epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub withdrawable_epoch: Epoch,
}

/// Roots of a finished period of block and state roots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct HistoricalSummary {
    /// Block summary root.
    pub block_summary_root: Hash256,
    /// State summary root.
    pub state_summary_root: Hash256,
}
