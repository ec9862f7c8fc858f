//! The topic `bls_to_execution_change`.

use ethereum_hashing::hash_fixed;

use super::{Checked, Claim, Found, Mark, Refusal, View, ensure, ignore, reject};
use crate::{
    transition::{bls_to_execution_change_signature_set, get_validator},
    types::{preset::BLS_WITHDRAWAL_PREFIX, *},
};

/// Checks a change of withdrawal credentials, all but its signature.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/p2p-interface.md#new-bls_to_execution_change>
pub fn validate_bls_to_execution_change_gossip(
    view: &View,
    signed: &SignedBLSToExecutionChange,
) -> Result<Checked, Refusal> {
    let change = &signed.message;
    let is_since_capella = !view.is_future_slot(compute_start_slot_at_epoch(view.config.capella_fork_epoch));
    ensure(is_since_capella, ignore("current epoch is pre-capella"))?;
    let mark = Mark::BlsToExecutionChange(change.validator_index);
    view.seen.check(&mark)?;
    let validator = get_validator(view.state, change.validator_index);
    let credentials = validator.map_err(|_| reject("validator index out of range"))?.withdrawal_credentials;
    let is_bls = credentials[0] == BLS_WITHDRAWAL_PREFIX;
    ensure(is_bls, reject("validator does not have BLS withdrawal credentials"))?;
    let is_key = credentials[1..] == hash_fixed(change.from_bls_pubkey.as_slice())[1..];
    ensure(is_key, reject("pubkey does not match validator withdrawal credentials"))?;
    let reason = "invalid BLS to execution change signature";
    let set = bls_to_execution_change_signature_set(view.state, signed, &view.context()).map_err(|_| reject(reason))?;
    Ok(Checked { claims: vec![Claim { set, reason }], found: Found::Message, mark })
}
