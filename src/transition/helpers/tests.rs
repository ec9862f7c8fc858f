//! What the official vectors do not reach: memory of shufflings, refusals, limits.

use std::sync::Arc;

use super::*;
use crate::{
    crypto::PubkeyCache,
    ssz::Column,
    transition::{Context, TransitionError, epoch::ParticipationTotals, process_slots},
    types::{preset::*, *},
};

/// A state at the start of `epoch` with `count` active validators of 32 ETH.
fn state(count: usize, epoch: Epoch) -> BeaconState {
    let validator = |index: usize| Validator {
        pubkey: BLSPubkey::left_padding_from(&index.to_be_bytes()),
        activation_epoch: 0,
        ..get_validator_from_deposit(ForkName::Fulu, BLSPubkey::ZERO, Hash256::ZERO, MIN_ACTIVATION_BALANCE)
    };
    BeaconState {
        slot: compute_start_slot_at_epoch(epoch),
        validators: (0..count).map(validator).collect(),
        balances: Column::filled(MIN_ACTIVATION_BALANCE, count),
        previous_epoch_participation: Column::filled(0, count),
        current_epoch_participation: Column::filled(0, count),
        inactivity_scores: Column::filled(0, count),
        randao_mixes: Column::filled(Hash256::repeat_byte(7), EPOCHS_PER_HISTORICAL_VECTOR),
        slashings: Column::filled(0, EPOCHS_PER_SLASHINGS_VECTOR),
        ..BeaconState::default()
    }
}

#[test]
fn a_shuffling_is_computed_once() {
    let mut state = state(100, 5);
    let first = get_shuffling(&mut state, 6).unwrap();
    assert!(Arc::ptr_eq(&first, &get_shuffling(&mut state, 6).unwrap()));
    assert!(Arc::ptr_eq(&first, &find_shuffling(&state.clone(), 6).unwrap()), "a copy shares it");
    assert_eq!(first.shuffled.len(), 100);
}

#[test]
fn committees_hold_every_validator_once() {
    let mut state = state(100, 5);
    let count = get_shuffling(&mut state, 5).unwrap().committees_per_slot;
    let mut members = Vec::new();
    for slot in state.slot..state.slot + SLOTS_PER_EPOCH {
        for index in 0..count {
            members.extend(get_beacon_committee(&mut state, slot, index).unwrap());
        }
        get_beacon_committee(&mut state, slot, count).unwrap_err();
    }
    members.sort_unstable();
    assert_eq!(members, (0..100).collect::<Vec<_>>());
}

#[test]
fn committees_that_may_still_change_are_refused() {
    let mut state = state(100, 5);
    assert!(get_shuffling(&mut state, 7).is_err());
    assert!(get_shuffling(&mut state, u64::MAX).is_err());
    assert!(get_beacon_committee(&mut state, u64::MAX, 0).is_err());
}

#[test]
fn the_total_of_an_epoch_is_not_that_of_another() {
    let mut state = state(10, 5);
    assert_eq!(get_total_active_balance(&mut state), Ok(10 * MIN_ACTIVATION_BALANCE));
    state.validators.update(0, |v| v.exit_epoch = 6);
    assert_eq!(get_total_active_balance(&mut state), Ok(10 * MIN_ACTIVATION_BALANCE));
    state.slot += SLOTS_PER_EPOCH;
    assert_eq!(get_total_active_balance(&mut state), Ok(9 * MIN_ACTIVATION_BALANCE));
}

#[test]
fn nobody_is_active_and_nothing_panics() {
    let mut state = state(0, 5);
    assert_eq!(get_total_active_balance(&mut state), Ok(EFFECTIVE_BALANCE_INCREMENT));
    assert!(get_shuffling(&mut state, 5).unwrap().shuffled.is_empty());
    assert!(get_next_sync_committee_indices(&state).is_err());
    assert!(get_beacon_proposer_indices(&state, 5).is_err());
}

#[test]
fn balances_end_at_their_limits() {
    let mut state = state(2, 5);
    decrease_balance(&mut state, 1, u64::MAX).unwrap();
    assert_eq!(get_balance(&state, 1), Ok(0));
    assert_eq!(increase_balance(&mut state, 0, u64::MAX), Err(TransitionError::Overflow("a balance")));
    assert_eq!(increase_balance(&mut state, 2, 1), Err(TransitionError::UnknownValidator(2)));
    assert_eq!(decrease_balance(&mut state, u64::MAX, 1), Err(TransitionError::UnknownValidator(u64::MAX)));
}

#[test]
fn exits_beyond_the_churn_wait_for_later_epochs() {
    let (config, keys) = (Config::default(), PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    let mut state = state(100, 5);
    let per_epoch = get_activation_exit_churn_limit(&mut state, &ctx).unwrap() / MIN_ACTIVATION_BALANCE;
    let first = compute_activation_exit_epoch(5);
    for exit in 0..3 * per_epoch {
        initiate_validator_exit(&mut state, exit, &ctx).unwrap();
        assert_eq!(state.validators.exit_epoch(exit as usize), first + exit / per_epoch, "exit {exit}");
    }
    let before = state.clone();
    initiate_validator_exit(&mut state, 0, &ctx).unwrap();
    assert_eq!(state, before, "who exits already keeps the epoch");
}

#[test]
fn a_network_without_churn_is_an_error() {
    let config = Config { max_per_epoch_activation_exit_churn_limit: 0, ..Config::default() };
    let keys = PubkeyCache::default();
    let ctx = Context { config: &config, keys: &keys };
    assert!(compute_exit_epoch_and_update_churn(&mut state(4, 5), 1, &ctx).is_err());
}

#[test]
fn a_state_goes_forward_only() {
    let (config, keys) = (Config::default(), PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    let mut state = state(4, 5);
    let slot = state.slot;
    for target in [0, slot - 1, slot] {
        let error = process_slots(&mut state, target, &ctx).unwrap_err();
        assert_eq!(error, TransitionError::SlotNotAfter { state: slot, target });
    }
}

#[test]
fn a_validator_without_flags_is_an_error() {
    let mut state = state(4, 5);
    assert!(ParticipationTotals::new(&state).is_ok());
    state.current_epoch_participation = Column::filled(0, 3);
    assert!(ParticipationTotals::new(&state).is_err());
}

#[test]
fn a_branch_proves_one_leaf_at_one_place() {
    let leaves = [1, 2, 3, 4].map(Hash256::repeat_byte);
    let pairs = [crate::ssz::hash_pair(&leaves[0], &leaves[1]), crate::ssz::hash_pair(&leaves[2], &leaves[3])];
    let root = crate::ssz::hash_pair(&pairs[0], &pairs[1]);
    let branch = [leaves[3], pairs[0]];
    assert!(is_valid_merkle_branch(leaves[2], &branch, 2, 2, root));
    assert!(!is_valid_merkle_branch(leaves[2], &branch, 2, 3, root));
    assert!(!is_valid_merkle_branch(leaves[1], &branch, 2, 2, root));
    assert!(!is_valid_merkle_branch(leaves[2], &branch, 3, 2, root));
    assert!(!is_valid_merkle_branch(leaves[2], &branch[..1], 2, 2, root));
}
