//! Ranges, parents, peers, and what peers ask of us.

use super::{recording::*, rig::*};
use crate::{
    chain::{
        network::{Fault, InboundRequest, RequestKind, ResponseChunk, Status, Verdict},
        *,
    },
    types::{Hash256, Slot, compute_epoch_at_slot},
};

#[test]
fn a_range_is_fetched_when_a_peer_is_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    rig.connect("a", LAST, Manners::Honest);
    rig.wait_for_head(root(LAST));
}

#[test]
fn ranges_come_through_the_smallest_queues() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::with_capacities(dir.path(), checkpoint(), clock_at(LAST), Capacities::ones());
    rig.connect("a", LAST, Manners::Honest);
    rig.wait_for_head(root(LAST));
}

#[test]
fn bad_peers_do_not_keep_us_from_the_head() {
    for manners in [Manners::Refuses, Manners::Empty, Manners::Unrelated, Manners::BadSignatures] {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::recorded(dir.path());
        // Of equals, the first by name is asked first.
        rig.peers.lock().unwrap().insert(peer("b"), Manners::Honest);
        rig.connect("a", LAST, manners);
        rig.wait_told("a request", |told| matches!(told, Told::Request(..)).then_some(()));
        rig.connect("b", LAST, Manners::Honest);
        let fault = match manners {
            Manners::Unrelated => Some(Fault::BadRange),
            Manners::BadSignatures => Some(Fault::InvalidBlock),
            _ => None,
        };
        if let Some(fault) = fault {
            rig.wait_told("a punishment", |told| match told {
                Told::Report(who, why) if *why == fault => {
                    assert_eq!(*who, peer("a"));
                    Some(())
                }
                _ => None,
            });
        }
        rig.wait_for_head(root(LAST));
    }
}

#[test]
fn a_line_of_parents_is_asked_for_at_once_and_by_root_of_who_can_not() {
    for manners in [Manners::Honest, Manners::Refuses] {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::new(dir.path(), checkpoint(), running_clock_at(ANCHOR + 4));
        rig.connect("a", ANCHOR, manners);
        rig.gossip("a", &block(ANCHOR + 4));
        let slots = rig.wait_told("a request", |told| match told {
            Told::HeadRequest(slots) => Some(slots.clone()),
            Told::Request(..) => panic!("one by one: {told:?}"),
            _ => None,
        });
        assert_eq!(slots, [ANCHOR + 3, ANCHOR + 2, ANCHOR + 1]);
        if manners == Manners::Refuses {
            let slots = rig.wait_told("a request by root", |told| match told {
                Told::Request(_, slots) => Some(slots.clone()),
                _ => None,
            });
            assert_eq!(slots, [ANCHOR + 3]);
            rig.peers.lock().unwrap().insert(peer("a"), Manners::Honest);
        }
        rig.wait_for_head(root(ANCHOR + 4));
    }
}

#[test]
fn parents_that_one_peer_does_not_have_are_asked_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), checkpoint(), running_clock_at(LAST));
    rig.connect("a", ANCHOR, Manners::Unrelated);
    rig.connect("b", ANCHOR, Manners::Honest);
    rig.gossip("a", &block(ANCHOR + 2));
    let punished = rig.wait_told("a punishment", |told| match told {
        Told::Report(who, Fault::Unrelated) => Some(who.clone()),
        _ => None,
    });
    assert_eq!(punished, peer("a"));
    rig.wait_for_head(root(ANCHOR + 2));
}

#[test]
fn a_parent_with_a_broken_signature_does_not_replace_the_good_one() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), checkpoint(), running_clock_at(LAST));
    rig.connect("a", ANCHOR, Manners::BadSignatures);
    rig.connect("b", ANCHOR, Manners::Honest);
    rig.gossip("a", &block(ANCHOR + 3));
    rig.wait_told("a punishment", |told| {
        matches!(told, Told::Report(who, Fault::InvalidBlock) if *who == peer("a")).then_some(())
    });
    rig.wait_for_head(root(ANCHOR + 3));
    for slot in ANCHOR + 1..=ANCHOR + 3 {
        assert_eq!(rig.handle.database().block(root(slot)).unwrap().unwrap(), *block(slot));
    }
}

#[test]
fn peers_of_another_chain_are_left() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    type Change = fn(Status) -> Status;
    let changes: [(&str, Change); 3] = [
        ("fork", |status| Status { fork_digest: Default::default(), ..status }),
        ("finalized", |status| Status { finalized_root: Hash256::repeat_byte(9), ..status }),
        ("future", |status| Status { head_slot: LAST + 5, ..status }),
    ];
    for (name, change) in changes {
        rig.connect_with(name, Manners::Honest, change);
        let left = rig.wait_told("a goodbye", |told| match told {
            Told::Goodbye(who) => Some(who.clone()),
            _ => None,
        });
        assert_eq!(left, peer(name));
    }
}

/// Asks as a peer would; the slots of the blocks, and how the answer ended.
fn ask(rig: &Rig, kind: RequestKind) -> (Vec<Slot>, Option<ResponseChunk>) {
    let (reply, answer) = async_channel::bounded(1);
    soon("room for a request", rig.inputs.requests.send(InboundRequest { peer: peer("a"), kind, reply })).unwrap();
    let digest = rig.handle.status().fork_digest;
    let mut slots = Vec::new();
    soon("an answer", async {
        while let Ok(chunk) = answer.recv().await {
            let ResponseChunk::Item { fork_digest, ssz } = chunk else { return (slots, Some(chunk)) };
            assert_eq!(fork_digest, digest);
            let block = SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, &ssz).unwrap();
            assert_eq!(block, *super::recording::block(block.message.slot));
            slots.push(block.message.slot);
        }
        (slots, None)
    })
}

#[test]
fn peers_are_served_what_we_have() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    for slot in ANCHOR + 1..=LAST - 2 {
        rig.import(&block(slot)).unwrap();
    }
    let range = |start_slot, count| RequestKind::BlocksByRange { start_slot, count };
    assert_eq!(ask(&rig, range(ANCHOR, 4)), ((ANCHOR..ANCHOR + 4).collect(), None));
    assert_eq!(ask(&rig, range(LAST - 4, 100)), ((LAST - 4..=LAST - 2).collect(), None));
    assert_eq!(ask(&rig, range(LAST, 10)), (vec![], None));
    assert_eq!(ask(&rig, range(ANCHOR, 0)), (vec![], None));
    let (slots, end) = ask(&rig, range(ANCHOR - 1, 10));
    assert!(slots.is_empty() && matches!(end, Some(ResponseChunk::ResourceUnavailable(_))), "{end:?}");
    // An orphan is stored, but nobody has verified it.
    rig.gossip("a", &block(LAST));
    assert_eq!(rig.verdict(&block(LAST)), Verdict::Ignore);
    assert!(rig.handle.database().has_block(root(LAST)).unwrap());
    let roots = vec![root(ANCHOR + 2), root(LAST), Hash256::ZERO, root(ANCHOR + 1), root(ANCHOR + 2)];
    assert_eq!(ask(&rig, RequestKind::BlocksByRoot { roots }), (vec![ANCHOR + 2, ANCHOR + 1], None));
}

#[test]
fn the_status_follows_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    rig.import(&block(ANCHOR + 1)).unwrap();
    let status = rig.handle.status();
    assert_eq!((status.head_slot, status.head_root), (ANCHOR + 1, root(ANCHOR + 1)));
    assert_eq!((status.finalized_epoch, status.finalized_root), (compute_epoch_at_slot(ANCHOR), root(ANCHOR)));
    assert_eq!(status.earliest_available_slot, ANCHOR);
}
