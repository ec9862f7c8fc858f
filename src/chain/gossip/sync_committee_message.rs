//! The topics `sync_committee_{subnet_id}`.

use super::{Checked, Claim, Found, Mark, Refusal, View, ensure, ignore, reject};
use crate::{
    crypto::{DOMAIN_SYNC_COMMITTEE, SignatureSet, compute_signing_root},
    types::{preset::*, *},
};

/// Places in a subcommittee.
const SUBCOMMITTEE_SIZE: usize = SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT;

/// Checks a member's signature of a head, all but that signature.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/p2p-interface.md#new-sync_committee_subnet_id>
pub fn validate_sync_committee_message_gossip(
    view: &View,
    message: &SyncCommitteeMessage,
    subnet_id: u64,
) -> Result<Checked, Refusal> {
    let SyncCommitteeMessage { slot, beacon_block_root, validator_index, signature } = message;
    ensure(view.is_current_slot(*slot), ignore("message is not for the current slot"))?;
    ensure(view.is_validator(*validator_index), reject("validator index out of range"))?;
    let members = get_sync_subcommittee_pubkeys(view, *slot, subnet_id)?;
    let pubkey = view.state.validators.pubkey(*validator_index as usize);
    let places: Vec<_> =
        members.unwrap_or_default().iter().enumerate().filter(|(_, member)| *member == pubkey).collect();
    ensure(!places.is_empty(), reject("subnet_id is not valid for the validator"))?;
    let mark = Mark::SyncMessage(*slot, *validator_index, subnet_id);
    view.seen.check(&mark)?;
    let reason = "invalid sync committee message signature";
    let key = view.public_key(*validator_index).map_err(|_| reject(reason))?;
    let domain = view.domain(DOMAIN_SYNC_COMMITTEE, compute_epoch_at_slot(*slot));
    let set = SignatureSet { signature: *signature, key, message: compute_signing_root(beacon_block_root, domain) };
    let places = places.into_iter().map(|(place, _)| place).collect();
    Ok(Checked { claims: vec![Claim { set, reason }], found: Found::SyncPlaces(places), mark })
}

/// The members of a subcommittee that sign in `slot`, in order; none if there is no such subcommittee. The specification
/// means a state of that slot; ours may be older.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/p2p-interface.md#new-get_sync_subcommittee_pubkeys>
pub(super) fn get_sync_subcommittee_pubkeys<'a>(
    view: &'a View,
    slot: Slot,
    subcommittee_index: u64,
) -> Result<Option<&'a [BLSPubkey]>, Refusal> {
    let period = |slot: Slot| compute_epoch_at_slot(slot) / EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
    let state = view.state;
    // The committee that signs in a slot is that of the slot's successor, whose block carries the signatures.
    let committee = match period(slot.saturating_add(1)).checked_sub(period(state.slot)) {
        Some(0) => &state.current_sync_committee,
        Some(1) => &state.next_sync_committee,
        _ => return Err(ignore("the sync committee of its period is not at hand")),
    };
    let at = usize::try_from(subcommittee_index).unwrap_or(usize::MAX);
    Ok(committee.pubkeys.chunks(SUBCOMMITTEE_SIZE).nth(at))
}
