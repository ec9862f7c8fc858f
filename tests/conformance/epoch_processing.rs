//! `epoch_processing`: one part of an epoch's end, and the whole of it around that.

use hornero::{
    crypto::PubkeyCache,
    transition::{
        Context, TransitionError,
        epoch::{self, process_epoch},
    },
    types::BeaconState,
};

use super::{
    case::Case,
    config,
    states::{check_outcome, check_post, read},
};

pub fn run(case: &Case) -> Result<(), String> {
    let (config, keys) = (config::of(case)?, PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    if !case.bls_is_on()? {
        return Err("signatures of deposits are always checked".into());
    }
    let mut state = read(case, "pre")?;
    let result = process_part(case, &mut state, &ctx)?;
    check_post(case, result, state)?;
    if case.has("pre_epoch.ssz_snappy") {
        let mut state = read(case, "pre_epoch")?;
        let result = process_epoch(&mut state, &ctx);
        check_outcome(case, result, state, "post_epoch").map_err(|error| format!("whole epoch: {error}"))?;
    }
    Ok(())
}

/// Runs the part that the handler names; the outer error is that there is none.
fn process_part(case: &Case, state: &mut BeaconState, ctx: &Context) -> Result<Result<(), TransitionError>, String> {
    let never_fails = |part: fn(&mut BeaconState), state: &mut BeaconState| {
        part(state);
        Ok(())
    };
    Ok(match case.handler.as_str() {
        "effective_balance_updates" => epoch::process_effective_balance_updates(state),
        "eth1_data_reset" => never_fails(epoch::process_eth1_data_reset, state),
        "historical_roots_update" => never_fails(epoch::process_historical_roots_update, state),
        "historical_summaries_update" => never_fails(epoch::process_historical_summaries_update, state),
        "inactivity_updates" => epoch::process_inactivity_updates(state, ctx),
        "justification_and_finalization" => epoch::process_justification_and_finalization(state),
        "participation_flag_updates" => never_fails(epoch::process_participation_flag_updates, state),
        "participation_record_updates" => never_fails(epoch::process_participation_record_updates, state),
        "pending_consolidations" => epoch::process_pending_consolidations(state),
        "pending_deposits" => epoch::process_pending_deposits(state, ctx),
        "proposer_lookahead" => epoch::process_proposer_lookahead(state),
        "randao_mixes_reset" => never_fails(epoch::process_randao_mixes_reset, state),
        "registry_updates" => epoch::process_registry_updates(state, ctx),
        "rewards_and_penalties" => epoch::process_rewards_and_penalties(state, ctx),
        "slashings" => epoch::process_slashings(state),
        "slashings_reset" => never_fails(epoch::process_slashings_reset, state),
        "sync_committee_updates" => epoch::process_sync_committee_updates(state),
        other => return Err(format!("no part {other}")),
    })
}
