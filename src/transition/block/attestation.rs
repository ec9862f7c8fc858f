//! Attestations: votes, and the rewards for having brought them in. In phase 0 those are paid at the epoch's end.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#attestations>

use super::*;
use crate::ssz::Column;

/// Of what a vote's flags are worth, the part that its attesters get for each part of the proposer.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#modified-process_attestation>
const PROPOSER_REWARD_DENOMINATOR: u64 = (WEIGHT_DENOMINATOR - PROPOSER_WEIGHT) * WEIGHT_DENOMINATOR / PROPOSER_WEIGHT;

/// Counts a vote: sets its attesters' participation flags and rewards the proposer for each that is new. In phase 0 keeps
/// the vote for the epoch's end instead.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#modified-process_attestation>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/beacon-chain.md#modified-process_attestation>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_attestation>
///
/// # Errors
/// A vote from another epoch or for another justified checkpoint; committees or bits that do not fit the slot's.
pub fn process_attestation(
    state: &mut BeaconState,
    attestation: &Attestation,
    ctx: &Context,
    signatures: &mut SignatureCollector,
) -> Result<(), TransitionError> {
    let data = &attestation.data;
    check_data(state, data)?;
    // Committees of a slot have no member in common, so nobody is twice among the attesters.
    let shuffling = get_shuffling(state, data.target.epoch)?;
    let attesters = attesters(state.fork_name, &shuffling, attestation)?;
    let set = || attestation_signature_set(state, state.fork_name, &shuffling, attestation, ctx);
    signatures.add("attestation", set)?;
    if state.fork_name < ForkName::Altair {
        return keep_for_epoch_end(state, attestation);
    }

    let flags = get_attestation_participation_flags(state, data, state.slot - data.slot)?;
    let numerator = set_flags(state, data.target.epoch, &attesters, flags)?;
    let proposer = get_beacon_proposer_index(state)?;
    increase_balance(state, proposer, numerator / PROPOSER_REWARD_DENOMINATOR)
}

fn check_data(state: &BeaconState, data: &AttestationData) -> Result<(), TransitionError> {
    let rule = |holds, rule| ensure(holds, "attestation", rule);
    let epochs = [state.previous_epoch(), state.current_epoch()];
    rule(epochs.contains(&data.target.epoch), "its target must be of the current or the previous epoch")?;
    rule(data.target.epoch == compute_epoch_at_slot(data.slot), "its target must be of its slot's epoch")?;
    // Being in a known epoch, the slot is far from the largest number.
    rule(data.slot + MIN_ATTESTATION_INCLUSION_DELAY <= state.slot, "it must not be included before the next slot")?;
    let has_no_deadline = state.fork_name >= ForkName::Deneb;
    rule(has_no_deadline || state.slot <= data.slot + SLOTS_PER_EPOCH, "it must be included within an epoch")?;
    rule(state.fork_name < ForkName::Electra || data.index == 0, "its committee index must be zero")
}

/// Phase 0: keeps a verified vote in the state.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#attestations>
fn keep_for_epoch_end(state: &mut BeaconState, attestation: &Attestation) -> Result<(), TransitionError> {
    let invalid = |rule| TransitionError::Invalid { operation: "attestation", rule };
    let AttestationPhase0 { aggregation_bits, data, .. } =
        attestation.try_into().map_err(|_| invalid("its bits must be of one committee"))?;
    let pending = PendingAttestation {
        aggregation_bits,
        data,
        inclusion_delay: state.slot - data.slot,
        proposer_index: get_beacon_proposer_index(state)?,
    };
    let is_current = data.target.epoch == state.current_epoch();
    let (justified, kept) = if is_current {
        (state.current_justified_checkpoint, &mut state.current_epoch_attestations)
    } else {
        (state.previous_justified_checkpoint, &mut state.previous_epoch_attestations)
    };
    ensure(data.source == justified, "attestation", "its source must be the justified checkpoint")?;
    kept.push(pending).map_err(|_| invalid("the state must have room for it"))
}

/// Who attested, in the committees' order.
fn attesters(fork: ForkName, shuffling: &Shuffling, attestation: &Attestation) -> Result<Vec<u32>, TransitionError> {
    let rule = |holds, rule| ensure(holds, "attestation", rule);
    let bits = &attestation.aggregation_bits;
    let mut attesters = Vec::with_capacity(bits.num_set_bits());
    let mut offset = 0;
    for committee_index in committees_of(fork, attestation) {
        let committee = committee_of(shuffling, attestation.data.slot, committee_index)?;
        let before = attesters.len();
        add_attesters(&mut attesters, committee, bits.as_slice(), offset);
        rule(attesters.len() > before, "each of its committees must take part")?;
        offset += committee.len();
    }
    rule(bits.len() == offset, "it must have a bit for each member of its committees")?;
    rule(!attesters.is_empty(), "somebody must attest")?;
    Ok(attesters)
}

/// Adds the members of a committee whose bits are set; the first one's is at `offset`. `bits` are eight to a byte, and zero
/// where the list has ended.
fn add_attesters(attesters: &mut Vec<u32>, committee: &[u32], bits: &[u8], offset: usize) {
    let bytes = bits.get(offset / 8..).unwrap_or_default();
    let mut byte = bytes.iter().copied().chain(std::iter::repeat(0));
    let mut left = byte.next().unwrap_or(0) >> (offset % 8);
    for (member, validator) in (offset..).zip(committee) {
        if member.is_multiple_of(8) && member != offset {
            left = byte.next().unwrap_or(0);
        }
        if left & 1 == 1 {
            attesters.push(*validator);
        }
        left >>= 1;
    }
}

/// Sets the flags; the sum of what those that are new are worth, times their weights.
fn set_flags(
    state: &mut BeaconState,
    epoch: Epoch,
    attesters: &[u32],
    flags: ParticipationFlags,
) -> Result<u64, TransitionError> {
    let per_increment = get_base_reward_per_increment(state)?;
    let is_current = epoch == state.current_epoch();
    let sums = state.participation_sums();
    let participation =
        if is_current { &mut state.current_epoch_participation } else { &mut state.previous_epoch_participation };
    let earned = Earned::new(&state.validators, participation, attesters, flags, sums.is_some())?;
    participation.update_scattered(attesters, |old| old | flags);
    if let Some(mut sums) = sums {
        let of_epoch = if is_current { &mut sums.current } else { &mut sums.previous };
        for (flag, sum) in of_epoch.iter_mut().enumerate() {
            *sum = checked_sum(*sum, earned.balance_of(flag), "the participating balance")?;
        }
        state.note_participation_sums(state.current_epoch(), sums);
    }
    let numerator = earned.weighted_increments().and_then(|increments| increments.checked_mul(per_increment));
    numerator.ok_or(TransitionError::Overflow("a proposer's reward"))
}

/// Sets of flags that there are.
const FLAG_SETS: usize = 1 << PARTICIPATION_FLAG_WEIGHTS.len();

/// Effective balances of attesters by the set of flags that are new for them.
#[derive(Default)]
struct Earned {
    /// In whole increments, of all.
    increments: [u64; FLAG_SETS],
    /// In Gwei, of those that are not slashed, if that was asked for.
    unslashed: [Gwei; FLAG_SETS],
}

impl Earned {
    /// Of attesters that had the flags in `participation` and now get `flags`. Who is slashed is one more access to memory for
    /// each of a quarter of a million, and only looked up if asked for.
    fn new(
        validators: &Validators,
        participation: &Column<ParticipationFlags>,
        attesters: &[u32],
        flags: ParticipationFlags,
        asks_for_unslashed: bool,
    ) -> Result<Self, TransitionError> {
        let mut earned = Earned::default();
        let flags = flags & (FLAG_SETS - 1) as u8;
        for &index in attesters {
            let old = participation.get(index as usize);
            let new = usize::from(flags & !old.ok_or(TransitionError::UnknownValidator(index.into()))?);
            if new != 0 {
                let balance = validators.effective_balance(index as usize);
                earned.increments[new] += balance / EFFECTIVE_BALANCE_INCREMENT;
                if asks_for_unslashed && !validators.slashed(index as usize) {
                    earned.unslashed[new] += balance;
                }
            }
        }
        Ok(earned)
    }

    /// Of those that are not slashed and for whom the flag is new, in Gwei.
    fn balance_of(&self, flag: usize) -> Gwei {
        let sets = self.unslashed.iter().enumerate();
        sets.filter(|(set, _)| set >> flag & 1 == 1).map(|(_, balance)| balance).sum()
    }

    /// The increments of all, times the weights of the flags that are new. None if that overflows.
    fn weighted_increments(&self) -> Option<u64> {
        let mut sets = self.increments.iter().enumerate();
        sets.try_fold(0u64, |sum, (set, increments)| sum.checked_add(increments.checked_mul(weight(set as u8))?))
    }
}

/// The sum of the flags' weights.
fn weight(flags: ParticipationFlags) -> u64 {
    let weights = PARTICIPATION_FLAG_WEIGHTS.iter().enumerate();
    weights.filter(|(flag, _)| flags >> flag & 1 == 1).map(|(_, weight)| weight).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transition::epoch::{ParticipationTotals, count_participation};

    /// A state in epoch 5 of active validators with these increments, some of them slashed, all with these flags.
    fn state(validators: &[(u16, bool)], flags: ParticipationFlags) -> BeaconState {
        let validator = |(index, (increments, slashed)): (usize, &(u16, bool))| Validator {
            pubkey: BLSPubkey::left_padding_from(&index.to_be_bytes()),
            effective_balance: u64::from(*increments) * EFFECTIVE_BALANCE_INCREMENT,
            slashed: *slashed,
            activation_epoch: 0,
            ..get_validator_from_deposit(ForkName::Fulu, BLSPubkey::ZERO, Hash256::ZERO, MIN_ACTIVATION_BALANCE)
        };
        let count = validators.len();
        BeaconState {
            fork_name: ForkName::Fulu,
            slot: compute_start_slot_at_epoch(5),
            validators: validators.iter().enumerate().map(validator).collect(),
            balances: Column::filled(MIN_ACTIVATION_BALANCE, count),
            previous_epoch_participation: Column::filled(flags, count),
            current_epoch_participation: Column::filled(flags, count),
            inactivity_scores: Column::filled(0, count),
            ..BeaconState::default()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn flags_rewards_and_sums_are_those_of_one_attester_after_the_other(
            validators in prop::collection::vec((0u16..=2048, prop::bool::weighted(0.1)), 1..700),
            votes in prop::collection::vec((4u64..=5, 0u8..8, any::<u64>()), 1..5),
            before in 0u8..8,
        ) {
            let mut state = state(&validators, before);
            ParticipationTotals::of(&mut state).unwrap();
            let mut model = [vec![before; validators.len()], vec![before; validators.len()]];
            let per_increment = get_base_reward_per_increment(&mut state).unwrap();
            for (epoch, flags, pick) in votes {
                let attesters: Vec<u32> =
                    (0..validators.len() as u32).rev().filter(|index| pick >> (index % 61) & 1 == 1).collect();
                let sum = set_flags(&mut state, epoch, &attesters, flags).unwrap();
                let model = &mut model[epoch as usize - 4];
                let mut expected = 0;
                for index in attesters {
                    let (index, old) = (index as usize, model[index as usize]);
                    model[index] |= flags;
                    for (flag, weight) in PARTICIPATION_FLAG_WEIGHTS.iter().enumerate() {
                        if has_flag(flags, flag) && !has_flag(old, flag) {
                            expected += u64::from(validators[index].0) * per_increment * weight;
                        }
                    }
                }
                prop_assert_eq!(sum, expected);
                prop_assert_eq!(state.participation_sums(), Some(count_participation(&state).unwrap()));
            }
            prop_assert!(state.previous_epoch_participation.iter().eq(&model[0]));
            prop_assert!(state.current_epoch_participation.iter().eq(&model[1]));
        }

        #[test]
        fn bits_are_read_from_wherever_a_committee_begins(
            bits in prop::collection::vec(any::<bool>(), 0..90),
            offset in 0usize..100,
            members in 0usize..40,
        ) {
            let mut bytes = vec![0u8; bits.len().div_ceil(8)];
            bits.iter().enumerate().for_each(|(at, bit)| bytes[at / 8] |= u8::from(*bit) << (at % 8));
            let committee: Vec<u32> = (0..members as u32).collect();
            let mut attesters = Vec::new();
            add_attesters(&mut attesters, &committee, &bytes, offset);
            let is_set = |member: &u32| bits.get(offset + *member as usize).copied().unwrap_or(false);
            let expected: Vec<u32> = committee.iter().copied().filter(is_set).collect();
            prop_assert_eq!(attesters, expected);
        }
    }
}
