//! The sync committee and its messages.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#synccommittee>

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::{BitVector, FixedVector};
use tree_hash_derive::TreeHash;

use super::{preset, primitives::*};

/// The members whose signatures light clients follow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SyncCommittee {
    /// Members may repeat.
    pub pubkeys: FixedVector<BLSPubkey, preset::SyncCommitteeSize>,
    /// Sum of all the keys.
    pub aggregate_pubkey: BLSPubkey,
}

/// Who of the committee signed the previous block's root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SyncAggregate {
    /// Sync committee bits.
    pub sync_committee_bits: BitVector<preset::SyncCommitteeSize>,
    /// Sync committee signature.
    pub sync_committee_signature: BLSSignature,
}

/// One member's signature of a head.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SyncCommitteeMessage {
    /// Slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: Slot,
    /// Beacon block root.
    pub beacon_block_root: Hash256,
    /// Validator index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: ValidatorIndex,
    /// Signature.
    pub signature: BLSSignature,
}

/// Signatures of one subcommittee, summed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SyncCommitteeContribution {
    /// Slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: Slot,
    /// Beacon block root.
    pub beacon_block_root: Hash256,
    /// Subcommittee index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub subcommittee_index: u64,
    /// Aggregation bits.
    pub aggregation_bits: BitVector<preset::SyncSubcommitteeSize>,
    /// Signature.
    pub signature: BLSSignature,
}

/// A contribution, and the proof that its sender may send it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ContributionAndProof {
    /// Aggregator index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub aggregator_index: ValidatorIndex,
    /// Contribution.
    pub contribution: SyncCommitteeContribution,
    /// Selection proof.
    pub selection_proof: BLSSignature,
}

/// What the topic `sync_committee_contribution_and_proof` carries.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SignedContributionAndProof {
    /// Message.
    pub message: ContributionAndProof,
    /// Signature.
    pub signature: BLSSignature,
}

/// What a sync aggregator's selection proof signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SyncAggregatorSelectionData {
    /// Slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: Slot,
    /// Subcommittee index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub subcommittee_index: u64,
}
