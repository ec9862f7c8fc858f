//! Registry updates: who may join, who joins, who is ejected.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_registry_updates>

use crate::{
    transition::{
        Context, TransitionError, compute_activation_exit_epoch, get_validator_activation_churn_limit,
        get_validator_churn_limit, initiate_validator_exit,
    },
    types::{preset::*, *},
};

/// Walks over the registry once. Since Electra whoever is eligible joins at once: the queue is that of deposits.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_registry_updates>
pub fn process_registry_updates(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    if state.fork_name < ForkName::Electra {
        return process_registry_updates_with_queue(state, ctx);
    }
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
        } else if is_eligible_for_activation(validators, index, finalized_epoch) {
            validators.update(index, |v| v.activation_epoch = activation_epoch);
        }
    }
    Ok(())
}

/// Before Electra: so many join as the churn limit allows, who waited longest first.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/beacon-chain.md#registry-updates>
fn process_registry_updates_with_queue(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    let current_epoch = state.current_epoch();
    for index in 0..state.validators.len() {
        let validators = &mut state.validators;
        let effective_balance = validators.effective_balance(index);
        // Spec: is_eligible_for_activation_queue
        if validators.activation_eligibility_epoch(index) == FAR_FUTURE_EPOCH
            && effective_balance == MAX_EFFECTIVE_BALANCE
        {
            validators.update(index, |v| v.activation_eligibility_epoch = current_epoch + 1);
        }
        if effective_balance <= ctx.config.ejection_balance && validators.is_active(index, current_epoch) {
            initiate_validator_exit(state, index as ValidatorIndex, ctx)?;
        }
    }

    let (validators, finalized_epoch) = (&state.validators, state.finalized_checkpoint.epoch);
    let eligible =
        (0..validators.len()).filter(|index| is_eligible_for_activation(validators, *index, finalized_epoch));
    let mut activation_queue: Vec<usize> = eligible.collect();
    // Those of the same epoch stay ordered by index.
    activation_queue.sort_by_key(|index| validators.activation_eligibility_epoch(*index));
    let churn_limit = if state.fork_name >= ForkName::Deneb {
        get_validator_activation_churn_limit(state, ctx)
    } else {
        get_validator_churn_limit(state, ctx)
    };
    let activation_epoch = compute_activation_exit_epoch(current_epoch);
    for index in activation_queue.into_iter().take(usize::try_from(churn_limit).unwrap_or(usize::MAX)) {
        state.validators.update(index, |v| v.activation_epoch = activation_epoch);
    }
    Ok(())
}

/// Whether a validator's place in the queue is final, and it has not joined.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#is_eligible_for_activation>
fn is_eligible_for_activation(validators: &Validators, index: usize, finalized_epoch: Epoch) -> bool {
    validators.activation_epoch(index) == FAR_FUTURE_EPOCH
        && validators.activation_eligibility_epoch(index) <= finalized_epoch
}
