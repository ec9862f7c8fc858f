//! Shuffling: who is in which committee.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#compute_shuffled_permutation>

use std::sync::Arc;

use ethereum_hashing::hash_fixed;

use super::{get_active_validator_indices, get_seed};
use crate::{
    crypto::DOMAIN_BEACON_ATTESTER,
    transition::{TransitionError, ensure},
    types::{preset::*, *},
};

/// The specification's limit on lists that are shuffled.
const MAX_LENGTH: u64 = 1 << 40;

/// Positions that one hash has a bit for.
const BITS_PER_HASH: usize = 256;

/// One seed's swap-or-not rounds over lists of one length, for single indices.
pub struct Shuffler {
    seed: Hash256,
    count: u64,
    pivots: [u64; SHUFFLE_ROUND_COUNT as usize],
}

impl Shuffler {
    /// For lists of `count` items, at least one.
    pub fn new(seed: Hash256, count: u64) -> Self {
        assert!((1..MAX_LENGTH).contains(&count), "a list of {count} items cannot be shuffled");
        let mut round = 0;
        let pivots = [(); SHUFFLE_ROUND_COUNT as usize].map(|()| {
            round += 1;
            pivot(seed, round - 1, count)
        });
        Shuffler { seed, count, pivots }
    }

    /// Where `index` goes. The pivots are computed once for all indices.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#compute_shuffled_index>
    pub fn compute_shuffled_index(&self, index: u64) -> u64 {
        self.pivots.iter().enumerate().fold(index, |index, (round, pivot)| {
            let flip = (pivot + self.count - index) % self.count;
            let position = index.max(flip) as usize;
            if bit(&source(self.seed, round as u8, position), position) { flip } else { index }
        })
    }
}

/// Shuffles a whole list in place: item `i` of the result is item `compute_shuffled_index(i)` of the list.
///
/// A round swaps the pairs that mirror each other around its pivot. Rounds run from the last to the first, because the
/// result is the list after the last round's mapping after ... after the first's; each hash serves 256 positions.
pub fn shuffle_list(list: &mut [u32], seed: Hash256) {
    if list.len() < 2 {
        return;
    }
    assert!((list.len() as u64) < MAX_LENGTH, "a list of {} items cannot be shuffled", list.len());
    for round in (0..SHUFFLE_ROUND_COUNT as u8).rev() {
        let pivot = pivot(seed, round, list.len() as u64) as usize;
        swap_mirrored(list, 0, pivot, seed, round);
        swap_mirrored(list, pivot + 1, list.len() - 1, seed, round);
    }
}

/// Swaps or not each pair at equal distances from `low` and `high`; the bit is that of the higher position.
fn swap_mirrored(list: &mut [u32], low: usize, high: usize, seed: Hash256, round: u8) {
    let (mut low, mut high) = (low, high);
    while low < high {
        let source = source(seed, round, high);
        let first_of_hash = high - high % BITS_PER_HASH;
        while low < high && high >= first_of_hash {
            if bit(&source, high) {
                list.swap(low, high);
            }
            low += 1;
            high -= 1;
        }
    }
}

fn pivot(seed: Hash256, round: u8, count: u64) -> u64 {
    let mut bytes = [0; 33];
    bytes[..32].copy_from_slice(seed.as_slice());
    bytes[32] = round;
    let hash = hash_fixed(&bytes);
    u64::from_le_bytes(hash[..8].try_into().expect("eight bytes")) % count
}

fn source(seed: Hash256, round: u8, position: usize) -> [u8; 32] {
    let mut bytes = [0; 37];
    bytes[..32].copy_from_slice(seed.as_slice());
    bytes[32] = round;
    bytes[33..].copy_from_slice(&((position / BITS_PER_HASH) as u32).to_le_bytes());
    hash_fixed(&bytes)
}

fn bit(source: &[u8; 32], position: usize) -> bool {
    source[position % BITS_PER_HASH / 8] >> (position % 8) & 1 == 1
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_committee_count_per_slot>
pub fn get_committee_count_per_slot(active_validators: u64) -> u64 {
    (active_validators / SLOTS_PER_EPOCH / TARGET_COMMITTEE_SIZE).clamp(1, MAX_COMMITTEES_PER_SLOT as u64)
}

/// The committees of `epoch`, which may be the next one at the latest; remembered in the state.
///
/// The next epoch's committees are known: its seed is older than the current epoch, and nobody joins or leaves so soon.
pub fn get_shuffling(state: &mut BeaconState, epoch: Epoch) -> Result<Arc<Shuffling>, TransitionError> {
    let shuffling = find_shuffling(state, epoch)?;
    if state.caches.shuffling(epoch).is_none() {
        state.caches.remember(shuffling.clone());
    }
    Ok(shuffling)
}

/// As [`get_shuffling`], for a state that cannot be written to: what is not remembered is computed each time.
pub fn find_shuffling(state: &BeaconState, epoch: Epoch) -> Result<Arc<Shuffling>, TransitionError> {
    if let Some(known) = state.caches.shuffling(epoch) {
        return Ok(known.clone());
    }
    let current = state.current_epoch();
    ensure(epoch <= current.saturating_add(1), "committees", "the epoch must not be after the state's next")?;
    let oldest = current.saturating_sub(EPOCHS_PER_HISTORICAL_VECTOR as u64 - MIN_SEED_LOOKAHEAD - 2);
    ensure(epoch >= oldest, "committees", "the epoch's seed must still be in the state")?;
    let seed = get_seed(state, epoch, DOMAIN_BEACON_ATTESTER);
    let mut shuffled = get_active_validator_indices(state, epoch);
    shuffle_list(&mut shuffled, seed);
    let committees_per_slot = get_committee_count_per_slot(shuffled.len() as u64);
    Ok(Arc::new(Shuffling::new(epoch, seed, shuffled, committees_per_slot)))
}

/// The members of a committee; `index` counts within the slot.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_beacon_committee>
pub fn get_beacon_committee(
    state: &mut BeaconState,
    slot: Slot,
    index: CommitteeIndex,
) -> Result<Vec<ValidatorIndex>, TransitionError> {
    let shuffling = get_shuffling(state, compute_epoch_at_slot(slot))?;
    let committee = committee_of(&shuffling, slot, index)?;
    Ok(committee.iter().map(|member| u64::from(*member)).collect())
}

/// A committee of a shuffling, or the error that there is none.
pub fn committee_of(shuffling: &Shuffling, slot: Slot, index: CommitteeIndex) -> Result<&[u32], TransitionError> {
    let none =
        TransitionError::Invalid { operation: "committee", rule: "the slot must have a committee of this index" };
    shuffling.committee(slot, index).ok_or(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_list_is_shuffled_as_its_single_indices() {
        let seed = Hash256::repeat_byte(0x5a);
        for count in [1, 2, 3, 255, 256, 257, 511, 1000] {
            let mut list: Vec<u32> = (0..count).collect();
            shuffle_list(&mut list, seed);
            let shuffler = Shuffler::new(seed, count.into());
            let single: Vec<_> = (0..count.into()).map(|i| shuffler.compute_shuffled_index(i) as u32).collect();
            assert_eq!(list, single, "{count} items");
        }
    }

    #[test]
    fn an_empty_list_stays_empty() {
        let mut list = [];
        shuffle_list(&mut list, Hash256::ZERO);
    }
}
