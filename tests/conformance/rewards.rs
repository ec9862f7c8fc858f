//! `rewards`: what each set of rules gives and takes, by validator.

use hornero::{
    crypto::PubkeyCache,
    transition::{
        Context,
        epoch::{ParticipationTotals, RewardTerms},
    },
};

use super::{case::Case, config, states::read};

/// The sets of deltas, in the order in which they are applied.
const SETS: [&str; 4] = ["source_deltas", "target_deltas", "head_deltas", "inactivity_penalty_deltas"];

/// Two lists of Gwei, by validator.
#[derive(ssz_derive::Decode)]
struct Deltas {
    rewards: Vec<u64>,
    penalties: Vec<u64>,
}

pub fn run(case: &Case) -> Result<(), String> {
    let (config, keys) = (config::of(case)?, PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    let mut state = read(case, "pre")?;
    let totals = ParticipationTotals::new(&state).map_err(|error| error.to_string())?;
    let terms = RewardTerms::new(&mut state, &totals, &ctx).map_err(|error| error.to_string())?;
    for (set, name) in SETS.into_iter().enumerate() {
        let Deltas { rewards, penalties } = case.ssz(name)?;
        if [rewards.len(), penalties.len()] != [state.validators.len(); 2] {
            return Err(format!("{name} is not for all validators"));
        }
        for index in 0..state.validators.len() {
            let ours = terms.deltas(&state, index).ok_or("an overflow")?[set];
            if (ours.reward, ours.penalty) != (rewards[index], penalties[index]) {
                let theirs = (rewards[index], penalties[index]);
                return Err(format!("{name} of validator {index}: {ours:?} instead of {theirs:?}"));
            }
        }
    }
    Ok(())
}
