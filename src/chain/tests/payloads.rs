//! Blocks without their payloads: the execution client, which we play, has these, or has not.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_channel::Receiver;
use ssz::Encode as _;

use super::{
    finality::{go_to, produce_by, vote},
    recording::*,
    rig::*,
    serve::ask,
};
use crate::{
    chain::{
        network::{RequestKind, ResponseChunk},
        *,
    },
    db::SLOTS_PER_SEGMENT,
    engine::{BlobsBundle, Engine, MAX_BODIES, PayloadBody, StandIn},
    types::{Blob, Hash256, KZGCommitment, SignedBeaconBlock, Slot, preset::SLOTS_PER_EPOCH},
};

/// The last block: two epochs are finalized by then.
const HEAD: Slot = ANCHOR + 4 * SLOTS_PER_EPOCH + 2;
const FINALIZED: Slot = ANCHOR + 2 * SLOTS_PER_EPOCH;

/// How the execution client answers when it is asked for bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Honest,
    /// It has all but this one.
    Forgot(Hash256),
    /// It gives every body a transaction more.
    Lies,
    /// It does not answer.
    Silent,
}

/// An execution client that finds every payload valid, and keeps it.
#[derive(Clone, Default)]
struct Keeper {
    bodies: Arc<Mutex<HashMap<Hash256, PayloadBody>>>,
    mood: Arc<Mutex<Mood>>,
    /// How many were asked for, each time.
    asked: Arc<Mutex<Vec<usize>>>,
}

impl Keeper {
    fn queue(&self) -> (ExecutionQueue, smol::Task<()>) {
        let (commands, judged) = async_channel::bounded(16);
        let (bodies, requests) = async_channel::bounded(8);
        let (judge, give) = (self.clone().judge(judged), self.clone().give(requests));
        let task = smol::spawn(smol::future::or(judge, give));
        (ExecutionQueue { commands, is_up: Arc::new(AtomicBool::new(true)), bodies: Some(bodies) }, task)
    }

    async fn judge(self, commands: Receiver<ExecutionCommand>) {
        while let Ok(command) = commands.recv().await {
            let reply = match command {
                ExecutionCommand::NewPayload { block, reply } => {
                    let payload = &block.message.body.execution_payload;
                    let (transactions, withdrawals) = (payload.transactions.clone(), payload.withdrawals.clone());
                    let body = PayloadBody { transactions, withdrawals: Some(withdrawals) };
                    self.bodies.lock().unwrap().insert(payload.block_hash, body);
                    reply
                }
                ExecutionCommand::ForkchoiceUpdated { reply, .. } => reply,
                ExecutionCommand::Blobs { .. } => continue,
            };
            let _ = reply.try_send(PayloadVerdict::Valid);
        }
    }

    async fn give(self, requests: Receiver<BodiesRequest>) {
        while let Ok(BodiesRequest { hashes, reply }) = requests.recv().await {
            assert!(hashes.len() <= MAX_BODIES);
            self.asked.lock().unwrap().push(hashes.len());
            let (mood, bodies) = (*self.mood.lock().unwrap(), self.bodies.lock().unwrap());
            let body = |hash: &Hash256| {
                let mut body = bodies.get(hash).filter(|_| mood != Mood::Forgot(*hash)).cloned();
                if let (Mood::Lies, Some(body)) = (mood, &mut body) {
                    body.transactions.push(Default::default()).unwrap();
                }
                body
            };
            if mood != Mood::Silent {
                let _ = reply.try_send(hashes.iter().map(body).collect());
            }
        }
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        self.asked.lock().unwrap().clear();
    }
}

/// A chain with two finalized epochs whose execution client keeps all payloads but the anchor's.
struct Scene {
    rig: Rig,
    keeper: Keeper,
    _task: smol::Task<()>,
}

/// Of a block with blobs, the stand-in makes a transaction.
fn maker() -> Engine {
    let (commitments, blobs) = (vec![KZGCommitment::ZERO], vec![Blob::default()]);
    Engine::StandIn(StandIn::with_blobs(BlobsBundle { commitments, blobs, proofs: Vec::new() }))
}

impl Scene {
    fn start(dir: &std::path::Path, start: Start, slot: Slot) -> Scene {
        let keeper = Keeper::default();
        let (mut setup, commands) = setup(dir, start, clock_at(slot), Capacities::default());
        let (queue, task) = keeper.queue();
        setup.execution = Some(queue);
        setup.prune_payloads = true;
        Scene { rig: Rig::with_setup(setup, commands), keeper, _task: task }
    }

    fn finalized(dir: &std::path::Path) -> Scene {
        let scene = Scene::start(dir, checkpoint(), ANCHOR);
        for slot in ANCHOR + 1..=HEAD {
            scene.extend(slot);
            vote(&scene.rig, slot);
        }
        let snapshot = scene.rig.handle.snapshot();
        assert_eq!(snapshot.blocks.get(&snapshot.finalized.root).unwrap().slot, FINALIZED);
        scene
    }

    /// A block of this slot on the head.
    fn extend(&self, slot: Slot) -> Arc<SignedBeaconBlock> {
        go_to(&self.rig, slot);
        let block = produce_by(&self.rig, slot, maker());
        let imported = soon("an import", self.rig.handle.import_block(block.clone(), BlockSource::Api));
        assert_eq!(imported, Ok(block.root()));
        block
    }

    fn blind(&self) -> BlindReport {
        soon("blinding", self.rig.handle.blind(ANCHOR..HEAD)).unwrap()
    }

    /// Canonical roots from the anchor to the head.
    fn roots(&self) -> Vec<Hash256> {
        let db = self.rig.handle.database();
        // The index follows the head a moment later.
        soon("the index", async {
            loop {
                let roots = db.canonical_roots(ANCHOR..HEAD + 1).unwrap();
                if roots.len() as u64 == HEAD - ANCHOR + 1 {
                    return roots.into_iter().map(|(_, root)| root).collect();
                }
                smol::future::yield_now().await;
            }
        })
    }

    fn blocks(&self) -> Vec<SignedBeaconBlock> {
        let block = |root| soon("a block", self.rig.handle.block(root)).unwrap().unwrap();
        self.roots().into_iter().map(block).collect()
    }

    fn range(&self) -> (Vec<Vec<u8>>, Option<ResponseChunk>) {
        ask(&self.rig, RequestKind::BlocksByRange { start_slot: ANCHOR, count: 100 })
    }

    fn by_root(&self, roots: Vec<Hash256>) -> usize {
        let (items, end) = ask(&self.rig, RequestKind::BlocksByRoot { roots });
        assert_eq!(end, None);
        items.len()
    }
}

#[test]
fn blinded_blocks_are_served_whole() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::finalized(dir.path());
    let (before, roots) = (scene.blocks(), scene.roots());
    assert!(before.iter().any(|block| !block.message.body.execution_payload.transactions.is_empty()));
    let finalized = FINALIZED - ANCHOR;
    // Of the anchor's payload, our execution client knows nothing. The finalized block itself is not old.
    assert_eq!(scene.blind(), BlindReport { blinded: finalized - 1, kept: 1 });
    assert_eq!(*scene.keeper.asked.lock().unwrap(), [finalized as usize]);
    let db = scene.rig.handle.database();
    for (slot, root) in (ANCHOR..).zip(&roots) {
        let is_blinded = (ANCHOR + 1..FINALIZED).contains(&slot);
        assert_eq!(db.is_blinded(*root).unwrap(), is_blinded, "slot {slot}");
    }
    scene.keeper.is(Mood::Honest);
    let expected: Vec<_> = before.iter().map(|block| block.as_ssz_bytes()).collect();
    assert_eq!(scene.range(), (expected.clone(), None));
    assert_eq!(*scene.keeper.asked.lock().unwrap(), [8, 7], "several at once");
    let (by_head, end) = ask(&scene.rig, RequestKind::BlocksByHead { root: roots[9], count: 100 });
    assert!(end.is_none() && by_head.iter().eq(expected[..10].iter().rev()));
    let (by_root, _) = ask(&scene.rig, RequestKind::BlocksByRoot { roots: vec![roots[3], roots[20], roots[5]] });
    assert_eq!(by_root, [3, 20, 5].map(|at| expected[at].clone()));
    assert_eq!(scene.blocks(), before);
    assert_eq!(scene.blind(), BlindReport { blinded: 0, kept: 1 }, "nothing is left to do");
}

#[test]
fn what_the_execution_client_can_not_give_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::finalized(dir.path());
    let (before, roots) = (scene.blocks(), scene.roots());
    scene.blind();
    let hash = before[4].message.body.execution_payload.block_hash;
    for (mood, served) in [(Mood::Forgot(hash), 4), (Mood::Lies, 1), (Mood::Silent, 1)] {
        scene.keeper.is(mood);
        let (items, end) = scene.range();
        assert_eq!(items.len(), served, "{mood:?}: up to the first that can't be had");
        assert!(matches!(end, Some(ResponseChunk::ResourceUnavailable(_))), "{mood:?}: {end:?}");
        // Who asks by root gets what there is.
        let others = if served == 4 { 3 } else { 2 };
        assert_eq!(scene.by_root(vec![roots[0], roots[4], roots[5], roots[20]]), others, "{mood:?}");
        let error = soon("an answer", scene.rig.handle.block(roots[4])).unwrap_err();
        let is_right = match mood {
            Mood::Forgot(_) => matches!(error, PayloadError::Missing),
            Mood::Lies => matches!(error, PayloadError::Wrong),
            _ => matches!(error, PayloadError::Unavailable),
        };
        assert!(is_right, "{mood:?}: {error}");
    }
    scene.keeper.is(Mood::Honest);
    assert_eq!(scene.blocks(), before, "nothing was lost");
}

#[test]
fn what_the_execution_client_does_not_have_stays_whole() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::finalized(dir.path());
    let hash = scene.blocks()[4].message.body.execution_payload.block_hash;
    let finalized = FINALIZED - ANCHOR;
    scene.keeper.is(Mood::Lies);
    assert_eq!(scene.blind(), BlindReport { blinded: 0, kept: finalized });
    scene.keeper.is(Mood::Silent);
    let refused = soon("an answer", scene.rig.handle.blind(ANCHOR..HEAD));
    assert!(matches!(refused, Err(PayloadError::Unavailable)), "{refused:?}");
    scene.keeper.is(Mood::Forgot(hash));
    assert_eq!(scene.blind(), BlindReport { blinded: finalized - 2, kept: 2 });
    let db = scene.rig.handle.database();
    let (forgotten, next) = (scene.roots()[4], scene.roots()[5]);
    assert!(!db.is_blinded(forgotten).unwrap() && db.is_blinded(next).unwrap());
    // Without an execution client nobody is asked.
    let dir = tempfile::tempdir().unwrap();
    let (mut setup, commands) = setup(dir.path(), checkpoint(), clock_at(LAST), Capacities::default());
    setup.execution = None;
    let rig = Rig::with_setup(setup, commands);
    assert!(matches!(soon("an answer", rig.handle.blind(0..LAST)), Err(PayloadError::Unavailable)));
}

#[test]
fn what_a_start_replays_stays_whole_and_a_start_does_without_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::finalized(dir.path());
    // The anchor's state is the oldest that is stored: blocks after it may be replayed.
    let slots = scene.rig.handle.shared.slots_to_blind().unwrap();
    assert_eq!(slots, Some(ANCHOR..ANCHOR));
    scene.blind();
    let (before, head) = (scene.blocks(), scene.rig.handle.snapshot().head_root);
    let bodies = scene.keeper.bodies.clone();
    soon("the shutdown", scene.rig.handle.shutdown()).unwrap();
    scene.rig.crash();
    let again = Scene::start(dir.path(), Start::Resume, HEAD);
    assert_eq!(again.rig.handle.snapshot().head_root, head);
    assert!(soon("an answer", again.rig.handle.block(again.roots()[4])).is_err(), "another execution client");
    *again.keeper.bodies.lock().unwrap() = bodies.lock().unwrap().clone();
    assert_eq!(again.blocks(), before);
}

#[test]
fn a_range_loses_its_payloads_when_all_of_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::start(dir.path(), checkpoint(), ANCHOR);
    // As if there had been no blocks before the anchor, and the client had run that.
    scene.rig.handle.shared.earliest_slot.store(0, Ordering::Relaxed);
    let payload = block(ANCHOR).message.body.execution_payload.clone();
    let body = PayloadBody { transactions: payload.transactions, withdrawals: Some(payload.withdrawals) };
    scene.keeper.bodies.lock().unwrap().insert(payload.block_hash, body);
    let mut expected = vec![block(ANCHOR)];
    let healthy = |slot| {
        let block = scene.extend(slot);
        vote(&scene.rig, slot);
        block
    };
    let (early, late) = (ANCHOR + 4 * SLOTS_PER_EPOCH, SLOTS_PER_SEGMENT + 12 * SLOTS_PER_EPOCH);
    expected.extend((ANCHOR + 1..early).map(healthy));
    // Then a block in each epoch to the end of the range, and nobody votes.
    expected.extend((early..SLOTS_PER_SEGMENT).step_by(SLOTS_PER_EPOCH as usize).map(|slot| scene.extend(slot)));
    let (db, range) = (scene.rig.handle.database(), 0..SLOTS_PER_SEGMENT);
    assert_eq!(db.whole_ranges(range.clone()).len(), 1);
    // The chain finalizes again, a state is stored whole, older ones go, and with them the need to replay.
    (SLOTS_PER_SEGMENT..late).for_each(|slot| drop(healthy(slot)));
    soon("the end of the range's payloads", async {
        while !db.whole_ranges(range.clone()).is_empty() {
            smol::future::yield_now().await;
        }
    });
    assert!(expected.iter().all(|block| db.is_blinded(block.root()).unwrap()));
    let roots = expected.iter().map(|block| block.root()).collect();
    let (items, _) = ask(&scene.rig, RequestKind::BlocksByRoot { roots });
    assert_eq!(items, expected.iter().map(|block| block.as_ssz_bytes()).collect::<Vec<_>>());
    let head = scene.rig.handle.snapshot().head_root;
    soon("the shutdown", scene.rig.handle.shutdown()).unwrap();
    scene.rig.crash();
    let again = Scene::start(dir.path(), Start::Resume, late);
    assert_eq!(again.rig.handle.snapshot().head_root, head);
}
