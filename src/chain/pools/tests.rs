//! What the pools keep, merge and give.

use std::sync::Arc;

use tree_hash::TreeHash as _;

use super::{attestations::*, sync::SyncPool, *};
use crate::{
    chain::Vote,
    crypto::{AggregateSignature, SecretKey, Signature, eth_fast_aggregate_verify, fast_aggregate_verify},
    types::preset::*,
};

const MESSAGE: Hash256 = Hash256::repeat_byte(5);

fn key(number: usize) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&(number as u64 + 1).to_be_bytes());
    SecretKey::from_bytes(&bytes).unwrap()
}

fn pubkeys(numbers: impl IntoIterator<Item = usize>) -> Vec<BLSPubkey> {
    numbers.into_iter().map(|number| key(number).public_key().to_compressed()).collect()
}

/// The vote of one place of a committee, signed by the key with number `first + place`.
fn vote(size: usize, place: usize, first: usize) -> Votes {
    Votes::single(size, &[place], &key(first + place).sign(MESSAGE)).unwrap()
}

fn data(slot: Slot, head: u64) -> AttestationData {
    AttestationData { slot, beacon_block_root: Hash256::left_padding_from(&head.to_be_bytes()), ..Default::default() }
}

fn insert(pool: &mut AttestationPool, data: &AttestationData, committee: u64, votes: Votes) -> bool {
    pool.insert(data, data.tree_hash_root(), committee, votes)
}

#[test]
fn committees_lie_one_after_the_other_and_their_sum_verifies() {
    // Committee 1 has 3 members (keys 0..3), committee 3 has 5 (keys 10..15).
    let mut sums = [Sums::default(), Sums::default()];
    for place in [0, 2] {
        sums[0].insert(vote(3, place, 0));
    }
    for place in [1, 4] {
        sums[1].insert(vote(5, place, 10));
    }
    let parts = [(1, sums[0].best().unwrap()), (3, sums[1].best().unwrap())];
    let attestation = compute_on_chain_aggregate(&data(7, 1), &parts);
    let set: Vec<usize> = (0..8).filter(|&i| attestation.aggregation_bits.get(i).unwrap()).collect();
    assert_eq!((attestation.aggregation_bits.len(), set), (8, vec![0, 2, 3 + 1, 3 + 4]));
    let committees: Vec<bool> = attestation.committee_bits.iter().take(4).collect();
    assert_eq!(committees, [false, true, false, true]);
    assert!(fast_aggregate_verify(&pubkeys([0, 2, 11, 14]), MESSAGE, &attestation.signature));
}

#[test]
fn votes_and_aggregates_of_a_committee_become_one() {
    let mut pool = AttestationPool::default();
    let (data, root) = (data(7, 1), data(7, 1).tree_hash_root());
    assert!(insert(&mut pool, &data, 2, vote(4, 0, 0)));
    assert!(!insert(&mut pool, &data, 2, vote(4, 0, 0)), "known");
    let other = compute_on_chain_aggregate(&data, &[(2, &vote(4, 3, 0))]);
    assert!(pool.insert_aggregate(&other, root));
    let found = pool.aggregate(7, root, 2).unwrap();
    assert_eq!(found.aggregation_bits.num_set_bits(), 2);
    assert!(fast_aggregate_verify(&pubkeys([0, 3]), MESSAGE, &found.signature));
    assert!(pool.aggregate(7, root, 1).is_none() && pool.aggregate(8, root, 2).is_none());
    // An attestation of several committees belongs into blocks only.
    let two = compute_on_chain_aggregate(&data, &[(0, &vote(4, 1, 0)), (1, &vote(4, 1, 0))]);
    assert!(!pool.insert_aggregate(&two, root));
}

#[test]
fn old_slots_go_and_do_not_come_back() {
    let mut pool = AttestationPool::default();
    for slot in 1..=SLOTS_KEPT + 3 {
        assert!(insert(&mut pool, &data(slot, 1), 0, vote(4, 0, 0)));
    }
    assert_eq!(pool.number() as u64, SLOTS_KEPT);
    assert!(!insert(&mut pool, &data(3, 1), 0, vote(4, 1, 0)));
    assert_eq!(pool.candidates().len() as u64, SLOTS_KEPT);
    assert_eq!(pool.candidates()[0].data.slot, SLOTS_KEPT + 3, "the newest first");
}

#[test]
fn the_pool_is_bounded_within_a_slot_and_in_all() {
    let mut pool = AttestationPool::default();
    for head in 0..DATA_PER_SLOT as u64 {
        assert!(insert(&mut pool, &data(1, head), 0, vote(4, 0, 0)));
    }
    assert!(!insert(&mut pool, &data(1, 9999), 0, vote(4, 0, 0)), "one kind of vote too many");
    assert!(insert(&mut pool, &data(1, 0), 0, vote(4, 1, 0)), "known kinds still grow");

    let votes = vote(4, 0, 0);
    let per_slot = MAX_POOLED as u64 / 4;
    for slot in 2..=6 {
        for committee in 0..per_slot {
            insert(&mut pool, &data(slot, 1), committee, votes.clone());
        }
    }
    assert!(pool.number() <= MAX_POOLED);
    assert!(pool.candidates().iter().all(|votes| votes.data.slot > 1), "the oldest slots went first");
    assert!(pool.candidates().iter().any(|votes| votes.data.slot == 6));
}

#[test]
fn the_sync_aggregate_is_of_all_subcommittees() {
    let mut pool = SyncPool::default();
    let head = Hash256::repeat_byte(8);
    for (subcommittee, place) in [(0, 1), (0, 2), (3, 0)] {
        let votes = vote(SUBCOMMITTEE_SIZE, place, subcommittee * SUBCOMMITTEE_SIZE);
        assert!(pool.insert(9, head, subcommittee, votes));
    }
    let aggregate = pool.sync_aggregate(9, head);
    let places = [1, 2, 3 * SUBCOMMITTEE_SIZE];
    let set: Vec<usize> = (0..SYNC_COMMITTEE_SIZE).filter(|&i| aggregate.sync_committee_bits.get(i).unwrap()).collect();
    assert_eq!(set, places);
    assert!(eth_fast_aggregate_verify(&pubkeys(places), MESSAGE, &aggregate.sync_committee_signature));

    let contribution = pool.contribution(9, 0, head).unwrap();
    assert_eq!(contribution.aggregation_bits.num_set_bits(), 2);
    let mut other = SyncPool::default();
    assert!(other.insert_contribution(&contribution) && !other.insert_contribution(&contribution));
    assert_eq!(other.contribution(9, 0, head), Some(contribution));

    let nobody = pool.sync_aggregate(8, head);
    assert_eq!(nobody.sync_committee_bits.num_set_bits(), 0);
    assert!(eth_fast_aggregate_verify(&[], MESSAGE, &nobody.sync_committee_signature));
}

#[test]
fn sync_signatures_are_bounded() {
    let mut pool = SyncPool::default();
    let head = |n: u64| Hash256::left_padding_from(&n.to_be_bytes());
    for n in 0..sync::HEADS_PER_SLOT as u64 {
        assert!(pool.insert(1, head(n), 0, vote(SUBCOMMITTEE_SIZE, 0, 0)));
    }
    assert!(!pool.insert(1, head(99), 0, vote(SUBCOMMITTEE_SIZE, 0, 0)));
    assert!(!pool.insert(1, head(0), SYNC_COMMITTEE_SUBNET_COUNT, vote(SUBCOMMITTEE_SIZE, 0, 0)));
    assert!(!pool.insert(1, head(0), 0, vote(SUBCOMMITTEE_SIZE + 1, 0, 0)));
    pool.insert(1 + sync::SLOTS_KEPT, head(1), 0, vote(SUBCOMMITTEE_SIZE, 0, 0));
    assert!(pool.contribution(1, 0, head(0)).is_none(), "too old");
    assert!(!pool.insert(1, head(0), 0, vote(SUBCOMMITTEE_SIZE, 0, 0)));
}

#[test]
fn the_task_answers_and_ends_with_its_handles() {
    smol::block_on(async {
        let Pools { handle, verified, task } = Pools::default();
        let running = smol::spawn((task.start)());
        let (data, root) = (data(7, 1), data(7, 1).tree_hash_root());
        let signature = key(0).sign(MESSAGE).to_bytes();
        let single = SingleAttestation { committee_index: 0, attester_index: 9, data, signature };
        let vote_of_9 = Vote { data, attesting_indices: vec![9] };
        let found = Found::Vote { vote: vote_of_9, committee_len: 4, place: 0 };
        handle.add(Verified { message: GossipMessage::Attestation(Arc::new(single), 0), found }).await;
        handle.set_fee_recipient(5, Address::repeat_byte(5)).await;
        let aggregate = compute_on_chain_aggregate(&data, &[(1, &vote(4, 3, 0))]);
        let message = AggregateAndProof { aggregator_index: 0, aggregate, selection_proof: BLSSignature::ZERO };
        let signed = SignedAggregateAndProof { message, signature: BLSSignature::ZERO };
        let message = GossipMessage::Aggregate(Arc::new(signed));
        verified.send(Verified { message, found: Found::Message }).await.unwrap();
        drop(verified);
        // The two queues are not in order with each other.
        while handle.aggregate(7, root, 1).await.is_none() {
            smol::future::yield_now().await;
        }
        assert!(handle.aggregate(7, root, 0).await.is_some());
        let for_block = handle.for_block(8, Hash256::ZERO, Arc::default()).await.unwrap();
        assert_eq!(for_block.attestations[0].committees.len(), 2);
        assert_eq!(for_block.fee_recipients[&5], Address::repeat_byte(5));
        drop((handle, task.start));
        assert!(running.await.is_ok());
    });
}

#[test]
fn what_is_no_signature_is_not_pooled() {
    let mut pool = AttestationPool::default();
    let mut bad = compute_on_chain_aggregate(&data(7, 1), &[(0, &vote(4, 0, 0))]);
    bad.signature = BLSSignature::ZERO;
    assert!(!pool.insert_aggregate(&bad, bad.data.tree_hash_root()));
    assert!(Signature::from_bytes(&AggregateSignature::from_signatures([]).to_signature().to_bytes()).is_ok());
}
