//! The topic `voluntary_exit`.

use super::{Checked, Claim, Found, Mark, Refusal, View, ensure, reject};
use crate::{
    transition::{get_validator, is_active_validator, voluntary_exit_signature_set},
    types::{preset::FAR_FUTURE_EPOCH, *},
};

/// Checks a validator's wish to leave, all but its signature.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/p2p-interface.md#modified-voluntary_exit>
pub fn validate_voluntary_exit_gossip(view: &View, signed: &SignedVoluntaryExit) -> Result<Checked, Refusal> {
    let exit = &signed.message;
    let mark = Mark::VoluntaryExit(exit.validator_index);
    view.seen.check(&mark)?;
    let validator = get_validator(view.state, exit.validator_index);
    let validator = validator.map_err(|_| reject("validator index out of range"))?;
    let epoch = view.state.current_epoch();
    ensure(is_active_validator(&validator, epoch), reject("validator is not active"))?;
    ensure(validator.exit_epoch == FAR_FUTURE_EPOCH, reject("validator has already initiated exit"))?;
    ensure(epoch >= exit.epoch, reject("voluntary exit epoch is in the future"))?;
    // An active validator's activation lies in the past.
    let active_epochs = epoch - validator.activation_epoch;
    let is_old_enough = active_epochs >= view.config.shard_committee_period;
    ensure(is_old_enough, reject("validator has not been active long enough"))?;
    let reason = "invalid voluntary exit signature";
    let set = voluntary_exit_signature_set(view.state, signed, &view.context()).map_err(|_| reject(reason))?;
    Ok(Checked { claims: vec![Claim { set, reason }], found: Found::Message, mark })
}
