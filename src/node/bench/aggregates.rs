//! The keys of aggregates as gossip brings them: what a committee's sum without its absent members saves.

use std::hint::black_box;

use super::{doing, recorder::Recorder};
use crate::{
    crypto::AggregatePublicKey,
    transition::{Context, TransitionError, find_shuffling, get_attesters_key, get_public_keys},
    types::*,
};

/// One member in so many is absent: what mainnet has on a usual day.
const ONE_ABSENT_IN: usize = 100;

/// Measures the keys of a slot's aggregates, one for each committee: first by the committees' sums, which are known, without the
/// absent; then by adding up those who are present.
///
/// # Errors
/// When the committees are not those of the registry.
pub fn measure(recorder: &mut Recorder, state: &BeaconState, ctx: &Context) -> Result<(), String> {
    let shuffling = find_shuffling(state, state.current_epoch()).map_err(doing("the committees"))?;
    let aggregates: Vec<Attestation> =
        (0..shuffling.committees_per_slot).filter_map(|index| aggregate(&shuffling, state.slot, index)).collect();
    let key = |aggregate: &Attestation| get_attesters_key(state, state.fork_name, &shuffling, aggregate, ctx);
    let keys = |(): &mut ()| aggregates.iter().try_for_each(|aggregate| key(aggregate).map(drop));
    // The sums of the committees are there once and for all aggregates.
    keys(&mut ()).map_err(doing("the committees' keys"))?;
    let what = "keys of a slot's aggregates, 1% absent: the committees' sums without the absent";
    recorder.time("aggregate_keys", what, || Ok(()), keys)?;
    let added = |(): &mut ()| {
        aggregates.iter().enumerate().try_for_each(|(index, aggregate)| {
            let committee = shuffling.committee(state.slot, index as u64).unwrap_or_default();
            let members = committee.iter().zip(aggregate.aggregation_bits.iter());
            let present: Vec<u32> = members.filter(|(_, is_present)| *is_present).map(|(member, _)| *member).collect();
            let keys = get_public_keys(state, &present, ctx)?;
            black_box(AggregatePublicKey::from_keys(&keys).to_public_key());
            Ok::<_, TransitionError>(())
        })
    };
    let what = "the same keys, by adding up all who are present";
    recorder.time("aggregate_keys_added", what, || Ok(()), added).map(drop)
}

/// An aggregate of most of a committee, without a signature.
fn aggregate(shuffling: &Shuffling, slot: Slot, index: CommitteeIndex) -> Option<Attestation> {
    let members = shuffling.committee(slot, index)?.len();
    let mut aggregation_bits = ssz_types::BitList::with_capacity(members).ok()?;
    for place in (0..members).filter(|place| place % ONE_ABSENT_IN != 0) {
        aggregation_bits.set(place, true).ok()?;
    }
    let mut committee_bits = ssz_types::BitVector::new();
    committee_bits.set(index as usize, true).ok()?;
    let data = AttestationData { slot, ..AttestationData::default() };
    Some(Attestation { aggregation_bits, data, signature: BLSSignature::ZERO, committee_bits })
}
