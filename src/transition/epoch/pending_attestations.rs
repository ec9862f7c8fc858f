//! Who attested to what in phase 0, from the attestations that the state keeps until they are paid for.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#helpers>

use super::ParticipationTotals;
use crate::{
    transition::{
        TransitionError, add_flag, checked_sum, committee_of, ensure, get_block_root, get_block_root_at_slot,
        get_shuffling, has_flag,
    },
    types::{preset::*, *},
};

/// When and by whom a validator's vote was included first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Slots between the vote and its block.
    pub delay: Slot,
    /// Who proposed the block.
    pub proposer_index: ValidatorIndex,
}

/// What phase 0's pending attestations say, collected in one walk over them: the sibling of [`ParticipationTotals`].
///
/// The specification filters the attestations by what they match, and collects the attesters' indices in each function.
/// Here a validator's flags say which of the filtered lists it attests in.
#[derive(Clone, Debug)]
pub struct PendingParticipation {
    /// Sums of effective balances, as later forks have them.
    pub totals: ParticipationTotals,
    /// Of the previous epoch, by validator: a flag each for a matching source, target and head.
    pub(super) previous: Vec<ParticipationFlags>,
    /// Of the previous epoch, by validator: the inclusion of the attestation that was included soonest.
    pub(super) inclusions: Vec<Option<Inclusion>>,
}

impl PendingParticipation {
    /// Of a phase 0 state as it is.
    ///
    /// # Errors
    /// When an attestation does not fit its committee or the state's roots, or a sum overflows.
    pub fn new(state: &mut BeaconState) -> Result<Self, TransitionError> {
        let count = state.validators.len();
        ensure(state.balances.len() == count, "epoch", "every validator must have a balance")?;
        let mut inclusions = vec![None; count];
        let (previous_epoch, current_epoch) = (state.previous_epoch(), state.current_epoch());
        let previous = matching_flags(state, previous_epoch, &mut inclusions)?;
        let current = matching_flags(state, current_epoch, &mut vec![None; count])?;
        let attesting_balance = |flags, flag| get_attesting_balance(&state.validators, flags, flag);
        let mut totals = ParticipationTotals {
            previous: [0; 3],
            current_target: attesting_balance(&current, TIMELY_TARGET_FLAG_INDEX)?,
        };
        for (flag, total) in totals.previous.iter_mut().enumerate() {
            *total = attesting_balance(&previous, flag)?;
        }
        Ok(PendingParticipation { totals, previous, inclusions })
    }
}

/// By validator, whether an attestation of `epoch` has a matching source, target and head; notes the soonest inclusions.
/// Spec: `get_matching_source_attestations`, `get_matching_target_attestations`, `get_matching_head_attestations`.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#helpers>
fn matching_flags(
    state: &mut BeaconState,
    epoch: Epoch,
    inclusions: &mut [Option<Inclusion>],
) -> Result<Vec<ParticipationFlags>, TransitionError> {
    let mut flags_by_validator = vec![0; state.validators.len()];
    let is_current = epoch == state.current_epoch();
    let attestations =
        if is_current { &state.current_epoch_attestations } else { &state.previous_epoch_attestations }.clone();
    for attestation in &attestations {
        let data = &attestation.data;
        // A source that does not match is not included.
        let mut flags = add_flag(0, TIMELY_SOURCE_FLAG_INDEX);
        if data.target.root == get_block_root(state, epoch)? {
            flags = add_flag(flags, TIMELY_TARGET_FLAG_INDEX);
            // No block brings a vote of a slot whose block the state does not know; for justification it may be any.
            if get_block_root_at_slot(state, data.slot).is_ok_and(|root| root == data.beacon_block_root) {
                flags = add_flag(flags, TIMELY_HEAD_FLAG_INDEX);
            }
        }
        let inclusion = Inclusion { delay: attestation.inclusion_delay, proposer_index: attestation.proposer_index };
        let shuffling = get_shuffling(state, compute_epoch_at_slot(data.slot))?;
        for index in pending_attesters(&shuffling, attestation)? {
            flags_by_validator[index as usize] |= flags;
            // Of equally soon ones the first counts.
            let soonest = &mut inclusions[index as usize];
            *soonest = Some(soonest.filter(|known| known.delay <= inclusion.delay).unwrap_or(inclusion));
        }
    }
    Ok(flags_by_validator)
}

/// Who attests, in the committee's order. Spec: `get_attesting_indices`.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_attesting_indices>
///
/// # Errors
/// When there is no such committee, or fewer bits than it has members.
pub fn pending_attesters(shuffling: &Shuffling, attestation: &PendingAttestation) -> Result<Vec<u32>, TransitionError> {
    let PendingAttestation { aggregation_bits, data, .. } = attestation;
    let committee = committee_of(shuffling, data.slot, data.index)?;
    let has_bits = aggregation_bits.len() >= committee.len();
    ensure(has_bits, "pending attestation", "there must be a bit for each member of its committee")?;
    let members = committee.iter().zip(aggregation_bits.iter());
    Ok(members.filter(|(_, bit)| *bit).map(|(member, _)| *member).collect())
}

/// In Gwei, of the unslashed validators that have the flag; at least one increment.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#helpers>
fn get_attesting_balance(
    validators: &Validators,
    flags: &[ParticipationFlags],
    flag_index: usize,
) -> Result<Gwei, TransitionError> {
    let attesting = (0..validators.len()).filter(|index| is_unslashed_attesting(validators, *index, flags, flag_index));
    let sum = attesting
        .map(|index| validators.effective_balance(index))
        .try_fold(0, |sum, balance| checked_sum(sum, balance, "the attesting balance"))?;
    Ok(sum.max(EFFECTIVE_BALANCE_INCREMENT))
}

/// Whether a validator is among those that attest with this flag. Spec: `get_unslashed_attesting_indices`.
pub(super) fn is_unslashed_attesting(
    validators: &Validators,
    index: usize,
    flags: &[ParticipationFlags],
    flag_index: usize,
) -> bool {
    has_flag(flags[index], flag_index) && !validators.slashed(index)
}
