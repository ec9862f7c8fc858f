//! Sums of participating balances that a state remembers.

use super::{BeaconState, Epoch, Gwei, preset::PARTICIPATION_FLAG_WEIGHTS};

/// Effective balances in Gwei of the validators that have a flag, are active in its epoch, and are not slashed; by flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParticipationSums {
    /// Of the previous epoch.
    pub previous: [Gwei; PARTICIPATION_FLAG_WEIGHTS.len()],
    /// Of the current epoch.
    pub current: [Gwei; PARTICIPATION_FLAG_WEIGHTS.len()],
}

/// Sums, and the names of what they are sums of: the epoch, the registry, and the flags of both epochs.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownParticipation {
    of: (Epoch, [u64; 3]),
    sums: ParticipationSums,
}

impl BeaconState {
    /// The sums, if they were noted and neither the epoch nor the registry nor any flag has changed since.
    pub fn participation_sums(&self) -> Option<ParticipationSums> {
        let known = self.caches.participation?;
        let stamps = [
            self.validators.known_stamp()?,
            self.previous_epoch_participation.known_stamp()?,
            self.current_epoch_participation.known_stamp()?,
        ];
        (known.of == (self.current_epoch(), stamps)).then_some(known.sums)
    }

    /// Notes the sums of the state as it is, in the epoch given: that of its slot, or at an epoch's end the next.
    pub fn note_participation_sums(&mut self, epoch: Epoch, sums: ParticipationSums) {
        let stamps = [
            self.validators.stamp(),
            self.previous_epoch_participation.stamp(),
            self.current_epoch_participation.stamp(),
        ];
        self.caches.participation = Some(KnownParticipation { of: (epoch, stamps), sums });
    }
}
