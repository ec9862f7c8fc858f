//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#helpers>

use std::sync::LazyLock;

use super::LightClientStore;
use crate::{
    ssz::proof::is_valid_merkle_branch,
    types::{preset::EPOCHS_PER_SYNC_COMMITTEE_PERIOD, *},
};

/// Place of `finalized_checkpoint.root` in the state's tree up to Deneb, as a generalized index.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#constants>
pub const FINALIZED_ROOT_GINDEX: u64 = 105;
/// Place of `current_sync_committee`, up to Deneb.
pub const CURRENT_SYNC_COMMITTEE_GINDEX: u64 = 54;
/// Place of `next_sync_committee`, up to Deneb.
pub const NEXT_SYNC_COMMITTEE_GINDEX: u64 = 55;
/// Place of `finalized_checkpoint.root` since Electra.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/light-client/sync-protocol.md#new-constants>
pub const FINALIZED_ROOT_GINDEX_ELECTRA: u64 = 169;
/// Place of `current_sync_committee` since Electra.
pub const CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA: u64 = 86;
/// Place of `next_sync_committee` since Electra.
pub const NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA: u64 = 87;
/// Place of `execution_payload` in a block's body, since Capella.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/light-client/sync-protocol.md#constants>
pub const EXECUTION_PAYLOAD_GINDEX: u64 = 25;

/// The specification's `SyncCommittee()`: none.
pub(super) static NO_SYNC_COMMITTEE: LazyLock<Hashed<SyncCommittee>> = LazyLock::new(Hashed::default);

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/light-client/sync-protocol.md#modified-finalized_root_gindex_at_slot>
pub fn finalized_root_gindex_at_slot(slot: Slot, config: &Config) -> u64 {
    if is_electra(slot, config) { FINALIZED_ROOT_GINDEX_ELECTRA } else { FINALIZED_ROOT_GINDEX }
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/light-client/sync-protocol.md#modified-current_sync_committee_gindex_at_slot>
pub fn current_sync_committee_gindex_at_slot(slot: Slot, config: &Config) -> u64 {
    if is_electra(slot, config) { CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA } else { CURRENT_SYNC_COMMITTEE_GINDEX }
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/light-client/sync-protocol.md#modified-next_sync_committee_gindex_at_slot>
pub fn next_sync_committee_gindex_at_slot(slot: Slot, config: &Config) -> u64 {
    if is_electra(slot, config) { NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA } else { NEXT_SYNC_COMMITTEE_GINDEX }
}

fn is_electra(slot: Slot, config: &Config) -> bool {
    compute_epoch_at_slot(slot) >= config.electra_fork_epoch
}

/// The root of a header's payload header, in the form that its slot's fork has; zero before Capella.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/light-client/sync-protocol.md#modified-get_lc_execution_root>
pub fn get_lc_execution_root(header: &LightClientHeader, config: &Config) -> Hash256 {
    let epoch = compute_epoch_at_slot(header.beacon.slot);
    if epoch < config.capella_fork_epoch {
        return Hash256::ZERO;
    }
    let fork = if epoch < config.deneb_fork_epoch { ForkName::Capella } else { ForkName::Deneb };
    header.execution.root_as(fork)
}

/// Whether the payload's header is the block's.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/light-client/sync-protocol.md#modified-is_valid_light_client_header>
pub fn is_valid_light_client_header(header: &LightClientHeader, config: &Config) -> bool {
    let epoch = compute_epoch_at_slot(header.beacon.slot);
    let execution = &header.execution;
    if epoch < config.deneb_fork_epoch && (execution.blob_gas_used, execution.excess_blob_gas) != (0, 0) {
        return false;
    }
    if epoch < config.capella_fork_epoch {
        return *execution == ExecutionPayloadHeader::default()
            && header.execution_branch == ExecutionBranch::default();
    }
    is_valid_merkle_branch(
        get_lc_execution_root(header, config),
        &header.execution_branch,
        EXECUTION_PAYLOAD_GINDEX.ilog2() as usize,
        get_subtree_index(EXECUTION_PAYLOAD_GINDEX),
        header.beacon.body_root,
    )
}

/// Whether it brings the next sync committee.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#is_sync_committee_update>
pub fn is_sync_committee_update(update: &LightClientUpdate) -> bool {
    update.next_sync_committee_branch != SyncCommitteeBranch::default()
}

/// Whether it brings a finalized header.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#is_finality_update>
pub fn is_finality_update(update: &LightClientUpdate) -> bool {
    update.finality_branch != FinalityBranch::default()
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#is_next_sync_committee_known>
pub fn is_next_sync_committee_known(store: &LightClientStore) -> bool {
    store.next_sync_committee != *NO_SYNC_COMMITTEE
}

/// How many must have signed at least before the optimistic header follows.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#get_safety_threshold>
pub fn get_safety_threshold(store: &LightClientStore) -> u64 {
    store.previous_max_active_participants.max(store.current_max_active_participants) / 2
}

/// The position among the nodes of the same depth. A generalized index of 0 names nothing.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#get_subtree_index>
pub fn get_subtree_index(generalized_index: u64) -> u64 {
    generalized_index - (1 << generalized_index.ilog2())
}

/// Whether the branch is valid after the zeros that make it longer than `gindex` is deep.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#is_valid_normalized_merkle_branch>
pub fn is_valid_normalized_merkle_branch(leaf: Hash256, branch: &[Hash256], gindex: u64, root: Hash256) -> bool {
    let depth = gindex.ilog2() as usize;
    let Some(num_extra) = branch.len().checked_sub(depth) else { return false };
    let (extra, branch) = branch.split_at(num_extra);
    extra.iter().all(Hash256::is_zero) && is_valid_merkle_branch(leaf, branch, depth, get_subtree_index(gindex), root)
}

/// The sync committees' term that `slot` is in.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#compute_sync_committee_period_at_slot>
pub fn compute_sync_committee_period_at_slot(slot: Slot) -> u64 {
    compute_epoch_at_slot(slot) / EPOCHS_PER_SYNC_COMMITTEE_PERIOD
}
