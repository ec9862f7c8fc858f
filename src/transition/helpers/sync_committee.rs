//! Who is in the sync committee.

use std::sync::Arc;

use super::{get_active_validator_indices, get_seed, proposer::Draw, shuffle_list};
use crate::{
    crypto::{DOMAIN_SYNC_COMMITTEE, eth_aggregate_pubkeys},
    transition::{TransitionError, ensure},
    types::{preset::*, *},
};

/// The members of the next committee, drawn by effective balance; they may repeat.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#get_next_sync_committee_indices>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-get_next_sync_committee_indices>
pub fn get_next_sync_committee_indices(state: &BeaconState) -> Result<Vec<u32>, TransitionError> {
    let epoch = state.current_epoch() + 1;
    let seed = get_seed(state, epoch, DOMAIN_SYNC_COMMITTEE);
    // Since Electra, some 64 candidates are looked at for each member: cheaper from a shuffled list than one by one.
    let mut candidates = get_active_validator_indices(state, epoch);
    ensure(!candidates.is_empty(), "sync committee", "somebody must be active")?;
    shuffle_list(&mut candidates, seed);
    let mut draw = Draw::new(seed, state.fork_name);
    let drawn = candidates.iter().cycle();
    let drawn = drawn.filter(|candidate| draw.takes(state.validators.effective_balance(**candidate as usize)));
    Ok(drawn.take(SYNC_COMMITTEE_SIZE).copied().collect())
}

/// The next committee.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#get_next_sync_committee>
pub fn get_next_sync_committee(state: &BeaconState) -> Result<SyncCommittee, TransitionError> {
    let invalid = |rule| TransitionError::Invalid { operation: "sync committee", rule };
    let indices = get_next_sync_committee_indices(state)?;
    let pubkeys: Vec<_> = indices.iter().map(|index| *state.validators.pubkey(*index as usize)).collect();
    let aggregate_pubkey = eth_aggregate_pubkeys(&pubkeys).map_err(|_| invalid("its members' keys must be valid"))?;
    let pubkeys = pubkeys.try_into().map_err(|_| invalid("it must be complete"))?;
    Ok(SyncCommittee { pubkeys, aggregate_pubkey })
}

/// The indices of the current committee's members, in order; found once a period, then remembered.
pub fn get_sync_committee_indices(state: &mut BeaconState) -> Result<Arc<[u32]>, TransitionError> {
    let root = state.current_sync_committee.root();
    if let Some((of, indices)) = &state.caches.sync_committee_indices
        && *of == root
    {
        return Ok(indices.clone());
    }
    let find = |pubkey| state.validators.index_of(pubkey).map(|index| index as u32);
    let indices: Option<Arc<[u32]>> = state.current_sync_committee.pubkeys.iter().map(find).collect();
    let indices = indices
        .ok_or(TransitionError::Invalid { operation: "sync committee", rule: "its members must be in the registry" })?;
    state.caches.sync_committee_indices = Some((root, indices.clone()));
    Ok(indices)
}
