//! How much stake may come, go and move in an epoch.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-get_balance_churn_limit>

use super::{checked_sum, compute_activation_exit_epoch, get_total_active_balance};
use crate::{
    transition::{Context, TransitionError, ensure},
    types::{preset::*, *},
};

/// Validators that may leave in the state's epoch, and until Capella join, before Electra.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_validator_churn_limit>
pub fn get_validator_churn_limit(state: &BeaconState, ctx: &Context) -> u64 {
    let (validators, epoch) = (&state.validators, state.current_epoch());
    let active = (0..validators.len()).filter(|index| validators.is_active(*index, epoch)).count() as u64;
    (active / ctx.config.churn_limit_quotient).max(ctx.config.min_per_epoch_churn_limit)
}

/// Validators that may come in the state's epoch, since Deneb.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/beacon-chain.md#new-get_validator_activation_churn_limit>
pub fn get_validator_activation_churn_limit(state: &BeaconState, ctx: &Context) -> u64 {
    get_validator_churn_limit(state, ctx).min(ctx.config.max_per_epoch_activation_churn_limit)
}

/// In Gwei, for the state's epoch.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-get_balance_churn_limit>
pub fn get_balance_churn_limit(state: &mut BeaconState, ctx: &Context) -> Result<Gwei, TransitionError> {
    let share = get_total_active_balance(state)? / ctx.config.churn_limit_quotient;
    let churn = share.max(ctx.config.min_per_epoch_churn_limit_electra);
    Ok(churn - churn % EFFECTIVE_BALANCE_INCREMENT)
}

/// In Gwei, for the state's epoch; what activations and exits may use.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-get_activation_exit_churn_limit>
pub fn get_activation_exit_churn_limit(state: &mut BeaconState, ctx: &Context) -> Result<Gwei, TransitionError> {
    Ok(get_balance_churn_limit(state, ctx)?.min(ctx.config.max_per_epoch_activation_exit_churn_limit))
}

/// In Gwei, for the state's epoch; what consolidations may use.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-get_consolidation_churn_limit>
pub fn get_consolidation_churn_limit(state: &mut BeaconState, ctx: &Context) -> Result<Gwei, TransitionError> {
    Ok(get_balance_churn_limit(state, ctx)? - get_activation_exit_churn_limit(state, ctx)?)
}

/// Books `exit_balance` Gwei of exits; returns the epoch in which they take effect.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-compute_exit_epoch_and_update_churn>
pub fn compute_exit_epoch_and_update_churn(
    state: &mut BeaconState,
    exit_balance: Gwei,
    ctx: &Context,
) -> Result<Epoch, TransitionError> {
    let queue = Queue { earliest_epoch: state.earliest_exit_epoch, to_consume: state.exit_balance_to_consume };
    let per_epoch = get_activation_exit_churn_limit(state, ctx)?;
    let queue = queue.book(exit_balance, per_epoch, state.current_epoch())?;
    (state.earliest_exit_epoch, state.exit_balance_to_consume) = (queue.earliest_epoch, queue.to_consume);
    Ok(queue.earliest_epoch)
}

/// Books `consolidation_balance` Gwei of consolidations; returns the epoch in which they take effect.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-compute_consolidation_epoch_and_update_churn>
pub fn compute_consolidation_epoch_and_update_churn(
    state: &mut BeaconState,
    consolidation_balance: Gwei,
    ctx: &Context,
) -> Result<Epoch, TransitionError> {
    let queue = Queue {
        earliest_epoch: state.earliest_consolidation_epoch,
        to_consume: state.consolidation_balance_to_consume,
    };
    let per_epoch = get_consolidation_churn_limit(state, ctx)?;
    let queue = queue.book(consolidation_balance, per_epoch, state.current_epoch())?;
    state.earliest_consolidation_epoch = queue.earliest_epoch;
    state.consolidation_balance_to_consume = queue.to_consume;
    Ok(queue.earliest_epoch)
}

/// Balance leaves epoch by epoch: the first epoch with room, and the room that is left in it.
struct Queue {
    earliest_epoch: Epoch,
    to_consume: Gwei,
}

impl Queue {
    /// The queue with `balance` booked; its earliest epoch is the one that the balance got.
    fn book(self, balance: Gwei, per_epoch: Gwei, current_epoch: Epoch) -> Result<Queue, TransitionError> {
        let mut earliest_epoch = self.earliest_epoch.max(compute_activation_exit_epoch(current_epoch));
        let is_new_epoch = self.earliest_epoch < earliest_epoch;
        let mut to_consume = if is_new_epoch { per_epoch } else { self.to_consume };
        if balance > to_consume {
            ensure(per_epoch > 0, "churn", "the network must let some balance move")?;
            let additional_epochs = (balance - to_consume - 1) / per_epoch + 1;
            earliest_epoch = checked_sum(earliest_epoch, additional_epochs, "an exit epoch")?;
            let more = additional_epochs.checked_mul(per_epoch).ok_or(TransitionError::Overflow("the churn"))?;
            to_consume = checked_sum(to_consume, more, "the churn")?;
        }
        Ok(Queue { earliest_epoch, to_consume: to_consume - balance })
    }
}
