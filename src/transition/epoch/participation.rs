//! Who took part: flags since Altair, pending attestations before.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#participation-flags-updates>

use crate::{ssz::Column, types::*};

/// The current epoch's flags become the previous one's.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#participation-flags-updates>
pub fn process_participation_flag_updates(state: &mut BeaconState) {
    let none = Column::filled(0, state.validators.len());
    state.previous_epoch_participation = std::mem::replace(&mut state.current_epoch_participation, none);
}

/// The current epoch's pending attestations become the previous one's, in phase 0.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#participation-records-rotation>
pub fn process_participation_record_updates(state: &mut BeaconState) {
    state.previous_epoch_attestations = std::mem::take(&mut state.current_epoch_attestations);
}
