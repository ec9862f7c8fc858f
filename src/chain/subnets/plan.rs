//! Which subnets matter in a slot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{CommitteeSubscription, NodeId, SyncSubscription, compute_subscribed_subnets};
use crate::types::{preset::*, *};

/// An aggregator listens from so many slots before its own: a mesh forms within a heartbeat or two once there are peers.
const SLOTS_AHEAD: u64 = 2;
/// Duties are known for this epoch and the next; what is later was made up. So at most 3 epochs' slots times 64 committees
/// are remembered.
const EPOCHS_AHEAD: u64 = 2;
/// Peers are sought for so many slots ahead: finding some takes a minute or so.
const SEEK_SLOTS_AHEAD: u64 = 6;
/// Places of one subcommittee of the sync committee.
const SUBCOMMITTEE_SIZE: u64 = (SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT) as u64;

/// What the network is to do about subnets, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubnetPlan {
    /// The topics of votes and sync committee messages to listen to.
    pub listen: BTreeSet<Topic>,
    /// Attestation subnets to announce: those that we keep for long.
    pub attnets: BTreeSet<u64>,
    /// Sync committee subnets to announce.
    pub syncnets: BTreeSet<u64>,
    /// Topics besides on which peers are wanted, because we shall publish there.
    pub publish: BTreeSet<Topic>,
}

/// What our node and its validators need.
#[derive(Debug)]
pub struct Subnets {
    config: Arc<Config>,
    node_id: Option<NodeId>,
    /// Committees in which ours attest, and whether one of them aggregates.
    committees: BTreeMap<(Slot, CommitteeIndex), Duty>,
    /// When the last of a sync subnet's duties ends.
    sync: BTreeMap<u64, Epoch>,
}

#[derive(Clone, Copy, Debug)]
struct Duty {
    subnet: u64,
    is_aggregator: bool,
}

impl Subnets {
    /// Of a node, without validators. Without an id it keeps no subnets.
    pub fn new(config: Arc<Config>, node_id: Option<NodeId>) -> Subnets {
        Subnets { config, node_id, committees: BTreeMap::new(), sync: BTreeMap::new() }
    }

    /// A validator will attest. What is past, too far ahead or no committee is left out.
    pub fn attest(&mut self, one: &CommitteeSubscription, now: Slot) {
        let CommitteeSubscription { slot, committee_index, committees_at_slot, is_aggregator } = *one;
        let is_committee = committee_index < committees_at_slot && committees_at_slot <= MAX_COMMITTEES_PER_SLOT as u64;
        let last = compute_start_slot_at_epoch(compute_epoch_at_slot(now) + EPOCHS_AHEAD);
        if !is_committee || !(now..last).contains(&slot) {
            return;
        }
        let subnet = compute_subnet_for_attestation(&self.config, committees_at_slot, slot, committee_index);
        let duty = self.committees.entry((slot, committee_index)).or_insert(Duty { subnet, is_aggregator });
        duty.is_aggregator |= is_aggregator;
    }

    /// A validator is in the sync committee, at most to the end of the next period.
    pub fn sign_heads(&mut self, one: &SyncSubscription, now: Epoch) {
        let periods = now / EPOCHS_PER_SYNC_COMMITTEE_PERIOD + 2;
        let until = one.until_epoch.min(periods * EPOCHS_PER_SYNC_COMMITTEE_PERIOD);
        for subnet in one.places.iter().filter(|place| **place < SYNC_COMMITTEE_SIZE as u64) {
            let end = self.sync.entry(subnet / SUBCOMMITTEE_SIZE).or_insert(until);
            *end = until.max(*end);
        }
    }

    /// The committees whose votes are to be summed.
    pub fn aggregating(&self) -> BTreeSet<(Slot, CommitteeIndex)> {
        self.committees.iter().filter(|(_, duty)| duty.is_aggregator).map(|(committee, _)| *committee).collect()
    }

    /// What is to be done in `slot`; forgets what is past.
    pub fn plan(&mut self, slot: Slot) -> SubnetPlan {
        let epoch = compute_epoch_at_slot(slot);
        self.committees = self.committees.split_off(&(slot, 0));
        self.sync.retain(|_, until| *until > epoch);
        let mut plan = SubnetPlan::default();
        if let Some(node_id) = self.node_id {
            plan.attnets = compute_subscribed_subnets(&self.config, node_id, epoch).into_iter().collect();
        }
        plan.syncnets = self.sync.keys().copied().collect();
        plan.listen.extend(plan.attnets.iter().map(|subnet| Topic::BeaconAttestation(*subnet)));
        plan.listen.extend(plan.syncnets.iter().map(|subnet| Topic::SyncCommittee(*subnet)));
        for ((at, _), duty) in &self.committees {
            let topic = Topic::BeaconAttestation(duty.subnet);
            if duty.is_aggregator && *at <= slot + SLOTS_AHEAD {
                plan.listen.insert(topic);
            } else if *at <= slot + SEEK_SLOTS_AHEAD {
                plan.publish.insert(topic);
            }
        }
        plan.publish.retain(|topic| !plan.listen.contains(topic));
        plan
    }
}
