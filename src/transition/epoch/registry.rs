//! Registry updates: who may join, who joins, who is ejected.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_registry_updates>

use crate::{
    transition::{Context, TransitionError, compute_activation_exit_epoch, initiate_validator_exit},
    types::{preset::*, *},
};

/// Walks over the registry once.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_registry_updates>
pub fn process_registry_updates(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    let current_epoch = state.current_epoch();
    let activation_epoch = compute_activation_exit_epoch(current_epoch);
    let finalized_epoch = state.finalized_checkpoint.epoch;
    for index in 0..state.validators.len() {
        let validators = &mut state.validators;
        let eligibility_epoch = validators.activation_eligibility_epoch(index);
        let effective_balance = validators.effective_balance(index);
        // Spec: is_eligible_for_activation_queue
        if eligibility_epoch == FAR_FUTURE_EPOCH && effective_balance >= MIN_ACTIVATION_BALANCE {
            validators.update(index, |v| v.activation_eligibility_epoch = current_epoch + 1);
        } else if effective_balance <= ctx.config.ejection_balance && validators.is_active(index, current_epoch) {
            initiate_validator_exit(state, index as ValidatorIndex, ctx)?;
        // Spec: is_eligible_for_activation
        } else if validators.activation_epoch(index) == FAR_FUTURE_EPOCH && eligibility_epoch <= finalized_epoch {
            validators.update(index, |v| v.activation_epoch = activation_epoch);
        }
    }
    Ok(())
}
