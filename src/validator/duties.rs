//! What our validators have to do in an epoch.

use std::collections::BTreeMap;

use super::{
    beacon::{AttesterDuty, BeaconClient, BeaconError, SyncDuty},
    keys::InteropKeys,
};
use crate::types::*;

/// The duties of one epoch.
#[derive(Clone, Debug, Default)]
pub struct Duties {
    /// Proposers of ours, by slot.
    pub proposers: BTreeMap<Slot, ValidatorIndex>,
    /// Attesters of ours, by slot.
    pub attesters: BTreeMap<Slot, Vec<AttesterDuty>>,
    /// Members of ours in the sync committee.
    pub sync: Vec<SyncDuty>,
}

impl Duties {
    /// Asks the node for the duties of our validators in `epoch`. Blocks.
    pub fn fetch(beacon: &BeaconClient, keys: &InteropKeys, epoch: Epoch) -> Result<Self, BeaconError> {
        let ours: Vec<ValidatorIndex> = keys.indices().collect();
        let mut duties = Duties { sync: beacon.sync_duties(epoch, &ours)?, ..Duties::default() };
        for duty in beacon.attester_duties(epoch, &ours)? {
            duties.attesters.entry(duty.slot).or_default().push(duty);
        }
        for duty in beacon.proposer_duties(epoch)? {
            if keys.secret(duty.validator_index).is_some() {
                duties.proposers.insert(duty.slot, duty.validator_index);
            }
        }
        Ok(duties)
    }

    /// Attesters of ours in a slot.
    pub fn attesters_of(&self, slot: Slot) -> &[AttesterDuty] {
        self.attesters.get(&slot).map_or(&[], Vec::as_slice)
    }
}
