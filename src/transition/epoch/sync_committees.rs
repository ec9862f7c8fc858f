//! Sync committees.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#sync-committee-updates>

use crate::{
    transition::{TransitionError, get_next_sync_committee},
    types::{preset::*, *},
};

/// At the end of a period the next committee takes over, and the one after it is drawn.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#sync-committee-updates>
pub fn process_sync_committee_updates(state: &mut BeaconState) -> Result<(), TransitionError> {
    if (state.current_epoch() + 1).is_multiple_of(EPOCHS_PER_SYNC_COMMITTEE_PERIOD) {
        let next = Hashed::new(get_next_sync_committee(state)?);
        state.current_sync_committee = std::mem::replace(&mut state.next_sync_committee, next);
    }
    Ok(())
}
