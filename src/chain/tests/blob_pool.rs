//! Blocks whose blobs the execution client has in its pool.

use std::path::Path;

use async_channel::Receiver;

use super::{
    columns::{Made, blobs, cells, clock_in, rig_with},
    recording::*,
    rig::*,
};
use crate::{
    chain::{
        columns::{ColumnFrame, SidecarError, columns_of_pool},
        network::{Publication, Verdict},
        *,
    },
    engine::PooledBlob,
    types::{ColumnIndex, DataColumnSidecar, Hash256},
};

/// The blobs of our blocks, as a client gives them.
fn pooled() -> Vec<PooledBlob> {
    blobs().into_iter().zip(cells()).map(|(blob, (_, proofs))| PooledBlob { blob, proofs: proofs.clone() }).collect()
}

/// What a client that we play says when it is asked for blobs, by how often it was asked before; silence if it is none.
type Answer = fn(usize) -> Option<Vec<Option<PooledBlob>>>;

fn all(_: usize) -> Option<Vec<Option<PooledBlob>>> {
    Some(pooled().into_iter().map(Some).collect())
}

/// A chain with a client that answers so, and what that is asked for.
fn rig(path: &Path, clock: Clock, answer: Answer) -> (Rig, Receiver<Vec<Hash256>>) {
    let (asked, questions) = async_channel::bounded(16);
    let rig = rig_with(path, clock, |setup| {
        let (asked, mut times) = (asked.clone(), 0..);
        setup.execution = Some(contented_with(move |hashes| {
            let _ = asked.try_send(hashes);
            times.next().and_then(answer)
        }));
    });
    (rig, questions)
}

/// The next columns that were published without being of a block of ours.
fn published(rig: &Rig) -> Vec<Arc<DataColumnSidecar>> {
    rig.wait_told("columns", |told| match told {
        Told::Publish(Publication::PooledColumns(columns)) => Some(columns.clone()),
        _ => None,
    })
}

fn expected(columns: impl IntoIterator<Item = ColumnIndex>) -> Vec<Arc<DataColumnSidecar>> {
    columns.into_iter().map(|index| Made::get().column(0, index).into()).collect()
}

#[test]
fn a_block_becomes_available_by_the_pool_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, questions) = rig(dir.path(), clock_in(ANCHOR + 1), all);
    let block = Made::get().block(0);
    let sampled = rig.handle.sampled_columns();
    // It stands still, and nobody else has any column.
    rig.gossip("a", block);
    rig.wait_for_head(block.root());
    let commitments = &block.message.body.blob_kzg_commitments;
    let hashes: Vec<_> = commitments.iter().map(kzg_commitment_to_versioned_hash).collect();
    assert_eq!(soon("a question", questions.recv()), Ok(hashes));
    // Ours and no others.
    assert_eq!(published(&rig), expected(sampled.clone()));
    soon("the columns on disk", async {
        while rig.handle.database().columns_of(block.root()).unwrap() != sampled {
            smol::future::yield_now().await;
        }
    });
    // They count as seen. What comes by gossip now came before ours was published, and is passed on in its place.
    let mut first = Made::get().column(0, sampled[0]);
    assert_eq!(rig.gossip_column(first.clone(), sampled[0]), Verdict::Accept);
    assert_eq!(rig.gossip_column(first.clone(), sampled[1]), Verdict::Ignore, "in another subnet");
    first.column[1] = first.column[0].clone();
    assert_eq!(rig.gossip_column(first, sampled[0]), Verdict::Ignore, "not the same");
    // Another one was not made.
    let other = (0..128).find(|index| !sampled.contains(index)).unwrap();
    assert_eq!(rig.gossip_column(Made::get().column(0, other), other), Verdict::Accept);
    assert!(questions.is_empty(), "one question is enough");
}

#[test]
fn a_column_is_enough_to_look_for_the_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, _questions) = rig(dir.path(), clock_in(ANCHOR + 1), all);
    let sampled = rig.handle.sampled_columns();
    assert_eq!(rig.gossip_column(Made::get().column(0, sampled[3]), sampled[3]), Verdict::Accept);
    // What came by gossip is passed on by gossip.
    assert_eq!(published(&rig), expected(sampled.iter().copied().filter(|index| *index != sampled[3])));
    let block = Made::get().block(0);
    rig.gossip("a", block);
    rig.wait_for_head(block.root());
}

#[test]
fn blobs_that_come_to_the_pool_after_the_block_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let answer: Answer = |times| if times < 2 { Some(vec![None, None]) } else { all(times) };
    let (rig, questions) = rig(dir.path(), running_clock_at(ANCHOR + 1), answer);
    let block = Made::get().block(0);
    rig.gossip("a", block);
    rig.wait_for_head(block.root());
    assert_eq!(questions.len(), 3);
}

#[test]
fn what_the_pool_lacks_comes_by_gossip() {
    let wrong: Answer = |_| Some(pooled().into_iter().rev().map(Some).collect());
    let none: Answer = |_| Some(vec![None, None]);
    let half: Answer = |times| all(times).map(|mut blobs| [blobs.remove(0), None].into());
    let silence: Answer = |_| None;
    for answer in [wrong, none, half, silence] {
        let dir = tempfile::tempdir().unwrap();
        let (rig, questions) = rig(dir.path(), clock_in(ANCHOR + 1), answer);
        let block = Made::get().block(0);
        rig.gossip("a", block);
        assert_eq!(rig.verdict(block), Verdict::Accept);
        soon("a question", questions.recv()).unwrap();
        for index in rig.handle.sampled_columns() {
            assert_eq!(rig.gossip_column(Made::get().column(0, index), index), Verdict::Accept);
        }
        rig.wait_for_head(block.root());
    }
}

#[test]
fn nobody_is_asked_for_the_blobs_of_old_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, questions) = rig(dir.path(), running_clock_at(ANCHOR + 6), all);
    let keeper: Vec<_> = (0..128).collect();
    rig.connect_keeper("a", Manners::Honest, &keeper, |status| status);
    rig.gossip("a", Made::get().block(0));
    rig.wait_for_head(Made::get().block(0).root());
    assert!(questions.is_empty());
}

#[test]
fn columns_are_made_of_the_blocks_own_blobs_only() {
    let (block, wanted) = (Made::get().block(0), [127, 0, 64]);
    let frame = ColumnFrame::of_block(block).unwrap();
    let made = |blobs| columns_of_pool(&config(), &frame, &wanted, blobs);
    let columns: Vec<_> = made(pooled()).unwrap().into_iter().map(Arc::new).collect();
    assert_eq!(columns, expected(wanted));
    let of_column = ColumnFrame::of_column(&columns[0]);
    assert_eq!(columns_of_pool(&config(), &of_column, &[5], pooled()).unwrap(), [Made::get().column(0, 5)]);
    assert!(matches!(made(pooled().into_iter().rev().collect()), Err(SidecarError::Invalid)));
    assert!(matches!(made(vec![pooled().remove(0)]), Err(SidecarError::Count { .. })));
    let mut short = pooled();
    short[1].proofs.pop();
    assert!(matches!(made(short), Err(SidecarError::Count { .. })));
    let mut broken = pooled();
    broken[1].blob[0] = 0xff;
    assert!(matches!(made(broken), Err(SidecarError::Kzg(_))));
}
