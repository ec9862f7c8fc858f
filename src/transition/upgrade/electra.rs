//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/fork.md>

use super::begin;
use crate::{
    ssz::Column,
    transition::{
        Context, TransitionError, checked_sum, compute_activation_exit_epoch, get_activation_exit_churn_limit,
        get_balance, get_consolidation_churn_limit, is_compounding_withdrawal_credential, queue_excess_active_balance,
    },
    types::{preset::*, *},
};

/// Makes a Deneb state an Electra one: balances, not validators, are counted in the queues from now on.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/fork.md#upgrading-the-state>
pub fn upgrade_to_electra(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    begin(state, ForkName::Electra, ctx);
    let next_exit_epoch = compute_activation_exit_epoch(state.current_epoch());
    let exit_epochs = (0..state.validators.len()).map(|index| state.validators.exit_epoch(index));
    let last_exit_epoch = exit_epochs.filter(|epoch| *epoch != FAR_FUTURE_EPOCH).fold(next_exit_epoch, Epoch::max);

    state.deposit_requests_start_index = UNSET_DEPOSIT_REQUESTS_START_INDEX;
    state.deposit_balance_to_consume = 0;
    state.earliest_exit_epoch = checked_sum(last_exit_epoch, 1, "an exit epoch")?;
    state.earliest_consolidation_epoch = next_exit_epoch;
    state.pending_deposits = Column::default();
    state.pending_partial_withdrawals = Column::default();
    state.pending_consolidations = Column::default();
    state.exit_balance_to_consume = get_activation_exit_churn_limit(state, ctx)?;
    state.consolidation_balance_to_consume = get_consolidation_churn_limit(state, ctx)?;

    queue_inactive_validators(state)?;
    // Who had compounding credentials early goes through the queue with what is above the minimum.
    for index in 0..state.validators.len() {
        if is_compounding_withdrawal_credential(&state.validators.withdrawal_credentials(index)) {
            queue_excess_active_balance(state, index as ValidatorIndex)?;
        }
    }
    Ok(())
}

/// Turns the whole balance of each validator that waits for its activation into a pending deposit, in the order of the
/// queue that they leave.
fn queue_inactive_validators(state: &mut BeaconState) -> Result<(), TransitionError> {
    let validators = &state.validators;
    let mut pre_activation: Vec<usize> =
        (0..validators.len()).filter(|index| validators.activation_epoch(*index) == FAR_FUTURE_EPOCH).collect();
    // Those of the same epoch stay ordered by index.
    pre_activation.sort_by_key(|index| validators.activation_eligibility_epoch(*index));
    for index in pre_activation {
        let amount = get_balance(state, index as ValidatorIndex)?;
        state.balances.set(index, 0);
        state.validators.update(index, |validator| {
            validator.effective_balance = 0;
            validator.activation_eligibility_epoch = FAR_FUTURE_EPOCH;
        });
        // The empty signature and the genesis slot tell it from a deposit request.
        state.pending_deposits.push(Hashed::new(PendingDeposit {
            pubkey: *state.validators.pubkey(index),
            withdrawal_credentials: state.validators.withdrawal_credentials(index),
            amount,
            signature: G2_POINT_AT_INFINITY,
            slot: GENESIS_SLOT,
        }));
    }
    Ok(())
}
