//! Changes of withdrawal credentials from a BLS key to an address.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#new-process_bls_to_execution_change>

use ethereum_hashing::hash_fixed;

use super::*;

/// Gives a validator's withdrawals an address.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#new-process_bls_to_execution_change>
///
/// # Errors
/// A validator that has an address already, or a key that is not behind its credentials.
pub fn process_bls_to_execution_change(
    state: &mut BeaconState,
    signed_change: &SignedBLSToExecutionChange,
    ctx: &Context,
    signatures: &mut SignatureCollector,
) -> Result<(), TransitionError> {
    let rule = |holds, rule| ensure(holds, "change of withdrawal credentials", rule);
    let change = &signed_change.message;
    let credentials = get_validator(state, change.validator_index)?.withdrawal_credentials;
    rule(credentials[0] == BLS_WITHDRAWAL_PREFIX, "the validator's credentials must be a BLS key")?;
    let hash = hash_fixed(change.from_bls_pubkey.as_slice());
    rule(credentials[1..] == hash[1..], "the key must be the one behind the validator's credentials")?;
    let set = || bls_to_execution_change_signature_set(state, signed_change, ctx);
    signatures.add("change of withdrawal credentials", set)?;

    let mut validator = get_validator(state, change.validator_index)?;
    validator.withdrawal_credentials = Hash256::ZERO;
    validator.withdrawal_credentials[0] = ETH1_ADDRESS_WITHDRAWAL_PREFIX;
    validator.withdrawal_credentials[12..].copy_from_slice(change.to_execution_address.as_slice());
    set_validator(state, change.validator_index as usize, validator);
    Ok(())
}
