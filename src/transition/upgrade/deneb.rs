//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/fork.md>

use super::begin;
use crate::{transition::Context, types::*};

/// Makes a Capella state a Deneb one.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/fork.md#upgrading-the-state>
pub fn upgrade_to_deneb(state: &mut BeaconState, ctx: &Context) {
    begin(state, ForkName::Deneb, ctx);
    state.latest_execution_payload_header.blob_gas_used = 0;
    state.latest_execution_payload_header.excess_blob_gas = 0;
}
