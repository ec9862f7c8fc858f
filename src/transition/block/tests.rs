//! What the official vectors do not reach: the seams between forks.

use std::collections::BTreeSet;

use super::*;
use crate::{crypto::PubkeyCache, ssz::Column};

/// A state of `fork` in epoch 5 with `count` active validators of 32 ETH, whose credentials begin with `prefix`.
fn state(fork: ForkName, count: usize, prefix: u8) -> BeaconState {
    let mut withdrawal_credentials = Hash256::ZERO;
    withdrawal_credentials[0] = prefix;
    let validator = |index: usize| Validator {
        pubkey: BLSPubkey::left_padding_from(&index.to_be_bytes()),
        activation_epoch: 0,
        ..get_validator_from_deposit(fork, BLSPubkey::ZERO, withdrawal_credentials, MIN_ACTIVATION_BALANCE)
    };
    BeaconState {
        fork_name: fork,
        slot: compute_start_slot_at_epoch(5),
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
fn a_body_of_another_fork_is_refused() {
    let (config, keys) = (Config::default(), PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    for (fork, other) in [
        (ForkName::Phase0, ForkName::Altair),
        (ForkName::Capella, ForkName::Bellatrix),
        (ForkName::Deneb, ForkName::Electra),
        (ForkName::Fulu, ForkName::Deneb),
    ] {
        let body = BeaconBlockBody::empty(other);
        let error =
            process_block_body(&mut state(fork, 8, 1), &body, &ctx, &mut SignatureCollector::new(false)).unwrap_err();
        assert!(error.to_string().contains("the fields of the state's fork"), "{other} in {fork}: {error}");
    }
}

#[test]
fn an_attestation_names_its_committee_in_its_data_or_in_its_bits() {
    let mut state = state(ForkName::Deneb, 64, 1);
    let shuffling = get_shuffling(&mut state, 5).unwrap();
    let last = shuffling.committees_per_slot - 1;
    let committee = shuffling.committee(state.slot, last).unwrap().to_vec();
    let bits = |len| {
        let mut bits = ssz_types::BitList::with_capacity(len).unwrap();
        (0..len).for_each(|index| bits.set(index, true).unwrap());
        bits
    };
    let mut attestation = Attestation {
        aggregation_bits: bits(committee.len()),
        data: AttestationData { slot: state.slot, index: last, ..AttestationData::default() },
        signature: BLSSignature::ZERO,
        committee_bits: Default::default(),
    };
    assert_eq!(get_attesting_indices(ForkName::Deneb, &shuffling, &attestation), Ok(committee.clone()));
    assert_eq!(
        get_attesting_indices(ForkName::Electra, &shuffling, &attestation),
        Ok(vec![]),
        "no committee bit is set"
    );
    attestation.data.index = 0;
    attestation.committee_bits.set(last as usize, true).unwrap();
    assert_eq!(get_attesting_indices(ForkName::Electra, &shuffling, &attestation), Ok(committee));
}

#[test]
fn more_attesters_than_a_committee_has_room_for_came_with_electra() {
    let (config, keys) = (Config::default(), PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    let count = MAX_VALIDATORS_PER_COMMITTEE + 1;
    let attestation = IndexedAttestation {
        attesting_indices: (0..count as u64).collect::<Vec<_>>().try_into().unwrap(),
        data: AttestationData::default(),
        signature: BLSSignature::ZERO,
    };
    let check = |fork| {
        let mut nothing = SignatureCollector::new(false);
        is_valid_indexed_attestation(&state(fork, count, 1), &attestation, &ctx, &mut nothing)
    };
    assert!(check(ForkName::Deneb).is_err());
    assert_eq!(check(ForkName::Electra), Ok(()));
}

#[test]
fn compounding_credentials_mean_nothing_before_electra() {
    let excess = MIN_ACTIVATION_BALANCE + 1;
    for (fork, prefix, withdrawn) in [
        (ForkName::Capella, ETH1_ADDRESS_WITHDRAWAL_PREFIX, true),
        (ForkName::Deneb, COMPOUNDING_WITHDRAWAL_PREFIX, false),
        (ForkName::Electra, COMPOUNDING_WITHDRAWAL_PREFIX, false),
    ] {
        let mut state = state(fork, 1, prefix);
        state.balances.set(0, excess);
        let found = get_expected_withdrawals(&state).unwrap().withdrawals;
        assert_eq!(found.len(), usize::from(withdrawn), "excess in {fork}");
        state.validators.update(0, |validator| validator.withdrawable_epoch = 0);
        let found = get_expected_withdrawals(&state).unwrap().withdrawals;
        let all = withdrawn || fork >= ForkName::Electra;
        assert_eq!(found.iter().map(|w| w.amount).sum::<u64>(), if all { excess } else { 0 }, "all in {fork}");
    }
    let max = |fork| {
        let mut credentials = Hash256::ZERO;
        credentials[0] = COMPOUNDING_WITHDRAWAL_PREFIX;
        get_validator_from_deposit(fork, BLSPubkey::ZERO, credentials, u64::MAX).effective_balance
    };
    assert_eq!([max(ForkName::Deneb), max(ForkName::Electra)], [MAX_EFFECTIVE_BALANCE, MAX_EFFECTIVE_BALANCE_ELECTRA]);
}

#[test]
fn exits_before_electra_queue_by_head() {
    let (config, keys) = (Config::default(), PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    let mut state = state(ForkName::Deneb, 64, 1);
    let (per_epoch, first) = (get_validator_churn_limit(&state, &ctx), compute_activation_exit_epoch(5));
    for exit in 0..3 * per_epoch {
        initiate_validator_exit(&mut state, exit, &ctx).unwrap();
        assert_eq!(state.validators.exit_epoch(exit as usize), first + exit / per_epoch, "exit {exit}");
    }
    let exit_epochs: BTreeSet<_> = state.validators.iter().map(|validator| validator.exit_epoch).collect();
    assert_eq!(exit_epochs.len(), 4, "three epochs, and who stays");
}

#[test]
fn a_payload_counts_from_the_merge_on() {
    let mut body = BeaconBlockBody::empty(ForkName::Bellatrix);
    let mut state = state(ForkName::Bellatrix, 1, 1);
    assert!(!is_execution_enabled(&state, &body), "before the merge");
    body.execution_payload.block_hash = Hash256::repeat_byte(1);
    assert!(is_merge_transition_block(&state, &body) && is_execution_enabled(&state, &body), "the merge");
    state.latest_execution_payload_header = body.execution_payload_header();
    assert_eq!(state.latest_execution_payload_header.withdrawals_root, Hash256::ZERO, "which Capella brought");
    body.execution_payload = ExecutionPayload::default();
    assert!(!is_merge_transition_block(&state, &body) && is_execution_enabled(&state, &body), "after the merge");
    state = BeaconState { fork_name: ForkName::Capella, ..BeaconState::default() };
    assert!(is_execution_enabled(&state, &body), "a network that begins with Capella");
}
