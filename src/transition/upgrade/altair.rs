//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/fork.md>

use super::begin;
use crate::{
    ssz::Column,
    transition::{
        Context, TransitionError, epoch::pending_attesters, get_attestation_participation_flags,
        get_next_sync_committee, get_shuffling,
    },
    types::*,
};

/// Makes a phase 0 state an Altair one.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/fork.md#upgrading-the-state>
pub fn upgrade_to_altair(state: &mut BeaconState, ctx: &Context) -> Result<(), TransitionError> {
    begin(state, ForkName::Altair, ctx);
    let count = state.validators.len();
    state.previous_epoch_participation = Column::filled(0, count);
    state.current_epoch_participation = Column::filled(0, count);
    state.inactivity_scores = Column::filled(0, count);
    let pending_attestations = std::mem::take(&mut state.previous_epoch_attestations);
    state.current_epoch_attestations = PendingAttestations::default();
    translate_participation(state, &pending_attestations)?;

    // The same committee serves now and next.
    let sync_committee = Hashed::new(get_next_sync_committee(state)?);
    state.current_sync_committee = sync_committee.clone();
    state.next_sync_committee = sync_committee;
    Ok(())
}

/// Turns the pending attestations of the previous epoch into its participation flags.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/fork.md#upgrading-the-state>
pub fn translate_participation(
    state: &mut BeaconState,
    pending_attestations: &[PendingAttestation],
) -> Result<(), TransitionError> {
    for attestation in pending_attestations {
        let data = &attestation.data;
        let flags = get_attestation_participation_flags(state, data, attestation.inclusion_delay)?;
        let shuffling = get_shuffling(state, compute_epoch_at_slot(data.slot))?;
        for index in pending_attesters(&shuffling, attestation)? {
            let old = state.previous_epoch_participation[index as usize];
            state.previous_epoch_participation.set(index as usize, old | flags);
        }
    }
    Ok(())
}
