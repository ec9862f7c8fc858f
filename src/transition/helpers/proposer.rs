//! Who proposes: drawn from the active validators by effective balance.

use ethereum_hashing::hash_fixed;

use super::{Shuffler, get_active_validator_indices, get_seed};
use crate::{
    crypto::DOMAIN_BEACON_PROPOSER,
    transition::{TransitionError, ensure},
    types::{preset::*, *},
};

/// Draws candidates by their effective balance, one after the other: each has a chance of its balance over the largest
/// possible. Random numbers have 8 bits, since Electra 16.
pub(super) struct Draw {
    seed: Hash256,
    is_electra: bool,
    next: u64,
    hash: [u8; 32],
}

impl Draw {
    pub(super) fn new(seed: Hash256, fork: ForkName) -> Self {
        Draw { seed, is_electra: fork >= ForkName::Electra, next: 0, hash: [0; 32] }
    }

    /// Whether the next candidate, of this balance, is taken.
    pub(super) fn takes(&mut self, effective_balance: Gwei) -> bool {
        let random_value = self.random_value();
        self.is_enough(effective_balance, random_value)
    }

    /// Whether a candidate of this balance is taken at this random number. The larger the balance, the sooner.
    fn is_enough(&self, effective_balance: Gwei, random_value: u64) -> bool {
        let (max_effective_balance, max_random_value) = if self.is_electra {
            (MAX_EFFECTIVE_BALANCE_ELECTRA, u64::from(u16::MAX))
        } else {
            (MAX_EFFECTIVE_BALANCE, u64::from(u8::MAX))
        };
        u128::from(effective_balance) * u128::from(max_random_value)
            >= u128::from(max_effective_balance) * u128::from(random_value)
    }

    fn random_value(&mut self) -> u64 {
        let bytes = if self.is_electra { 2 } else { 1 };
        let per_hash = 32 / bytes;
        if self.next.is_multiple_of(per_hash) {
            self.hash = hash_with_number(self.seed, self.next / per_hash);
        }
        let offset = (self.next % per_hash * bytes) as usize;
        self.next += 1;
        let low = u64::from(self.hash[offset]);
        if self.is_electra { low | u64::from(self.hash[offset + 1]) << 8 } else { low }
    }
}

/// `hash(seed + uint_to_bytes(number))`
fn hash_with_number(seed: Hash256, number: u64) -> [u8; 32] {
    let mut bytes = [0; 40];
    bytes[..32].copy_from_slice(seed.as_slice());
    bytes[32..].copy_from_slice(&number.to_le_bytes());
    hash_fixed(&bytes)
}

/// A random one of `indices`, drawn by effective balance.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#compute_proposer_index>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-compute_proposer_index>
pub fn compute_proposer_index(
    state: &BeaconState,
    indices: &[u32],
    seed: Hash256,
) -> Result<ValidatorIndex, TransitionError> {
    draw_proposer(state, indices, seed, largest_balance(state, indices))
}

/// As [`compute_proposer_index`], with the largest effective balance of all `indices`: where it would not be enough, it does
/// not matter whose turn it is, and finding that out costs 90 hashes.
fn draw_proposer(
    state: &BeaconState,
    indices: &[u32],
    seed: Hash256,
    largest: Gwei,
) -> Result<ValidatorIndex, TransitionError> {
    ensure(!indices.is_empty(), "proposer", "somebody must be active")?;
    let total = indices.len() as u64;
    let shuffler = Shuffler::new(seed, total);
    let mut draw = Draw::new(seed, state.fork_name);
    let drawn = (0..total).cycle().find_map(|i| {
        let random_value = draw.random_value();
        if !draw.is_enough(largest, random_value) {
            return None;
        }
        let candidate = indices[shuffler.compute_shuffled_index(i) as usize];
        let effective_balance = state.validators.effective_balance(candidate as usize);
        draw.is_enough(effective_balance, random_value).then_some(candidate)
    });
    Ok(drawn.expect("the candidates never end").into())
}

fn largest_balance(state: &BeaconState, indices: &[u32]) -> Gwei {
    let balances = indices.iter().map(|index| state.validators.effective_balance(*index as usize));
    balances.max().unwrap_or_default()
}

/// The proposers of an epoch's slots.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#new-get_beacon_proposer_indices>
pub fn get_beacon_proposer_indices(state: &BeaconState, epoch: Epoch) -> Result<Vec<ValidatorIndex>, TransitionError> {
    let indices = get_active_validator_indices(state, epoch);
    let largest = largest_balance(state, &indices);
    let seed = get_seed(state, epoch, DOMAIN_BEACON_PROPOSER);
    let start_slot = compute_start_slot_at_epoch(epoch);
    let slots = start_slot..start_slot.saturating_add(SLOTS_PER_EPOCH);
    slots.map(|slot| draw_proposer(state, &indices, hash_with_number(seed, slot).into(), largest)).collect()
}

/// The proposer of the state's slot: from the lookahead since Fulu; before, it is drawn anew by each call.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#modified-get_beacon_proposer_index>
pub fn get_beacon_proposer_index(state: &BeaconState) -> Result<ValidatorIndex, TransitionError> {
    if state.fork_name >= ForkName::Fulu {
        return Ok(state.proposer_lookahead[(state.slot % SLOTS_PER_EPOCH) as usize]);
    }
    let epoch = state.current_epoch();
    let seed = hash_with_number(get_seed(state, epoch, DOMAIN_BEACON_PROPOSER), state.slot).into();
    compute_proposer_index(state, &get_active_validator_indices(state, epoch), seed)
}
