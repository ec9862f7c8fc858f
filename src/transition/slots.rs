//! Slot processing.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#beacon-chain-state-transition-function>

use tree_hash::TreeHash as _;

use super::{Context, TransitionError, epoch::process_epoch, upgrade::run_scheduled_upgrades};
use crate::types::{preset::*, *};

/// Takes the state forward to the start of `slot`, through the ends of epochs and the upgrades on the way. Each slot costs
/// a root of the state, so callers limit how far `slot` may be.
///
/// # Errors
/// When `slot` is not after the state's.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#beacon-chain-state-transition-function>
pub fn process_slots(state: &mut BeaconState, slot: Slot, ctx: &Context) -> Result<(), TransitionError> {
    if state.slot >= slot {
        return Err(TransitionError::SlotNotAfter { state: state.slot, target: slot });
    }
    while state.slot < slot {
        process_slot(state);
        if (state.slot + 1).is_multiple_of(SLOTS_PER_EPOCH) {
            process_epoch(state, ctx)?;
        }
        state.slot += 1;
        if state.slot.is_multiple_of(SLOTS_PER_EPOCH) {
            run_scheduled_upgrades(state, ctx)?;
        }
    }
    Ok(())
}

/// Notes the roots of the state and of its latest block.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#beacon-chain-state-transition-function>
fn process_slot(state: &mut BeaconState) {
    let place = (state.slot % SLOTS_PER_HISTORICAL_ROOT as u64) as usize;
    let known = state.caches.known_root.take();
    let previous_state_root = known.unwrap_or_else(|| state.hash_tree_root());
    state.state_roots.set(place, previous_state_root);
    if state.latest_block_header.state_root == Hash256::ZERO {
        state.latest_block_header.state_root = previous_state_root;
    }
    state.block_roots.set(place, state.latest_block_header.tree_hash_root());
}
