//! The state's codec on a small state; the official vectors test it on many (tests/conformance.rs).

use super::*;
use crate::types::preset::*;

fn state() -> BeaconState {
    let mut state = BeaconState {
        slot: 77,
        block_roots: Column::filled(Hash256::repeat_byte(1), SLOTS_PER_HISTORICAL_ROOT),
        state_roots: Column::filled(Hash256::repeat_byte(2), SLOTS_PER_HISTORICAL_ROOT),
        randao_mixes: Column::filled(Hash256::repeat_byte(3), EPOCHS_PER_HISTORICAL_VECTOR),
        slashings: Column::filled(4, EPOCHS_PER_SLASHINGS_VECTOR),
        proposer_lookahead: Column::filled(5, PROPOSER_LOOKAHEAD_LENGTH),
        balances: (0..100).collect(),
        ..BeaconState::default()
    };
    state.pending_consolidations.push(PendingConsolidation { source_index: 1, target_index: 2 });
    state
}

#[test]
fn a_state_survives_its_encoding() {
    let mut before = state();
    let bytes = before.to_ssz_bytes();
    assert_eq!(bytes.len(), before.ssz_len());
    let mut after = BeaconState::from_ssz_bytes(ForkName::Fulu, &bytes).unwrap();
    assert_eq!(after, before);
    assert_eq!(after.hash_tree_root(), before.hash_tree_root());
}

#[test]
fn every_cut_is_noticed_but_the_one_that_only_the_root_can_tell() {
    let bytes = state().to_ssz_bytes();
    let last = bytes.len() - 16;
    for cut in [0, 7, 100, 40_000.min(last - 9), last - 1, last + 5, bytes.len() - 1] {
        assert!(BeaconState::from_ssz_bytes(ForkName::Fulu, &bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut shorter = BeaconState::from_ssz_bytes(ForkName::Fulu, &bytes[..last]).unwrap();
    assert_ne!(shorter.hash_tree_root(), state().hash_tree_root());
}

#[test]
fn another_forks_bytes_are_refused() {
    let bytes = state().to_ssz_bytes();
    assert!(BeaconState::from_ssz_bytes(ForkName::Electra, &bytes).is_err());
}

#[test]
fn writing_a_copy_leaves_the_original_and_its_root() {
    let mut original = state();
    let root = original.hash_tree_root();
    let mut copy = original.clone();
    copy.balances.set(3, 9);
    copy.slot += 1;
    assert_ne!(copy.hash_tree_root(), root);
    assert_eq!(original.hash_tree_root(), root);
}
