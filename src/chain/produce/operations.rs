//! Which operations a block of ours includes.

use ssz_types::VariableList;

use super::super::pools::Operations;
use crate::{
    transition::{
        Context, SignatureCollector, TransitionError, process_attester_slashing, process_bls_to_execution_change,
        process_proposer_slashing, process_voluntary_exit,
    },
    types::{preset::*, *},
};

/// What one of the specification's functions does with an operation.
type Process<T> = fn(&mut BeaconState, &T, &Context, &mut SignatureCollector) -> Result<(), TransitionError>;

/// Puts into a block's body what of the pool's can be included on top of `state`, in the order in which a block does it.
/// Signatures were verified when the operations came.
pub fn choose_operations(state: &BeaconState, pooled: &Operations, body: &mut BeaconBlockBody, ctx: &Context) {
    let state = &mut state.clone();
    let max_attester_slashings = if state.fork_name >= ForkName::Electra {
        MAX_ATTESTER_SLASHINGS_ELECTRA
    } else {
        MAX_ATTESTER_SLASHINGS as usize
    };
    let chosen = choose(state, &pooled.proposer_slashings, MAX_PROPOSER_SLASHINGS, process_proposer_slashing, ctx);
    body.proposer_slashings = VariableList::new(chosen).unwrap_or_default();
    body.attester_slashings =
        choose(state, &pooled.attester_slashings, max_attester_slashings, process_attester_slashing, ctx);
    let chosen = choose(state, &pooled.voluntary_exits, MAX_VOLUNTARY_EXITS, process_voluntary_exit, ctx);
    body.voluntary_exits = VariableList::new(chosen).unwrap_or_default();
    let changes = &pooled.bls_to_execution_changes;
    let chosen = choose(state, changes, MAX_BLS_TO_EXECUTION_CHANGES, process_bls_to_execution_change, ctx);
    body.bls_to_execution_changes = VariableList::new(chosen).unwrap_or_default();
}

/// Tries one after the other, and keeps what the state allows, at most `limit`.
fn choose<T: Clone>(
    state: &mut BeaconState,
    pooled: &[std::sync::Arc<T>],
    limit: usize,
    process: Process<T>,
    ctx: &Context,
) -> Vec<T> {
    let mut chosen = Vec::new();
    for operation in pooled {
        if chosen.len() >= limit {
            break;
        }
        // One that fails leaves the state half changed.
        let mut after = state.clone();
        if process(&mut after, operation, ctx, &mut SignatureCollector::new(false)).is_ok() {
            *state = after;
            chosen.push(T::clone(operation));
        }
    }
    chosen
}
