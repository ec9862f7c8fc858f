//! What aggregates and single votes have in common.

use std::sync::Arc;

use super::{Refusal, View, ensure, ignore, reject};
use crate::{
    chain::gossip::InvalidBlock,
    transition::find_shuffling,
    types::{preset::*, *},
};

/// That the vote's slot has come, that its epoch is this one or the one before, and that its target is of that epoch.
pub(super) fn check_time(view: &View, data: &AttestationData, words: [&'static str; 2]) -> Result<(), Refusal> {
    let [future, old] = words;
    ensure(!view.is_future_slot(data.slot), ignore(future))?;
    let epoch = compute_epoch_at_slot(data.slot);
    ensure(view.is_current_or_previous_epoch(epoch), ignore(old))?;
    ensure(data.target.epoch == epoch, reject("attestation epoch does not match target epoch"))
}

/// That the blocks it votes for are known and fit together.
pub(super) fn check_blocks(view: &View, data: &AttestationData) -> Result<(), Refusal> {
    let block = data.beacon_block_root;
    match view.invalid_blocks.get(&block) {
        Some(InvalidBlock::ByRules) => return Err(reject("block being voted for failed validation")),
        // The voter may not know what the execution client told us.
        Some(InvalidBlock::PayloadVerified) => return Err(ignore("block being voted for failed validation")),
        None => {}
    }
    ensure(view.snapshot.contains(&block), ignore("block being voted for has not been seen"))?;
    ensure(view.is_on_finalized_chain(), ignore("finalized checkpoint is not an ancestor of block"))?;
    let target = view.snapshot.ancestor(block, compute_start_slot_at_epoch(data.target.epoch));
    // Before the finalized block nothing is known.
    let target = target.ok_or(ignore("target block is before the finalized one"))?;
    ensure(target == data.target.root, reject("target block is not an ancestor of LMD vote block"))
}

/// The committees of an epoch, and the state that they are of if it is not the head's.
pub(super) struct Committees {
    pub shuffling: Arc<Shuffling>,
    other_state: Option<Arc<BeaconState>>,
}

impl Committees {
    /// The state whose registry the committees' members are in.
    pub fn state<'a>(&'a self, view: &View<'a>) -> &'a BeaconState {
        self.other_state.as_deref().unwrap_or(view.state)
    }
}

/// The committees of the vote's epoch on the vote's branch, whose blocks were checked: by the head's state, if the target
/// is on its branch, or by the voted block's own. The specification takes the head's state in any case.
pub(super) fn committees(view: &View, data: &AttestationData) -> Result<Committees, Refusal> {
    let (snapshot, target) = (view.snapshot, data.target);
    let start = compute_start_slot_at_epoch(target.epoch);
    if snapshot.ancestor(snapshot.head_root, start) == Some(target.root)
        && let Ok(shuffling) = find_shuffling(view.state, target.epoch)
    {
        return Ok(Committees { shuffling, other_state: None });
    }
    let states = [data.beacon_block_root, target.root].into_iter().filter_map(|root| snapshot.state(&root));
    // A much younger state would have to shuffle its whole registry for each vote.
    let mut fitting = states.filter(|state| state.current_epoch() <= target.epoch.saturating_add(1));
    let found = fitting.find_map(|state| Some((find_shuffling(&state, target.epoch).ok()?, state)));
    let (shuffling, state) = found.ok_or(ignore("committees of its branch are not at hand"))?;
    Ok(Committees { shuffling, other_state: Some(state) })
}

/// The validators of a committee.
pub(super) fn committee(shuffling: &Shuffling, slot: Slot, index: CommitteeIndex) -> Result<&[u32], Refusal> {
    shuffling.committee(slot, index).ok_or(reject("committee index out of range"))
}

/// Whether a selection proof makes its owner one of about `one_in` aggregators.
pub(super) fn is_selected(proof: &BLSSignature, one_in: u64) -> bool {
    let hash = ethereum_hashing::hash_fixed(proof.as_slice());
    let mut start = [0; 8];
    start.copy_from_slice(&hash[..8]);
    u64::from_le_bytes(start).is_multiple_of(one_in.max(1))
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/validator.md#aggregation-selection>
pub(super) fn is_aggregator(committee_len: usize, selection_proof: &BLSSignature) -> bool {
    is_selected(selection_proof, committee_len as u64 / TARGET_AGGREGATORS_PER_COMMITTEE)
}
