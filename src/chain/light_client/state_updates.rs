//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#light-client-state-updates>

use tree_hash::TreeHash;

use super::{error::ensure, helpers::NO_SYNC_COMMITTEE, *};
use crate::{
    crypto::{DOMAIN_SYNC_COMMITTEE, compute_domain, compute_signing_root, fast_aggregate_verify},
    types::{preset::*, *},
};

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#validate_light_client_update>
///
/// # Errors
/// When a light client with this store must not take the update at `current_slot`.
pub fn validate_light_client_update(
    store: &LightClientStore,
    update: &LightClientUpdate,
    current_slot: Slot,
    genesis_validators_root: Hash256,
    config: &Config,
) -> Result<(), LightClientError> {
    let rule = |holds, rule| ensure(holds, "update", rule);
    rule(num_participants(update) >= MIN_SYNC_COMMITTEE_PARTICIPANTS, "somebody must have signed it")?;
    rule(is_valid_light_client_header(&update.attested_header, config), "the attested payload must be its block's")?;

    let attested_slot = update.attested_header.beacon.slot;
    let finalized_slot = update.finalized_header.beacon.slot;
    let in_order = current_slot >= update.signature_slot
        && update.signature_slot > attested_slot
        && attested_slot >= finalized_slot;
    rule(in_order, "its slots must be in order and not in the future")?;
    let [store_period, signature_period, attested_period] =
        [store.finalized_header.beacon.slot, update.signature_slot, attested_slot]
            .map(compute_sync_committee_period_at_slot);
    let knows_next = is_next_sync_committee_known(store);
    let can_verify = signature_period == store_period || (knows_next && signature_period == store_period + 1);
    rule(can_verify, "it must be signed by a committee that is known")?;

    let brings_next = !knows_next && is_sync_committee_update(update) && attested_period == store_period;
    let is_relevant = attested_slot > store.finalized_header.beacon.slot || brings_next;
    rule(is_relevant, "it must bring something new")?;

    validate_finality(update, config)?;
    validate_next_sync_committee(store, update, config)?;
    let is_current = signature_period == store_period;
    let signers = if is_current { &store.current_sync_committee } else { &store.next_sync_committee };
    rule(is_signed(update, signers, genesis_validators_root, config), "its signature must be valid")
}

/// Whether the finalized header, if there is one, is that of the attested state. Genesis has a zero root there.
fn validate_finality(update: &LightClientUpdate, config: &Config) -> Result<(), LightClientError> {
    let rule = |holds, rule| ensure(holds, "update's finality", rule);
    let (attested, finalized) = (&update.attested_header.beacon, &update.finalized_header);
    let is_empty = *finalized == LightClientHeader::default();
    if !is_finality_update(update) {
        return rule(is_empty, "a header without a branch proves nothing");
    }
    let mut finalized_root = Hash256::ZERO;
    if finalized.beacon.slot == GENESIS_SLOT {
        rule(is_empty, "genesis has no header")?;
    } else {
        rule(is_valid_light_client_header(finalized, config), "the payload must be its block's")?;
        finalized_root = finalized.beacon.tree_hash_root();
    }
    let gindex = finalized_root_gindex_at_slot(attested.slot, config);
    let is_proven =
        is_valid_normalized_merkle_branch(finalized_root, &update.finality_branch, gindex, attested.state_root);
    rule(is_proven, "it must be that of the attested state")
}

/// Whether the next sync committee, if there is one, is that of the attested state.
fn validate_next_sync_committee(
    store: &LightClientStore,
    update: &LightClientUpdate,
    config: &Config,
) -> Result<(), LightClientError> {
    let rule = |holds, rule| ensure(holds, "update's sync committee", rule);
    let (attested, committee) = (&update.attested_header.beacon, &update.next_sync_committee);
    if !is_sync_committee_update(update) {
        return rule(*committee == *NO_SYNC_COMMITTEE, "one without a branch proves nothing");
    }
    let [attested_period, store_period] =
        [attested.slot, store.finalized_header.beacon.slot].map(compute_sync_committee_period_at_slot);
    if attested_period == store_period && is_next_sync_committee_known(store) {
        rule(*committee == store.next_sync_committee, "it must be the one that is known")?;
    }
    let gindex = next_sync_committee_gindex_at_slot(attested.slot, config);
    let branch = &update.next_sync_committee_branch;
    let is_proven = is_valid_normalized_merkle_branch(committee.root(), branch, gindex, attested.state_root);
    rule(is_proven, "it must be that of the attested state")
}

/// Whether those members of `committee` that the bits name signed the attested header.
fn is_signed(
    update: &LightClientUpdate,
    committee: &SyncCommittee,
    genesis_validators_root: Hash256,
    config: &Config,
) -> bool {
    let SyncAggregate { sync_committee_bits, sync_committee_signature } = &update.sync_aggregate;
    let members = committee.pubkeys.iter().zip(sync_committee_bits.iter());
    let participant_pubkeys: Vec<_> = members.filter(|(_, takes_part)| *takes_part).map(|(key, _)| *key).collect();
    let fork_version_slot = update.signature_slot.max(1) - 1;
    let fork_version = config.fork_version(compute_epoch_at_slot(fork_version_slot));
    let domain = compute_domain(DOMAIN_SYNC_COMMITTEE, fork_version, genesis_validators_root);
    let signing_root = compute_signing_root(&update.attested_header.beacon, domain);
    fast_aggregate_verify(&participant_pubkeys, signing_root, sync_committee_signature)
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#apply_light_client_update>
///
/// # Errors
/// When the next sync committee is not known, and the update finalizes another period than the store's.
pub fn apply_light_client_update(
    store: &mut LightClientStore,
    update: &LightClientUpdate,
) -> Result<(), LightClientError> {
    let [store_period, finalized_period] = [&store.finalized_header, &update.finalized_header]
        .map(|header| compute_sync_committee_period_at_slot(header.beacon.slot));
    if !is_next_sync_committee_known(store) {
        ensure(finalized_period == store_period, "update", "it must finalize the store's period first")?;
        store.next_sync_committee = update.next_sync_committee.clone();
    } else if finalized_period == store_period + 1 {
        store.current_sync_committee = store.next_sync_committee.clone();
        store.next_sync_committee = update.next_sync_committee.clone();
        store.previous_max_active_participants = store.current_max_active_participants;
        store.current_max_active_participants = 0;
    }
    if update.finalized_header.beacon.slot > store.finalized_header.beacon.slot {
        store.finalized_header = update.finalized_header.clone();
        if store.finalized_header.beacon.slot > store.optimistic_header.beacon.slot {
            store.optimistic_header = store.finalized_header.clone();
        }
    }
    Ok(())
}

/// Takes the best update there is as final when nothing was finalized for [`UPDATE_TIMEOUT`] slots.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#process_light_client_store_force_update>
///
/// # Errors
/// As [`apply_light_client_update`]. The update is gone then, too: it would fail again.
pub fn process_light_client_store_force_update(
    store: &mut LightClientStore,
    current_slot: Slot,
) -> Result<(), LightClientError> {
    let finalized_slot = store.finalized_header.beacon.slot;
    if current_slot <= finalized_slot.saturating_add(UPDATE_TIMEOUT) {
        return Ok(());
    }
    let Some(mut update) = store.best_valid_update.take() else { return Ok(()) };
    // What is applied is the finalized header. Without finality the attested one takes its place, so that a store gets
    // into the next period.
    if update.finalized_header.beacon.slot <= finalized_slot {
        update.finalized_header = update.attested_header.clone();
    }
    apply_light_client_update(store, &update)
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#process_light_client_update>
///
/// # Errors
/// As [`validate_light_client_update`] and [`apply_light_client_update`].
pub fn process_light_client_update(
    store: &mut LightClientStore,
    update: LightClientUpdate,
    current_slot: Slot,
    genesis_validators_root: Hash256,
    config: &Config,
) -> Result<(), LightClientError> {
    validate_light_client_update(store, &update, current_slot, genesis_validators_root, config)?;
    if store.best_valid_update.as_ref().is_none_or(|best| is_better_update(&update, best)) {
        store.best_valid_update = Some(update.clone());
    }
    let participants = num_participants(&update);
    store.current_max_active_participants = store.current_max_active_participants.max(participants);
    let attested = &update.attested_header;
    if participants > get_safety_threshold(store) && attested.beacon.slot > store.optimistic_header.beacon.slot {
        store.optimistic_header = attested.clone();
    }

    let finalized_slot = update.finalized_header.beacon.slot;
    let brings_finalized_next_sync_committee = !is_next_sync_committee_known(store)
        && is_sync_committee_update(&update)
        && is_finality_update(&update)
        && compute_sync_committee_period_at_slot(finalized_slot)
            == compute_sync_committee_period_at_slot(attested.beacon.slot);
    let is_progress = finalized_slot > store.finalized_header.beacon.slot || brings_finalized_next_sync_committee;
    if participants * 3 >= SYNC_COMMITTEE_SIZE as u64 * 2 && is_progress {
        apply_light_client_update(store, &update)?;
        store.best_valid_update = None;
    }
    Ok(())
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#process_light_client_finality_update>
///
/// # Errors
/// As [`process_light_client_update`].
pub fn process_light_client_finality_update(
    store: &mut LightClientStore,
    finality_update: LightClientFinalityUpdate,
    current_slot: Slot,
    genesis_validators_root: Hash256,
    config: &Config,
) -> Result<(), LightClientError> {
    let update = LightClientUpdate {
        fork_name: finality_update.fork_name,
        attested_header: finality_update.attested_header,
        next_sync_committee: NO_SYNC_COMMITTEE.clone(),
        next_sync_committee_branch: SyncCommitteeBranch::default(),
        finalized_header: finality_update.finalized_header,
        finality_branch: finality_update.finality_branch,
        sync_aggregate: finality_update.sync_aggregate,
        signature_slot: finality_update.signature_slot,
    };
    process_light_client_update(store, update, current_slot, genesis_validators_root, config)
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#process_light_client_optimistic_update>
///
/// # Errors
/// As [`process_light_client_update`].
pub fn process_light_client_optimistic_update(
    store: &mut LightClientStore,
    optimistic_update: LightClientOptimisticUpdate,
    current_slot: Slot,
    genesis_validators_root: Hash256,
    config: &Config,
) -> Result<(), LightClientError> {
    let update = LightClientUpdate {
        fork_name: optimistic_update.fork_name,
        attested_header: optimistic_update.attested_header,
        next_sync_committee: NO_SYNC_COMMITTEE.clone(),
        next_sync_committee_branch: SyncCommitteeBranch::default(),
        finalized_header: LightClientHeader::default(),
        finality_branch: FinalityBranch::default(),
        sync_aggregate: optimistic_update.sync_aggregate,
        signature_slot: optimistic_update.signature_slot,
    };
    process_light_client_update(store, update, current_slot, genesis_validators_root, config)
}

fn num_participants(update: &LightClientUpdate) -> u64 {
    update.sync_aggregate.sync_committee_bits.num_set_bits() as u64
}
