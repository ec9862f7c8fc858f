//! What light clients are given.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/light-client/sync-protocol.md#containers>, branches as of Electra.

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::FixedVector;
use tree_hash_derive::TreeHash;
use typenum as t;

use super::{basic::BeaconBlockHeader, execution::ExecutionPayloadHeader, primitives::*, sync_committee::*};

/// Branch of the execution payload in the block's body.
pub type ExecutionBranch = FixedVector<Hash256, t::U4>;
/// Branch of a sync committee in the state.
pub type SyncCommitteeBranch = FixedVector<Hash256, t::U6>;
/// Branch of the finalized root in the state.
pub type FinalityBranch = FixedVector<Hash256, t::U7>;

/// A header with the proof of its payload's.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct LightClientHeader {
    /// Beacon.
    pub beacon: BeaconBlockHeader,
    /// Execution.
    pub execution: ExecutionPayloadHeader,
    /// Execution branch.
    pub execution_branch: ExecutionBranch,
}

/// Where a light client starts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct LightClientBootstrap {
    /// Header.
    pub header: LightClientHeader,
    /// Current sync committee.
    pub current_sync_committee: SyncCommittee,
    /// Current sync committee branch.
    pub current_sync_committee_branch: SyncCommitteeBranch,
}

/// A step to the next sync committee.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct LightClientUpdate {
    /// Attested header.
    pub attested_header: LightClientHeader,
    /// Next sync committee.
    pub next_sync_committee: SyncCommittee,
    /// Next sync committee branch.
    pub next_sync_committee_branch: SyncCommitteeBranch,
    /// Finalized header.
    pub finalized_header: LightClientHeader,
    /// Finality branch.
    pub finality_branch: FinalityBranch,
    /// Sync aggregate.
    pub sync_aggregate: SyncAggregate,
    /// Signature slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub signature_slot: Slot,
}

/// A newer finalized header.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct LightClientFinalityUpdate {
    /// Attested header.
    pub attested_header: LightClientHeader,
    /// Finalized header.
    pub finalized_header: LightClientHeader,
    /// Finality branch.
    pub finality_branch: FinalityBranch,
    /// Sync aggregate.
    pub sync_aggregate: SyncAggregate,
    /// Signature slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub signature_slot: Slot,
}

/// A newer head.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct LightClientOptimisticUpdate {
    /// Attested header.
    pub attested_header: LightClientHeader,
    /// Sync aggregate.
    pub sync_aggregate: SyncAggregate,
    /// Signature slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub signature_slot: Slot,
}

/// A block of the former proof-of-work chain, as the merge checked it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PowBlock {
    /// Block hash.
    pub block_hash: Hash256,
    /// Parent hash.
    pub parent_hash: Hash256,
    /// Total difficulty.
    #[serde(with = "serde_utils::quoted_u256")]
    pub total_difficulty: U256,
}
