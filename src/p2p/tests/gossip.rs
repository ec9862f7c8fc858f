use super::*;
use crate::types::*;

fn aggregate(aggregator_index: u64) -> SignedAggregateAndProof {
    let aggregate = Attestation {
        aggregation_bits: ssz_types::BitList::with_capacity(8).unwrap(),
        data: Default::default(),
        signature: Default::default(),
        committee_bits: BitVector::default(),
    };
    let message = AggregateAndProof { aggregator_index, aggregate, selection_proof: Default::default() };
    SignedAggregateAndProof { message, signature: Default::default() }
}

async fn exchange(muxers: Muxers) {
    let (first, second) = pair(|config| config.muxers = muxers).await;
    let sent = block(12, 200_000);
    publish(&first, Topic::BeaconBlock, sent.as_ssz_bytes()).await;
    let got = next(&second.events.gossip_blocks).await;
    assert_eq!(*got.block, sent);
    assert_eq!(got.peer, first.handle.peer_id());
    let sent = aggregate(3);
    publish(&second, Topic::BeaconAggregateAndProof, sent.as_ssz_bytes()).await;
    assert_eq!(next(&first.events.gossip_votes).await.message, GossipMessage::Aggregate(Arc::new(sent)));
}

#[test]
fn a_block_and_an_aggregate_cross_a_yamux_connection() {
    smol::block_on(exchange(Muxers::Yamux));
}

#[test]
fn a_block_and_an_aggregate_cross_an_mplex_connection() {
    smol::block_on(exchange(Muxers::Mplex));
}

#[test]
fn only_what_is_accepted_goes_on() {
    smol::block_on(async {
        // Slots so short that no number of blocks is too many for one peer.
        let middle = node_with(|config| config.network_size.slot = Duration::from_micros(1)).await;
        let first = node_connected_to(&[&middle]).await;
        let last = node_connected_to(&[&middle]).await;
        next(&middle.events.peers).await;
        next(&middle.events.peers).await;
        let judge = async |slot, verdict| {
            publish(&first, Topic::BeaconBlock, block(slot, 10).as_ssz_bytes()).await;
            let got = next(&middle.events.gossip_blocks).await;
            assert_eq!(got.block.message.slot, slot);
            middle.handle.verdict(got.id, got.peer, verdict);
        };
        // Accepted ones until the last, whose subscription may be on its way, gets one; it gets no other.
        let mut accepted = 100;
        eventually(async || {
            accepted += 1;
            judge(accepted, Verdict::Accept).await;
            !last.events.gossip_blocks.is_empty()
        })
        .await;
        judge(1, Verdict::Ignore).await;
        judge(2, Verdict::Reject).await;
        judge(3, Verdict::Accept).await;
        let mut heard = accepted;
        while heard > 100 {
            heard = next(&last.events.gossip_blocks).await.block.message.slot;
        }
        assert_eq!(heard, 3);
        assert!(last.events.gossip_blocks.is_empty());
        // The rejected block cost its sender something, and the others nothing.
        let score = |peer: PeerId, all: &[PeerInfo]| all.iter().find(|info| info.peer == peer).unwrap().score;
        let peers = middle.handle.peers().await;
        assert!(score(first.handle.peer_id(), &peers) < 0.0);
        assert_eq!(score(last.handle.peer_id(), &peers), 0.0);
    });
}

#[test]
fn few_blocks_of_a_peer_wait_and_a_full_queue_drops_the_oldest_aggregate() {
    smol::block_on(async {
        // Slots so short that no number of blocks is too many for one peer.
        let (first, second) = pair(|config| config.network_size.slot = Duration::from_micros(1)).await;
        let blocks = events::GOSSIP_BLOCKS_CROWDED as u64;
        let aggregates = events::GOSSIP_VOTES as u64;
        for slot in 0..=blocks {
            publish(&first, Topic::BeaconBlock, block(slot, 1).as_ssz_bytes()).await;
        }
        for index in 0..=aggregates {
            publish(&first, Topic::BeaconAggregateAndProof, aggregate(index).as_ssz_bytes()).await;
            // Not faster than gossipsub's own send queue.
            if index % 50 == 0 {
                eventually(async || second.events.gossip_votes.len() as u64 >= index.min(aggregates)).await;
            }
        }
        let last = async || second.events.gossip_votes.is_full();
        eventually(last).await;
        eventually(async || {
            let queue = &second.events.gossip_votes;
            queue.try_recv().is_ok_and(|first| {
                matches!(first.message, GossipMessage::Aggregate(signed) if signed.message.aggregator_index > 0)
            })
        })
        .await;
        assert_eq!(second.events.gossip_blocks.len() as u64, blocks);
        for slot in 0..blocks {
            assert_eq!(next(&second.events.gossip_blocks).await.block.message.slot, slot);
        }
        publish(&first, Topic::BeaconBlock, block(100, 1).as_ssz_bytes()).await;
        assert_eq!(next(&second.events.gossip_blocks).await.block.message.slot, 100);
    });
}

/// Shortly before a fork its topics are listened to, and shortly after it the old ones: whose clock is a little off misses
/// nothing. Then the old ones are left.
#[test]
fn both_forks_are_heard_around_a_change() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        let (old, new) = (ForkDigest::from(FORK), ForkDigest::from([7, 7, 7, 7]));
        let forks = |current, also: &[ForkDigest]| Forks {
            also: also.to_vec(),
            known: vec![(old, ForkName::default()), (new, ForkName::default())],
            ..Forks::only(current, Version::default())
        };
        // The second is ahead of the first all the time.
        second.handle.set_forks(forks(old, &[new]));
        publish(&first, Topic::BeaconBlock, block(1, 10).as_ssz_bytes()).await;
        assert_eq!(next(&second.events.gossip_blocks).await.block.message.slot, 1);
        first.handle.set_forks(forks(old, &[new]));
        second.handle.set_forks(forks(new, &[old]));
        publish(&first, Topic::BeaconBlock, block(2, 10).as_ssz_bytes()).await;
        assert_eq!(next(&second.events.gossip_blocks).await.block.message.slot, 2);
        publish(&second, Topic::BeaconBlock, block(3, 10).as_ssz_bytes()).await;
        assert_eq!(next(&first.events.gossip_blocks).await.block.message.slot, 3);
        first.handle.set_forks(forks(new, &[old]));
        second.handle.set_forks(forks(new, &[]));
        publish(&first, Topic::BeaconBlock, block(4, 10).as_ssz_bytes()).await;
        assert_eq!(next(&second.events.gossip_blocks).await.block.message.slot, 4);
        // Nobody was sent away for a status of the other fork.
        assert!(second.handle.peers().await.iter().all(|peer| peer.state == PeerState::Connected && peer.score == 0.0));
    });
}

#[test]
fn topics_follow_the_fork() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        let forks = Forks::only(ForkDigest::from([9, 9, 9, 9]), Version::default());
        let before = first.handle.local_enr();
        first.handle.set_forks(forks.clone());
        second.handle.set_forks(forks);
        publish(&first, Topic::BeaconBlock, block(5, 10).as_ssz_bytes()).await;
        assert_eq!(next(&second.events.gossip_blocks).await.block.message.slot, 5);
        let after = first.handle.local_enr();
        assert!(after.seq() > before.seq());
        assert_ne!(after.get_raw_rlp("eth2"), before.get_raw_rlp("eth2"));
    });
}

/// A vote in a subnet reaches who joined it; metadata and record say what is kept for long, and only that.
#[test]
fn subnets_are_joined_announced_and_left() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        let vote = |slot| {
            let data = AttestationData { slot, ..AttestationData::default() };
            SingleAttestation { committee_index: 1, attester_index: 2, data, signature: BLSSignature::ZERO }
        };
        let before = second.handle.identity();
        let topics = |subnets: &[u64]| subnets.iter().map(|subnet| Topic::BeaconAttestation(*subnet)).collect();
        let kept =
            Subnets { listen: topics(&[5, 6, 9]), attnets: [5, 6].into(), syncnets: [2].into(), ..Subnets::default() };
        second.handle.set_subnets(kept.clone());
        publish(&first, Topic::BeaconAttestation(9), vote(1).as_ssz_bytes()).await;
        assert_eq!(next(&second.events.gossip_votes).await.message, GossipMessage::Attestation(vote(1).into(), 9));
        let after = second.handle.identity();
        assert_eq!(after.metadata.seq_number, before.metadata.seq_number + 1);
        assert_eq!(after.metadata.attnets.iter().enumerate().filter(|(_, set)| *set).count(), 2);
        assert!(after.metadata.attnets.get(5).unwrap() && after.metadata.syncnets.get(2).unwrap());
        let raw = |identity: &Identity, key| identity.enr.get_raw_rlp(key).unwrap().to_vec();
        assert_eq!((raw(&before, "syncnets"), raw(&after, "syncnets")), (vec![0], vec![0b100]));
        assert_eq!(raw(&after, "attnets"), [0x88, 0b110_0000, 0, 0, 0, 0, 0, 0, 0]);
        // A duty's subnet is left, and the announcement stays as it was.
        second.handle.set_subnets(Subnets { listen: topics(&[5, 6]), ..kept });
        let mut slot = 1;
        eventually(async || {
            slot += 1;
            let told = first.handle.publish(Topic::BeaconAttestation(9), vote(slot).as_ssz_bytes()).await;
            told == Err(PublishError::NoPeers)
        })
        .await;
        assert_eq!(second.handle.identity().metadata, after.metadata);
    });
}

/// All other topics: what is said in one node is heard in the other, in its own queue.
#[test]
fn messages_of_all_topics_cross_a_connection() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        let signature = BLSSignature::repeat_byte(1);
        let exit = VoluntaryExit { epoch: 3, validator_index: 4 };
        let exit = GossipMessage::VoluntaryExit(Arc::new(SignedVoluntaryExit { message: exit, signature }));
        let vote =
            SingleAttestation { committee_index: 1, attester_index: 2, data: AttestationData::default(), signature };
        let vote = GossipMessage::Attestation(Arc::new(vote), 5);
        publish(&first, exit.topic(), exit.to_ssz_bytes()).await;
        assert_eq!(next(&second.events.gossip_operations).await.message, exit);
        let (fork_name, header) = (ForkName::default(), LightClientHeader::default());
        let sync_aggregate = SyncAggregate::default();
        let optimistic = LightClientOptimisticUpdate {
            fork_name,
            attested_header: header.clone(),
            sync_aggregate: sync_aggregate.clone(),
            signature_slot: 9,
        };
        let finality = LightClientFinalityUpdate {
            fork_name,
            attested_header: header.clone(),
            finalized_header: header,
            finality_branch: Default::default(),
            sync_aggregate,
            signature_slot: 9,
        };
        let updates =
            [GossipMessage::OptimisticUpdate(optimistic.into()), GossipMessage::FinalityUpdate(finality.into())];
        for update in updates {
            publish(&first, update.topic(), update.to_ssz_bytes()).await;
            assert_eq!(next(&second.events.gossip_light_clients).await.message, update);
        }
        // Subnets are heard only by who listens to them.
        second.handle.listen(vote.topic(), true);
        publish(&first, vote.topic(), vote.to_ssz_bytes()).await;
        assert_eq!(next(&second.events.gossip_votes).await.message, vote);
        let sidecar = DataColumnSidecar {
            index: 9,
            column: Default::default(),
            kzg_commitments: Default::default(),
            kzg_proofs: Default::default(),
            signed_block_header: SignedBeaconBlockHeader { message: BeaconBlockHeader::default(), signature },
            kzg_commitments_inclusion_proof: Default::default(),
        };
        second.handle.listen(Topic::DataColumnSidecar(9), true);
        publish(&first, Topic::DataColumnSidecar(9), sidecar.as_ssz_bytes()).await;
        let got = next(&second.events.gossip_columns).await;
        assert_eq!((got.subnet, &*got.sidecar), (9, &sidecar));
    });
}
