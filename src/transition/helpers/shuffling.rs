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
            let source = source(self.seed, round as u8, position / BITS_PER_HASH);
            if source[position % BITS_PER_HASH / 8] >> (position % 8) & 1 == 1 { flip } else { index }
        })
    }
}

/// Shuffles a whole list in place: item `i` of the result is item `compute_shuffled_index(i)` of the list.
///
/// A round swaps the pairs that mirror each other around its pivot. Rounds run from the last to the first, because the
/// result is the list after the last round's mapping after ... after the first's; each hash serves 256 positions. A million
/// items cost 45 ms, a quarter of it for hashes.
pub fn shuffle_list(list: &mut [u32], seed: Hash256) {
    if list.len() < 2 {
        return;
    }
    assert!((list.len() as u64) < MAX_LENGTH, "a list of {} items cannot be shuffled", list.len());
    // A byte more than the hashes, for those who read two at the end.
    let mut bits = vec![0; list.len().div_ceil(BITS_PER_HASH) * BITS_PER_HASH / 8 + 1];
    for round in (0..SHUFFLE_ROUND_COUNT as u8).rev() {
        let pivot = pivot(seed, round, list.len() as u64) as usize;
        let (left, right) = list.split_at_mut(pivot + 1);
        swap_mirrored(left, 0, &mut bits, seed, round);
        swap_mirrored(right, pivot + 1, &mut bits, seed, round);
    }
}

/// Swaps or not each item of `part`, whose first position is `first`, with the one that mirrors it in `part`; the bit is that
/// of the higher position. `bits` has room for those of the whole list.
///
/// Whether a pair is swapped is a coin's toss: a jump would be foreseen wrongly half of the time, so pairs are swapped by a
/// mask instead, eight at once.
fn swap_mirrored(part: &mut [u32], first: usize, bits: &mut [u8], seed: Hash256, round: u8) {
    let pairs = part.len() / 2;
    if pairs == 0 {
        return;
    }
    let (end, first_high) = (first + part.len(), first + part.len() - pairs);
    for block in first_high / BITS_PER_HASH..=(end - 1) / BITS_PER_HASH {
        bits[block * BITS_PER_HASH / 8..][..BITS_PER_HASH / 8].copy_from_slice(&source(seed, round, block));
    }
    let (low, rest) = part.split_at_mut(pairs);
    // An item in the middle is its own mirror image.
    let middle = rest.len() - pairs;
    let (low, low_end) = low.as_chunks_mut();
    let (high_start, high) = rest[middle..].as_rchunks_mut();
    let mut position = end;
    for (low, high) in low.iter_mut().zip(high.iter_mut().rev()) {
        position -= low.len();
        let two = u16::from_le_bytes([bits[position / 8], bits[position / 8 + 1]]);
        swap_eight(low, high, (two >> (position % 8)) as u8);
    }
    for (low, high) in low_end.iter_mut().zip(high_start.iter_mut().rev()) {
        position -= 1;
        if bits[position / 8] >> (position % 8) & 1 == 1 {
            std::mem::swap(low, high);
        }
    }
}

/// Swaps the items of `high` whose bit is set with those that mirror them in `low`.
fn swap_eight(low: &mut [u32; 8], high: &mut [u32; 8], bits: u8) {
    for i in 0..8 {
        let mask = if bits & 1 << i == 0 { 0 } else { u32::MAX };
        let change = (low[7 - i] ^ high[i]) & mask;
        low[7 - i] ^= change;
        high[i] ^= change;
    }
}

fn pivot(seed: Hash256, round: u8, count: u64) -> u64 {
    let mut bytes = [0; 33];
    bytes[..32].copy_from_slice(seed.as_slice());
    bytes[32] = round;
    let hash = hash_fixed(&bytes);
    u64::from_le_bytes(hash[..8].try_into().expect("eight bytes")) % count
}

/// The bits of the positions from `block * BITS_PER_HASH` on.
fn source(seed: Hash256, round: u8, block: usize) -> [u8; 32] {
    let mut bytes = [0; 37];
    bytes[..32].copy_from_slice(seed.as_slice());
    bytes[32] = round;
    bytes[33..].copy_from_slice(&(block as u32).to_le_bytes());
    hash_fixed(&bytes)
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
        for count in [1, 2, 3, 15, 16, 17, 18, 255, 256, 257, 511, 1000, 1111] {
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
