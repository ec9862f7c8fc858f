//! Historical roots, before Capella.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#historical-roots-updates>

use super::historical_summaries::ends_period;
use crate::{ssz::hash_pair, types::*};

/// Notes the root of the block and state roots when their period is over.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#historical-roots-updates>
pub fn process_historical_roots_update(state: &mut BeaconState) {
    if ends_period(state) {
        // The root of a `HistoricalBatch` of both.
        let root = hash_pair(&state.block_roots.vector_root(), &state.state_roots.vector_root());
        state.historical_roots.push(root);
    }
}
