//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/fork.md>

use super::begin;
use crate::{
    ssz::Column,
    transition::{Context, TransitionError, get_beacon_proposer_indices},
    types::{preset::*, *},
};

/// Makes an Electra state a Fulu one.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/fork.md#upgrading-the-state>
pub fn upgrade_to_fulu(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    begin(state, ForkName::Fulu, ctx);
    state.proposer_lookahead = initialize_proposer_lookahead(state)?;
    Ok(())
}

/// The proposers of the state's epoch and of those ahead.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/fork.md#new-initialize_proposer_lookahead>
pub fn initialize_proposer_lookahead(state: &BeaconState) -> Result<Column<ValidatorIndex>, TransitionError> {
    let current_epoch = state.current_epoch();
    let mut lookahead = Column::default();
    for epoch in current_epoch..=current_epoch + MIN_SEED_LOOKAHEAD {
        for proposer in get_beacon_proposer_indices(state, epoch)? {
            lookahead.push(proposer);
        }
    }
    Ok(lookahead)
}
