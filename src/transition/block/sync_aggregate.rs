//! The sync committee's signature of the previous slot's block, and what its members get for it.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#sync-aggregate-processing>

use super::*;

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#sync-aggregate-processing>
///
/// # Errors
/// A signature by nobody that is not the empty one; a state whose committee is not in its registry.
pub fn process_sync_aggregate(
    state: &mut BeaconState,
    aggregate: &SyncAggregate,
    ctx: &Context,
    signatures: &mut SignatureCollector,
) -> Result<(), TransitionError> {
    let members = get_sync_committee_indices(state)?;
    add_signature(state, &members, aggregate, ctx, signatures)?;

    let (participant_reward, proposer_reward) = rewards(state)?;
    let proposer = get_beacon_proposer_index(state)?;
    // In the members' order: a balance does not fall below zero, so the order counts when the proposer is a member.
    for (&member, takes_part) in members.iter().zip(aggregate.sync_committee_bits.iter()) {
        if takes_part {
            increase_balance(state, u64::from(member), participant_reward)?;
            increase_balance(state, proposer, proposer_reward)?;
        } else {
            decrease_balance(state, u64::from(member), participant_reward)?;
        }
    }
    Ok(())
}

/// The spec's `eth_fast_aggregate_verify` lets the empty signature of nobody pass, which no batch would.
fn add_signature(
    state: &BeaconState,
    members: &[u32],
    aggregate: &SyncAggregate,
    ctx: &Context,
    signatures: &mut SignatureCollector,
) -> Result<(), TransitionError> {
    let is_by_nobody = aggregate.sync_committee_bits.is_zero();
    if is_by_nobody && aggregate.sync_committee_signature == G2_POINT_AT_INFINITY {
        return Ok(());
    }
    signatures.add("sync aggregate", || sync_aggregate_signature_set(state, members, aggregate, ctx))
}

/// What a member that signed and the proposer get for one signature, in Gwei.
fn rewards(state: &mut BeaconState) -> Result<(Gwei, Gwei), TransitionError> {
    let total_active_increments = get_total_active_balance(state)? / EFFECTIVE_BALANCE_INCREMENT;
    let total_base_rewards = get_base_reward_per_increment(state)? * total_active_increments;
    let max_participant_rewards = total_base_rewards * SYNC_REWARD_WEIGHT / WEIGHT_DENOMINATOR / SLOTS_PER_EPOCH;
    let participant_reward = max_participant_rewards / SYNC_COMMITTEE_SIZE as u64;
    Ok((participant_reward, participant_reward * PROPOSER_WEIGHT / (WEIGHT_DENOMINATOR - PROPOSER_WEIGHT)))
}
