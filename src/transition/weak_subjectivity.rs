//! How old a checkpoint may be and still be trusted.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/weak-subjectivity.md>

use super::{Context, TransitionError, get_balance_churn_limit, get_total_active_balance};
use crate::types::{BeaconState, Epoch};

/// Percent of safety that may be lost while a checkpoint ages.
const SAFETY_DECAY: u64 = 10;

/// Epochs for which `state` can be trusted as a start.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/weak-subjectivity.md#modified-compute_weak_subjectivity_period>
pub fn compute_weak_subjectivity_period(state: &mut BeaconState, ctx: &Context) -> Result<u64, TransitionError> {
    let total = get_total_active_balance(state)?;
    let churn = get_balance_churn_limit(state, ctx)?.max(1);
    let epochs_for_validator_set_churn = SAFETY_DECAY.saturating_mul(total) / churn.saturating_mul(2 * 100);
    Ok(ctx.config.min_validator_withdrawability_delay.saturating_add(epochs_for_validator_set_churn))
}

/// Whether a node may start from `state` in `current_epoch`.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/weak-subjectivity.md#modified-is_within_weak_subjectivity_period>
pub fn is_within_weak_subjectivity_period(
    state: &mut BeaconState,
    current_epoch: Epoch,
    ctx: &Context,
) -> Result<bool, TransitionError> {
    let period = compute_weak_subjectivity_period(state, ctx)?;
    Ok(current_epoch <= state.current_epoch().saturating_add(period))
}
