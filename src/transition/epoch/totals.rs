//! How much stake took part: counted in one walk over the registry, and remembered.

use super::standing::{ACTIVE_IN_CURRENT, ACTIVE_IN_PREVIOUS, Epochs, SLASHED, Standings};
use crate::{
    transition::{TransitionError, checked_sum, ensure, has_flag},
    types::{preset::*, *},
};

/// Effective balances in Gwei of the active validators that are not slashed and have a flag; at least one increment each.
///
/// The specification collects the validators' indices first, and again in each function.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#get_unslashed_participating_indices>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParticipationTotals {
    /// In the previous epoch, by flag.
    pub previous: [Gwei; PARTICIPATION_FLAG_WEIGHTS.len()],
    /// With the target flag, in the current epoch.
    pub current_target: Gwei,
}

impl ParticipationTotals {
    /// Of the state as it is, from the sums that it remembers if nothing has changed since; counts and notes them otherwise.
    ///
    /// # Errors
    /// As [`ParticipationTotals::new`].
    pub fn of(state: &mut BeaconState) -> Result<Self, TransitionError> {
        ensure_complete(state)?;
        let sums = match state.participation_sums() {
            Some(sums) => sums,
            None => {
                let sums = count_participation(state)?;
                state.note_participation_sums(state.current_epoch(), sums);
                sums
            }
        };
        Ok(sums.into())
    }

    /// Of the state as it is, counted.
    ///
    /// # Errors
    /// When a sum overflows, or when not every validator has a place in each list: the specification would miss an index.
    pub fn new(state: &BeaconState) -> Result<Self, TransitionError> {
        Ok(count_participation(state)?.into())
    }
}

impl From<ParticipationSums> for ParticipationTotals {
    fn from(sums: ParticipationSums) -> Self {
        let at_least_one = |sum: Gwei| EFFECTIVE_BALANCE_INCREMENT.max(sum);
        ParticipationTotals {
            previous: sums.previous.map(at_least_one),
            current_target: at_least_one(sums.current[TIMELY_TARGET_FLAG_INDEX]),
        }
    }
}

/// Sums up the participating balances of both epochs. Walks the whole registry.
///
/// # Errors
/// As [`ParticipationTotals::new`].
pub fn count_participation(state: &BeaconState) -> Result<ParticipationSums, TransitionError> {
    ensure_complete(state)?;
    let epochs = Epochs::around(state.current_epoch());
    let mut sums = ParticipationSums::default();
    let participation = [&state.previous_epoch_participation, &state.current_epoch_participation];
    for chunk in state.validators.chunks() {
        let [previous, current] = participation.map(|flags| flags.items().slice(chunk.number()));
        let standings = Standings::of(&chunk, &epochs);
        add_chunk(&mut sums.previous, &chunk, &standings, ACTIVE_IN_PREVIOUS, previous)?;
        add_chunk(&mut sums.current, &chunk, &standings, ACTIVE_IN_CURRENT, current)?;
    }
    Ok(sums)
}

/// Every list that has an item for each validator must have one.
fn ensure_complete(state: &BeaconState) -> Result<(), TransitionError> {
    let lengths = [
        state.balances.len(),
        state.inactivity_scores.len(),
        state.previous_epoch_participation.len(),
        state.current_epoch_participation.len(),
    ];
    let complete = lengths.iter().all(|len| *len == state.validators.len());
    ensure(complete, "epoch", "every validator must have a balance, flags and a score")
}

/// Adds a chunk's validators that are active, as the bit says, and not slashed.
pub(super) fn add_chunk(
    sums: &mut [Gwei; PARTICIPATION_FLAG_WEIGHTS.len()],
    chunk: &RegistryChunk<'_>,
    standings: &Standings,
    active: u8,
    flags: &[ParticipationFlags],
) -> Result<(), TransitionError> {
    if flags.iter().all(|flags| *flags == 0) {
        return Ok(());
    }
    let counts = |bits: u8| bits & (active | SLASHED) == active;
    let Some(narrow) = chunk.narrow() else {
        for (i, (bits, flags)) in standings.bits().iter().zip(flags).enumerate() {
            for (flag, sum) in sums.iter_mut().enumerate() {
                if counts(*bits) && has_flag(*flags, flag) {
                    *sum = checked_sum(*sum, chunk.effective_balance(i), "the participating balance")?;
                }
            }
        }
        return Ok(());
    };
    let mut increments = [0u32; PARTICIPATION_FLAG_WEIGHTS.len()];
    for ((bits, flags), own) in standings.bits().iter().zip(flags).zip(narrow.effective_balances) {
        let own = if counts(*bits) { u32::from(*own) } else { 0 };
        for (flag, sum) in increments.iter_mut().enumerate() {
            // Far from wrapping: a chunk of numbers of 16 bits.
            *sum = sum.wrapping_add(if has_flag(*flags, flag) { own } else { 0 });
        }
    }
    for (sum, increments) in sums.iter_mut().zip(increments) {
        let more = u64::from(increments) * EFFECTIVE_BALANCE_INCREMENT;
        *sum = checked_sum(*sum, more, "the participating balance")?;
    }
    Ok(())
}
