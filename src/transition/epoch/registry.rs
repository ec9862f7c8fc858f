//! Registry updates: who may join, who joins, who is ejected.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_registry_updates>

use crate::{
    ssz::CHUNK,
    transition::{
        Context, TransitionError, compute_activation_exit_epoch, get_validator_activation_churn_limit,
        get_validator_churn_limit, initiate_validator_exit,
    },
    types::{preset::*, *},
};

/// What a validator must have to join, in whole increments.
const ELIGIBLE_INCREMENTS: u16 = (MIN_ACTIVATION_BALANCE / EFFECTIVE_BALANCE_INCREMENT) as u16;

/// Walks over the registry once. Since Electra whoever is eligible joins at once: the queue is that of deposits.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_registry_updates>
pub fn process_registry_updates(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    if state.fork_name < ForkName::Electra {
        return process_registry_updates_with_queue(state, ctx);
    }
    let terms = RegistryTerms::new(state, ctx);
    for number in 0..state.validators.len().div_ceil(CHUNK) {
        if terms.concern(&state.validators.chunk(number)) {
            terms.update_chunk(state, number, ctx)?;
        }
    }
    Ok(())
}

/// What decides who joins and leaves since Electra.
pub(super) struct RegistryTerms {
    current_epoch: Epoch,
    finalized_epoch: Epoch,
    ejection_balance: Gwei,
}

impl RegistryTerms {
    /// Of the state at its epoch's end, after justification.
    pub fn new(state: &BeaconState, ctx: &Context) -> Self {
        RegistryTerms {
            current_epoch: state.current_epoch(),
            finalized_epoch: state.finalized_checkpoint.epoch,
            ejection_balance: ctx.config.ejection_balance,
        }
    }

    /// Whether there is anything to do in a chunk: seldom, and found out without a branch for each validator. Never misses
    /// one.
    pub fn concern(&self, chunk: &RegistryChunk<'_>) -> bool {
        const FAR_FUTURE: u32 = u32::MAX;
        let (Some(narrow), Ok(current)) = (chunk.narrow(), u32::try_from(self.current_epoch)) else { return true };
        let finalized = u32::try_from(self.finalized_epoch).unwrap_or(FAR_FUTURE);
        let ejected = u16::try_from(self.ejection_balance / EFFECTIVE_BALANCE_INCREMENT).unwrap_or(u16::MAX);
        let mut any = false;
        for (increments, eligibility) in narrow.effective_balances.iter().zip(narrow.activation_eligibility_epochs) {
            any |= (*eligibility == FAR_FUTURE) & (*increments >= ELIGIBLE_INCREMENTS);
        }
        let epochs = narrow.activation_epochs.iter().zip(narrow.exit_epochs);
        for ((activation, exit), increments) in epochs.zip(narrow.effective_balances) {
            any |= (*increments <= ejected) & (*activation <= current) & (current < *exit);
        }
        for (activation, eligibility) in narrow.activation_epochs.iter().zip(narrow.activation_eligibility_epochs) {
            any |= (*activation == FAR_FUTURE) & (*eligibility <= finalized);
        }
        any
    }

    /// Updates the validators of the chunk with this number, in order: exits queue up one behind the other.
    pub fn update_chunk(&self, state: &mut BeaconState, number: usize, ctx: &Context) -> Result<(), TransitionError> {
        let activation_epoch = compute_activation_exit_epoch(self.current_epoch);
        let first = number * CHUNK;
        for index in first..state.validators.len().min(first + CHUNK) {
            let validators = &mut state.validators;
            let eligibility_epoch = validators.activation_eligibility_epoch(index);
            let effective_balance = validators.effective_balance(index);
            // Spec: is_eligible_for_activation_queue
            if eligibility_epoch == FAR_FUTURE_EPOCH && effective_balance >= MIN_ACTIVATION_BALANCE {
                validators.update(index, |v| v.activation_eligibility_epoch = self.current_epoch + 1);
            } else if effective_balance <= self.ejection_balance && validators.is_active(index, self.current_epoch) {
                initiate_validator_exit(state, index as ValidatorIndex, ctx)?;
            } else if is_eligible_for_activation(validators, index, self.finalized_epoch) {
                validators.update(index, |v| v.activation_epoch = activation_epoch);
            }
        }
        Ok(())
    }
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
