//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#is_better_update>

use std::cmp::Reverse;

use super::{compute_sync_committee_period_at_slot, is_finality_update, is_sync_committee_update};
use crate::types::LightClientUpdate;

/// What counts in an update, from the most to the least: the greater is the better.
type Rank = (bool, u64, bool, bool, bool, u64, Reverse<u64>, Reverse<u64>);

/// Whether `new_update` is worth more than `old_update` to a light client of their period.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/sync-protocol.md#is_better_update>
pub fn is_better_update(new_update: &LightClientUpdate, old_update: &LightClientUpdate) -> bool {
    rank(new_update) > rank(old_update)
}

fn rank(update: &LightClientUpdate) -> Rank {
    let bits = &update.sync_aggregate.sync_committee_bits;
    let num_active_participants = bits.num_set_bits() as u64;
    let has_supermajority = num_active_participants * 3 >= bits.len() as u64 * 2;
    let [attested_slot, finalized_slot] =
        [&update.attested_header, &update.finalized_header].map(|header| header.beacon.slot);
    let [attested_period, signature_period, finalized_period] =
        [attested_slot, update.signature_slot, finalized_slot].map(compute_sync_committee_period_at_slot);
    let has_relevant_sync_committee = is_sync_committee_update(update) && attested_period == signature_period;
    let has_finality = is_finality_update(update);
    let has_sync_committee_finality = has_finality && finalized_period == attested_period;
    (
        has_supermajority,
        // Beyond a supermajority, participation comes after the rest.
        if has_supermajority { 0 } else { num_active_participants },
        has_relevant_sync_committee,
        has_finality,
        has_sync_committee_finality,
        num_active_participants,
        // Older data first, then earlier signatures: fewer changes to the best.
        Reverse(attested_slot),
        Reverse(update.signature_slot),
    )
}
