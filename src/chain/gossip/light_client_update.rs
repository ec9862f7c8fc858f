//! The topics `light_client_finality_update` and `light_client_optimistic_update`.
//!
//! A full node passes on only what it has made itself of the same blocks, so nothing has to be verified, and nothing is ever
//! rejected: an update that is not ours may be that of a head which we do not know yet.

use super::{Refusal, View, ensure, ignore};
use crate::types::{preset::SYNC_COMMITTEE_SIZE, *};

/// The newest updates that were passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Slot of the finalized header, and whether a supermajority had signed.
    finality: Option<(Slot, bool)>,
    /// Slot of the attested header.
    optimistic: Option<Slot>,
}

/// Checks an update with finality, and remembers a good one. `ours` is what we made of the head's chain.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/p2p-interface.md#new-light_client_finality_update>
///
/// # Errors
/// The first rule that it breaks; all of them say that it is to be ignored.
pub fn validate_light_client_finality_update_gossip(
    view: &View,
    update: &LightClientFinalityUpdate,
    ours: Option<&LightClientFinalityUpdate>,
    forwarded: &mut Forwarded,
) -> Result<(), Refusal> {
    // Of one slot, one with a supermajority is newer than one without. So the order of pairs is the rule.
    let this = (update.finalized_header.beacon.slot, has_supermajority(&update.sync_aggregate));
    let is_newer = forwarded.finality.is_none_or(|last| last < this);
    ensure(is_newer, ignore("finality update is not newer than those forwarded"))?;
    is_late_enough(view, update.signature_slot)?;
    ensure(ours == Some(update), ignore("finality update does not match the local one"))?;
    forwarded.finality = Some(this);
    Ok(())
}

/// Checks an update without finality, and remembers a good one. `ours` is what we made of the head's chain.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/p2p-interface.md#new-light_client_optimistic_update>
///
/// # Errors
/// The first rule that it breaks; all of them say that it is to be ignored.
pub fn validate_light_client_optimistic_update_gossip(
    view: &View,
    update: &LightClientOptimisticUpdate,
    ours: Option<&LightClientOptimisticUpdate>,
    forwarded: &mut Forwarded,
) -> Result<(), Refusal> {
    let this = update.attested_header.beacon.slot;
    let is_newer = forwarded.optimistic.is_none_or(|last| last < this);
    ensure(is_newer, ignore("optimistic update is not newer than those forwarded"))?;
    is_late_enough(view, update.signature_slot)?;
    ensure(ours == Some(update), ignore("optimistic update does not match the local one"))?;
    forwarded.optimistic = Some(this);
    Ok(())
}

/// The block with the signatures must have had time to spread.
fn is_late_enough(view: &View, signature_slot: Slot) -> Result<(), Refusal> {
    let due = view.compute_time_at_slot_ms(signature_slot).saturating_add(view.config.get_sync_message_due_ms());
    let latest = view.now_ms.saturating_add(view.config.maximum_gossip_clock_disparity);
    ensure(latest >= due, ignore("update is too early for its signature slot"))
}

/// More than two thirds: no committee's size can be divided by three.
fn has_supermajority(aggregate: &SyncAggregate) -> bool {
    aggregate.sync_committee_bits.num_set_bits() * 3 > SYNC_COMMITTEE_SIZE * 2
}
