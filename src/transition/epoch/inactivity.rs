//! Inactivity scores.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#inactivity-scores>

use super::rewards::{is_eligible, is_unslashed_participating};
use crate::{
    transition::{Context, TransitionError, is_in_inactivity_leak},
    types::{preset::*, *},
};

/// Raises the scores of those who missed the target, and lowers those of the others; of all when there is no leak.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#inactivity-scores>
pub fn process_inactivity_updates(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    if state.current_epoch() == GENESIS_EPOCH {
        return Ok(());
    }
    let previous_epoch = state.previous_epoch();
    let recovery = if is_in_inactivity_leak(state) { 0 } else { ctx.config.inactivity_score_recovery_rate };
    let (validators, participation) = (&state.validators, &state.previous_epoch_participation);
    let mut overflows = false;
    state.inactivity_scores.update_chunks(|number, old, new| {
        let (chunk, flags) = (validators.chunk(number), participation.items().slice(number));
        new.extend(old.iter().zip(flags).enumerate().map(|(i, (score, flags))| {
            let participates = is_unslashed_participating(&chunk, i, previous_epoch, *flags, TIMELY_TARGET_FLAG_INDEX);
            // Nothing to lower: most validators, most of the time.
            if (participates && *score == 0) || !is_eligible(&chunk, i, previous_epoch) {
                return *score;
            }
            let bias = ctx.config.inactivity_score_bias;
            let changed = if participates { Some(score - 1) } else { score.checked_add(bias) };
            overflows |= changed.is_none();
            changed.unwrap_or(*score).saturating_sub(recovery)
        }));
    });
    if overflows { Err(TransitionError::Overflow("an inactivity score")) } else { Ok(()) }
}
