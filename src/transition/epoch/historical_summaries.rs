//! Historical summaries, since Capella.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#historical-summaries-updates>

use crate::types::{preset::*, *};

/// Notes the roots of the block and state roots when their period is over.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#historical-summaries-updates>
pub fn process_historical_summaries_update(state: &mut BeaconState) {
    if ends_period(state) {
        let block_summary_root = state.block_roots.vector_root();
        let state_summary_root = state.state_roots.vector_root();
        state.historical_summaries.push(HistoricalSummary { block_summary_root, state_summary_root });
    }
}

/// Whether the state's epoch is the last of those whose block and state roots the state holds.
pub(super) fn ends_period(state: &BeaconState) -> bool {
    let epochs_per_period = SLOTS_PER_HISTORICAL_ROOT as u64 / SLOTS_PER_EPOCH;
    (state.current_epoch() + 1).is_multiple_of(epochs_per_period)
}
