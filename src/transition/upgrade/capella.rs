//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/fork.md>

use super::begin;
use crate::{ssz::Column, transition::Context, types::*};

/// Makes a Bellatrix state a Capella one.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/fork.md#upgrading-the-state>
pub fn upgrade_to_capella(state: &mut BeaconState, ctx: &Context) {
    begin(state, ForkName::Capella, ctx);
    state.latest_execution_payload_header.withdrawals_root = Hash256::ZERO;
    state.next_withdrawal_index = 0;
    state.next_withdrawal_validator_index = 0;
    state.historical_summaries = Column::default();
}
