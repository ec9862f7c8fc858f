//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/fork.md>

use super::begin;
use crate::{transition::Context, types::*};

/// Makes an Altair state a Bellatrix one: without a payload yet, as the merge is still to come.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/fork.md#upgrading-the-state>
pub fn upgrade_to_bellatrix(state: &mut BeaconState, ctx: &Context) {
    begin(state, ForkName::Bellatrix, ctx);
    state.latest_execution_payload_header = ExecutionPayloadHeader::default();
}
