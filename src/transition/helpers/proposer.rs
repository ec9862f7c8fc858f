//! Who proposes: drawn from the active validators by effective balance.

use ethereum_hashing::hash_fixed;

use super::{Shuffler, get_active_validator_indices, get_seed};
use crate::{
    crypto::DOMAIN_BEACON_PROPOSER,
    transition::{TransitionError, ensure},
    types::{preset::*, *},
};

/// The largest of the random numbers that effective balances are compared with, since Electra.
const MAX_RANDOM_VALUE: u64 = u16::MAX as u64;
/// Random numbers in one hash.
const RANDOM_VALUES_PER_HASH: u64 = 16;

/// A seed's random numbers of 16 bits, in order.
pub(super) struct RandomValues {
    seed: Hash256,
    next: u64,
    hash: [u8; 32],
}

impl RandomValues {
    pub(super) fn new(seed: Hash256) -> Self {
        RandomValues { seed, next: 0, hash: [0; 32] }
    }
}

impl Iterator for RandomValues {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.next.is_multiple_of(RANDOM_VALUES_PER_HASH) {
            self.hash = hash_with_number(self.seed, self.next / RANDOM_VALUES_PER_HASH);
        }
        let offset = (self.next % RANDOM_VALUES_PER_HASH * 2) as usize;
        self.next += 1;
        Some(u64::from(u16::from_le_bytes([self.hash[offset], self.hash[offset + 1]])))
    }
}

/// Whether a candidate of this balance is taken, which has a chance of its balance over the largest possible.
pub(super) fn is_drawn(effective_balance: Gwei, random_value: u64) -> bool {
    u128::from(effective_balance) * u128::from(MAX_RANDOM_VALUE)
        >= u128::from(MAX_EFFECTIVE_BALANCE_ELECTRA) * u128::from(random_value)
}

/// `hash(seed + uint_to_bytes(number))`
fn hash_with_number(seed: Hash256, number: u64) -> [u8; 32] {
    let mut bytes = [0; 40];
    bytes[..32].copy_from_slice(seed.as_slice());
    bytes[32..].copy_from_slice(&number.to_le_bytes());
    hash_fixed(&bytes)
}

/// A random one of `indices`, drawn by effective balance.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-compute_proposer_index>
pub fn compute_proposer_index(
    state: &BeaconState,
    indices: &[u32],
    seed: Hash256,
) -> Result<ValidatorIndex, TransitionError> {
    ensure(!indices.is_empty(), "proposer", "somebody must be active")?;
    let total = indices.len() as u64;
    let shuffler = Shuffler::new(seed, total);
    for (i, random_value) in RandomValues::new(seed).enumerate() {
        let candidate = indices[shuffler.compute_shuffled_index(i as u64 % total) as usize];
        if is_drawn(state.validators.effective_balance(candidate as usize), random_value) {
            return Ok(candidate.into());
        }
    }
    unreachable!("the random numbers never end")
}

/// The proposers of an epoch's slots.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#new-get_beacon_proposer_indices>
pub fn get_beacon_proposer_indices(state: &BeaconState, epoch: Epoch) -> Result<Vec<ValidatorIndex>, TransitionError> {
    let indices = get_active_validator_indices(state, epoch);
    let seed = get_seed(state, epoch, DOMAIN_BEACON_PROPOSER);
    let start_slot = compute_start_slot_at_epoch(epoch);
    let slots = start_slot..start_slot.saturating_add(SLOTS_PER_EPOCH);
    slots.map(|slot| compute_proposer_index(state, &indices, hash_with_number(seed, slot).into())).collect()
}

/// The proposer of the state's slot: from the lookahead in Fulu; in Electra it is drawn anew by each call.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#modified-get_beacon_proposer_index>
pub fn get_beacon_proposer_index(state: &BeaconState) -> Result<ValidatorIndex, TransitionError> {
    if state.fork_name >= ForkName::Fulu {
        return Ok(state.proposer_lookahead[(state.slot % SLOTS_PER_EPOCH) as usize]);
    }
    let epoch = state.current_epoch();
    let seed = hash_with_number(get_seed(state, epoch, DOMAIN_BEACON_PROPOSER), state.slot).into();
    compute_proposer_index(state, &get_active_validator_indices(state, epoch), seed)
}
