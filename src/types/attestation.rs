//! Attestations, in the shape they have since Electra.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#containers>

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::{BitList, BitVector, VariableList};
use tree_hash_derive::TreeHash;

use super::{basic::*, preset, primitives::*};

/// What an attester votes for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct AttestationData {
    /// Slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: Slot,
    /// Zero since Electra; the committees are in `committee_bits`.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: CommitteeIndex,
    /// The head vote.
    pub beacon_block_root: Hash256,
    /// The justified checkpoint that the vote builds on.
    pub source: Checkpoint,
    /// The checkpoint that the vote would justify.
    pub target: Checkpoint,
}

/// The votes of one or more committees of a slot for the same data.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Attestation {
    /// A bit per member, committees one after the other.
    pub aggregation_bits: BitList<preset::MaxAttestersPerSlot>,
    /// Data.
    pub data: AttestationData,
    /// Signature.
    pub signature: BLSSignature,
    /// Which committees take part.
    pub committee_bits: BitVector<preset::MaxCommitteesPerSlot>,
}

/// One attester's vote, as gossiped in subnets.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SingleAttestation {
    /// Committee index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committee_index: CommitteeIndex,
    /// Attester index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub attester_index: ValidatorIndex,
    /// Data.
    pub data: AttestationData,
    /// Signature.
    pub signature: BLSSignature,
}

/// A vote with its attesters named.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct IndexedAttestation {
    /// Sorted, without repetition.
    #[serde(with = "ssz_types::serde_utils::quoted_u64_var_list")]
    pub attesting_indices: VariableList<u64, preset::MaxAttestersPerSlot>,
    /// Data.
    pub data: AttestationData,
    /// Signature.
    pub signature: BLSSignature,
}

/// An aggregate, and the proof that its sender may send it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct AggregateAndProof {
    /// Aggregator index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub aggregator_index: ValidatorIndex,
    /// Aggregate.
    pub aggregate: Attestation,
    /// Selection proof.
    pub selection_proof: BLSSignature,
}

/// What the topic `beacon_aggregate_and_proof` carries.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SignedAggregateAndProof {
    /// Message.
    pub message: AggregateAndProof,
    /// Signature.
    pub signature: BLSSignature,
}
