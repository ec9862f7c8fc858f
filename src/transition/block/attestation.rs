//! Attestations: votes, and the rewards for having brought them in. In phase 0 those are paid at the epoch's end.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#attestations>

use super::*;

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
        for (member, &validator) in committee.iter().enumerate() {
            // Beyond the bits' end is an error, too; the check of the length below finds it.
            if bits.get(offset + member).unwrap_or(false) {
                attesters.push(validator);
            }
        }
        rule(attesters.len() > before, "each of its committees must take part")?;
        offset += committee.len();
    }
    rule(bits.len() == offset, "it must have a bit for each member of its committees")?;
    rule(!attesters.is_empty(), "somebody must attest")?;
    Ok(attesters)
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
    let participation =
        if is_current { &mut state.current_epoch_participation } else { &mut state.previous_epoch_participation };
    let mut sum = 0u64;
    for &index in attesters {
        let old = participation.get(index as usize).copied();
        let old = old.ok_or(TransitionError::UnknownValidator(index.into()))?;
        let new = flags & !old;
        if new != 0 {
            participation.set(index as usize, old | new);
            let increments = state.validators.effective_balance(index as usize) / EFFECTIVE_BALANCE_INCREMENT;
            sum += increments * per_increment * weight(new);
        }
    }
    Ok(sum)
}

/// The sum of the flags' weights.
fn weight(flags: ParticipationFlags) -> u64 {
    let weights = PARTICIPATION_FLAG_WEIGHTS.iter().enumerate();
    weights.filter(|(flag, _)| flags >> flag & 1 == 1).map(|(_, weight)| weight).sum()
}
