//! What the validators of a chunk are at an epoch's end.

use super::rewards::is_eligible;
use crate::{
    ssz::CHUNK,
    types::{Epoch, NarrowChunk, ParticipationFlags, RegistryChunk, preset::PARTICIPATION_FLAG_WEIGHTS},
};

/// Active in the previous epoch.
pub(super) const ACTIVE_IN_PREVIOUS: u8 = 1;
/// Active in the epoch that ends.
pub(super) const ACTIVE_IN_CURRENT: u8 = 2;
/// Active in the epoch that begins: what the end of this one changes takes effect later.
pub(super) const ACTIVE_IN_NEXT: u8 = 4;
/// Slashed.
pub(super) const SLASHED: u8 = 8;
/// To be paid for the previous epoch. Spec: `get_eligible_validator_indices`.
pub(super) const ELIGIBLE: u8 = 16;

/// All flags that mean something.
const FLAGS: ParticipationFlags = (1 << PARTICIPATION_FLAG_WEIGHTS.len()) - 1;

/// A byte of bits for each validator of a chunk.
pub(super) struct Standings {
    bits: [u8; CHUNK],
    len: usize,
}

/// The three epochs that a standing is about.
#[derive(Clone, Copy)]
pub(super) struct Epochs {
    previous: Epoch,
    current: Epoch,
    next: Epoch,
}

impl Epochs {
    /// Around an epoch that ends.
    pub fn around(current: Epoch) -> Epochs {
        Epochs { previous: current.saturating_sub(1), current, next: current.saturating_add(1) }
    }

    /// In the registry's 32 bits, if they fit and none is the far future.
    fn narrow(&self) -> Option<[u32; 3]> {
        let next = u32::try_from(self.next).ok().filter(|next| *next < u32::MAX)?;
        Some([self.previous as u32, self.current as u32, next])
    }
}

impl Standings {
    /// Of the validators of a chunk.
    pub fn of(chunk: &RegistryChunk<'_>, epochs: &Epochs) -> Standings {
        let mut standings = Standings { bits: [0; CHUNK], len: chunk.len() };
        match (chunk.narrow(), epochs.narrow()) {
            (Some(narrow), Some(epochs)) => standings.look(&narrow, epochs),
            _ => {
                for (i, bits) in standings.bits[..chunk.len()].iter_mut().enumerate() {
                    *bits = standing(chunk, i, epochs);
                }
            }
        }
        standings
    }

    /// As [`standing`] for all, without a branch for each.
    fn look(&mut self, chunk: &NarrowChunk<'_>, [previous, current, next]: [u32; 3]) {
        let epochs = chunk.activation_epochs.iter().zip(chunk.exit_epochs);
        for (bits, (activation, exit)) in self.bits.iter_mut().zip(epochs) {
            let if_active = |epoch: u32, bit: u8| if (*activation <= epoch) & (epoch < *exit) { bit } else { 0 };
            *bits = if_active(previous, ACTIVE_IN_PREVIOUS | ELIGIBLE)
                | if_active(current, ACTIVE_IN_CURRENT)
                | if_active(next, ACTIVE_IN_NEXT);
        }
        if chunk.slashed.contains(&true) {
            let slashed = chunk.slashed.iter().zip(chunk.withdrawable_epochs);
            for (bits, (_, withdrawable)) in self.bits.iter_mut().zip(slashed).filter(|(_, (slashed, _))| **slashed) {
                let waits = previous + 1 < *withdrawable;
                *bits |= SLASHED | if waits { ELIGIBLE } else { 0 };
            }
        }
    }

    /// The validators' bits, in order.
    pub fn bits(&self) -> &[u8] {
        &self.bits[..self.len]
    }

    /// Whether anybody has any of these bits.
    pub fn any(&self, bits: u8) -> bool {
        self.bits.iter().fold(0, |all, own| all | own) & bits != 0
    }
}

/// The bits of one validator, whatever its record.
pub(super) fn standing(chunk: &RegistryChunk<'_>, i: usize, epochs: &Epochs) -> u8 {
    let bit = |holds, bit| if holds { bit } else { 0 };
    bit(chunk.is_active(i, epochs.previous), ACTIVE_IN_PREVIOUS)
        | bit(chunk.is_active(i, epochs.current), ACTIVE_IN_CURRENT)
        | bit(chunk.is_active(i, epochs.next), ACTIVE_IN_NEXT)
        | bit(chunk.slashed(i), SLASHED)
        | bit(is_eligible(chunk, i, epochs.previous), ELIGIBLE)
}

/// The flags of the previous epoch that count for a validator: none if it is slashed or was not active.
/// Spec: `get_unslashed_participating_indices`.
pub(super) fn counted_flags(bits: u8, flags: ParticipationFlags) -> ParticipationFlags {
    if bits & (ACTIVE_IN_PREVIOUS | SLASHED) == ACTIVE_IN_PREVIOUS { flags & FLAGS } else { 0 }
}
