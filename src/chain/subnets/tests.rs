use std::{collections::BTreeSet, sync::Arc};

use super::*;
use crate::types::{preset::*, *};

fn subnets(node_id: Option<u64>) -> Subnets {
    Subnets::new(Arc::new(Config::default()), node_id.map(U256::from))
}

fn attester(slot: Slot, committee_index: CommitteeIndex, is_aggregator: bool) -> CommitteeSubscription {
    CommitteeSubscription { slot, committee_index, committees_at_slot: 4, is_aggregator }
}

#[test]
fn a_node_keeps_two_neighbouring_subnets_and_rotates_them_at_its_own_time() {
    let config = Config::default();
    let of = |node_id: U256, epoch| compute_subscribed_subnets(&config, node_id, epoch);
    for id in [U256::ZERO, U256::MAX, U256::from(77u64) << 200usize] {
        let offset = u64::try_from(id % U256::from(256u64)).unwrap();
        let change = 10 * 256 - offset;
        let [first, second] = of(id, change)[..] else { panic!("two subnets") };
        assert_eq!(second, (first + 1) % 64);
        assert_eq!(of(id, change), of(id, change + 255));
        // Of 64 periods some have other subnets, whatever the seed.
        assert!((0..64).any(|period| of(id, change + 256 * period) != of(id, change)));
    }
    // All nodes of a prefix share their subnets, apart from when they change.
    let shared = U256::from(0b10_1010_u64) << 250usize;
    assert_eq!(of(shared, 300), of(shared + (U256::from(1u64) << 200usize), 300));
    let all: BTreeSet<u64> = (0..64u64).map(|prefix| of(U256::from(prefix) << 250usize, 300)[0]).collect();
    assert_eq!(all.len(), 64, "the prefixes share out all subnets");
}

#[test]
fn a_node_without_validators_keeps_and_announces_its_two() {
    let plan = subnets(Some(5)).plan(100);
    assert_eq!((plan.listen.len(), plan.attnets.len()), (2, 2));
    assert!(plan.syncnets.is_empty() && plan.publish.is_empty());
    assert_eq!(subnets(None).plan(100), SubnetPlan::default());
}

#[test]
fn an_aggregator_listens_from_shortly_before_its_slot_until_it_ends() {
    let mut subnets = subnets(None);
    let now = 2 * SLOTS_PER_EPOCH;
    subnets.attest(&attester(now + 4, 1, true), now);
    subnets.attest(&attester(now + 4, 2, false), now);
    let config = Config::default();
    let topic = |index| Topic::BeaconAttestation(compute_subnet_for_attestation(&config, 4, now + 4, index));
    assert!(subnets.plan(now + 1).listen.is_empty());
    assert_eq!(subnets.plan(now + 1).publish, [topic(1), topic(2)].into());
    for slot in now + 2..=now + 4 {
        let plan = subnets.plan(slot);
        assert_eq!(plan.listen, [topic(1)].into(), "only the aggregator's");
        assert_eq!(plan.publish, [topic(2)].into());
        assert!(plan.attnets.is_empty(), "what is short is not announced");
    }
    assert_eq!(subnets.aggregating(), [(now + 4, 1)].into());
    assert_eq!(subnets.plan(now + 5), SubnetPlan::default());
    assert!(subnets.aggregating().is_empty());
}

#[test]
fn what_makes_no_sense_is_not_remembered() {
    let mut subnets = subnets(None);
    let now = 10 * SLOTS_PER_EPOCH;
    for slot in [0, now - 1, now + 2 * SLOTS_PER_EPOCH, Slot::MAX] {
        subnets.attest(&attester(slot, 0, true), now);
    }
    subnets.attest(&attester(now, 4, true), now);
    let too_many =
        CommitteeSubscription { committees_at_slot: MAX_COMMITTEES_PER_SLOT as u64 + 1, ..attester(now, 0, true) };
    subnets.attest(&too_many, now);
    let places = vec![SYNC_COMMITTEE_SIZE as u64, u64::MAX];
    subnets.sign_heads(&SyncSubscription { places, until_epoch: Epoch::MAX }, 10);
    assert_eq!(subnets.plan(now), SubnetPlan::default());
}

#[test]
fn a_sync_committee_member_stays_until_its_duty_ends() {
    let mut subnets = subnets(None);
    let quarter = (SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT) as u64;
    subnets.sign_heads(&SyncSubscription { places: vec![0, 2 * quarter], until_epoch: 5 }, 3);
    subnets.sign_heads(&SyncSubscription { places: vec![1], until_epoch: Epoch::MAX }, 3);
    let plan = subnets.plan(3 * SLOTS_PER_EPOCH);
    assert_eq!(plan.syncnets, [0, 2].into());
    assert_eq!(plan.listen, [Topic::SyncCommittee(0), Topic::SyncCommittee(2)].into());
    assert_eq!(subnets.plan(5 * SLOTS_PER_EPOCH).syncnets, [0].into());
    // Nobody is in the committee for ever.
    assert!(subnets.plan(3 * EPOCHS_PER_SYNC_COMMITTEE_PERIOD * SLOTS_PER_EPOCH).syncnets.is_empty());
}
