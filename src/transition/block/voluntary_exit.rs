//! Validators that want to leave.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#voluntary-exits>

use super::*;

/// Starts a validator's exit.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#voluntary-exits>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/beacon-chain.md#modified-process_voluntary_exit>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_voluntary_exit>
///
/// # Errors
/// A validator that may not leave (yet).
pub fn process_voluntary_exit(
    state: &mut BeaconState,
    signed_exit: &SignedVoluntaryExit,
    ctx: &Context,
    signatures: &mut SignatureCollector,
) -> Result<(), TransitionError> {
    let rule = |holds, rule| ensure(holds, "voluntary exit", rule);
    let exit = &signed_exit.message;
    let epoch = state.current_epoch();
    let validator = get_validator(state, exit.validator_index)?;
    rule(is_active_validator(&validator, epoch), "the validator must be active")?;
    rule(validator.exit_epoch == FAR_FUTURE_EPOCH, "the validator must not be leaving already")?;
    rule(epoch >= exit.epoch, "its epoch must have come")?;
    // An active validator's activation lies in the past.
    rule(
        epoch - validator.activation_epoch >= ctx.config.shard_committee_period,
        "the validator must have been active long enough",
    )?;
    // Before Electra, none ever are.
    let pending = get_pending_balance_to_withdraw(state, exit.validator_index)?;
    rule(pending == 0, "the validator must have no withdrawals pending")?;
    signatures.add("voluntary exit", || voluntary_exit_signature_set(state, signed_exit, ctx))?;
    initiate_validator_exit(state, exit.validator_index, ctx)
}
