//! Predicates on validators and votes.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#predicates>

use crate::{
    ssz::hash_pair,
    types::{preset::*, *},
};

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#is_active_validator>
pub fn is_active_validator(validator: &Validator, epoch: Epoch) -> bool {
    validator.activation_epoch <= epoch && epoch < validator.exit_epoch
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#is_slashable_validator>
pub fn is_slashable_validator(validator: &Validator, epoch: Epoch) -> bool {
    !validator.slashed && validator.activation_epoch <= epoch && epoch < validator.withdrawable_epoch
}

/// Whether two votes break the rules of Casper FFG: a double vote, or the first surrounds the second.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#is_slashable_attestation_data>
pub fn is_slashable_attestation_data(data_1: &AttestationData, data_2: &AttestationData) -> bool {
    let double_vote = data_1 != data_2 && data_1.target.epoch == data_2.target.epoch;
    let surround_vote = data_1.source.epoch < data_2.source.epoch && data_2.target.epoch < data_1.target.epoch;
    double_vote || surround_vote
}

/// Whether `leaf` at `index` of a tree of `depth` verifies against `root`; false for a branch of another length.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#is_valid_merkle_branch>
pub fn is_valid_merkle_branch(leaf: Hash256, branch: &[Hash256], depth: usize, index: u64, root: Hash256) -> bool {
    let computed = branch.iter().enumerate().fold(leaf, |value, (height, sibling)| {
        // Beyond 64 bits an index has zeros only.
        let is_right = index.checked_shr(height as u32).unwrap_or(0) & 1 == 1;
        if is_right { hash_pair(sibling, &value) } else { hash_pair(&value, sibling) }
    });
    branch.len() == depth && computed == root
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-is_compounding_withdrawal_credential>
pub fn is_compounding_withdrawal_credential(withdrawal_credentials: &Hash256) -> bool {
    withdrawal_credentials[0] == COMPOUNDING_WITHDRAWAL_PREFIX
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-has_compounding_withdrawal_credential>
pub fn has_compounding_withdrawal_credential(validator: &Validator) -> bool {
    is_compounding_withdrawal_credential(&validator.withdrawal_credentials)
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#has_eth1_withdrawal_credential>
pub fn has_eth1_withdrawal_credential(validator: &Validator) -> bool {
    validator.withdrawal_credentials[0] == ETH1_ADDRESS_WITHDRAWAL_PREFIX
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-has_execution_withdrawal_credential>
pub fn has_execution_withdrawal_credential(validator: &Validator) -> bool {
    has_eth1_withdrawal_credential(validator) || has_compounding_withdrawal_credential(validator)
}

/// Whether `fork` knows where to pay out: before Electra, compounding credentials meant nothing.
fn has_withdrawal_address(fork: ForkName, validator: &Validator) -> bool {
    if fork >= ForkName::Electra {
        has_execution_withdrawal_credential(validator)
    } else {
        has_eth1_withdrawal_credential(validator)
    }
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#is_fully_withdrawable_validator>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-is_fully_withdrawable_validator>
pub fn is_fully_withdrawable_validator(fork: ForkName, validator: &Validator, balance: Gwei, epoch: Epoch) -> bool {
    has_withdrawal_address(fork, validator) && validator.withdrawable_epoch <= epoch && balance > 0
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#is_partially_withdrawable_validator>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-is_partially_withdrawable_validator>
pub fn is_partially_withdrawable_validator(fork: ForkName, validator: &Validator, balance: Gwei) -> bool {
    let max_effective_balance = get_max_effective_balance(fork, &validator.withdrawal_credentials);
    has_withdrawal_address(fork, validator)
        && validator.effective_balance == max_effective_balance
        && balance > max_effective_balance
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-is_eligible_for_partial_withdrawals>
pub fn is_eligible_for_partial_withdrawals(validator: &Validator, balance: Gwei) -> bool {
    validator.exit_epoch == FAR_FUTURE_EPOCH
        && validator.effective_balance >= MIN_ACTIVATION_BALANCE
        && balance > MIN_ACTIVATION_BALANCE
}

/// The highest effective balance, in Gwei, that a validator with these credentials can have. The specification passes the
/// whole validator. Before Electra the same for all.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-get_max_effective_balance>
pub fn get_max_effective_balance(fork: ForkName, withdrawal_credentials: &Hash256) -> Gwei {
    if fork < ForkName::Electra {
        MAX_EFFECTIVE_BALANCE
    } else if is_compounding_withdrawal_credential(withdrawal_credentials) {
        MAX_EFFECTIVE_BALANCE_ELECTRA
    } else {
        MIN_ACTIVATION_BALANCE
    }
}

/// Whether the chain has had a block with a payload. Capella came after that.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/beacon-chain.md#is_merge_transition_complete>
pub fn is_merge_transition_complete(state: &BeaconState) -> bool {
    state.fork_name >= ForkName::Capella || state.latest_execution_payload_header != ExecutionPayloadHeader::default()
}

/// Whether the chain's first payload is in this body.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/beacon-chain.md#is_merge_transition_block>
pub fn is_merge_transition_block(state: &BeaconState, body: &BeaconBlockBody) -> bool {
    !is_merge_transition_complete(state) && body.execution_payload != ExecutionPayload::default()
}

/// Whether the body's payload counts: from the merge on, which came while Bellatrix was on.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/beacon-chain.md#is_execution_enabled>
pub fn is_execution_enabled(state: &BeaconState, body: &BeaconBlockBody) -> bool {
    is_merge_transition_block(state, body) || is_merge_transition_complete(state)
}
