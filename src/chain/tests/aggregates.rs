//! Aggregates from gossip and of our own.

use std::sync::Arc;

use ssz_types::{BitList, BitVector};
use tree_hash::TreeHash as _;

use super::{recording::*, rig::*};
use crate::{
    chain::network::{Publication, Verdict},
    crypto::*,
    types::*,
};

/// The head of the tests here, in the anchor's epoch.
pub const HEAD: Slot = ANCHOR + 2;

/// A chain with that head.
pub fn rig(dir: &std::path::Path) -> Rig {
    let rig = Rig::new(dir, checkpoint(), clock_at(HEAD));
    rig.import(&block(HEAD - 1)).unwrap();
    rig.import(&block(HEAD)).unwrap();
    rig
}

pub fn signed<T: tree_hash::TreeHash>(object: &T, domain_type: DomainType, index: u64, epoch: Epoch) -> BLSSignature {
    let version = config().fork_version(epoch);
    let domain = compute_domain(domain_type, version, anchor_state().genesis_validators_root);
    secret_key(index).sign(compute_signing_root(object, domain)).to_bytes()
}

/// The first committee of a slot, all of whose members vote for `block_root`. Its first member aggregates.
pub fn aggregate(rig: &Rig, slot: Slot, block_root: Hash256) -> SignedAggregateAndProof {
    let state = &rig.handle.snapshot().head_state;
    let epoch = compute_epoch_at_slot(slot);
    let committee = state.caches.shuffling(epoch).unwrap().committee(slot, 0).unwrap().to_vec();
    let snapshot = rig.handle.snapshot();
    let target_root = snapshot.ancestor(snapshot.head_root, compute_start_slot_at_epoch(epoch)).unwrap();
    let target = Checkpoint { epoch, root: target_root };
    let data = AttestationData {
        slot,
        index: 0,
        beacon_block_root: block_root,
        source: state.current_justified_checkpoint,
        target,
    };
    let mut aggregation_bits = BitList::with_capacity(committee.len()).unwrap();
    (0..committee.len()).for_each(|i| aggregation_bits.set(i, true).unwrap());
    let mut committee_bits = BitVector::new();
    committee_bits.set(0, true).unwrap();
    let votes = committee.iter().map(|index| {
        let signature = signed(&data, DOMAIN_BEACON_ATTESTER, u64::from(*index), epoch);
        Signature::from_bytes(&signature).unwrap()
    });
    let votes: Vec<_> = votes.collect();
    let signature = AggregateSignature::from_signatures(&votes).to_signature().to_bytes();
    let aggregator_index = u64::from(committee[0]);
    let message = AggregateAndProof {
        aggregator_index,
        aggregate: Attestation { aggregation_bits, data, signature, committee_bits },
        selection_proof: signed(&slot.tree_hash_root(), DOMAIN_SELECTION_PROOF, aggregator_index, epoch),
    };
    sign_again(message)
}

fn sign_again(message: AggregateAndProof) -> SignedAggregateAndProof {
    let epoch = message.aggregate.data.target.epoch;
    let signature = signed(&message, DOMAIN_AGGREGATE_AND_PROOF, message.aggregator_index, epoch);
    SignedAggregateAndProof { message, signature }
}

fn gossip(rig: &Rig, aggregate: SignedAggregateAndProof) -> Verdict {
    rig.gossip_message(GossipMessage::Aggregate(Arc::new(aggregate)))
}

#[test]
fn an_aggregate_is_accepted_once() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let good = aggregate(&rig, HEAD, root(HEAD));
    assert_eq!(gossip(&rig, good.clone()), Verdict::Accept);
    assert_eq!(gossip(&rig, good.clone()), Verdict::Ignore);
    // Fewer votes by another aggregator: nothing new.
    let mut less = good.message;
    less.aggregate.aggregation_bits.set(0, false).unwrap();
    assert_eq!(gossip(&rig, sign_again(less)), Verdict::Ignore);
}

#[test]
fn an_aggregate_that_breaks_a_rule_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let good = aggregate(&rig, HEAD, root(HEAD));
    type Change = fn(&mut AggregateAndProof);
    let changes: [(&str, Change); 8] = [
        ("an index", |message| message.aggregate.data.index = 1),
        ("two committees", |message| message.aggregate.committee_bits.set(1, true).unwrap()),
        ("no committee", |message| message.aggregate.committee_bits = BitVector::new()),
        ("nobody votes", |message| {
            let len = message.aggregate.aggregation_bits.len();
            message.aggregate.aggregation_bits = BitList::with_capacity(len).unwrap();
        }),
        ("too many bits", |message| {
            let len = message.aggregate.aggregation_bits.len();
            message.aggregate.aggregation_bits = BitList::with_capacity(len + 1).unwrap();
            message.aggregate.aggregation_bits.set(0, true).unwrap();
        }),
        ("another target", |message| message.aggregate.data.target.root = root(HEAD)),
        ("another epoch's target", |message| message.aggregate.data.target.epoch -= 1),
        ("a stranger", |message| message.aggregator_index = (message.aggregator_index + 1) % 16),
    ];
    for (what, change) in changes {
        let mut message = good.message.clone();
        change(&mut message);
        assert_eq!(gossip(&rig, sign_again(message)), Verdict::Reject, "{what}");
    }
    let noise = recording_signature();
    let mut bad = good.clone();
    bad.signature = noise;
    assert_eq!(gossip(&rig, bad), Verdict::Reject);
    let mut bad = good.message.clone();
    bad.aggregate.signature = noise;
    assert_eq!(gossip(&rig, sign_again(bad)), Verdict::Reject);
    let mut bad = good.message.clone();
    bad.selection_proof = noise;
    assert_eq!(gossip(&rig, sign_again(bad)), Verdict::Reject);
    // None of them kept the good one out.
    assert_eq!(gossip(&rig, good), Verdict::Accept);
}

#[test]
fn what_can_not_be_judged_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    assert_eq!(gossip(&rig, aggregate(&rig, HEAD, Hash256::repeat_byte(1))), Verdict::Ignore);
    assert_eq!(gossip(&rig, aggregate(&rig, HEAD + 1, root(HEAD))), Verdict::Ignore);
    let good = aggregate(&rig, HEAD, root(HEAD));
    let clock = rig.handle.clock();
    clock.set_ms(clock.start_of(HEAD + 100));
    assert_eq!(gossip(&rig, good), Verdict::Ignore);
}

#[test]
fn our_own_aggregate_is_published_and_counts() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let ours = GossipMessage::Aggregate(Arc::new(aggregate(&rig, HEAD, root(HEAD))));
    assert_eq!(soon("an answer", rig.handle.submit(ours.clone())), Ok(()));
    rig.wait_told("a publication", |told| {
        matches!(told, Told::Publish(Publication::Message(published)) if *published == ours).then_some(())
    });
    assert!(soon("an answer", rig.handle.submit(ours)).is_err());
}
