//! Containers in the shapes that they had in earlier forks. The node works with the latest shape, which has room for
//! what all of them say; these are for their encoding and roots.

mod execution;

use serde::{Deserialize, Serialize};
use ssz::{Decode, DecodeError, Encode};
use ssz_derive::{Decode, Encode};
use ssz_types::{BitList, FixedVector, VariableList};
use tree_hash_derive::TreeHash;
use typenum as t;

pub use execution::*;

use super::{attestation::*, operations::AttesterSlashing, preset, primitives::*};

/// An attestation before Electra: of one committee, which its data names.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#attestation>
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct AttestationPhase0 {
    /// A bit per member of the committee.
    pub aggregation_bits: BitList<t::U2048>,
    /// Data.
    pub data: AttestationData,
    /// Signature.
    pub signature: BLSSignature,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#indexedattestation>
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct IndexedAttestationPhase0 {
    /// Sorted, without repetition.
    #[serde(with = "ssz_types::serde_utils::quoted_u64_var_list")]
    pub attesting_indices: VariableList<u64, t::U2048>,
    /// Data.
    pub data: AttestationData,
    /// Signature.
    pub signature: BLSSignature,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#attesterslashing>
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct AttesterSlashingPhase0 {
    /// Attestation 1.
    pub attestation_1: IndexedAttestationPhase0,
    /// Attestation 2.
    pub attestation_2: IndexedAttestationPhase0,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/validator.md#aggregateandproof>
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct AggregateAndProofPhase0 {
    /// Aggregator index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub aggregator_index: ValidatorIndex,
    /// Aggregate.
    pub aggregate: AttestationPhase0,
    /// Selection proof.
    pub selection_proof: BLSSignature,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/validator.md#signedaggregateandproof>
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SignedAggregateAndProofPhase0 {
    /// Message.
    pub message: AggregateAndProofPhase0,
    /// Signature.
    pub signature: BLSSignature,
}

/// A phase 0 attestation as the state keeps it until it is paid for.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#pendingattestation>
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PendingAttestation {
    /// A bit per member of the committee.
    pub aggregation_bits: BitList<t::U2048>,
    /// Data.
    pub data: AttestationData,
    /// Slots between the vote and its block.
    #[serde(with = "serde_utils::quoted_u64")]
    pub inclusion_delay: Slot,
    /// Who proposed the block.
    #[serde(with = "serde_utils::quoted_u64")]
    pub proposer_index: ValidatorIndex,
}

/// An epoch's pending attestations.
pub type PendingAttestations = VariableList<PendingAttestation, preset::MaxPendingAttestations>;

/// Roots of a period, of which the state kept only the root before Capella.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#historicalbatch>
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct HistoricalBatch {
    /// Block roots.
    pub block_roots: FixedVector<Hash256, preset::SlotsPerHistoricalRoot>,
    /// State roots.
    pub state_roots: FixedVector<Hash256, preset::SlotsPerHistoricalRoot>,
}

impl From<AttestationPhase0> for Attestation {
    /// No committee bit is set: `data.index` names the committee.
    fn from(earlier: AttestationPhase0) -> Attestation {
        let AttestationPhase0 { aggregation_bits, data, signature } = earlier;
        let aggregation_bits = longer(aggregation_bits.as_ssz_bytes());
        Attestation { aggregation_bits, data, signature, committee_bits: Default::default() }
    }
}

/// The bits of a shorter list's encoding.
fn longer(bits: Vec<u8>) -> BitList<preset::MaxAttestersPerSlot> {
    BitList::from_ssz_bytes(&bits).expect("a slot's attesters are no fewer than a committee's members")
}

impl TryFrom<&Attestation> for AttestationPhase0 {
    type Error = DecodeError;

    /// Fails if there are more bits than a committee has members.
    fn try_from(attestation: &Attestation) -> Result<AttestationPhase0, DecodeError> {
        let Attestation { aggregation_bits, data, signature, .. } = attestation;
        let aggregation_bits = BitList::from_ssz_bytes(&aggregation_bits.as_ssz_bytes())?;
        Ok(AttestationPhase0 { aggregation_bits, data: *data, signature: *signature })
    }
}

impl From<IndexedAttestationPhase0> for IndexedAttestation {
    fn from(earlier: IndexedAttestationPhase0) -> IndexedAttestation {
        let IndexedAttestationPhase0 { attesting_indices, data, signature } = earlier;
        let attesting_indices = Vec::from(attesting_indices).try_into().expect("a longer list has room");
        IndexedAttestation { attesting_indices, data, signature }
    }
}

impl TryFrom<&IndexedAttestation> for IndexedAttestationPhase0 {
    type Error = DecodeError;

    /// Fails if there are more attesters than a committee has members.
    fn try_from(attestation: &IndexedAttestation) -> Result<IndexedAttestationPhase0, DecodeError> {
        let attesting_indices = attestation.attesting_indices.to_vec().try_into();
        let attesting_indices = attesting_indices.map_err(|error| DecodeError::BytesInvalid(format!("{error:?}")))?;
        Ok(IndexedAttestationPhase0 { attesting_indices, data: attestation.data, signature: attestation.signature })
    }
}

impl From<AttesterSlashingPhase0> for AttesterSlashing {
    fn from(earlier: AttesterSlashingPhase0) -> AttesterSlashing {
        let AttesterSlashingPhase0 { attestation_1, attestation_2 } = earlier;
        AttesterSlashing { attestation_1: attestation_1.into(), attestation_2: attestation_2.into() }
    }
}

impl TryFrom<&AttesterSlashing> for AttesterSlashingPhase0 {
    type Error = DecodeError;

    fn try_from(slashing: &AttesterSlashing) -> Result<AttesterSlashingPhase0, DecodeError> {
        let AttesterSlashing { attestation_1, attestation_2 } = slashing;
        Ok(AttesterSlashingPhase0 {
            attestation_1: attestation_1.try_into()?,
            attestation_2: attestation_2.try_into()?,
        })
    }
}
