//! Justification and finalization.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#justification-and-finalization>

use super::{ParticipationTotals, PendingParticipation};
use crate::{
    transition::{TransitionError, get_block_root, get_total_active_balance},
    types::{preset::*, *},
};

/// Justifies and finalizes by the votes so far.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#justification-and-finalization>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#justification-and-finalization>
pub fn process_justification_and_finalization(state: &mut BeaconState) -> Result<(), TransitionError> {
    let totals = totals_of(state)?;
    process_with(state, &totals)
}

/// As [`process_justification_and_finalization`], with the sums at hand.
pub(super) fn process_with(state: &mut BeaconState, totals: &ParticipationTotals) -> Result<(), TransitionError> {
    let finality = finality_after(state, totals)?;
    state.justification_bits = finality.bits;
    state.previous_justified_checkpoint = finality.previous_justified;
    state.current_justified_checkpoint = finality.current_justified;
    state.finalized_checkpoint = finality.finalized;
    Ok(())
}

/// The justified and the finalized checkpoint that the state would have if its epoch ended now. Costs next to nothing where
/// the participating balances are known. Spec: what `compute_pulled_up_tip` does with a copy of the state.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#compute_pulled_up_tip>
pub fn unrealized_checkpoints(state: &mut BeaconState) -> Result<(Checkpoint, Checkpoint), TransitionError> {
    let totals = totals_of(state)?;
    let finality = finality_after(state, &totals)?;
    Ok((finality.current_justified, finality.finalized))
}

fn totals_of(state: &mut BeaconState) -> Result<ParticipationTotals, TransitionError> {
    if state.fork_name == ForkName::Phase0 {
        Ok(PendingParticipation::new(state)?.totals)
    } else {
        ParticipationTotals::of(state)
    }
}

/// What justification and finalization change.
struct Finality {
    bits: JustificationBits,
    previous_justified: Checkpoint,
    current_justified: Checkpoint,
    finalized: Checkpoint,
}

fn finality_after(state: &mut BeaconState, totals: &ParticipationTotals) -> Result<Finality, TransitionError> {
    let mut finality = Finality {
        bits: state.justification_bits.clone(),
        previous_justified: state.previous_justified_checkpoint,
        current_justified: state.current_justified_checkpoint,
        finalized: state.finalized_checkpoint,
    };
    // The first checkpoints have zero roots, which must not change.
    if state.current_epoch() > GENESIS_EPOCH + 1 {
        let total_active_balance = get_total_active_balance(state)?;
        let previous_target = totals.previous[TIMELY_TARGET_FLAG_INDEX];
        let target_balances = [previous_target, totals.current_target];
        weigh_justification_and_finalization(state, &mut finality, total_active_balance, target_balances)?;
    }
    Ok(finality)
}

/// `target_balances` are those of the previous and of the current epoch.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#justification-and-finalization>
fn weigh_justification_and_finalization(
    state: &BeaconState,
    finality: &mut Finality,
    total_active_balance: Gwei,
    target_balances: [Gwei; 2],
) -> Result<(), TransitionError> {
    let (previous_epoch, current_epoch) = (state.previous_epoch(), state.current_epoch());
    let old_previous_justified = finality.previous_justified;
    let old_current_justified = finality.current_justified;
    let is_supermajority = |balance: Gwei| u128::from(balance) * 3 >= u128::from(total_active_balance) * 2;

    let old = |index: usize| finality.bits.get(index).unwrap_or(false);
    let mut bits = [false, old(0), old(1), old(2)];
    finality.previous_justified = old_current_justified;
    if is_supermajority(target_balances[0]) {
        let root = get_block_root(state, previous_epoch)?;
        finality.current_justified = Checkpoint { epoch: previous_epoch, root };
        bits[1] = true;
    }
    if is_supermajority(target_balances[1]) {
        let root = get_block_root(state, current_epoch)?;
        finality.current_justified = Checkpoint { epoch: current_epoch, root };
        bits[0] = true;
    }
    for (index, bit) in bits.into_iter().enumerate() {
        finality.bits.set(index, bit).expect("there are four bits");
    }

    let all = |range: std::ops::Range<usize>| bits[range].iter().all(|bit| *bit);
    let is_ago = |checkpoint: Checkpoint, epochs: u64| checkpoint.epoch.checked_add(epochs) == Some(current_epoch);
    // The 2nd to 4th most recent epochs are justified, the 2nd from the 4th; or the 2nd and 3rd, the 2nd from the 3rd.
    if (all(1..4) && is_ago(old_previous_justified, 3)) || (all(1..3) && is_ago(old_previous_justified, 2)) {
        finality.finalized = old_previous_justified;
    }
    // The 1st to 3rd are justified, the 1st from the 3rd; or the 1st and 2nd, the 1st from the 2nd.
    if (all(0..3) && is_ago(old_current_justified, 2)) || (all(0..2) && is_ago(old_current_justified, 1)) {
        finality.finalized = old_current_justified;
    }
    Ok(())
}
