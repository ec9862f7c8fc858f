//! Justification and finalization.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#justification-and-finalization>

use super::{ParticipationTotals, PendingParticipation};
use crate::{
    transition::{TransitionError, get_block_root, get_total_active_balance},
    types::{preset::*, *},
};

/// Justifies and finalizes by the votes so far. Fork choice calls it alone, to know what a tip would justify.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#justification-and-finalization>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#justification-and-finalization>
pub fn process_justification_and_finalization(state: &mut BeaconState) -> Result<(), TransitionError> {
    let totals = if state.fork_name == ForkName::Phase0 {
        PendingParticipation::new(state)?.totals
    } else {
        ParticipationTotals::new(state)?
    };
    process_with(state, &totals)
}

/// As [`process_justification_and_finalization`], with the sums at hand.
pub(super) fn process_with(state: &mut BeaconState, totals: &ParticipationTotals) -> Result<(), TransitionError> {
    // The first checkpoints have zero roots, which must not change.
    if state.current_epoch() <= GENESIS_EPOCH + 1 {
        return Ok(());
    }
    let total_active_balance = get_total_active_balance(state)?;
    let previous_target = totals.previous[TIMELY_TARGET_FLAG_INDEX];
    weigh_justification_and_finalization(state, total_active_balance, previous_target, totals.current_target)
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#justification-and-finalization>
fn weigh_justification_and_finalization(
    state: &mut BeaconState,
    total_active_balance: Gwei,
    previous_epoch_target_balance: Gwei,
    current_epoch_target_balance: Gwei,
) -> Result<(), TransitionError> {
    let (previous_epoch, current_epoch) = (state.previous_epoch(), state.current_epoch());
    let old_previous_justified = state.previous_justified_checkpoint;
    let old_current_justified = state.current_justified_checkpoint;
    let is_supermajority = |balance: Gwei| u128::from(balance) * 3 >= u128::from(total_active_balance) * 2;

    let old = |index: usize| state.justification_bits.get(index).unwrap_or(false);
    let mut bits = [false, old(0), old(1), old(2)];
    state.previous_justified_checkpoint = old_current_justified;
    if is_supermajority(previous_epoch_target_balance) {
        let root = get_block_root(state, previous_epoch)?;
        state.current_justified_checkpoint = Checkpoint { epoch: previous_epoch, root };
        bits[1] = true;
    }
    if is_supermajority(current_epoch_target_balance) {
        let root = get_block_root(state, current_epoch)?;
        state.current_justified_checkpoint = Checkpoint { epoch: current_epoch, root };
        bits[0] = true;
    }
    for (index, bit) in bits.into_iter().enumerate() {
        state.justification_bits.set(index, bit).expect("there are four bits");
    }

    let all = |range: std::ops::Range<usize>| bits[range].iter().all(|bit| *bit);
    let is_ago = |checkpoint: Checkpoint, epochs: u64| checkpoint.epoch.checked_add(epochs) == Some(current_epoch);
    // The 2nd to 4th most recent epochs are justified, the 2nd from the 4th; or the 2nd and 3rd, the 2nd from the 3rd.
    if (all(1..4) && is_ago(old_previous_justified, 3)) || (all(1..3) && is_ago(old_previous_justified, 2)) {
        state.finalized_checkpoint = old_previous_justified;
    }
    // The 1st to 3rd are justified, the 1st from the 3rd; or the 1st and 2nd, the 1st from the 2nd.
    if (all(0..3) && is_ago(old_current_justified, 2)) || (all(0..2) && is_ago(old_current_justified, 1)) {
        state.finalized_checkpoint = old_current_justified;
    }
    Ok(())
}
