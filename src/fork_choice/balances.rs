//! What fork choice needs of a checkpoint's state: effective balances, and who counts.

use std::sync::Arc;

use crate::types::{
    BeaconState, Gwei, NarrowChunk, ValidatorIndex,
    preset::{EFFECTIVE_BALANCE_INCREMENT, SLOTS_PER_EPOCH},
};

/// Balances that are shared or not shared together: 2 KB.
pub(super) const CHUNK: usize = 1024;
/// Set for a validator that is active and not slashed: its vote has weight.
const COUNTS: u16 = 1 << 15;
/// Set for a validator that is active, slashed or not.
const ACTIVE: u16 = 1 << 14;
/// Below the two are whole increments, of which a validator has at most 2,048.
const INCREMENTS: u16 = ACTIVE - 1;

/// The effective balances of a checkpoint's state, in two bytes a validator. Equal chunks of several checkpoints are
/// shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    pub(super) chunks: Vec<Arc<[u16]>>,
    /// Of all active validators, slashed ones too, in Gwei. Spec: `get_total_active_balance`.
    pub total_active_balance: Gwei,
}

impl Balances {
    /// The balances of the state at its own epoch. Walks the whole registry.
    pub fn of_state(state: &BeaconState) -> Balances {
        let epoch = state.current_epoch();
        let mut builder = Builder::default();
        for chunk in state.validators.chunks() {
            let active = chunk.active_in(epoch);
            match chunk.narrow() {
                Some(narrow) => builder.add_narrow(&narrow, &active),
                None => {
                    (0..chunk.len()).for_each(|i| builder.add(chunk.effective_balance(i), active[i], chunk.slashed(i)))
                }
            }
        }
        builder.finish()
    }

    /// From (effective balance in Gwei, active, slashed) of each validator.
    #[cfg(test)]
    pub(super) fn collect(records: impl Iterator<Item = (Gwei, bool, bool)>) -> Balances {
        let mut builder = Builder::default();
        records.for_each(|(balance, is_active, is_slashed)| builder.add(balance, is_active, is_slashed));
        builder.finish()
    }

    /// The weight of a validator's vote in Gwei: zero if it is slashed, not active or unknown.
    pub fn weight(&self, index: ValidatorIndex) -> Gwei {
        self.entry(index).filter(|entry| entry & COUNTS != 0).map_or(0, gwei)
    }

    /// A validator's effective balance in Gwei, whether its vote counts or not; zero if it is unknown.
    pub fn effective_balance(&self, index: ValidatorIndex) -> Gwei {
        self.entry(index).map_or(0, gwei)
    }

    /// The effective balance in Gwei of an active validator, slashed or not; zero for all others.
    pub fn active_balance(&self, index: ValidatorIndex) -> Gwei {
        self.entry(index).filter(|entry| entry & ACTIVE != 0).map_or(0, gwei)
    }

    /// A percentage of the average weight of a slot's committees.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/fork-choice.md#calculate_committee_fraction>
    pub(super) fn calculate_committee_fraction(&self, committee_percent: u64) -> Gwei {
        let committee_weight = self.total_active_balance / SLOTS_PER_EPOCH;
        (u128::from(committee_weight) * u128::from(committee_percent) / 100) as Gwei
    }

    /// The weights of all validators, in order.
    pub(super) fn weights(&self) -> impl Iterator<Item = Gwei> + '_ {
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.iter())
            .map(|&entry| if entry & COUNTS != 0 { gwei(entry) } else { 0 })
    }

    /// The effective balances of all active validators, in no particular order.
    pub(super) fn active_balances(&self) -> impl Iterator<Item = Gwei> + '_ {
        let entries = self.chunks.iter().flat_map(|chunk| chunk.iter());
        entries.filter(|entry| **entry & (ACTIVE | COUNTS) != 0).map(|entry| gwei(*entry))
    }

    /// Uses the chunks of `other` wherever they are equal, so that both take little more memory than one.
    pub(super) fn share_with(&mut self, other: &Balances) {
        for (ours, theirs) in self.chunks.iter_mut().zip(&other.chunks) {
            if ours == theirs {
                *ours = theirs.clone();
            }
        }
    }

    fn entry(&self, index: ValidatorIndex) -> Option<u16> {
        let index = usize::try_from(index).ok()?;
        self.chunks.get(index / CHUNK)?.get(index % CHUNK).copied()
    }
}

/// Collects balances, validator by validator.
#[derive(Default)]
struct Builder {
    entries: Vec<u16>,
    chunks: Vec<Arc<[u16]>>,
    total: Gwei,
}

impl Builder {
    fn add(&mut self, balance: Gwei, is_active: bool, is_slashed: bool) {
        let increments = (balance / EFFECTIVE_BALANCE_INCREMENT).min(u64::from(INCREMENTS)) as u16;
        self.entries.push(entry(increments, is_active, is_slashed));
        self.total += if is_active { balance } else { 0 };
        self.cut();
    }

    /// As `add` for all of a chunk, without a branch for each.
    fn add_narrow(&mut self, chunk: &NarrowChunk<'_>, active: &[bool]) {
        let mut total = 0u64;
        let validators = active.iter().zip(chunk.slashed).zip(chunk.effective_balances);
        self.entries.extend(validators.map(|((is_active, is_slashed), increments)| {
            // Far from wrapping: a chunk of numbers of 16 bits.
            total = total.wrapping_add(if *is_active { u64::from(*increments) } else { 0 });
            entry((*increments).min(INCREMENTS), *is_active, *is_slashed)
        }));
        self.total += total * EFFECTIVE_BALANCE_INCREMENT;
        self.cut();
    }

    /// Puts away what fills a chunk.
    fn cut(&mut self) {
        while self.entries.len() >= CHUNK {
            self.chunks.push(Arc::from(&self.entries[..CHUNK]));
            self.entries.drain(..CHUNK);
        }
    }

    fn finish(mut self) -> Balances {
        if !self.entries.is_empty() {
            self.chunks.push(Arc::from(self.entries.as_slice()));
        }
        Balances { chunks: self.chunks, total_active_balance: self.total.max(EFFECTIVE_BALANCE_INCREMENT) }
    }
}

fn entry(increments: u16, is_active: bool, is_slashed: bool) -> u16 {
    increments | if is_active { ACTIVE } else { 0 } | if is_active & !is_slashed { COUNTS } else { 0 }
}

fn gwei(entry: u16) -> Gwei {
    Gwei::from(entry & INCREMENTS) * EFFECTIVE_BALANCE_INCREMENT
}
