//! Proposers that are known ahead.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#new-process_proposer_lookahead>

use crate::{
    transition::{TransitionError, get_beacon_proposer_indices},
    types::{preset::*, *},
};

/// Drops the proposers of the epoch that ends, and adds those of the last epoch ahead.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#new-process_proposer_lookahead>
pub fn process_proposer_lookahead(state: &mut BeaconState) -> Result<(), TransitionError> {
    let last_epoch_proposers = get_beacon_proposer_indices(state, state.current_epoch() + MIN_SEED_LOOKAHEAD + 1)?;
    let kept = state.proposer_lookahead.iter().skip(SLOTS_PER_EPOCH as usize).copied();
    state.proposer_lookahead = kept.chain(last_epoch_proposers).collect();
    Ok(())
}
