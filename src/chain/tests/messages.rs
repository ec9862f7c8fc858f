//! Small messages of all topics but aggregates, and columns: their verdicts, and what becomes of them.

use std::sync::Arc;

use tree_hash::TreeHash as _;

use super::{
    aggregates::{HEAD, rig, signed},
    recording::*,
    rig::*,
};
use crate::{
    chain::{
        gossip::Refusal,
        network::{Publication, Verdict},
        pools::SUBCOMMITTEE_SIZE,
        produce::Producer,
        subnets::CommitteeSubscription,
    },
    crypto::*,
    engine::Engine,
    types::{preset::*, *},
};

/// Two headers of a proposer for one slot.
fn proposer_slashing(proposer_index: ValidatorIndex) -> GossipMessage {
    let header = |byte: u8| {
        let message = BeaconBlockHeader {
            slot: HEAD,
            proposer_index,
            body_root: Hash256::repeat_byte(byte),
            ..Default::default()
        };
        let signature = signed(&message, DOMAIN_BEACON_PROPOSER, proposer_index, compute_epoch_at_slot(HEAD));
        SignedBeaconBlockHeader { message, signature }
    };
    GossipMessage::ProposerSlashing(Arc::new(ProposerSlashing {
        signed_header_1: header(1),
        signed_header_2: header(2),
    }))
}

/// Two votes of a validator for one target epoch.
fn attester_slashing(index: ValidatorIndex) -> AttesterSlashing {
    let epoch = compute_epoch_at_slot(HEAD);
    let vote = |byte: u8| {
        let target = Checkpoint { epoch, root: Hash256::repeat_byte(byte) };
        let data = AttestationData { slot: HEAD, target, ..Default::default() };
        let signature = signed(&data, DOMAIN_BEACON_ATTESTER, index, epoch);
        IndexedAttestation { attesting_indices: vec![index].try_into().unwrap(), data, signature }
    };
    AttesterSlashing { attestation_1: vote(1), attestation_2: vote(2) }
}

/// The vote of the first member of the first committee of the head's slot, and its subnet.
fn vote(rig: &Rig) -> (SingleAttestation, u64) {
    let snapshot = rig.handle.snapshot();
    let epoch = compute_epoch_at_slot(HEAD);
    let shuffling = snapshot.head_state.caches.shuffling(epoch).unwrap();
    let attester_index = u64::from(shuffling.committee(HEAD, 0).unwrap()[0]);
    let root = snapshot.ancestor(snapshot.head_root, compute_start_slot_at_epoch(epoch)).unwrap();
    let data = AttestationData {
        slot: HEAD,
        index: 0,
        beacon_block_root: snapshot.head_root,
        source: snapshot.head_state.current_justified_checkpoint,
        target: Checkpoint { epoch, root },
    };
    let signature = signed(&data, DOMAIN_BEACON_ATTESTER, attester_index, epoch);
    let subnet = compute_subnet_for_attestation(&config(), shuffling.committees_per_slot, HEAD, 0);
    (SingleAttestation { committee_index: 0, attester_index, data, signature }, subnet)
}

#[test]
fn a_vote_is_accepted_once_and_in_its_subnet() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let (vote, subnet) = vote(&rig);
    let good = GossipMessage::Attestation(Arc::new(vote.clone()), subnet);
    let elsewhere = GossipMessage::Attestation(Arc::new(vote.clone()), subnet + 1);
    assert_eq!(rig.gossip_message(elsewhere), Verdict::Reject);
    let forged = SingleAttestation { signature: recording_signature(), ..vote.clone() };
    assert_eq!(rig.gossip_message(GossipMessage::Attestation(Arc::new(forged), subnet)), Verdict::Reject);
    // One of our validators aggregates in the committee, so that the votes of others are summed one by one.
    let snapshot = rig.handle.snapshot();
    let committees_at_slot = snapshot.head_state.caches.shuffling(vote.data.target.epoch).unwrap().committees_per_slot;
    let aggregator = CommitteeSubscription { slot: HEAD, committee_index: 0, committees_at_slot, is_aggregator: true };
    soon("a subscription", rig.handle.subscribe_committees(vec![aggregator]));
    soon("the task to know it", async {
        while rig.handle.shared.aggregating.load().is_empty() {
            smol::future::yield_now().await;
        }
    });
    assert_eq!(rig.gossip_message(good.clone()), Verdict::Accept);
    assert_eq!(rig.gossip_message(good), Verdict::Ignore);
    // It is pooled.
    let root = vote.data.tree_hash_root();
    soon("the vote in the pool", async {
        while rig.pools.aggregate(HEAD, root, 0).await.is_none() {
            smol::future::yield_now().await;
        }
    });
}

#[test]
fn slashings_are_accepted_once_and_get_into_our_block() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let proposer = rig.handle.snapshot().head_state.proposer_lookahead.iter().copied().collect::<Vec<_>>();
    // Somebody who does not propose soon, and another.
    let mut idle = (0..16).filter(|index| !proposer.contains(index));
    let (first, second) = (idle.next().unwrap(), idle.next().unwrap());
    let by_block = proposer_slashing(first);
    let by_votes = GossipMessage::AttesterSlashing(Arc::new(attester_slashing(second)));
    for message in [by_block, by_votes] {
        assert_eq!(rig.gossip_message(message.clone()), Verdict::Accept);
        assert_eq!(rig.gossip_message(message), Verdict::Ignore);
    }
    let mut forged = attester_slashing(proposer[0]);
    forged.attestation_2.signature = recording_signature();
    assert_eq!(rig.gossip_message(GossipMessage::AttesterSlashing(Arc::new(forged))), Verdict::Reject);

    let clock = rig.handle.clock();
    clock.set_ms(clock.start_of(HEAD + 1));
    let producer = Producer::new(rig.handle.clone(), rig.pools.clone(), Engine::StandIn(Default::default()));
    let epoch = compute_epoch_at_slot(HEAD + 1);
    let index = crate::chain::gossip::proposer_at(&rig.handle.snapshot().head_state, HEAD + 1).unwrap();
    let reveal = signed(&epoch.tree_hash_root(), DOMAIN_RANDAO, index, epoch);
    soon("a block with both", async {
        loop {
            let produced = producer.produce_block(HEAD + 1, reveal, Hash256::ZERO).await.unwrap().block.body;
            if (produced.proposer_slashings.len(), produced.attester_slashings.len()) == (1, 1) {
                return;
            }
            smol::future::yield_now().await;
        }
    });
}

#[test]
fn an_exit_that_is_too_early_is_rejected_and_ours_is_not_published() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let message = VoluntaryExit { epoch: 0, validator_index: 3 };
    let exit =
        GossipMessage::VoluntaryExit(Arc::new(SignedVoluntaryExit { message, signature: recording_signature() }));
    assert_eq!(rig.gossip_message(exit.clone()), Verdict::Reject);
    let reason = "validator has not been active long enough";
    assert_eq!(soon("an answer", rig.handle.submit(exit)), Err(Refusal { verdict: Verdict::Reject, reason }));
    let ours = proposer_slashing(5);
    assert_eq!(soon("an answer", rig.handle.submit(ours.clone())), Ok(()));
    rig.wait_told("a publication", |told| match told {
        Told::Publish(Publication::Message(published)) => {
            assert_eq!(*published, ours);
            Some(())
        }
        _ => None,
    });
}

#[test]
fn sync_committee_signatures_are_accepted_and_pooled() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let snapshot = rig.handle.snapshot();
    let (state, head) = (&snapshot.head_state, snapshot.head_root);
    let epoch = compute_epoch_at_slot(HEAD);
    let validator_index = state.validators.index_of(&state.current_sync_committee.pubkeys[0]).unwrap();
    let signature = signed(&head, DOMAIN_SYNC_COMMITTEE, validator_index, epoch);
    let message = SyncCommitteeMessage { slot: HEAD, beacon_block_root: head, validator_index, signature };
    let good = GossipMessage::SyncMessage(Arc::new(message.clone()), 0);
    assert_eq!(rig.gossip_message(good.clone()), Verdict::Accept);
    assert_eq!(rig.gossip_message(good), Verdict::Ignore);
    let old = SyncCommitteeMessage { slot: HEAD - 1, ..message };
    assert_eq!(rig.gossip_message(GossipMessage::SyncMessage(Arc::new(old), 0)), Verdict::Ignore);
    let contribution = soon("a contribution", async {
        loop {
            if let Some(contribution) = rig.pools.contribution(HEAD, 0, head).await {
                return contribution;
            }
            smol::future::yield_now().await;
        }
    });
    assert!(contribution.aggregation_bits.get(0).unwrap());

    // With eight members, each is an aggregator of its subcommittee.
    assert!(SUBCOMMITTEE_SIZE as u64 <= TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE);
    let selection = SyncAggregatorSelectionData { slot: HEAD, subcommittee_index: 0 };
    let selection_proof = signed(&selection, DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF, validator_index, epoch);
    let message = ContributionAndProof { aggregator_index: validator_index, contribution, selection_proof };
    let signature = signed(&message, DOMAIN_CONTRIBUTION_AND_PROOF, validator_index, epoch);
    let good = SignedContributionAndProof { message, signature };
    let forged = SignedContributionAndProof { signature: recording_signature(), ..good.clone() };
    assert_eq!(rig.gossip_message(GossipMessage::Contribution(Arc::new(forged))), Verdict::Reject);
    assert_eq!(rig.gossip_message(GossipMessage::Contribution(Arc::new(good))), Verdict::Accept);
}

#[test]
fn columns_get_their_verdicts() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let message = BeaconBlockHeader { slot: HEAD, parent_root: root(HEAD - 1), ..Default::default() };
    let mut infinity = KZGCommitment::ZERO;
    infinity[0] = 0xc0;
    let column = DataColumnSidecar {
        index: 5,
        column: vec![Cell::default()].try_into().unwrap(),
        kzg_commitments: vec![infinity].try_into().unwrap(),
        kzg_proofs: vec![infinity].try_into().unwrap(),
        signed_block_header: SignedBeaconBlockHeader { message, signature: recording_signature() },
        kzg_commitments_inclusion_proof: Default::default(),
    };
    assert_eq!(rig.gossip_column(column.clone(), 6), Verdict::Reject);
    assert_eq!(rig.gossip_column(column.clone(), 5), Verdict::Reject);
    let mut early = column;
    early.signed_block_header.message.slot = HEAD + 1;
    assert_eq!(rig.gossip_column(early, 5), Verdict::Ignore);
}

/// The head's epoch is over, and two more have passed without a block: votes of the latest are still judged.
#[test]
fn votes_are_judged_after_epochs_without_a_block() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let epoch = compute_epoch_at_slot(HEAD) + 3;
    let slot = compute_start_slot_at_epoch(epoch);
    let clock = rig.handle.clock();
    clock.set_ms(clock.start_of(slot) + 1000);
    // Without votes, the head may be an older block by then.
    let snapshot = soon("the slot", async {
        while rig.handle.snapshot().slot < slot {
            smol::future::yield_now().await;
        }
        rig.handle.snapshot()
    });
    assert!(snapshot.head_state.current_epoch() + 1 < epoch);
    let state = soon("the advanced state", async {
        let producer = Producer::new(rig.handle.clone(), rig.pools.clone(), Engine::StandIn(Default::default()));
        producer.duty_state(epoch).await.unwrap()
    });
    let shuffling = state.caches.shuffling(epoch).unwrap();
    let attester_index = u64::from(shuffling.committee(slot, 0).unwrap()[0]);
    let head = snapshot.head_root;
    let data = AttestationData {
        slot,
        index: 0,
        beacon_block_root: head,
        source: state.current_justified_checkpoint,
        target: Checkpoint { epoch, root: head },
    };
    let signature = signed(&data, DOMAIN_BEACON_ATTESTER, attester_index, epoch);
    let vote = SingleAttestation { committee_index: 0, attester_index, data, signature };
    let subnet = compute_subnet_for_attestation(&config(), shuffling.committees_per_slot, slot, 0);
    assert_eq!(rig.gossip_message(GossipMessage::Attestation(Arc::new(vote), subnet)), Verdict::Accept);
}
