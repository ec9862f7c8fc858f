//! What light clients are told by gossip: what we pass on, and what we publish ourselves.

use std::sync::{Arc, atomic::Ordering};

use super::{recording::*, rig::*};
use crate::{
    chain::{
        network::{InboundRequest, Publication, RequestKind, ResponseChunk, Verdict},
        subnets::SyncSubscription,
    },
    types::{preset::FAR_FUTURE_EPOCH, *},
};

/// The head of the tests here.
const HEAD: Slot = ANCHOR + 2;

fn rig(dir: &std::path::Path) -> Rig {
    let rig = Rig::new(dir, checkpoint(), clock_at(HEAD));
    into_slot(&rig, 0);
    rig
}

/// So many milliseconds into the head's slot: signatures are due after 666, and clocks may be 500 apart.
fn into_slot(rig: &Rig, ms: u64) {
    let clock = rig.handle.clock();
    clock.set_ms(clock.start_of(HEAD) + ms);
}

fn import(rig: &Rig) {
    for slot in [HEAD - 1, HEAD] {
        rig.import(&block(slot)).unwrap();
    }
}

/// What the node has made of the head, which is a moment later than the head.
fn update_of_head(rig: &Rig) -> LightClientOptimisticUpdate {
    soon("an update", async {
        loop {
            let (reply, answer) = async_channel::bounded(1);
            let kind = RequestKind::LightClientOptimisticUpdate;
            rig.inputs.requests.send(InboundRequest { peer: peer("a"), kind, reply }).await.unwrap();
            if let Ok(ResponseChunk::Item { ssz, .. }) = answer.recv().await {
                let update = LightClientOptimisticUpdate::from_ssz_bytes(ForkName::Fulu, &ssz).unwrap();
                if update.signature_slot == HEAD {
                    return update;
                }
            }
            smol::future::yield_now().await;
        }
    })
}

fn message(update: &LightClientOptimisticUpdate) -> GossipMessage {
    GossipMessage::OptimisticUpdate(Arc::new(update.clone()))
}

#[test]
fn only_our_own_update_is_passed_on_once_and_not_too_early() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    import(&rig);
    let ours = update_of_head(&rig);
    let verdict_at = |ms, update: &LightClientOptimisticUpdate| {
        into_slot(&rig, ms);
        rig.gossip_message(message(update))
    };
    assert_eq!(verdict_at(165, &ours), Verdict::Ignore, "too early");
    let mut other = ours.clone();
    other.sync_aggregate.sync_committee_bits = Default::default();
    assert_eq!(verdict_at(166, &other), Verdict::Ignore, "not what we made of the head");
    // We have no member of the sync committee: had we published it when it was due, it would not be new.
    assert_eq!(verdict_at(900, &ours), Verdict::Accept);
    assert_eq!(verdict_at(900, &ours), Verdict::Ignore, "again");
    // The checkpoint that the anchor's state has as finalized is before it, so that there is nothing to compare with.
    let LightClientOptimisticUpdate { fork_name, attested_header, sync_aggregate, signature_slot } = ours;
    let finalized_header = attested_header.clone();
    let finality = LightClientFinalityUpdate {
        fork_name,
        attested_header,
        finalized_header,
        finality_branch: FinalityBranch::default(),
        sync_aggregate,
        signature_slot,
    };
    assert_eq!(rig.gossip_message(GossipMessage::FinalityUpdate(Arc::new(finality))), Verdict::Ignore);
}

#[test]
fn who_has_a_member_of_the_sync_committee_publishes_when_signatures_are_due() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let member = SyncSubscription { places: vec![0], until_epoch: FAR_FUTURE_EPOCH };
    soon("room", rig.handle.subscribe_sync_committees(vec![member]));
    soon("the subscription", async {
        while !rig.handle.shared.signs_heads.load(Ordering::Relaxed) {
            smol::future::yield_now().await;
        }
    });
    import(&rig);
    let ours = update_of_head(&rig);
    into_slot(&rig, 666);
    let published = rig.wait_told("a publication", |told| match told {
        Told::Publish(Publication::Message(message)) => Some(message.clone()),
        _ => None,
    });
    assert_eq!(published, message(&ours));
    assert_eq!(rig.gossip_message(message(&ours)), Verdict::Ignore, "nobody needs it of others");
}
