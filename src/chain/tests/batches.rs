//! Votes are judged in batches, which wait for company, and not for long.

use std::collections::{BTreeSet, VecDeque};

use super::{
    aggregates::{HEAD, rig, signed},
    recording::*,
    rig::*,
};
use crate::{
    chain::{
        limits::{BATCH_WAIT_MS, MESSAGES_PER_BATCH},
        messages::{self, Kind, MessageWork},
        network::{GossipId, GossipSmall, Verdict},
    },
    crypto::DOMAIN_BEACON_ATTESTER,
    types::*,
};

/// The votes of all members of the first committees of these slots, with their subnets.
fn votes(rig: &Rig) -> Vec<(SingleAttestation, u64)> {
    let snapshot = rig.handle.snapshot();
    let epoch = compute_epoch_at_slot(HEAD);
    let shuffling = snapshot.head_state.caches.shuffling(epoch).unwrap();
    let vote = |slot: Slot, attester_index: ValidatorIndex| {
        let data = AttestationData {
            slot,
            index: 0,
            beacon_block_root: root(slot),
            source: snapshot.head_state.current_justified_checkpoint,
            target: Checkpoint { epoch, root: root(ANCHOR) },
        };
        let signature = signed(&data, DOMAIN_BEACON_ATTESTER, attester_index, epoch);
        let subnet = compute_subnet_for_attestation(&config(), shuffling.committees_per_slot, slot, 0);
        (SingleAttestation { committee_index: 0, attester_index, data, signature }, subnet)
    };
    let of_slot = |slot| shuffling.committee(slot, 0).unwrap().iter().map(move |index| vote(slot, u64::from(*index)));
    (ANCHOR..=HEAD).flat_map(of_slot).collect()
}

fn gossip(n: u64, (vote, subnet): &(SingleAttestation, u64), received_ms: u64) -> GossipSmall {
    let id = GossipId { peer: peer("a"), message: n.to_be_bytes().as_slice().into() };
    GossipSmall { id, message: GossipMessage::Attestation(vote.clone().into(), *subnet), received_ms }
}

#[test]
fn votes_are_judged_sixty_four_at_once_the_newest_first() {
    const SENT: u64 = MESSAGES_PER_BATCH as u64 + 6;
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let (votes, now) = (votes(&rig), rig.handle.clock().now_ms());
    let (theirs, incoming) = async_channel::bounded(SENT as usize);
    let (_ours, our_votes) = async_channel::bounded(1);
    // All have come before any is judged, the same votes again and again. Every fifth is forged.
    for n in 0..SENT {
        let mut vote = votes[n as usize % votes.len()].clone();
        if n % 5 == 0 {
            vote.0.signature = recording_signature();
        }
        theirs.try_send(gossip(n, &vote, now)).unwrap();
    }
    let _task = smol::spawn(messages::run(rig.handle.shared.clone(), Kind::Votes, incoming, our_votes));
    // For the six that are left no others come, and the clock of the chain stands: the batch's own time ends.
    let told = |told: &Told| match told {
        Told::SmallVerdict(_, id, verdict) => Some((u64::from_be_bytes(id[..].try_into().unwrap()), *verdict)),
        _ => None,
    };
    let verdicts: Vec<_> = (0..SENT).map(|_| rig.wait_told("a verdict", told)).collect();
    assert!(verdicts.iter().map(|(n, _)| *n).eq((0..SENT).rev()));
    let with = |wanted| verdicts.iter().filter(move |(_, verdict)| *verdict == wanted).map(|(n, _)| *n);
    // One that is forged spoils none of the others, and each vote is accepted once.
    let accepted: BTreeSet<u64> = with(Verdict::Accept).map(|n| n % votes.len() as u64).collect();
    assert_eq!((accepted.len(), with(Verdict::Accept).count()), (votes.len(), votes.len()));
    // A whole batch is checked before any of it counts as seen; of the rest all had been seen, and cost no signature.
    assert!(with(Verdict::Reject).eq((6..SENT).rev().filter(|n| n % 5 == 0)));
}

#[test]
fn a_batch_waits_for_company_until_its_oldest_vote_has_waited_enough() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let (vote, clock) = (votes(&rig).remove(0), rig.handle.clock());
    let now = clock.now_ms();
    let came = |at: &[u64]| -> VecDeque<MessageWork> { at.iter().map(|at| gossip(0, &vote, *at).into()).collect() };
    let wait = |kind, stack: &VecDeque<MessageWork>| {
        u64::try_from(messages::wait(&rig.handle.shared, kind, stack).as_millis()).unwrap()
    };
    assert_eq!(wait(Kind::Votes, &came(&[now])), BATCH_WAIT_MS);
    assert_eq!(wait(Kind::Votes, &came(&[now, now - 20, now - 10])), BATCH_WAIT_MS - 20);
    assert_eq!(wait(Kind::Votes, &came(&[now - BATCH_WAIT_MS - 1, now])), 0);
    assert_eq!(wait(Kind::Votes, &came(&[now + 5000])), BATCH_WAIT_MS, "a clock that was set back");
    assert_eq!(wait(Kind::Operations, &came(&[now])), 0);
    let mut with_ours = came(&[now]);
    with_ours[0].id = None;
    with_ours.extend(came(&[now]));
    assert_eq!(wait(Kind::Votes, &with_ours), 0);
    clock.set_ms(now + 30);
    assert_eq!(wait(Kind::Votes, &came(&[now])), BATCH_WAIT_MS - 30);
}

#[test]
fn a_batch_that_waits_goes_at_once_when_ours_comes() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let votes = votes(&rig);
    let ((theirs, gossiped), (ours, our_votes)) = (async_channel::bounded(1), async_channel::bounded(1));
    let mut stack = VecDeque::new();
    theirs.try_send(gossip(1, &votes[0], 0)).unwrap();
    assert!(soon("a vote", messages::fill(&mut stack, &gossiped, &our_votes)), "it waits for more");
    let work = MessageWork::from(gossip(2, &votes[1], 0));
    ours.try_send(MessageWork { id: None, ..work }).unwrap_or_else(|_| panic!("no room"));
    assert!(!soon("a vote", messages::fill(&mut stack, &gossiped, &our_votes)));
    assert_eq!(stack.len(), 2);
}
