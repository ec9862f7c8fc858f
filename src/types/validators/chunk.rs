//! A chunk of the registry's columns, for scans.

use std::collections::BTreeMap;

use super::{CHUNK, Epoch, Gwei, Validator, Validators, wide_balance, wide_epoch};

/// The validators of one chunk, whose first has the index `number * CHUNK`. Its functions count from there, and panic
/// beyond its end, as a slice does.
#[derive(Clone, Copy)]
pub struct RegistryChunk<'a> {
    first: usize,
    effective_balances: &'a [u16],
    slashed: &'a [bool],
    activation_eligibility_epochs: &'a [u32],
    activation_epochs: &'a [u32],
    exit_epochs: &'a [u32],
    withdrawable_epochs: &'a [u32],
    misfits: &'a BTreeMap<usize, Validator>,
}

/// The columns of a chunk as they are in memory, for loops that the compiler can turn into wide instructions: effective
/// balances in whole increments, epochs in 32 bits with `u32::MAX` for the far future. All are of the same length.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // named as the registry's fields
pub struct NarrowChunk<'a> {
    pub effective_balances: &'a [u16],
    pub slashed: &'a [bool],
    pub activation_eligibility_epochs: &'a [u32],
    pub activation_epochs: &'a [u32],
    pub exit_epochs: &'a [u32],
    pub withdrawable_epochs: &'a [u32],
}

impl Validators {
    /// The chunk with this number, beside the chunks of the other lists that have an item for each validator.
    ///
    /// # Panics
    /// When the registry ends before it.
    pub fn chunk(&self, number: usize) -> RegistryChunk<'_> {
        RegistryChunk {
            first: number * CHUNK,
            effective_balances: self.effective_balances.slice(number),
            slashed: self.slashed.slice(number),
            activation_eligibility_epochs: self.activation_eligibility_epochs.slice(number),
            activation_epochs: self.activation_epochs.slice(number),
            exit_epochs: self.exit_epochs.slice(number),
            withdrawable_epochs: self.withdrawable_epochs.slice(number),
            misfits: &self.misfits,
        }
    }

    /// All chunks in order.
    pub fn chunks(&self) -> impl Iterator<Item = RegistryChunk<'_>> {
        (0..self.len().div_ceil(CHUNK)).map(|number| self.chunk(number))
    }
}

impl<'a> RegistryChunk<'a> {
    /// Index in the registry of this chunk's first validator.
    pub fn first(&self) -> usize {
        self.first
    }

    /// Its number, by which the other lists' chunks beside it are found.
    pub fn number(&self) -> usize {
        self.first / CHUNK
    }

    /// How many validators it has: all chunks are full but perhaps the last.
    pub fn len(&self) -> usize {
        self.slashed.len()
    }

    /// Never: there is no empty chunk.
    pub fn is_empty(&self) -> bool {
        self.slashed.is_empty()
    }

    /// See [`Validators::effective_balance`].
    pub fn effective_balance(&self, i: usize) -> Gwei {
        self.misfit(i).map_or_else(|| wide_balance(self.effective_balances[i]), |v| v.effective_balance)
    }

    /// See [`Validators::slashed`].
    pub fn slashed(&self, i: usize) -> bool {
        self.slashed[i]
    }

    /// Whether anybody in it was slashed.
    pub fn any_slashed(&self) -> bool {
        self.slashed.contains(&true)
    }

    /// See [`Validators::exit_epoch`].
    pub fn exit_epoch(&self, i: usize) -> Epoch {
        self.misfit(i).map_or_else(|| wide_epoch(self.exit_epochs[i]), |v| v.exit_epoch)
    }

    /// See [`Validators::withdrawable_epoch`].
    pub fn withdrawable_epoch(&self, i: usize) -> Epoch {
        self.misfit(i).map_or_else(|| wide_epoch(self.withdrawable_epochs[i]), |v| v.withdrawable_epoch)
    }

    /// See [`Validators::is_active`].
    pub fn is_active(&self, i: usize, epoch: Epoch) -> bool {
        let (activation, exit) = match self.misfit(i) {
            Some(v) => (v.activation_epoch, v.exit_epoch),
            None => (wide_epoch(self.activation_epochs[i]), wide_epoch(self.exit_epochs[i])),
        };
        activation <= epoch && epoch < exit
    }

    /// Who is active in `epoch`; false beyond the chunk's end. Without a branch for each.
    pub fn active_in(&self, epoch: Epoch) -> [bool; CHUNK] {
        let mut active = [false; CHUNK];
        match (self.narrow(), u32::try_from(epoch)) {
            (Some(narrow), Ok(epoch)) => {
                let epochs = narrow.activation_epochs.iter().zip(narrow.exit_epochs);
                for (active, (activation, exit)) in active.iter_mut().zip(epochs) {
                    *active = (*activation <= epoch) & (epoch < *exit);
                }
            }
            _ => active[..self.len()].iter_mut().enumerate().for_each(|(i, active)| *active = self.is_active(i, epoch)),
        }
        active
    }

    /// The columns themselves; none when a record of this chunk does not fit them.
    pub fn narrow(&self) -> Option<NarrowChunk<'a>> {
        let has_misfit = self.misfits.range(self.first..self.first + self.len()).next().is_some();
        (!has_misfit).then_some(NarrowChunk {
            effective_balances: self.effective_balances,
            slashed: self.slashed,
            activation_eligibility_epochs: self.activation_eligibility_epochs,
            activation_epochs: self.activation_epochs,
            exit_epochs: self.exit_epochs,
            withdrawable_epochs: self.withdrawable_epochs,
        })
    }

    fn misfit(&self, i: usize) -> Option<&Validator> {
        if self.misfits.is_empty() { None } else { self.misfits.get(&(self.first + i)) }
    }
}
