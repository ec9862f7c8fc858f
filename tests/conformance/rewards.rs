//! `rewards`: what each set of rules gives and takes, by validator.

use hornero::{
    crypto::PubkeyCache,
    transition::{
        Context, TransitionError,
        epoch::{AttestationDeltas, Delta, ParticipationTotals, PendingParticipation, RewardTerms},
    },
    types::{BeaconState, ForkName},
};

use super::{case::Case, config, states::read};

/// The sets of deltas since Altair, in the order in which they are applied.
const SETS: [&str; 4] = ["source_deltas", "target_deltas", "head_deltas", "inactivity_penalty_deltas"];
/// Those of phase 0.
const SETS_PHASE0: [&str; 5] =
    ["source_deltas", "target_deltas", "head_deltas", "inclusion_delay_deltas", "inactivity_penalty_deltas"];

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
    let (names, by_validator) = match state.fork_name {
        ForkName::Phase0 => (&SETS_PHASE0[..], phase0_deltas(&mut state)),
        _ => (&SETS[..], deltas(&mut state, &ctx)),
    };
    let by_validator = by_validator.map_err(|error| error.to_string())?;
    for (set, name) in names.iter().enumerate() {
        let Deltas { rewards, penalties } = case.ssz(name)?;
        if [rewards.len(), penalties.len()] != [by_validator.len(); 2] {
            return Err(format!("{name} is not for all validators"));
        }
        for (index, ours) in by_validator.iter().enumerate() {
            let theirs = Delta { reward: rewards[index], penalty: penalties[index] };
            if ours[set] != theirs {
                return Err(format!("{name} of validator {index}: {:?} instead of {theirs:?}", ours[set]));
            }
        }
    }
    Ok(())
}

/// By validator, what each of [`SETS`] gives and takes.
fn deltas(state: &mut BeaconState, ctx: &Context) -> Result<Vec<Vec<Delta>>, TransitionError> {
    let totals = ParticipationTotals::new(state)?;
    let terms = RewardTerms::new(state, &totals, ctx)?;
    all(state, |index| terms.deltas(state, index).map(Vec::from))
}

/// By validator, what each of [`SETS_PHASE0`] gives and takes.
fn phase0_deltas(state: &mut BeaconState) -> Result<Vec<Vec<Delta>>, TransitionError> {
    let participation = PendingParticipation::new(state)?;
    let deltas = AttestationDeltas::new(state, &participation)?;
    all(state, |index| deltas.components(state, index).map(Vec::from))
}

fn all(state: &BeaconState, of: impl Fn(usize) -> Option<Vec<Delta>>) -> Result<Vec<Vec<Delta>>, TransitionError> {
    (0..state.validators.len()).map(of).collect::<Option<_>>().ok_or(TransitionError::Overflow("a delta"))
}
