//! What peers are served besides ranges and roots of blocks: heads, columns, and what light clients need.

use std::sync::Arc;

use super::{
    recording::{ANCHOR, LAST, block, root},
    rig::{Rig, peer, sign, soon},
};
use crate::{
    chain::network::{InboundRequest, RequestKind, ResponseChunk},
    types::*,
};

type Answer = (Vec<Vec<u8>>, Option<ResponseChunk>);

/// Asks as a peer would; the SSZ of all items of the answer, and how it ended.
async fn ask_soon(rig: &Rig, kind: RequestKind) -> Answer {
    let (reply, answer) = async_channel::bounded(1);
    rig.inputs.requests.send(InboundRequest { peer: peer("a"), kind, reply }).await.unwrap();
    let digest = rig.handle.status().fork_digest;
    let mut items = Vec::new();
    while let Ok(chunk) = answer.recv().await {
        let ResponseChunk::Item { fork_digest, ssz } = chunk else { return (items, Some(chunk)) };
        assert_eq!(fork_digest, digest);
        items.push(ssz);
    }
    (items, None)
}

pub fn ask(rig: &Rig, kind: RequestKind) -> Answer {
    soon("an answer", ask_soon(rig, kind))
}

pub fn is_unavailable((items, end): Answer) -> bool {
    items.is_empty() && matches!(end, Some(ResponseChunk::ResourceUnavailable(_)))
}

/// A chain of the anchor and three blocks.
fn rig(path: &std::path::Path) -> Rig {
    let rig = Rig::recorded(path);
    for slot in ANCHOR + 1..=ANCHOR + 3 {
        rig.import(&block(slot)).unwrap();
    }
    rig
}

#[test]
fn a_head_and_the_blocks_before_it_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let before = |root, count| {
        let (items, end) = ask(&rig, RequestKind::BlocksByHead { root, count });
        assert_eq!(end, None);
        let block = |ssz: &Vec<u8>| SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, ssz).unwrap();
        items.iter().map(|ssz| block(ssz).message.slot).collect::<Vec<_>>()
    };
    assert_eq!(before(root(ANCHOR + 2), 2), [ANCHOR + 2, ANCHOR + 1]);
    let all: Vec<_> = (ANCHOR..=ANCHOR + 3).rev().collect();
    assert_eq!(before(root(ANCHOR + 3), 100), all, "to the oldest that we have");
    assert!(before(Hash256::ZERO, 100).is_empty());
    // An orphan is stored, but nobody has verified it.
    rig.gossip("a", &block(LAST));
    rig.verdict(&block(LAST));
    assert!(rig.handle.database().has_block(root(LAST)).unwrap());
    assert!(before(root(LAST), 100).is_empty());
}

fn column(slot: Slot, index: ColumnIndex) -> (Hash256, Arc<DataColumnSidecar>) {
    column_of(&block(slot), index)
}

/// A column, as the database takes it, of a block that has none.
pub fn column_of(block: &SignedBeaconBlock, index: ColumnIndex) -> (Hash256, Arc<DataColumnSidecar>) {
    let sidecar = DataColumnSidecar {
        index,
        column: vec![Default::default()].try_into().unwrap(),
        kzg_commitments: vec![Default::default()].try_into().unwrap(),
        kzg_proofs: vec![Default::default()].try_into().unwrap(),
        signed_block_header: SignedBeaconBlockHeader { message: block.message.header(), signature: block.signature },
        kzg_commitments_inclusion_proof: vec![Hash256::ZERO; 4].try_into().unwrap(),
    };
    (block.root(), Arc::new(sidecar))
}

#[test]
fn columns_of_our_chain_are_served_by_range_and_any_by_root() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let stored = [(1, 9), (1, 3), (3, 3), (5, 3)].map(|(after, index)| column(ANCHOR + after, index));
    rig.handle.database().put_columns(&stored).unwrap();
    let decoded = |kind| {
        let (items, end) = ask(&rig, kind);
        assert_eq!(end, None);
        let column = |ssz: &Vec<u8>| <DataColumnSidecar as ssz::Decode>::from_ssz_bytes(ssz).unwrap();
        let columns = items.iter().map(column);
        columns.map(|it| (it.signed_block_header.message.slot - ANCHOR, it.index)).collect::<Vec<_>>()
    };
    let range =
        |start_slot, columns: &[u64]| RequestKind::ColumnsByRange { start_slot, count: 10, columns: columns.to_vec() };
    assert_eq!(decoded(range(ANCHOR, &[3, 9, 11])), [(1, 3), (1, 9), (3, 3)], "the last block is not of our chain");
    assert_eq!(decoded(range(ANCHOR + 2, &[3])), [(3, 3)]);
    assert_eq!(decoded(range(ANCHOR, &[4])), []);
    assert!(is_unavailable(ask(&rig, range(ANCHOR - 1, &[3]))));
    let wanted = vec![(stored[3].0, vec![3, 4]), (Hash256::ZERO, vec![3]), (stored[0].0, vec![9])];
    assert_eq!(decoded(RequestKind::ColumnsByRoot { wanted }), [(5, 3), (1, 9)]);
}

#[test]
fn no_columns_of_a_block_that_failed_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::unchecked(dir.path());
    let mut wrong = (*block(ANCHOR + 1)).clone();
    wrong.message.state_root = Hash256::repeat_byte(7);
    let wrong = sign(wrong);
    let stored = column(ANCHOR + 2, 3).1;
    rig.handle.database().put_columns(&[(wrong.root(), stored)]).unwrap();
    let served = || {
        let wanted = vec![(wrong.root(), vec![3])];
        let (items, end) = ask(&rig, RequestKind::ColumnsByRoot { wanted });
        assert_eq!(end, None);
        items.len()
    };
    assert_eq!(served(), 1, "as long as nobody knows");
    assert!(rig.import(&wrong).unwrap_err().is_fault());
    assert_eq!(served(), 0);
}

#[test]
fn light_clients_are_served_what_the_heads_chain_has() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path());
    let optimistic = |ssz: &[u8]| LightClientOptimisticUpdate::from_ssz_bytes(ForkName::Fulu, ssz).unwrap();
    // The collection follows the head a moment later.
    let newest = soon("an update of the head", async {
        loop {
            let (items, _) = ask_soon(&rig, RequestKind::LightClientOptimisticUpdate).await;
            match items.first().map(|ssz| optimistic(ssz)) {
                Some(update) if update.signature_slot == ANCHOR + 3 => return update,
                _ => smol::future::yield_now().await,
            }
        }
    });
    assert_eq!(newest.attested_header.beacon, block(ANCHOR + 2).message.header());
    let (items, end) = ask(&rig, RequestKind::LightClientBootstrap { root: root(ANCHOR) });
    let bootstrap = LightClientBootstrap::from_ssz_bytes(ForkName::Fulu, &items[0]).unwrap();
    assert_eq!((bootstrap.header.beacon, end), (block(ANCHOR).message.header(), None));
    assert!(is_unavailable(ask(&rig, RequestKind::LightClientBootstrap { root: root(ANCHOR + 1) })), "not final");
    let (items, _) = ask(&rig, RequestKind::LightClientFinalityUpdate);
    let finality = LightClientFinalityUpdate::from_ssz_bytes(ForkName::Fulu, &items[0]).unwrap();
    assert_eq!(finality.signature_slot, ANCHOR + 3);
    let period = ANCHOR / preset::SLOTS_PER_EPOCH / preset::EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
    let updates = |start_period, count| ask(&rig, RequestKind::LightClientUpdates { start_period, count });
    let (items, end) = updates(period - 1, 5);
    assert_eq!((items.len(), end), (1, None), "none of the period before");
    let update = LightClientUpdate::from_ssz_bytes(ForkName::Fulu, &items[0]).unwrap();
    assert!((ANCHOR..=ANCHOR + 2).contains(&update.attested_header.beacon.slot));
    assert_eq!(updates(period + 2, u64::MAX), (vec![], None));
}
