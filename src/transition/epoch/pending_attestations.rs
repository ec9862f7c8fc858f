//! Who attested to what in phase 0, from the attestations that the state keeps until they are paid for.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#helpers-1>

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
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#helpers-1>
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
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#helpers-1>
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ssz::Column,
        transition::{
            epoch::{AttestationDeltas, Delta},
            get_validator_from_deposit,
        },
    };

    const VALIDATORS: usize = 64;

    /// A phase 0 state at the end of epoch 2, whose votes are all for the zero root.
    fn state() -> BeaconState {
        let validator = |index: usize| Validator {
            pubkey: BLSPubkey::left_padding_from(&index.to_be_bytes()),
            activation_epoch: GENESIS_EPOCH,
            ..get_validator_from_deposit(ForkName::Phase0, BLSPubkey::ZERO, Hash256::ZERO, MAX_EFFECTIVE_BALANCE)
        };
        BeaconState {
            fork_name: ForkName::Phase0,
            slot: compute_start_slot_at_epoch(3) - 1,
            validators: (0..VALIDATORS).map(validator).collect(),
            balances: Column::filled(MAX_EFFECTIVE_BALANCE, VALIDATORS),
            block_roots: Column::filled(Hash256::ZERO, SLOTS_PER_HISTORICAL_ROOT),
            randao_mixes: Column::filled(Hash256::repeat_byte(7), EPOCHS_PER_HISTORICAL_VECTOR),
            ..BeaconState::default()
        }
    }

    /// The vote of the whole first committee of `epoch`, included after `inclusion_delay` by `proposer_index`.
    fn vote(state: &mut BeaconState, epoch: Epoch, inclusion_delay: u64, proposer_index: u64) -> PendingAttestation {
        let slot = compute_start_slot_at_epoch(epoch);
        let members = get_shuffling(state, epoch).unwrap().committee(slot, 0).unwrap().len();
        let mut aggregation_bits = ssz_types::BitList::with_capacity(members).unwrap();
        (0..members).for_each(|member| aggregation_bits.set(member, true).unwrap());
        let target = Checkpoint { epoch, root: Hash256::ZERO };
        let data = AttestationData { slot, target, ..AttestationData::default() };
        PendingAttestation { aggregation_bits, data, inclusion_delay, proposer_index }
    }

    fn with_votes(votes: &[(u64, u64)]) -> (BeaconState, usize) {
        let mut state = state();
        for (delay, proposer) in votes {
            let vote = vote(&mut state, 1, *delay, *proposer);
            state.previous_epoch_attestations.push(vote).unwrap();
        }
        let shuffling = get_shuffling(&mut state, 1).unwrap();
        let attester = shuffling.committee(compute_start_slot_at_epoch(1), 0).unwrap()[0] as usize;
        (state, attester)
    }

    #[test]
    fn the_first_of_the_soonest_inclusions_counts() {
        let (mut state, attester) = with_votes(&[(3, 10), (2, 11), (2, 12), (5, 13)]);
        let participation = PendingParticipation::new(&mut state).unwrap();
        assert_eq!(participation.inclusions[attester], Some(Inclusion { delay: 2, proposer_index: 11 }));
        let nobody = (0..VALIDATORS).find(|index| participation.inclusions[*index].is_none()).unwrap();
        assert_eq!(participation.previous[nobody], 0);
    }

    #[test]
    fn a_vote_counts_for_what_it_matches() {
        let (mut state, attester) = with_votes(&[(1, 0)]);
        let slot = compute_start_slot_at_epoch(1) as usize;
        let flags = |state: &mut BeaconState| PendingParticipation::new(state).unwrap().previous[attester];
        assert_eq!(flags(&mut state), 0b111);
        state.previous_epoch_attestations[0].data.beacon_block_root = Hash256::repeat_byte(1);
        assert_eq!(flags(&mut state), 0b011, "another head");
        state.block_roots.set(slot % SLOTS_PER_HISTORICAL_ROOT, Hash256::repeat_byte(1));
        assert_eq!(flags(&mut state), 0b001, "another target");
    }

    #[test]
    fn a_slashed_attester_gets_nothing_and_counts_for_nothing() {
        let (mut state, attester) = with_votes(&[(1, 0)]);
        let before = PendingParticipation::new(&mut state).unwrap().totals;
        state.validators.update(attester, |validator| validator.slashed = true);
        let participation = PendingParticipation::new(&mut state).unwrap();
        let lost = before.previous.map(|balance| (balance - MAX_EFFECTIVE_BALANCE).max(EFFECTIVE_BALANCE_INCREMENT));
        assert_eq!(participation.totals.previous, lost);
        let deltas = AttestationDeltas::new(&mut state, &participation).unwrap();
        let components = deltas.components(&state, attester).unwrap();
        assert!(components[..3].iter().all(|delta| delta.reward == 0 && delta.penalty > 0), "{components:?}");
        assert_eq!(components[3], Delta::default(), "it was included in vain");
    }

    #[test]
    fn votes_that_no_block_can_bring_are_errors_not_panics() {
        let (state, _) = with_votes(&[(1, 0)]);
        let refused = |change: fn(&mut PendingAttestation)| {
            let mut state = state.clone();
            change(&mut state.previous_epoch_attestations[0]);
            PendingParticipation::new(&mut state).is_err()
        };
        assert!(refused(|vote| vote.data.index = u64::MAX));
        assert!(refused(|vote| vote.data.slot = u64::MAX));
        assert!(refused(|vote| vote.aggregation_bits = ssz_types::BitList::with_capacity(1).unwrap()));

        let (mut state, _) = with_votes(&[(1, VALIDATORS as u64)]);
        let participation = PendingParticipation::new(&mut state).unwrap();
        let error = AttestationDeltas::new(&mut state, &participation).unwrap_err();
        assert_eq!(error, TransitionError::UnknownValidator(VALIDATORS as u64));

        let (mut state, attester) = with_votes(&[(0, 0)]);
        let participation = PendingParticipation::new(&mut state).unwrap();
        let deltas = AttestationDeltas::new(&mut state, &participation).unwrap();
        assert_eq!(deltas.components(&state, attester), None, "no vote is in a block of its own slot");
    }
}
