//! Miscellaneous helpers.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#misc-1>

use crate::{
    transition::{Context, TransitionError},
    types::{preset::*, *},
};

/// The epoch in which activations and exits that begin in `epoch` take effect.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#compute_activation_exit_epoch>
pub fn compute_activation_exit_epoch(epoch: Epoch) -> Epoch {
    epoch.saturating_add(1 + MAX_SEED_LOOKAHEAD)
}

/// When `slot` begins, in seconds since 1970.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#compute_time_at_slot>
pub fn compute_time_at_slot(state: &BeaconState, slot: Slot, ctx: &Context) -> Result<u64, TransitionError> {
    let since_genesis = slot.checked_mul(ctx.config.slot_duration_ms).map(|ms| ms / 1000);
    let time = since_genesis.and_then(|seconds| seconds.checked_add(state.genesis_time));
    time.ok_or(TransitionError::Overflow("the slot's time"))
}

/// `flags` with the flag set.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#add_flag>
pub fn add_flag(flags: ParticipationFlags, flag_index: usize) -> ParticipationFlags {
    flags | (1 << flag_index)
}

/// Whether `flags` have the flag.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#has_flag>
pub fn has_flag(flags: ParticipationFlags, flag_index: usize) -> bool {
    flags & (1 << flag_index) != 0
}

/// `a + b`, or an error that names the sum.
pub fn checked_sum(a: u64, b: u64, what: &'static str) -> Result<u64, TransitionError> {
    a.checked_add(b).ok_or(TransitionError::Overflow(what))
}
