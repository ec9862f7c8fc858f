//! Who voted, what for, and whether they signed.

use super::{committee_of, get_block_root, get_block_root_at_slot, get_domain, get_shuffling, get_validator};
use crate::{
    crypto::{AggregatePublicKey, DOMAIN_BEACON_ATTESTER, PublicKey, SignatureSet, compute_signing_root},
    transition::{Context, SignatureCollector, TransitionError, ensure},
    types::{preset::*, *},
};

/// The committees that take part, ascending.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-get_committee_indices>
pub fn get_committee_indices(attestation: &Attestation) -> Vec<CommitteeIndex> {
    let bits = attestation.committee_bits.iter().enumerate();
    bits.filter(|(_, bit)| *bit).map(|(index, _)| index as CommitteeIndex).collect()
}

/// The committees that an attestation of a block of `fork` is of: before Electra one, which its data names.
pub fn committees_of(fork: ForkName, attestation: &Attestation) -> Vec<CommitteeIndex> {
    if fork >= ForkName::Electra { get_committee_indices(attestation) } else { vec![attestation.data.index] }
}

/// Who attests, in the order of the bits: one after the other committee of the slot. `fork` is that of the block or message
/// that brought it, `shuffling` that of the slot's epoch.
///
/// # Errors
/// When a committee does not exist, or the bits are fewer than the committees' members.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_attesting_indices>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-get_attesting_indices>
pub fn get_attesting_indices(
    fork: ForkName,
    shuffling: &Shuffling,
    attestation: &Attestation,
) -> Result<Vec<u32>, TransitionError> {
    let (mut attesting, mut offset) = (Vec::new(), 0);
    for index in committees_of(fork, attestation) {
        let committee = committee_of(shuffling, attestation.data.slot, index)?;
        for (i, member) in committee.iter().enumerate() {
            let bit = attestation.aggregation_bits.get(offset + i).map_err(|_| TransitionError::Invalid {
                operation: "attestation",
                rule: "there must be a bit for each member of its committees",
            })?;
            if bit {
                attesting.push(*member);
            }
        }
        offset += committee.len();
    }
    Ok(attesting)
}

/// The vote with its attesters named.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#get_indexed_attestation>
pub fn get_indexed_attestation(
    state: &mut BeaconState,
    attestation: &Attestation,
) -> Result<IndexedAttestation, TransitionError> {
    let shuffling = get_shuffling(state, compute_epoch_at_slot(attestation.data.slot))?;
    index_attestation(state.fork_name, &shuffling, attestation)
}

/// As [`get_indexed_attestation`], with the committees at hand.
pub fn index_attestation(
    fork: ForkName,
    shuffling: &Shuffling,
    attestation: &Attestation,
) -> Result<IndexedAttestation, TransitionError> {
    let mut indices: Vec<_> = get_attesting_indices(fork, shuffling, attestation)?.into_iter().map(u64::from).collect();
    indices.sort_unstable();
    let attesting_indices = indices.try_into().map_err(|_| TransitionError::Invalid {
        operation: "attestation",
        rule: "its committees must not have more members than a vote has room for",
    })?;
    Ok(IndexedAttestation { attesting_indices, data: attestation.data, signature: attestation.signature })
}

/// Checks that the attesters are some, sorted, known and without repetition, and collects their signature.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#is_valid_indexed_attestation>
pub fn is_valid_indexed_attestation(
    state: &BeaconState,
    attestation: &IndexedAttestation,
    ctx: &Context,
    signatures: &mut SignatureCollector,
) -> Result<(), TransitionError> {
    let indices = &attestation.attesting_indices;
    ensure(!indices.is_empty(), "attestation", "somebody must attest")?;
    let limit =
        if state.fork_name >= ForkName::Electra { MAX_ATTESTERS_PER_SLOT } else { MAX_VALIDATORS_PER_COMMITTEE };
    ensure(
        indices.len() <= limit,
        "attestation",
        "it must not have more attesters than its committees can have members",
    )?;
    let ascending = indices.windows(2).all(|pair| pair[0] < pair[1]);
    ensure(ascending, "attestation", "attesters must be sorted and appear once")?;
    let last = indices[indices.len() - 1];
    if last >= state.validators.len() as u64 {
        return Err(TransitionError::UnknownValidator(last));
    }
    signatures.add("attestation", || indexed_attestation_signature_set(state, attestation, ctx))
}

/// The claim that all attesters signed the vote, for who knows only their indices, as in a slashing: it adds up every key.
/// With the committees at hand, `attestation_signature_set` is quicker.
pub fn indexed_attestation_signature_set(
    state: &BeaconState,
    attestation: &IndexedAttestation,
    ctx: &Context,
) -> Result<SignatureSet, TransitionError> {
    let keys = attestation.attesting_indices.iter().map(|index| get_public_key(state, *index, ctx));
    let sum = AggregatePublicKey::try_from_keys(keys)?;
    let domain = get_domain(state, DOMAIN_BEACON_ATTESTER, attestation.data.target.epoch);
    Ok(SignatureSet {
        signature: attestation.signature,
        key: sum.to_public_key(),
        message: compute_signing_root(&attestation.data, domain),
    })
}

/// The decompressed key of a validator.
pub fn get_public_key(state: &BeaconState, index: ValidatorIndex, ctx: &Context) -> Result<PublicKey, TransitionError> {
    if index >= state.validators.len() as u64 {
        return Err(TransitionError::UnknownValidator(index));
    }
    let pubkey = state.validators.pubkey(index as usize);
    ctx.keys.get(index, pubkey).map_err(|error| TransitionError::Key { index, error })
}

/// The decompressed keys of many validators, in their order. Quicker than one after the other for more than a handful, and
/// keeps none of them.
pub fn get_public_keys(state: &BeaconState, indices: &[u32], ctx: &Context) -> Result<Vec<PublicKey>, TransitionError> {
    if let Some(unknown) = indices.iter().find(|index| **index as usize >= state.validators.len()) {
        return Err(TransitionError::UnknownValidator((*unknown).into()));
    }
    let keys = ctx.keys.get_many(indices, |index| state.validators.pubkey(index as usize));
    keys.map_err(|(index, error)| TransitionError::Key { index: index.into(), error })
}

/// The participation flags, as bits, that a vote earns its attesters when it is included after `inclusion_delay` slots. The
/// specification returns a list of their indices.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#get_attestation_participation_flag_indices>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/beacon-chain.md#modified-get_attestation_participation_flag_indices>
pub fn get_attestation_participation_flags(
    state: &BeaconState,
    data: &AttestationData,
    inclusion_delay: u64,
) -> Result<ParticipationFlags, TransitionError> {
    let is_current = data.target.epoch == state.current_epoch();
    let justified = if is_current { state.current_justified_checkpoint } else { state.previous_justified_checkpoint };
    let is_matching_target = data.target.root == get_block_root(state, data.target.epoch)?;
    let is_matching_head = is_matching_target && data.beacon_block_root == get_block_root_at_slot(state, data.slot)?;
    ensure(data.source == justified, "attestation", "its source must be the justified checkpoint")?;

    let is_target_timely = state.fork_name >= ForkName::Deneb || inclusion_delay <= SLOTS_PER_EPOCH;
    let flag = |earned: bool, index: usize| if earned { 1 << index } else { 0 };
    Ok(flag(inclusion_delay <= SLOTS_PER_EPOCH.isqrt(), TIMELY_SOURCE_FLAG_INDEX)
        | flag(is_matching_target && is_target_timely, TIMELY_TARGET_FLAG_INDEX)
        | flag(is_matching_head && inclusion_delay == MIN_ATTESTATION_INCLUSION_DELAY, TIMELY_HEAD_FLAG_INDEX))
}

/// Whether a validator of the registry is slashable in the state's epoch.
pub fn is_slashable(state: &BeaconState, index: ValidatorIndex) -> Result<bool, TransitionError> {
    Ok(super::is_slashable_validator(&get_validator(state, index)?, state.current_epoch()))
}
