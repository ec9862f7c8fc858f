//! What each signature of a block claims: the key, the message, the bytes. Nothing is verified here.

use super::*;
use crate::{
    crypto::*,
    types::{preset::*, *},
};

/// The proposer's signature of a block. The header's root is the block's, and its proposer must be in the registry.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#beacon-chain-state-transition-function>
///
/// # Errors
/// A proposer who is not in the registry.
pub fn header_signature_set(
    state: &BeaconState,
    header: &SignedBeaconBlockHeader,
    ctx: &Context,
) -> Result<SignatureSet, TransitionError> {
    let epoch = compute_epoch_at_slot(header.message.slot);
    let domain = get_domain(state, DOMAIN_BEACON_PROPOSER, epoch);
    let key = get_public_key(state, header.message.proposer_index, ctx)?;
    Ok(SignatureSet { signature: header.signature, key, message: compute_signing_root(&header.message, domain) })
}

/// The current proposer's signature of the current epoch.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#randao>
///
/// # Errors
/// A proposer who is not in the registry.
pub fn randao_signature_set(
    state: &BeaconState,
    reveal: &BLSSignature,
    ctx: &Context,
) -> Result<SignatureSet, TransitionError> {
    let epoch = state.current_epoch();
    let key = get_public_key(state, get_beacon_proposer_index(state)?, ctx)?;
    let message = compute_signing_root(&epoch, get_domain(state, DOMAIN_RANDAO, epoch));
    Ok(SignatureSet { signature: *reveal, key, message })
}

/// The attesters' joint signature of a vote; `shuffling` has the committees of its slot's epoch. `fork` is that of the block
/// or message that brought it.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#is_valid_indexed_attestation>
///
/// # Errors
/// A committee that does not exist, fewer bits than members, an attester who is not in the registry.
pub fn attestation_signature_set(
    state: &BeaconState,
    fork: ForkName,
    shuffling: &Shuffling,
    attestation: &Attestation,
    ctx: &Context,
) -> Result<SignatureSet, TransitionError> {
    let Attestation { data, signature, .. } = attestation;
    let key = get_attesters_key(state, fork, shuffling, attestation, ctx)?;
    let domain = get_domain(state, DOMAIN_BEACON_ATTESTER, data.target.epoch);
    Ok(SignatureSet { signature: *signature, key, message: compute_signing_root(data, domain) })
}

/// A validator's signature of its exit; since Deneb always on Capella's version.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#voluntary-exits>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_voluntary_exit>
///
/// # Errors
/// A validator who is not in the registry.
pub fn voluntary_exit_signature_set(
    state: &BeaconState,
    exit: &SignedVoluntaryExit,
    ctx: &Context,
) -> Result<SignatureSet, TransitionError> {
    let domain = if state.fork_name >= ForkName::Deneb {
        compute_domain(DOMAIN_VOLUNTARY_EXIT, ctx.config.capella_fork_version, state.genesis_validators_root)
    } else {
        get_domain(state, DOMAIN_VOLUNTARY_EXIT, exit.message.epoch)
    };
    let key = get_public_key(state, exit.message.validator_index, ctx)?;
    Ok(SignatureSet { signature: exit.signature, key, message: compute_signing_root(&exit.message, domain) })
}

/// The signature of the key behind a validator's credentials; on the genesis version, so that it is valid in every fork.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#new-process_bls_to_execution_change>
///
/// # Errors
/// A key that is none.
pub fn bls_to_execution_change_signature_set(
    state: &BeaconState,
    change: &SignedBLSToExecutionChange,
    ctx: &Context,
) -> Result<SignatureSet, TransitionError> {
    let version = ctx.config.genesis_fork_version;
    let domain = compute_domain(DOMAIN_BLS_TO_EXECUTION_CHANGE, version, state.genesis_validators_root);
    // Nothing has looked at this key before, unlike those of the registry.
    let key = PublicKey::from_compressed(&change.message.from_bls_pubkey)
        .map_err(|error| TransitionError::Key { index: change.message.validator_index, error })?;
    Ok(SignatureSet { signature: change.signature, key, message: compute_signing_root(&change.message, domain) })
}

/// The sync committee's joint signature of the block before; `members` are the committee's indices.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#sync-aggregate-processing>
///
/// # Errors
/// A committee whose keys are none.
pub fn sync_aggregate_signature_set(
    state: &BeaconState,
    members: &[u32],
    aggregate: &SyncAggregate,
    ctx: &Context,
) -> Result<SignatureSet, TransitionError> {
    let previous_slot = state.slot.saturating_sub(1);
    let domain = get_domain(state, DOMAIN_SYNC_COMMITTEE, compute_epoch_at_slot(previous_slot));
    let message = compute_signing_root(&get_block_root_at_slot(state, previous_slot)?, domain);
    let key = participants_key(state, members, aggregate, ctx)?;
    Ok(SignatureSet { signature: aggregate.sync_committee_signature, key, message })
}

/// The sum of who signed; when that are most, the committee's own sum without the absent ones.
fn participants_key(
    state: &BeaconState,
    members: &[u32],
    aggregate: &SyncAggregate,
    ctx: &Context,
) -> Result<PublicKey, TransitionError> {
    let bits = &aggregate.sync_committee_bits;
    let whose_bit_is = |value: bool| {
        let members = members.iter().zip(bits.iter());
        members.filter(move |(_, bit)| *bit == value).map(|(member, _)| u64::from(*member))
    };
    let keys_of = |value| whose_bit_is(value).map(|member| get_public_key(state, member, ctx));
    if bits.num_set_bits() <= SYNC_COMMITTEE_SIZE / 2 {
        return Ok(AggregatePublicKey::try_from_keys(keys_of(true))?.to_public_key());
    }
    let all = PublicKey::from_trusted_compressed(&state.current_sync_committee.aggregate_pubkey).map_err(|_| {
        TransitionError::Invalid { operation: "sync aggregate", rule: "the committee's joint key must be a key" }
    })?;
    if bits.num_set_bits() == SYNC_COMMITTEE_SIZE {
        return Ok(all);
    }
    let mut sum = AggregatePublicKey::from_keys([&all]);
    sum.subtract(&AggregatePublicKey::try_from_keys(keys_of(false))?);
    Ok(sum.to_public_key())
}
