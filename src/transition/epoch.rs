//! What happens at the end of an epoch, a file for each heading.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#epoch-processing>

mod attestation_deltas;
mod effective_balances;
mod historical_roots;
mod historical_summaries;
mod inactivity;
mod justification;
mod participation;
mod pending_attestations;
mod pending_consolidations;
mod pending_deposits;
mod proposer_lookahead;
mod registry;
mod resets;
mod rewards;
mod slashings;
mod standing;
mod sweep;
mod sync_committees;
mod totals;

pub use attestation_deltas::AttestationDeltas;
pub use effective_balances::process_effective_balance_updates;
pub use historical_roots::process_historical_roots_update;
pub use historical_summaries::process_historical_summaries_update;
pub use inactivity::process_inactivity_updates;
pub use justification::{process_justification_and_finalization, unrealized_checkpoints};
pub use participation::{process_participation_flag_updates, process_participation_record_updates};
pub use pending_attestations::{Inclusion, PendingParticipation, pending_attesters};
pub use pending_consolidations::process_pending_consolidations;
pub use pending_deposits::process_pending_deposits;
pub use proposer_lookahead::process_proposer_lookahead;
pub use registry::process_registry_updates;
pub use resets::{process_eth1_data_reset, process_randao_mixes_reset, process_slashings_reset};
pub use rewards::{Delta, RewardTerms, process_rewards_and_penalties};
pub use slashings::process_slashings;
pub use sync_committees::process_sync_committee_updates;
pub use totals::{ParticipationTotals, count_participation};

use super::{Context, TransitionError};
use crate::types::{BeaconState, ForkName, preset::GENESIS_EPOCH};

/// Everything that happens after an epoch's last slot.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#epoch-processing>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#modified-process_epoch>
pub fn process_epoch(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    if state.fork_name >= ForkName::Electra {
        return process_epoch_in_one_sweep(state, ctx);
    }
    process_participation(state, ctx)?;
    process_registry_updates(state, ctx)?;
    process_slashings(state)?;
    process_eth1_data_reset(state);
    process_effective_balance_updates(state)?;
    process_resets(state);
    if state.fork_name >= ForkName::Altair {
        process_participation_flag_updates(state);
        process_sync_committee_updates(state)
    } else {
        process_participation_record_updates(state);
        Ok(())
    }
}

/// [`process_epoch`] since Electra.
fn process_epoch_in_one_sweep(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    let totals = ParticipationTotals::of(state)?;
    justification::process_with(state, &totals)?;
    let mut swept = sweep::sweep(state, &totals, ctx)?;
    process_eth1_data_reset(state);
    process_pending_deposits(state, ctx)?;
    process_pending_consolidations(state)?;
    swept.process_effective_balance_updates(state)?;
    process_resets(state);
    process_participation_flag_updates(state);
    swept.note_sums(state);
    process_sync_committee_updates(state)?;
    if state.fork_name >= ForkName::Fulu {
        process_proposer_lookahead(state)?;
    }
    Ok(())
}

/// What is cleared or noted down, whoever took part.
fn process_resets(state: &mut BeaconState) {
    process_slashings_reset(state);
    process_randao_mixes_reset(state);
    if state.fork_name >= ForkName::Capella {
        process_historical_summaries_update(state);
    } else {
        process_historical_roots_update(state);
    }
}

/// What depends on who took part: justification, inactivity, rewards. Neither registry nor participation change before the
/// rewards are paid, so they are summed once.
fn process_participation(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    if state.fork_name == ForkName::Phase0 {
        // Attestations of the first epoch count only when it is over.
        if state.current_epoch() == GENESIS_EPOCH {
            return Ok(());
        }
        let participation = PendingParticipation::new(state)?;
        justification::process_with(state, &participation.totals)?;
        return attestation_deltas::process_with(state, &participation);
    }
    let totals = ParticipationTotals::of(state)?;
    justification::process_with(state, &totals)?;
    process_inactivity_updates(state, ctx)?;
    rewards::process_with(state, &totals, ctx)
}

#[cfg(test)]
mod tests;
