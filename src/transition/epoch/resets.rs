//! What is cleared for the next epoch.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#eth1-data-votes-updates>

use crate::{
    transition::get_randao_mix,
    types::{preset::*, *},
};

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#eth1-data-votes-updates>
pub fn process_eth1_data_reset(state: &mut BeaconState) {
    if (state.current_epoch() + 1).is_multiple_of(EPOCHS_PER_ETH1_VOTING_PERIOD) {
        state.eth1_data_votes.clear();
    }
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#slashings-balances-updates>
pub fn process_slashings_reset(state: &mut BeaconState) {
    let next_epoch = state.current_epoch() + 1;
    state.slashings.set((next_epoch % EPOCHS_PER_SLASHINGS_VECTOR as u64) as usize, 0);
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#randao-mixes-updates>
pub fn process_randao_mixes_reset(state: &mut BeaconState) {
    let current_epoch = state.current_epoch();
    let mix = get_randao_mix(state, current_epoch);
    state.randao_mixes.set(((current_epoch + 1) % EPOCHS_PER_HISTORICAL_VECTOR as u64) as usize, mix);
}
