//! Changes of balances, exits and slashings.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#beacon-state-mutators>

use super::{
    checked_sum, compute_activation_exit_epoch, compute_exit_epoch_and_update_churn, get_beacon_proposer_index,
    get_validator, get_validator_churn_limit, set_validator,
};
use crate::{
    transition::{Context, TransitionError},
    types::{preset::*, *},
};

/// Adds to a balance, in Gwei.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#increase_balance>
pub fn increase_balance(state: &mut BeaconState, index: ValidatorIndex, delta: Gwei) -> Result<(), TransitionError> {
    let balance = checked_sum(get_balance(state, index)?, delta, "a balance")?;
    state.balances.set(index as usize, balance);
    Ok(())
}

/// Takes from a balance, in Gwei, down to zero.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#decrease_balance>
pub fn decrease_balance(state: &mut BeaconState, index: ValidatorIndex, delta: Gwei) -> Result<(), TransitionError> {
    let balance = get_balance(state, index)?.saturating_sub(delta);
    state.balances.set(index as usize, balance);
    Ok(())
}

/// A balance in Gwei, of a validator whose index comes from outside.
pub fn get_balance(state: &BeaconState, index: ValidatorIndex) -> Result<Gwei, TransitionError> {
    let balance = usize::try_from(index).ok().and_then(|index| state.balances.get(index));
    balance.copied().ok_or(TransitionError::UnknownValidator(index))
}

/// Queues a validator's exit, unless it exits already.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#initiate_validator_exit>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-initiate_validator_exit>
pub fn initiate_validator_exit(
    state: &mut BeaconState,
    index: ValidatorIndex,
    ctx: &Context,
) -> Result<(), TransitionError> {
    let mut validator = get_validator(state, index)?;
    if validator.exit_epoch != FAR_FUTURE_EPOCH {
        return Ok(());
    }
    let exit_epoch = if state.fork_name >= ForkName::Electra {
        compute_exit_epoch_and_update_churn(state, validator.effective_balance, ctx)?
    } else {
        exit_queue_epoch(state, ctx)?
    };
    let delay = ctx.config.min_validator_withdrawability_delay;
    validator.exit_epoch = exit_epoch;
    validator.withdrawable_epoch = checked_sum(exit_epoch, delay, "a withdrawable epoch")?;
    set_validator(state, index as usize, validator);
    Ok(())
}

/// Before Electra: the epoch of the last exit that is queued, or the one after it if that is full.
fn exit_queue_epoch(state: &BeaconState, ctx: &Context) -> Result<Epoch, TransitionError> {
    let validators = &state.validators;
    let first = compute_activation_exit_epoch(state.current_epoch());
    let (mut last, mut exits) = (first, 0);
    for exit_epoch in (0..validators.len()).map(|index| validators.exit_epoch(index)) {
        if exit_epoch == last {
            exits += 1;
        } else if exit_epoch > last && exit_epoch != FAR_FUTURE_EPOCH {
            (last, exits) = (exit_epoch, 1);
        }
    }
    let is_full = exits >= get_validator_churn_limit(state, ctx);
    checked_sum(last, is_full.into(), "an exit epoch")
}

/// Slashes a validator. The reward goes to the whistleblower, or to the block's proposer if there is none.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#slash_validator>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#modified-slash_validator>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/beacon-chain.md#modified-slash_validator>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-slash_validator>
pub fn slash_validator(
    state: &mut BeaconState,
    slashed_index: ValidatorIndex,
    whistleblower_index: Option<ValidatorIndex>,
    ctx: &Context,
) -> Result<(), TransitionError> {
    let epoch = state.current_epoch();
    initiate_validator_exit(state, slashed_index, ctx)?;
    let mut validator = get_validator(state, slashed_index)?;
    let effective_balance = validator.effective_balance;
    let slashed_until = checked_sum(epoch, EPOCHS_PER_SLASHINGS_VECTOR as u64, "a withdrawable epoch")?;
    validator.slashed = true;
    validator.withdrawable_epoch = validator.withdrawable_epoch.max(slashed_until);
    set_validator(state, slashed_index as usize, validator);

    let slot_of_epoch = epoch as usize % EPOCHS_PER_SLASHINGS_VECTOR;
    let slashed_balance = checked_sum(state.slashings[slot_of_epoch], effective_balance, "the slashed balance")?;
    state.slashings.set(slot_of_epoch, slashed_balance);
    decrease_balance(state, slashed_index, effective_balance / min_slashing_penalty_quotient(state.fork_name))?;

    let proposer_index = get_beacon_proposer_index(state)?;
    let whistleblower_reward = effective_balance / whistleblower_reward_quotient(state.fork_name);
    let proposer_reward = if state.fork_name >= ForkName::Altair {
        whistleblower_reward * PROPOSER_WEIGHT / WEIGHT_DENOMINATOR
    } else {
        whistleblower_reward / PROPOSER_REWARD_QUOTIENT
    };
    increase_balance(state, proposer_index, proposer_reward)?;
    let whistleblower_index = whistleblower_index.unwrap_or(proposer_index);
    increase_balance(state, whistleblower_index, whistleblower_reward - proposer_reward)
}

fn min_slashing_penalty_quotient(fork: ForkName) -> u64 {
    match fork {
        ForkName::Phase0 => MIN_SLASHING_PENALTY_QUOTIENT,
        ForkName::Altair => MIN_SLASHING_PENALTY_QUOTIENT_ALTAIR,
        ForkName::Bellatrix | ForkName::Capella | ForkName::Deneb => MIN_SLASHING_PENALTY_QUOTIENT_BELLATRIX,
        ForkName::Electra | ForkName::Fulu => MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA,
    }
}

fn whistleblower_reward_quotient(fork: ForkName) -> u64 {
    if fork >= ForkName::Electra { WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA } else { WHISTLEBLOWER_REWARD_QUOTIENT }
}

/// Gives a validator compounding credentials; what it has above the minimum goes through the queue of deposits.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-switch_to_compounding_validator>
pub fn switch_to_compounding_validator(state: &mut BeaconState, index: ValidatorIndex) -> Result<(), TransitionError> {
    let mut validator = get_validator(state, index)?;
    validator.withdrawal_credentials[0] = COMPOUNDING_WITHDRAWAL_PREFIX;
    set_validator(state, index as usize, validator);
    queue_excess_active_balance(state, index)
}

/// Moves what a validator has above the minimum to the queue of deposits.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-queue_excess_active_balance>
pub fn queue_excess_active_balance(state: &mut BeaconState, index: ValidatorIndex) -> Result<(), TransitionError> {
    let balance = get_balance(state, index)?;
    if balance > MIN_ACTIVATION_BALANCE {
        let validator = get_validator(state, index)?;
        state.balances.set(index as usize, MIN_ACTIVATION_BALANCE);
        // The empty signature and the genesis slot tell it from a deposit request.
        state.pending_deposits.push(Hashed::new(PendingDeposit {
            pubkey: validator.pubkey,
            withdrawal_credentials: validator.withdrawal_credentials,
            amount: balance - MIN_ACTIVATION_BALANCE,
            signature: G2_POINT_AT_INFINITY,
            slot: GENESIS_SLOT,
        }));
    }
    Ok(())
}
