//! What happens at the end of an epoch, a file for each heading.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#epoch-processing>

mod effective_balances;
mod historical_summaries;
mod inactivity;
mod justification;
mod participation;
mod pending_consolidations;
mod pending_deposits;
mod proposer_lookahead;
mod registry;
mod resets;
mod rewards;
mod slashings;
mod sync_committees;
mod totals;

pub use effective_balances::process_effective_balance_updates;
pub use historical_summaries::process_historical_summaries_update;
pub use inactivity::process_inactivity_updates;
pub use justification::process_justification_and_finalization;
pub use participation::process_participation_flag_updates;
pub use pending_consolidations::process_pending_consolidations;
pub use pending_deposits::process_pending_deposits;
pub use proposer_lookahead::process_proposer_lookahead;
pub use registry::process_registry_updates;
pub use resets::{process_eth1_data_reset, process_randao_mixes_reset, process_slashings_reset};
pub use rewards::{Delta, RewardTerms, process_rewards_and_penalties};
pub use slashings::process_slashings;
pub use sync_committees::process_sync_committee_updates;
pub use totals::ParticipationTotals;

use super::{Context, TransitionError};
use crate::types::{BeaconState, ForkName};

/// Everything that happens after an epoch's last slot.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#modified-process_epoch>
pub fn process_epoch(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    // Neither registry nor participation change before the rewards are paid.
    let totals = ParticipationTotals::new(state)?;
    justification::process_with(state, &totals)?;
    process_inactivity_updates(state, ctx)?;
    rewards::process_with(state, &totals, ctx)?;
    process_registry_updates(state, ctx)?;
    process_slashings(state)?;
    process_eth1_data_reset(state);
    process_pending_deposits(state, ctx)?;
    process_pending_consolidations(state)?;
    process_effective_balance_updates(state)?;
    process_slashings_reset(state);
    process_randao_mixes_reset(state);
    process_historical_summaries_update(state);
    process_participation_flag_updates(state);
    process_sync_committee_updates(state)?;
    if state.fork_name >= ForkName::Fulu {
        process_proposer_lookahead(state)?;
    }
    Ok(())
}
