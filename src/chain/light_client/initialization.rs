//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#light-client-initialization>

use tree_hash::TreeHash;

use super::{
    LightClientError, current_sync_committee_gindex_at_slot, error::ensure, helpers::NO_SYNC_COMMITTEE,
    is_valid_light_client_header, is_valid_normalized_merkle_branch,
};
use crate::types::*;

/// What a light client keeps.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#lightclientstore>
#[derive(Clone, Debug)]
pub struct LightClientStore {
    /// Header that is finalized.
    pub finalized_header: LightClientHeader,
    /// Sync committee of the finalized header's period.
    pub current_sync_committee: Hashed<SyncCommittee>,
    /// Sync committee of the period after; empty while it is not known.
    pub next_sync_committee: Hashed<SyncCommittee>,
    /// What to switch to if nothing gets finalized for long.
    pub best_valid_update: Option<LightClientUpdate>,
    /// Most recent header that is reasonably safe.
    pub optimistic_header: LightClientHeader,
    /// Most signers of an update in the period before.
    pub previous_max_active_participants: u64,
    /// Most signers of an update in this period.
    pub current_max_active_participants: u64,
}

/// A store that begins with a block that the user trusts.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#initialize_light_client_store>
///
/// # Errors
/// When the bootstrap is of another block, or its sync committee is not that block's.
pub fn initialize_light_client_store(
    trusted_block_root: Hash256,
    bootstrap: LightClientBootstrap,
    config: &Config,
) -> Result<LightClientStore, LightClientError> {
    let rule = |holds, rule| ensure(holds, "bootstrap", rule);
    let LightClientBootstrap { header, current_sync_committee, current_sync_committee_branch, .. } = bootstrap;
    rule(is_valid_light_client_header(&header, config), "its payload must be its block's")?;
    rule(header.beacon.tree_hash_root() == trusted_block_root, "its block must be the trusted one")?;
    let is_committee_of_state = is_valid_normalized_merkle_branch(
        current_sync_committee.root(),
        &current_sync_committee_branch,
        current_sync_committee_gindex_at_slot(header.beacon.slot, config),
        header.beacon.state_root,
    );
    rule(is_committee_of_state, "its sync committee must be its state's")?;
    Ok(LightClientStore {
        finalized_header: header.clone(),
        current_sync_committee,
        next_sync_committee: NO_SYNC_COMMITTEE.clone(),
        best_valid_update: None,
        optimistic_header: header,
        previous_max_active_participants: 0,
        current_max_active_participants: 0,
    })
}
