//! Inactivity scores.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#inactivity-scores>

use super::standing::{ELIGIBLE, Epochs, Standings, counted_flags};
use crate::{
    transition::{Context, TransitionError, has_flag, is_in_inactivity_leak},
    types::{preset::*, *},
};

/// Raises the scores of those who missed the target, and lowers those of the others; of all when there is no leak.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#inactivity-scores>
pub fn process_inactivity_updates(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    if state.current_epoch() == GENESIS_EPOCH {
        return Ok(());
    }
    let (terms, epochs) = (InactivityTerms::new(state, ctx), Epochs::around(state.current_epoch()));
    for chunk in state.validators.chunks() {
        let standings = Standings::of(&chunk, &epochs);
        let flags = state.previous_epoch_participation.items().slice(chunk.number());
        terms.update_chunk(&mut state.inactivity_scores, chunk.number(), &standings, flags)?;
    }
    Ok(())
}

/// What all validators' scores have in common.
pub(super) struct InactivityTerms {
    bias: u64,
    /// What every score falls by; nothing in a leak.
    recovery: u64,
}

impl InactivityTerms {
    /// Of the state at its epoch's end, after justification.
    pub fn new(state: &BeaconState, ctx: &Context) -> Self {
        let recovery = if is_in_inactivity_leak(state) { 0 } else { ctx.config.inactivity_score_recovery_rate };
        InactivityTerms { bias: ctx.config.inactivity_score_bias, recovery }
    }

    /// Brings the scores of a chunk up to date; `flags` are its validators' of the previous epoch.
    pub fn update_chunk(
        &self,
        scores: &mut crate::ssz::Column<u64>,
        number: usize,
        standings: &Standings,
        flags: &[ParticipationFlags],
    ) -> Result<(), TransitionError> {
        // Without a leak a score of zero falls back to zero, whether its validator took part or not.
        if self.bias <= self.recovery && scores.items().slice(number).iter().all(|score| *score == 0) {
            return Ok(());
        }
        scores.update_chunk(number, &mut Vec::new(), |scores| {
            for ((score, bits), flags) in scores.iter_mut().zip(standings.bits()).zip(flags) {
                if bits & ELIGIBLE != 0 {
                    *score = self.new_score(*score, counted_flags(*bits, *flags))?;
                }
            }
            Ok(())
        })
    }

    /// The score of an eligible validator after the epoch.
    fn new_score(&self, score: u64, counted: ParticipationFlags) -> Result<u64, TransitionError> {
        let changed = if has_flag(counted, TIMELY_TARGET_FLAG_INDEX) {
            Some(score.saturating_sub(1))
        } else {
            score.checked_add(self.bias)
        };
        Ok(changed.ok_or(TransitionError::Overflow("an inactivity score"))?.saturating_sub(self.recovery))
    }
}
