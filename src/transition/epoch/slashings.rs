//! Slashings: the penalty that grows with what was slashed around the same time.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_slashings>

use crate::{
    transition::{TransitionError, checked_sum, get_total_active_balance},
    types::{preset::*, *},
};

/// Walks over the registry once, and only if something was slashed lately.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#slashings>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_slashings>
pub fn process_slashings(state: &mut BeaconState) -> Result<(), TransitionError> {
    let Some(terms) = SlashingTerms::new(state)? else { return Ok(()) };
    let mut scratch = Vec::new();
    for chunk in state.validators.chunks().filter(|chunk| chunk.any_slashed()) {
        state.balances.update_chunk(chunk.number(), &mut scratch, |balances| terms.charge(&chunk, balances))?;
    }
    Ok(())
}

/// What all slashed validators' penalties have in common.
pub(super) struct SlashingTerms {
    is_electra: bool,
    total_balance: Gwei,
    adjusted_total: Gwei,
    middle_of_wait: Epoch,
}

impl SlashingTerms {
    /// Of the state at its epoch's end; none if nobody has to pay.
    pub fn new(state: &mut BeaconState) -> Result<Option<Self>, TransitionError> {
        let total_balance = get_total_active_balance(state)?;
        let slashed =
            state.slashings.iter().try_fold(0, |sum, slashed| checked_sum(sum, *slashed, "the slashed balance"))?;
        let multiplier = match state.fork_name {
            ForkName::Phase0 => PROPORTIONAL_SLASHING_MULTIPLIER,
            ForkName::Altair => PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR,
            _ => PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX,
        };
        let multiplied = slashed.checked_mul(multiplier);
        let adjusted_total = multiplied.ok_or(TransitionError::Overflow("the slashed balance"))?.min(total_balance);
        let terms = SlashingTerms {
            is_electra: state.fork_name >= ForkName::Electra,
            total_balance,
            adjusted_total,
            middle_of_wait: state.current_epoch() + EPOCHS_PER_SLASHINGS_VECTOR as u64 / 2,
        };
        Ok((adjusted_total > 0).then_some(terms))
    }

    /// Takes the penalties of a chunk's validators from their balances.
    pub fn charge(&self, chunk: &RegistryChunk<'_>, balances: &mut [Gwei]) -> Result<(), TransitionError> {
        for (i, balance) in balances.iter_mut().enumerate() {
            if chunk.slashed(i) && chunk.withdrawable_epoch(i) == self.middle_of_wait {
                let penalty = self.penalty(chunk.effective_balance(i));
                *balance = balance.saturating_sub(penalty.ok_or(TransitionError::Overflow("a slashing penalty"))?);
            }
        }
        Ok(())
    }

    /// Before Electra a penalty is rounded after it was multiplied out, since then before.
    fn penalty(&self, effective_balance: Gwei) -> Option<Gwei> {
        let increments = effective_balance / EFFECTIVE_BALANCE_INCREMENT;
        if self.is_electra {
            let per_increment = self.adjusted_total / (self.total_balance / EFFECTIVE_BALANCE_INCREMENT);
            per_increment.checked_mul(increments)
        } else {
            let numerator = increments.checked_mul(self.adjusted_total)?;
            Some(numerator / self.total_balance * EFFECTIVE_BALANCE_INCREMENT)
        }
    }
}
