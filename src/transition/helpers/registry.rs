//! New validators and their deposits.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#deposits>

use super::get_max_effective_balance;
use crate::{
    crypto::{DOMAIN_DEPOSIT, compute_domain, compute_signing_root, verify},
    transition::Context,
    types::{preset::*, *},
};

/// A new validator; `amount` in Gwei.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#deposits>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-get_validator_from_deposit>
pub fn get_validator_from_deposit(
    fork: ForkName,
    pubkey: BLSPubkey,
    withdrawal_credentials: Hash256,
    amount: Gwei,
) -> Validator {
    let effective_balance = amount - amount % EFFECTIVE_BALANCE_INCREMENT;
    Validator {
        pubkey,
        withdrawal_credentials,
        effective_balance: effective_balance.min(get_max_effective_balance(fork, &withdrawal_credentials)),
        slashed: false,
        activation_eligibility_epoch: FAR_FUTURE_EPOCH,
        activation_epoch: FAR_FUTURE_EPOCH,
        exit_epoch: FAR_FUTURE_EPOCH,
        withdrawable_epoch: FAR_FUTURE_EPOCH,
    }
}

/// Appends a validator and its place in every list that has one.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#modified-add_validator_to_registry>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-add_validator_to_registry>
pub fn add_validator_to_registry(
    state: &mut BeaconState,
    pubkey: BLSPubkey,
    withdrawal_credentials: Hash256,
    amount: Gwei,
) {
    let validator = get_validator_from_deposit(state.fork_name, pubkey, withdrawal_credentials, amount);
    let sums = state.participation_sums();
    state.validators.push(validator);
    state.balances.push(amount);
    if state.fork_name < ForkName::Altair {
        return;
    }
    state.previous_epoch_participation.push(0);
    state.current_epoch_participation.push(0);
    state.inactivity_scores.push(0);
    if let Some(sums) = sums {
        // Who has no flag adds nothing.
        state.note_participation_sums(state.current_epoch(), sums);
    }
}

/// Whether a deposit is signed by its own key, on any chain of the same genesis fork version.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-is_valid_deposit_signature>
pub fn is_valid_deposit_signature(
    pubkey: BLSPubkey,
    withdrawal_credentials: Hash256,
    amount: Gwei,
    signature: &BLSSignature,
    ctx: &Context,
) -> bool {
    let message = DepositMessage { pubkey, withdrawal_credentials, amount };
    let domain = compute_domain(DOMAIN_DEPOSIT, ctx.config.genesis_fork_version, Hash256::ZERO);
    verify(&pubkey, compute_signing_root(&message, domain), signature)
}
