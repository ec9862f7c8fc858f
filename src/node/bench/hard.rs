//! Hard ends of an epoch, each beside the easy one: it is the worst slot that decides whether a board keeps up.

use super::{doing, next_epoch_start, recorder::Recorder, synthetic};
use crate::{
    transition::{
        Context, TransitionError, get_active_validator_indices, get_shuffling, get_total_active_balance, process_slots,
    },
    types::{
        BeaconState, Caches, Checkpoint, JustificationBits,
        preset::{
            EFFECTIVE_BALANCE_INCREMENT, EPOCHS_PER_SLASHINGS_VECTOR, FAR_FUTURE_EPOCH, MAX_PENDING_DEPOSITS_PER_EPOCH,
        },
    },
};

/// Validators that change their lot at an epoch's end, of each kind: a hundred times what a usual epoch has.
const CHURN: usize = 1000;
/// Of a hundred validators, how many are slashed together.
const SLASHED_PERCENT: usize = 5;
/// Of ten validators, how many are absent during the leak, and for how many epochs that has lasted.
const ABSENT_OF_TEN: usize = 4;
const LEAK_EPOCHS: u64 = 100;
/// What an absent validator's score grows by in an epoch.
const SCORE_BIAS: u64 = 4;

/// An epoch's end that is not like others.
struct Hard {
    name: &'static str,
    what: &'static str,
    root_name: &'static str,
    root_what: &'static str,
    /// Makes an easy state, before the epoch's end, a hard one.
    make: fn(&mut BeaconState, &[usize]),
    /// Whether what was to happen happened; gets the states before and after, and who was active.
    happened: fn(&BeaconState, &BeaconState, &[usize]) -> bool,
}

const HARD: [Hard; 5] = [
    Hard {
        name: "epoch_churn",
        what: "epoch transition: 1,000 ejected, activated and queued each",
        root_name: "epoch_churn_root",
        root_what: "root after that",
        make: churn,
        happened: |before, after, _| {
            let leaving = |state| count(state, |state, i| state.validators.exit_epoch(i) != FAR_FUTURE_EPOCH);
            let waiting = |state| count(state, |state, i| state.validators.activation_epoch(i) == FAR_FUTURE_EPOCH);
            leaving(after) > leaving(before) && waiting(after) < waiting(before)
        },
    },
    Hard {
        name: "epoch_slashings",
        what: "epoch transition: 5% slashed pay for each other",
        root_name: "epoch_slashings_root",
        root_what: "root after that",
        make: slashings,
        happened: |before, after, active| {
            after.balances[active[0]] + EFFECTIVE_BALANCE_INCREMENT < before.balances[active[0]]
        },
    },
    Hard {
        name: "epoch_balances",
        what: "epoch transition: every effective balance changes",
        root_name: "epoch_balances_root",
        root_what: "root after that",
        make: balances,
        happened: |before, after, active| {
            let changed =
                |i: &&usize| before.validators.effective_balance(**i) != after.validators.effective_balance(**i);
            // Of a few, a deposit or a consolidation of this epoch makes up for the loss.
            100 * active.iter().filter(changed).count() >= 99 * active.len()
        },
    },
    Hard {
        name: "epoch_queues",
        what: "epoch transition: 16 new of 40,000 deposits, 1,000 consolidations",
        root_name: "epoch_queues_root",
        root_what: "root after that",
        make: queues,
        happened: |before, after, _| {
            let new = after.validators.len() - before.validators.len();
            new as u64 == MAX_PENDING_DEPOSITS_PER_EPOCH && after.pending_consolidations.is_empty()
        },
    },
    Hard {
        name: "epoch_leak",
        what: "epoch transition: inactivity leak, 40% absent",
        root_name: "epoch_leak_root",
        root_what: "root after that",
        make: leak,
        happened: |before, after, active| {
            after.inactivity_scores[active[0]] == before.inactivity_scores[active[0]] + SCORE_BIAS
                && after.balances[active[0]] < before.balances[active[0]]
        },
    },
];

/// Figures that are measured here, besides the making of each state.
pub const STEPS: usize = 3 * HARD.len();

/// Measures hard ends of the epoch of `last_slot`, which is the state in its last slot, hashed.
///
/// # Errors
/// When the transition fails, or was not as hard as it should have been.
pub fn measure(recorder: &mut Recorder, last_slot: &BeaconState, ctx: &Context) -> Result<(), String> {
    for hard in &HARD {
        if recorder.has_time_for(hard.name, 3) {
            measure_one(recorder, hard, last_slot, ctx)?;
        }
    }
    Ok(())
}

fn measure_one(recorder: &mut Recorder, hard: &Hard, easy: &BeaconState, ctx: &Context) -> Result<(), String> {
    recorder.step("making a hard epoch");
    let mut state = easy.clone();
    let epoch = state.current_epoch();
    let active: Vec<usize> =
        get_active_validator_indices(&state, epoch).into_iter().map(|index| index as usize).collect();
    (hard.make)(&mut state, &active);
    warm(&mut state).map_err(doing(hard.what))?;
    let next = next_epoch_start(state.slot);
    let to_next = |state: &mut BeaconState| process_slots(state, next, ctx);
    let after = recorder.time(hard.name, hard.what, || Ok(state.clone()), to_next)?;
    if !(hard.happened)(&state, &after, &active) {
        return Err(format!("{}: it was not as hard as that", hard.what));
    }
    let hash = |state: &mut BeaconState| Ok::<_, String>(state.hash_tree_root());
    recorder.time(hard.root_name, hard.root_what, || Ok(after.clone()), hash).map(drop)
}

/// What a state that has come here by blocks has remembered.
fn warm(state: &mut BeaconState) -> Result<(), TransitionError> {
    state.caches = Caches::default();
    let epoch = state.current_epoch();
    for epoch in [epoch - 1, epoch, epoch + 1] {
        get_shuffling(state, epoch)?;
    }
    get_total_active_balance(state)?;
    state.hash_tree_root();
    Ok(())
}

fn count(state: &BeaconState, test: impl Fn(&BeaconState, usize) -> bool) -> usize {
    (0..state.validators.len()).filter(|i| test(state, *i)).count()
}

/// `count` of those that are staying, far from each other.
fn some_staying(state: &BeaconState, active: &[usize], count: usize) -> Vec<usize> {
    let staying: Vec<usize> =
        active.iter().copied().filter(|i| state.validators.exit_epoch(*i) == FAR_FUTURE_EPOCH).collect();
    let stride = (staying.len() / count).max(1);
    staying.into_iter().step_by(stride).take(count).collect()
}

fn churn(state: &mut BeaconState, active: &[usize]) {
    let finalized = state.finalized_checkpoint.epoch;
    let count = (3 * CHURN).min(active.len() / 4);
    let ejection_balance = 16 * EFFECTIVE_BALANCE_INCREMENT;
    for (n, index) in some_staying(state, active, count).into_iter().enumerate() {
        state.validators.update(index, |validator| match n % 3 {
            0 => validator.effective_balance = ejection_balance,
            1 => {
                validator.activation_eligibility_epoch = finalized;
                validator.activation_epoch = FAR_FUTURE_EPOCH;
            }
            _ => {
                validator.activation_eligibility_epoch = FAR_FUTURE_EPOCH;
                validator.activation_epoch = FAR_FUTURE_EPOCH;
            }
        });
        if n % 3 == 0 {
            state.balances.set(index, ejection_balance);
        }
    }
}

/// In the middle of the window after which slashed validators may withdraw, each pays in proportion to all.
fn slashings(state: &mut BeaconState, active: &[usize]) {
    let (epoch, window) = (state.current_epoch(), EPOCHS_PER_SLASHINGS_VECTOR as u64);
    let mut slashed = 0;
    for index in active.iter().copied().step_by(100 / SLASHED_PERCENT) {
        slashed += state.validators.effective_balance(index);
        state.validators.update(index, |validator| {
            validator.slashed = true;
            validator.exit_epoch = validator.exit_epoch.min(epoch - 1);
            validator.withdrawable_epoch = epoch + window / 2;
        });
    }
    state.slashings.set(((epoch + window / 2) % window) as usize, slashed);
}

/// Everybody has lost so much that the effective balance follows.
fn balances(state: &mut BeaconState, active: &[usize]) {
    for index in active.iter().copied() {
        let lost = EFFECTIVE_BALANCE_INCREMENT + EFFECTIVE_BALANCE_INCREMENT / 2;
        let left = state.validators.effective_balance(index).saturating_sub(lost);
        state.balances.set(index, left + state.balances[index] % (EFFECTIVE_BALANCE_INCREMENT / 8));
    }
}

fn queues(state: &mut BeaconState, active: &[usize]) {
    let sources = some_staying(state, active, CHURN.min(active.len() / 4));
    synthetic::crowd_queues(state, &sources, active);
}

/// Nothing was finalized for long; those who are absent have been so all the time, others at times.
fn leak(state: &mut BeaconState, active: &[usize]) {
    let stuck = |checkpoint: Checkpoint| Checkpoint { epoch: checkpoint.epoch - LEAK_EPOCHS, ..checkpoint };
    state.finalized_checkpoint = stuck(state.finalized_checkpoint);
    state.previous_justified_checkpoint = stuck(state.previous_justified_checkpoint);
    state.current_justified_checkpoint = stuck(state.current_justified_checkpoint);
    state.justification_bits = JustificationBits::new();
    for (n, index) in active.iter().copied().enumerate() {
        let is_absent = n % 10 < ABSENT_OF_TEN;
        let score = if is_absent { SCORE_BIAS * LEAK_EPOCHS } else { n as u64 % 7 };
        state.inactivity_scores.set(index, score);
        if is_absent {
            state.previous_epoch_participation.set(index, 0);
        }
    }
}
