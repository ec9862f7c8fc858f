//! The store with blocks made by hand.

mod confirmation_model;
mod fast_confirmation;
mod head;
mod merge_block;
mod model;
mod payload;
mod proposer;
mod sides;
mod size;
mod snapshot;

use std::sync::Arc;

use super::{balances::Balances, *};
use crate::types::{preset::*, *};

const ETH: Gwei = 1_000_000_000;

/// A root that sorts by its number.
fn root(number: u16) -> Hash256 {
    let mut root = Hash256::ZERO;
    root[..2].copy_from_slice(&number.to_be_bytes());
    root
}

fn anchor_root(store: &Store) -> Hash256 {
    store.nodes()[0].root
}

/// A store at genesis, with validators of these effective balances.
fn new_store(balances: impl IntoIterator<Item = Gwei>) -> Store {
    let mut state = genesis_state(balances);
    state.latest_block_header.state_root = Hash256::repeat_byte(1);
    let header = state.latest_block_header;
    Store::from_anchor(&mut state, &header, Arc::new(Config::default())).unwrap()
}

/// Active validators of these effective balances, and nothing else but a seed.
fn genesis_state(balances: impl IntoIterator<Item = Gwei>) -> BeaconState {
    let randao_mixes = std::iter::repeat_n(Hash256::repeat_byte(5), EPOCHS_PER_HISTORICAL_VECTOR).collect();
    let mut state = BeaconState { randao_mixes, ..BeaconState::default() };
    for (index, effective_balance) in balances.into_iter().enumerate() {
        let mut pubkey = BLSPubkey::ZERO;
        pubkey[..8].copy_from_slice(&(index as u64).to_le_bytes());
        state.validators.push(Validator {
            pubkey,
            withdrawal_credentials: Hash256::ZERO,
            effective_balance,
            slashed: false,
            activation_eligibility_epoch: 0,
            activation_epoch: 0,
            exit_epoch: FAR_FUTURE_EPOCH,
            withdrawable_epoch: FAR_FUTURE_EPOCH,
        });
    }
    state
}

/// A block that justifies nothing.
fn block(store: &Store, number: u16, parent: Hash256, slot: Slot) -> ImportedBlock {
    let genesis = Checkpoint { epoch: 0, root: anchor_root(store) };
    ImportedBlock {
        root: root(number),
        header: BeaconBlockHeader { slot, parent_root: parent, ..Default::default() },
        execution_block_hash: Hash256::repeat_byte(number as u8),
        payload_status: PayloadStatus::NotValidated,
        justified_checkpoint: genesis,
        finalized_checkpoint: genesis,
        unrealized_justified_checkpoint: genesis,
        unrealized_finalized_checkpoint: genesis,
        checkpoint_balances: Vec::new(),
        attestations: Vec::new(),
        equivocating_indices: Vec::new(),
    }
}

/// Adds a block that justifies nothing.
fn add(store: &mut Store, number: u16, parent: Hash256, slot: Slot) -> Hash256 {
    let block = block(store, number, parent, slot);
    store.on_block(block).unwrap();
    root(number)
}

/// Moves the clock into a slot, past the time when attestations are due.
fn late_in(store: &mut Store, slot: Slot) {
    store.on_tick(store.genesis_time() * 1000 + slot * 12_000 + 6_000);
}

fn start_of(store: &mut Store, slot: Slot) {
    store.on_tick(store.genesis_time() * 1000 + slot * 12_000);
}

/// A vote in the block's own slot, or at the start of `epoch` if that is later.
fn vote_data(store: &Store, block: Hash256, epoch: Epoch) -> AttestationData {
    let slot = store.node(&block).unwrap().slot.max(compute_start_slot_at_epoch(epoch));
    let target = Checkpoint { epoch, root: store.get_checkpoint_block(&block, epoch).unwrap() };
    AttestationData { slot, beacon_block_root: block, target, ..Default::default() }
}

fn vote(store: &mut Store, validators: &[ValidatorIndex], block: Hash256, epoch: Epoch) {
    let data = vote_data(store, block, epoch);
    store.on_attestation(&data, validators, true).unwrap();
}
