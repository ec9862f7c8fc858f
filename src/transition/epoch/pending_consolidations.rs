//! Consolidations that wait in the state.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-process_pending_consolidations>

use crate::{
    transition::{TransitionError, decrease_balance, get_balance, get_validator, increase_balance},
    types::*,
};

/// Moves the active balance of sources that have become withdrawable to their targets; slashed ones are skipped.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-process_pending_consolidations>
pub fn process_pending_consolidations(state: &mut BeaconState) -> Result<(), TransitionError> {
    let next_epoch = state.current_epoch() + 1;
    let mut done = 0;
    while let Some(PendingConsolidation { source_index, target_index }) =
        state.pending_consolidations.get(done).copied()
    {
        let source = get_validator(state, source_index)?;
        if !source.slashed {
            if source.withdrawable_epoch > next_epoch {
                break;
            }
            // What is above stays with the source and is withdrawn.
            let moved = get_balance(state, source_index)?.min(source.effective_balance);
            decrease_balance(state, source_index, moved)?;
            increase_balance(state, target_index, moved)?;
        }
        done += 1;
    }
    state.pending_consolidations.drop_front(done);
    Ok(())
}
