//! What the rule reads from the head's state.

use std::sync::Arc;

use super::is_start_slot_at_epoch;
use crate::{
    fork_choice::Balances,
    transition::{Context, TransitionError, find_shuffling, process_slots},
    types::*,
};

/// Committees and balances by the head's state, at one slot. About 12 MB on mainnet, most of it shared with the state.
#[derive(Clone, Debug)]
pub struct HeadFacts {
    pub(super) head: Hash256,
    pub(super) slot: Slot,
    /// Committees of the epoch before this slot began, and of the one before that: at the start of an epoch these are the
    /// two epochs before, else this epoch and the one before. The rule asks for no others.
    shufflings: Vec<Arc<Shuffling>>,
    /// None at the start of an epoch, unless a block of that epoch is there: the rule does not ask then.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_pulled_up_head_state>
    pub(super) pulled_up_balances: Option<Balances>,
}

impl HeadFacts {
    /// The facts at `slot`, the clock's, of the state after the block `head`. Walks the registry; ends the state's epoch
    /// if the head is of the epoch before and this epoch has begun some slots ago.
    ///
    /// # Errors
    /// When the state can't be taken to `slot`'s epoch, or is already beyond it.
    pub fn of_state(
        head: Hash256,
        state: &BeaconState,
        slot: Slot,
        ctx: &Context,
    ) -> Result<HeadFacts, TransitionError> {
        let mut facts = HeadFacts { head, slot, shufflings: Vec::new(), pulled_up_balances: None };
        let epoch = compute_epoch_at_slot(slot);
        let start = compute_start_slot_at_epoch(epoch);
        if state.current_epoch() > epoch {
            return Err(TransitionError::SlotNotAfter { state: state.slot, target: start });
        }
        if compute_epoch_at_slot(state.latest_block_header.slot) + 1 < epoch {
            // So old a head has no ancestor that could be confirmed.
            return Ok(facts);
        }
        let last_epoch = compute_epoch_at_slot(slot.saturating_sub(1));
        let epochs = last_epoch.saturating_sub(1)..=last_epoch;
        facts.shufflings = epochs.map(|epoch| find_shuffling(state, epoch)).collect::<Result<_, _>>()?;
        if state.current_epoch() == epoch {
            facts.pulled_up_balances = Some(Balances::of_state(state));
        } else if !is_start_slot_at_epoch(slot) {
            let mut pulled_up = state.clone();
            process_slots(&mut pulled_up, start, ctx)?;
            facts.pulled_up_balances = Some(Balances::of_state(&pulled_up));
        }
        Ok(facts)
    }

    /// The members of all committees of the slots from `start_slot` to `end_slot`, with their slots. Slots before the
    /// epochs that the rule asks for have none.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fast-confirmation.md#get_slot_committee>
    pub(in crate::fork_choice) fn slot_committees(
        &self,
        start_slot: Slot,
        end_slot: Slot,
    ) -> impl Iterator<Item = (Slot, u32)> + '_ {
        self.shufflings.iter().flat_map(move |shuffling| {
            let first = compute_start_slot_at_epoch(shuffling.epoch);
            let last = compute_start_slot_at_epoch(shuffling.epoch + 1) - 1;
            let committees = (0..shuffling.committees_per_slot)
                .flat_map(move |index| (start_slot.max(first)..=end_slot.min(last)).map(move |slot| (slot, index)));
            let members = |slot, index| shuffling.committee(slot, index).unwrap_or_default();
            committees.flat_map(move |(slot, index)| members(slot, index).iter().map(move |&member| (slot, member)))
        })
    }
}
