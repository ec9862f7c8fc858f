//! Upgrades of the state at forks, in place: only what is new changes. One file per fork, each after its `fork.md`.

mod altair;
mod bellatrix;
mod capella;
mod deneb;
mod electra;
mod fulu;

pub use altair::{translate_participation, upgrade_to_altair};
pub use bellatrix::upgrade_to_bellatrix;
pub use capella::upgrade_to_capella;
pub use deneb::upgrade_to_deneb;
pub use electra::upgrade_to_electra;
pub use fulu::{initialize_proposer_lookahead, upgrade_to_fulu};

use super::{Context, TransitionError, ensure};
use crate::types::*;

/// Upgrades a state of the fork before to `fork`.
///
/// # Errors
/// When the state is of another fork than the one before, or is damaged.
pub fn upgrade_to(state: &mut BeaconState, fork: ForkName, ctx: &Context) -> Result<(), TransitionError> {
    ensure(fork.previous() == Some(state.fork_name), "upgrade", "the state must be of the fork before")?;
    match fork {
        // No fork is before phase 0.
        ForkName::Phase0 => Ok(()),
        ForkName::Altair => upgrade_to_altair(state, ctx),
        ForkName::Bellatrix => {
            upgrade_to_bellatrix(state, ctx);
            Ok(())
        }
        ForkName::Capella => {
            upgrade_to_capella(state, ctx);
            Ok(())
        }
        ForkName::Deneb => {
            upgrade_to_deneb(state, ctx);
            Ok(())
        }
        ForkName::Electra => upgrade_to_electra(state, ctx),
        ForkName::Fulu => upgrade_to_fulu(state, ctx),
    }
}

/// Runs the upgrades that are scheduled for the state's epoch, which has just begun; test networks have several at once.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/fork.md#upgrading-the-state>
pub(super) fn run_scheduled_upgrades(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    let epoch = state.current_epoch();
    for fork in ForkName::ALL {
        if fork.previous() == Some(state.fork_name) && ctx.config.fork_epoch(fork) == epoch {
            upgrade_to(state, fork, ctx)?;
        }
    }
    Ok(())
}

/// Names `fork` in the state, from its epoch on.
fn begin(state: &mut BeaconState, fork: ForkName, ctx: &Context) {
    state.fork = Fork {
        previous_version: state.fork.current_version,
        current_version: ctx.config.version_of(fork),
        epoch: state.current_epoch(),
    };
    state.fork_name = fork;
}

#[cfg(test)]
mod tests;
