//! What light clients are given.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#containers>
//!
//! In memory there is one form, the newest: a header has its payload's, branches are as deep as in Electra. A fork that
//! has less leaves it out on the wire (`forms`), and reading its bytes is what the specification calls an upgrade.

mod codec;
mod forms;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use tree_hash_derive::TreeHash;

use super::{
    basic::BeaconBlockHeader, execution::ExecutionPayloadHeader, fork::ForkName, primitives::*, state::Hashed,
    sync_committee::*,
};

/// Branch of the execution payload in the block's body.
pub type ExecutionBranch = [Hash256; 4];
/// Branch of a sync committee in the state. Before Electra the state is less deep: then the first node is zero, and not on
/// the wire.
pub type SyncCommitteeBranch = [Hash256; 6];
/// Branch of the finalized root in the state. Before Electra as for [`SyncCommitteeBranch`].
pub type FinalityBranch = [Hash256; 7];

/// A header with the proof of its payload's. Before Capella there is no `execution`, before Deneb no blob gas in it: they
/// keep their default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LightClientHeader {
    /// Beacon.
    pub beacon: BeaconBlockHeader,
    /// Execution.
    pub execution: ExecutionPayloadHeader,
    /// Execution branch.
    pub execution_branch: ExecutionBranch,
}

/// Where a light client starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightClientBootstrap {
    /// Whose form it has on the wire.
    pub fork_name: ForkName,
    /// Header.
    pub header: LightClientHeader,
    /// Current sync committee.
    pub current_sync_committee: Hashed<SyncCommittee>,
    /// Current sync committee branch.
    pub current_sync_committee_branch: SyncCommitteeBranch,
}

/// A step to the next sync committee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightClientUpdate {
    /// Whose form it has on the wire.
    pub fork_name: ForkName,
    /// Attested header.
    pub attested_header: LightClientHeader,
    /// Next sync committee.
    pub next_sync_committee: Hashed<SyncCommittee>,
    /// Next sync committee branch.
    pub next_sync_committee_branch: SyncCommitteeBranch,
    /// Finalized header.
    pub finalized_header: LightClientHeader,
    /// Finality branch.
    pub finality_branch: FinalityBranch,
    /// Sync aggregate.
    pub sync_aggregate: SyncAggregate,
    /// Signature slot.
    pub signature_slot: Slot,
}

/// A newer finalized header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightClientFinalityUpdate {
    /// Whose form it has on the wire.
    pub fork_name: ForkName,
    /// Attested header.
    pub attested_header: LightClientHeader,
    /// Finalized header.
    pub finalized_header: LightClientHeader,
    /// Finality branch.
    pub finality_branch: FinalityBranch,
    /// Sync aggregate.
    pub sync_aggregate: SyncAggregate,
    /// Signature slot.
    pub signature_slot: Slot,
}

/// A newer head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightClientOptimisticUpdate {
    /// Whose form it has on the wire.
    pub fork_name: ForkName,
    /// Attested header.
    pub attested_header: LightClientHeader,
    /// Sync aggregate.
    pub sync_aggregate: SyncAggregate,
    /// Signature slot.
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
