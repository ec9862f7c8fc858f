//! States before and after: what the runners of the transition share.

use std::fmt::Display;

use hornero::types::{BeaconState, ForkName};

use super::{case::Case, ssz_static::first_difference, state_text};

/// `<name>.ssz_snappy` as a state of the case's fork.
pub fn read(case: &Case, name: &str) -> Result<BeaconState, String> {
    let mut state = case.state(name)?;
    state.hash_tree_root();
    Ok(state)
}

/// `<name>.ssz_snappy` as a state of `fork`. It is hashed, so that hashes remembered wrongly show later.
pub fn read_in_fork(case: &Case, name: &str, fork: ForkName) -> Result<BeaconState, String> {
    let mut state = case.state_of(fork, name)?;
    state.hash_tree_root();
    Ok(state)
}

/// Whether `result` and `state` are what the case expects: the state `post`, or an error if there is none.
pub fn check_post<E: Display>(case: &Case, result: Result<(), E>, state: BeaconState) -> Result<(), String> {
    check_outcome(case, result, state, "post")
}

/// As [`check_post`], where the state after it has another name.
pub fn check_outcome<E: Display>(
    case: &Case,
    result: Result<(), E>,
    state: BeaconState,
    post: &str,
) -> Result<(), String> {
    match (result, case.has(&format!("{post}.ssz_snappy"))) {
        (Ok(()), true) => check_equal(state, read(case, post)?),
        (Ok(()), false) => Err("accepted what must be rejected".into()),
        (Err(error), true) => Err(error.to_string()),
        (Err(_), false) => Ok(()),
    }
}

/// Whether two states are equal, field by field and by their roots.
pub fn check_equal(mut ours: BeaconState, mut theirs: BeaconState) -> Result<(), String> {
    if ours != theirs {
        let (ours, theirs) = (state_text::to_value(&ours), state_text::to_value(&theirs));
        return Err(first_difference(&ours, &theirs));
    }
    if ours.hash_tree_root() != theirs.hash_tree_root() {
        return Err("equal states, but a remembered hash is wrong".into());
    }
    Ok(())
}
