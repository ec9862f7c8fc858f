//! Reads of the state: roots, seeds, domains, balances.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#beacon-state-accessors>

use ethereum_hashing::hash_fixed;

use super::checked_sum;
use crate::{
    crypto::compute_domain,
    transition::{TransitionError, ensure},
    types::{preset::*, *},
};

/// The whole record of a validator whose index comes from outside.
pub fn get_validator(state: &BeaconState, index: ValidatorIndex) -> Result<Validator, TransitionError> {
    let record = usize::try_from(index).ok().and_then(|index| state.validators.get(index));
    record.ok_or(TransitionError::UnknownValidator(index))
}

/// The root of the latest block at or before the start of a recent epoch.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_block_root>
pub fn get_block_root(state: &BeaconState, epoch: Epoch) -> Result<Hash256, TransitionError> {
    get_block_root_at_slot(state, compute_start_slot_at_epoch(epoch))
}

/// The root of the latest block at or before a recent slot.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_block_root_at_slot>
pub fn get_block_root_at_slot(state: &BeaconState, slot: Slot) -> Result<Hash256, TransitionError> {
    let recent = slot < state.slot && state.slot <= slot.saturating_add(SLOTS_PER_HISTORICAL_ROOT as u64);
    ensure(recent, "block root", "the slot must be in the state's recent past")?;
    Ok(state.block_roots[slot as usize % SLOTS_PER_HISTORICAL_ROOT])
}

/// The randomness at the end of a recent epoch.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_randao_mix>
pub fn get_randao_mix(state: &BeaconState, epoch: Epoch) -> Hash256 {
    state.randao_mixes[(epoch % EPOCHS_PER_HISTORICAL_VECTOR as u64) as usize]
}

/// The seed of what is drawn for `epoch`.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_seed>
pub fn get_seed(state: &BeaconState, epoch: Epoch, domain_type: DomainType) -> Hash256 {
    let length = EPOCHS_PER_HISTORICAL_VECTOR as u64;
    // Taken modulo the length first, so that nothing over- or underflows.
    let mix = get_randao_mix(state, epoch % length + length - MIN_SEED_LOOKAHEAD - 1);
    let mut bytes = [0; 44];
    bytes[..4].copy_from_slice(&domain_type);
    bytes[4..12].copy_from_slice(&epoch.to_le_bytes());
    bytes[12..].copy_from_slice(mix.as_slice());
    Hash256::from(hash_fixed(&bytes))
}

/// The indices of all validators active in `epoch`, ascending. A walk over the registry.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_active_validator_indices>
pub fn get_active_validator_indices(state: &BeaconState, epoch: Epoch) -> Vec<u32> {
    let mut indices = vec![0; state.validators.len()];
    let mut count = 0;
    for chunk in state.validators.chunks() {
        // Each is written, and stays only if it counts: cheaper than a branch for each.
        for (i, is_active) in chunk.active_in(epoch)[..chunk.len()].iter().enumerate() {
            indices[count] = (chunk.first() + i) as u32;
            count += usize::from(*is_active);
        }
    }
    indices.truncate(count);
    indices.shrink_to_fit();
    indices
}

/// What messages of a kind are signed for in `epoch`. Where the specification leaves the epoch out, it means the state's.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_domain>
pub fn get_domain(state: &BeaconState, domain_type: DomainType, epoch: Epoch) -> Domain {
    let fork = &state.fork;
    let version = if epoch < fork.epoch { fork.previous_version } else { fork.current_version };
    compute_domain(domain_type, version, state.genesis_validators_root)
}

/// The sum in Gwei of the effective balances of the validators active in the state's epoch, at least one increment.
/// Computed once an epoch, then remembered.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_total_active_balance>
pub fn get_total_active_balance(state: &mut BeaconState) -> Result<Gwei, TransitionError> {
    let epoch = state.current_epoch();
    if let Some((of, total)) = state.caches.total_active_balance
        && of == epoch
    {
        return Ok(total);
    }
    let mut sum = 0;
    for chunk in state.validators.chunks() {
        sum = checked_sum(sum, active_balance(&chunk, epoch)?, "the total active balance")?;
    }
    let total = sum.max(EFFECTIVE_BALANCE_INCREMENT);
    state.caches.total_active_balance = Some((epoch, total));
    Ok(total)
}

/// The effective balances of a chunk's validators that are active in `epoch`.
fn active_balance(chunk: &RegistryChunk<'_>, epoch: Epoch) -> Result<Gwei, TransitionError> {
    let active = chunk.active_in(epoch);
    let Some(narrow) = chunk.narrow() else {
        let mut active = (0..chunk.len()).filter(|i| active[*i]);
        return active.try_fold(0, |sum, i| checked_sum(sum, chunk.effective_balance(i), "the total active balance"));
    };
    // Far from wrapping: a chunk of numbers of 16 bits.
    let validators = narrow.effective_balances.iter().zip(active);
    let increments =
        validators.fold(0u32, |sum, (own, is_active)| sum.wrapping_add(if is_active { u32::from(*own) } else { 0 }));
    Ok(u64::from(increments) * EFFECTIVE_BALANCE_INCREMENT)
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#get_base_reward_per_increment>
pub fn get_base_reward_per_increment(state: &mut BeaconState) -> Result<Gwei, TransitionError> {
    Ok(EFFECTIVE_BALANCE_INCREMENT * BASE_REWARD_FACTOR / get_total_active_balance(state)?.isqrt())
}

/// A validator's base reward in Gwei. Who asks for many should multiply [`get_base_reward_per_increment`] instead.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#get_base_reward>
pub fn get_base_reward(state: &mut BeaconState, index: ValidatorIndex) -> Result<Gwei, TransitionError> {
    let increments = get_validator(state, index)?.effective_balance / EFFECTIVE_BALANCE_INCREMENT;
    let per_increment = get_base_reward_per_increment(state)?;
    increments.checked_mul(per_increment).ok_or(TransitionError::Overflow("a base reward"))
}

/// Epochs since finality.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#helpers-2>
pub fn get_finality_delay(state: &BeaconState) -> u64 {
    state.previous_epoch().saturating_sub(state.finalized_checkpoint.epoch)
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#helpers-2>
pub fn is_in_inactivity_leak(state: &BeaconState) -> bool {
    get_finality_delay(state) > MIN_EPOCHS_TO_INACTIVITY_PENALTY
}

/// What a validator still waits to have paid out, in Gwei.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-get_pending_balance_to_withdraw>
pub fn get_pending_balance_to_withdraw(state: &BeaconState, index: ValidatorIndex) -> Result<Gwei, TransitionError> {
    let mut own = state.pending_partial_withdrawals.iter().filter(|withdrawal| withdrawal.validator_index == index);
    own.try_fold(0, |sum, withdrawal| checked_sum(sum, withdrawal.amount, "the pending withdrawals"))
}
