//! Blocks with blobs, and the columns that they wait for.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
};

use super::{recording::*, rig::*};
use crate::{
    chain::{
        columns::{columns_of_blobs, get_data_column_sidecars_from_block},
        limits::SYNC_GAP_SLOTS,
        network::{Fault, Publication, Status, Verdict},
        produce::empty_sync_aggregate,
        *,
    },
    crypto::{
        PubkeyCache,
        kzg::{CellsAndProofs, blob_to_kzg_commitment, compute_cells_and_kzg_proofs},
    },
    fork_choice::import_block,
    transition::{Checks, Context},
    types::*,
};

/// Ours.
const NODE: [u8; 32] = [7; 32];
/// Blocks of the chain here, from the anchor on.
const BLOCKS: u64 = 3;

/// Two blobs.
pub(super) fn blobs() -> Vec<Blob> {
    let byte = |blob: usize, at: usize| if at.is_multiple_of(32) { 0 } else { (at * 7 / 3 + blob) as u8 };
    (0..2).map(|blob| Blob::new((0..4096 * 32).map(|at| byte(blob, at)).collect()).unwrap()).collect()
}

/// Their cells with proofs: computed once, as it takes long.
pub(super) fn cells() -> &'static [CellsAndProofs] {
    static CELLS: OnceLock<Vec<CellsAndProofs>> = OnceLock::new();
    CELLS.get_or_init(|| blobs().iter().map(|blob| compute_cells_and_kzg_proofs(blob).unwrap()).collect())
}

/// Blocks with these blobs, with all their columns.
pub(super) struct Made {
    pub blocks: Vec<Arc<SignedBeaconBlock>>,
    pub columns: Vec<Vec<Arc<DataColumnSidecar>>>,
    /// After the last block.
    pub state: BeaconState,
}

impl Made {
    /// On the recorded anchor: recorded blocks, with blobs and without what signs other blocks.
    fn new() -> Made {
        let (config, keys) = (config(), PubkeyCache::default());
        let ctx = Context { config: &config, keys: &keys };
        let commitments: Vec<_> = blobs().iter().map(|blob| blob_to_kzg_commitment(blob).unwrap()).collect();
        let (mut state, mut parent) = (anchor_state(), root(ANCHOR));
        let (mut blocks, mut columns) = (Vec::new(), Vec::new());
        for slot in ANCHOR + 1..=ANCHOR + BLOCKS {
            let mut block = (*block(slot)).clone();
            block.message.parent_root = parent;
            block.message.body.sync_aggregate = empty_sync_aggregate();
            block.message.body.blob_kzg_commitments = commitments.clone().try_into().unwrap();
            let (mut after, _) = import_block(&state, &block, &ctx, Checks::NONE).unwrap();
            block.message.state_root = after.hash_tree_root();
            let block = sign(block);
            parent = block.root();
            // The header of the block is without its state's root until the next slot.
            let (after, _) = import_block(&state, &block, &ctx, Checks::NONE).unwrap();
            state = after;
            let all = get_data_column_sidecars_from_block(&block, cells());
            columns.push(all.into_iter().map(Arc::new).collect());
            blocks.push(block);
        }
        Made { blocks, columns, state }
    }

    pub fn get() -> &'static Made {
        static MADE: OnceLock<Made> = OnceLock::new();
        MADE.get_or_init(Made::new)
    }

    pub fn block(&self, at: usize) -> &Arc<SignedBeaconBlock> {
        &self.blocks[at]
    }

    pub fn column(&self, at: usize, index: ColumnIndex) -> DataColumnSidecar {
        DataColumnSidecar::clone(&self.columns[at][index as usize])
    }

    fn last(&self) -> Hash256 {
        self.blocks[self.blocks.len() - 1].root()
    }

    /// A peer's status. Its head is late enough to be fetched by range, but the slots after our blocks are empty.
    fn status(&self, status: Status) -> Status {
        Status { head_root: self.last(), head_slot: ANCHOR + SYNC_GAP_SLOTS + 1, ..status }
    }
}

pub(super) fn rig_with(path: &Path, clock: Clock, change: impl Fn(&mut ChainConfig)) -> Rig {
    let (mut setup, commands) = setup(path, checkpoint(), clock, Capacities::default());
    setup.node_id = Some(NODE);
    change(&mut setup);
    let rig = Rig::with_setup(setup, commands);
    let made = Made::get();
    for (block, columns) in made.blocks.iter().zip(&made.columns) {
        rig.their_blocks.lock().unwrap().insert(block.root(), block.clone());
        rig.their_columns.lock().unwrap().insert(block.root(), columns.clone());
    }
    // What was recorded is another branch.
    rig.their_blocks.lock().unwrap().retain(|_, block| !block.message.body.blob_kzg_commitments.is_empty());
    rig
}

fn rig(path: &Path, clock: Clock) -> Rig {
    rig_with(path, clock, |_| {})
}

/// In the block's own slot, before votes are due.
pub(super) fn clock_in(slot: Slot) -> Clock {
    let clock = clock_at(slot);
    clock.set_ms(clock.start_of(slot) + 100);
    clock
}

#[test]
fn a_node_samples_eight_columns_and_tells_the_network() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), clock_in(ANCHOR + 1));
    let sampled = rig.handle.sampled_columns();
    assert_eq!((rig.handle.custody_groups(), sampled.len()), (4, 8));
    let kept = columns_of_node(&config(), NODE, 4).unwrap();
    assert!(kept.iter().all(|column| sampled.contains(column)));
    assert_eq!(rig.wait_told("custody", |told| if let Told::Custody(groups) = told { Some(*groups) } else { None }), 4);
    for column in sampled {
        let topic = Topic::DataColumnSidecar(compute_subnet_for_data_column_sidecar(&config(), column));
        rig.wait_told("a subnet", |told| matches!(told, Told::Listen(of) if *of == topic).then_some(()));
    }
}

#[test]
fn a_block_is_imported_when_its_last_column_comes() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), clock_in(ANCHOR + 1));
    let made = Made::get();
    rig.gossip("a", made.block(0));
    assert_eq!(rig.verdict(made.block(0)), Verdict::Accept);
    let sampled = rig.handle.sampled_columns();
    for index in &sampled {
        assert_ne!(rig.handle.snapshot().head_root, made.block(0).root(), "before column {index}");
        let subnet = compute_subnet_for_data_column_sidecar(&config(), *index);
        assert_eq!(rig.gossip_column(made.column(0, *index), subnet), Verdict::Accept);
    }
    rig.wait_for_head(made.block(0).root());
    soon("the columns on disk", async {
        while rig.handle.database().columns_of(made.block(0).root()).unwrap() != sampled {
            smol::future::yield_now().await;
        }
    });
}

#[test]
fn columns_may_come_before_their_block() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), clock_in(ANCHOR + 1));
    let made = Made::get();
    let sampled = rig.handle.sampled_columns();
    for index in &sampled {
        assert_eq!(rig.gossip_column(made.column(0, *index), *index), Verdict::Accept);
        assert_eq!(rig.gossip_column(made.column(0, *index), *index), Verdict::Ignore, "twice");
    }
    // Nor is one with another cell, and the right one is not shut out by it.
    let mut bad = made.column(0, 127 - sampled[0]);
    bad.column[1] = bad.column[0].clone();
    assert_eq!(rig.gossip_column(bad.clone(), bad.index), Verdict::Reject);
    rig.gossip("a", made.block(0));
    assert_eq!(rig.verdict(made.block(0)), Verdict::Accept);
    rig.wait_for_head(made.block(0).root());
}

#[test]
fn a_column_may_come_before_its_blocks_parent() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), running_clock_at(ANCHOR + 2));
    let made = Made::get();
    let sampled = rig.handle.sampled_columns();
    for index in &sampled {
        assert_eq!(rig.gossip_column(made.column(1, *index), *index), Verdict::Ignore);
    }
    for index in &sampled {
        assert_eq!(rig.gossip_column(made.column(0, *index), *index), Verdict::Accept);
    }
    rig.gossip("a", made.block(0));
    rig.gossip("a", made.block(1));
    // Nobody could be asked for columns.
    rig.wait_for_head(made.block(1).root());
}

#[test]
fn children_wait_until_their_parent_has_its_columns() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), running_clock_at(ANCHOR + BLOCKS));
    let made = Made::get();
    for at in 0..BLOCKS as usize {
        rig.gossip("a", made.block(at));
        let expected = if at == 0 { Verdict::Accept } else { Verdict::Ignore };
        assert_eq!(rig.verdict(made.block(at)), expected);
    }
    rig.connect_keeper("a", Manners::Honest, &(0..128).collect::<Vec<_>>(), |status| status);
    rig.wait_for_head(made.last());
}

#[test]
fn missing_columns_are_asked_of_those_who_keep_them() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), running_clock_at(ANCHOR + 1));
    let made = Made::get();
    let sampled = rig.handle.sampled_columns();
    let (one, other) = sampled.split_at(3);
    rig.connect_keeper("a", Manners::Honest, one, |status| status);
    rig.connect_keeper("b", Manners::Honest, other, |status| status);
    rig.connect_keeper("c", Manners::Honest, &[], |status| status);
    rig.gossip("c", made.block(0));
    let mut asked = BTreeMap::new();
    while asked.len() < 2 {
        let (who, columns) = rig.wait_told("a request", |told| match told {
            Told::ColumnRequest(who, columns) => Some((who.clone(), columns.clone())),
            _ => None,
        });
        asked.insert(who, columns);
    }
    assert_eq!(asked.get(&peer("a")).map(Vec::as_slice), Some(one));
    assert_eq!(asked.get(&peer("b")).map(Vec::as_slice), Some(other));
    rig.wait_for_head(made.block(0).root());
}

#[test]
fn whoever_gives_wrong_columns_is_reported_and_another_is_asked() {
    for manners in [Manners::BadColumns, Manners::NoColumns] {
        let dir = tempfile::tempdir().unwrap();
        let rig = rig(dir.path(), running_clock_at(ANCHOR + 1));
        let (made, all) = (Made::get(), (0..128).collect::<Vec<_>>());
        // Of equals, the first by name is asked first.
        rig.connect_keeper("a", manners, &all, |status| status);
        rig.connect_keeper("b", Manners::Honest, &all, |status| status);
        rig.gossip("c", made.block(0));
        let first = rig.wait_told("a request", |told| match told {
            Told::ColumnRequest(who, _) => Some(who.clone()),
            _ => None,
        });
        assert_eq!(first, peer("a"));
        if manners == Manners::BadColumns {
            rig.wait_told("a punishment", |told| {
                matches!(told, Told::Report(who, Fault::InvalidColumn) if *who == peer("a")).then_some(())
            });
        }
        rig.wait_for_head(made.block(0).root());
    }
}

#[test]
fn ranges_come_with_their_columns_from_several_peers() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), running_clock_at(ANCHOR + SYNC_GAP_SLOTS + 1));
    let made = Made::get();
    let sampled = rig.handle.sampled_columns();
    let (one, other) = sampled.split_at(5);
    rig.connect_keeper("a", Manners::Honest, one, |status| made.status(status));
    rig.connect_keeper("b", Manners::BadColumns, &sampled, |status| made.status(status));
    rig.connect_keeper("c", Manners::Honest, other, |status| made.status(status));
    rig.wait_for_head(made.last());
    for block in &made.blocks {
        assert_eq!(rig.handle.database().columns_of(block.root()).unwrap(), sampled);
    }
}

#[test]
fn blocks_older_than_what_peers_keep_need_no_columns() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig_with(dir.path(), clock_at(ANCHOR + 16), |setup| {
        setup.config = Arc::new(Config { min_epochs_for_data_column_sidecars_requests: 0, ..config() });
    });
    assert_eq!(rig.import(Made::get().block(0)), Ok(Made::get().block(0).root()));
}

#[test]
fn who_keeps_all_columns_imports_with_half_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), clock_in(ANCHOR + 1));
    soon("custody", rig.handle.keep_groups(128)).unwrap();
    assert_eq!(rig.handle.sampled_columns().len(), 128);
    let made = Made::get();
    rig.gossip("a", made.block(0));
    assert_eq!(rig.verdict(made.block(0)), Verdict::Accept);
    for index in 0..63 {
        assert_eq!(rig.gossip_column(made.column(0, index), index), Verdict::Accept);
    }
    assert_ne!(rig.handle.snapshot().head_root, made.block(0).root(), "one is missing");
    assert_eq!(rig.gossip_column(made.column(0, 100), 100), Verdict::Accept);
    rig.wait_for_head(made.block(0).root());
    // What comes later is kept, too.
    assert_eq!(rig.gossip_column(made.column(0, 127), 127), Verdict::Accept);
    soon("the columns on disk", async {
        while rig.handle.database().columns_of(made.block(0).root()).unwrap().len() < 65 {
            smol::future::yield_now().await;
        }
    });
}

#[test]
fn a_range_without_its_columns_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), clock_at(ANCHOR + 16));
    assert_eq!(rig.import(Made::get().block(0)), Err(BlockError::DataUnavailable { missing: 8 }));
}

#[test]
fn our_own_blobs_become_columns_that_are_published() {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), clock_in(ANCHOR + 1));
    let block = Made::get().block(0);
    let mut proofs: Vec<KZGProof> = cells().iter().flat_map(|(_, proofs)| proofs.clone()).collect();
    let columns = columns_of_blobs(&config(), block, &blobs(), &proofs).unwrap();
    let columns: Vec<_> = columns.into_iter().map(Arc::new).collect();
    assert_eq!(columns, Made::get().columns[0]);
    soon("columns", rig.handle.provide_columns(block.root(), columns, true));
    let published = rig.wait_told("columns", |told| match told {
        Told::Publish(Publication::Columns(columns)) => Some(columns.clone()),
        _ => None,
    });
    assert_eq!(published, Made::get().columns[0]);
    let imported = soon("an import", rig.handle.import_block(block.clone(), BlockSource::Api));
    assert_eq!(imported, Ok(block.root()));
    assert!(columns_of_blobs(&config(), &super::recording::block(LAST), &[], &[]).unwrap().is_empty());
    proofs.swap(0, 1);
    assert!(columns_of_blobs(&config(), block, &blobs(), &proofs).is_err());
    assert!(columns_of_blobs(&config(), block, &blobs()[1..], &proofs).is_err());
}

#[test]
fn custody_grows_with_validators_and_never_shrinks() {
    let dir = tempfile::tempdir().unwrap();
    let start = rig(dir.path(), clock_at(ANCHOR + 2));
    assert_eq!(start.handle.status().earliest_available_slot, ANCHOR);
    soon("validators", start.handle.attach_validators(&[3]));
    // Eight with a validator: those that were sampled already.
    assert_eq!((start.handle.custody_groups(), start.handle.sampled_columns().len()), (8, 8));
    assert_eq!(start.handle.status().earliest_available_slot, ANCHOR);
    soon("validators", start.handle.attach_validators(&(0..16).collect::<Vec<_>>()));
    let state = anchor_state();
    let expected = get_validators_custody_requirement(&config(), &state, 0..16);
    assert!(expected > 8 && get_validators_custody_requirement(&config(), &state, [99]) == 8);
    assert_eq!(start.handle.custody_groups(), expected);
    let sampled = start.handle.sampled_columns();
    assert_eq!(sampled.len() as u64, expected);
    start.wait_told("custody", |told| matches!(told, Told::Custody(groups) if *groups == expected).then_some(()));
    start.crash();
    // What is kept from now on only is not promised for earlier.
    let db = open_db(dir.path());
    assert_eq!(db.earliest_column_slot().unwrap(), Some(ANCHOR + 3));
    db.close().unwrap();

    let (mut setup, commands) = setup(dir.path(), Start::Resume, clock_at(ANCHOR + 2), Capacities::default());
    setup.node_id = Some(NODE);
    let again = Rig::with_setup(setup, commands);
    assert_eq!((again.handle.custody_groups(), again.handle.sampled_columns()), (expected, sampled));
}

#[test]
fn what_is_on_disk_is_not_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let made = Made::get();
    let first = rig(dir.path(), clock_in(ANCHOR + 1));
    for index in first.handle.sampled_columns() {
        assert_eq!(first.gossip_column(made.column(0, index), index), Verdict::Accept);
    }
    first.gossip("a", made.block(0));
    first.wait_for_head(made.block(0).root());
    let sampled = first.handle.sampled_columns();
    soon("the columns on disk", async {
        while first.handle.database().columns_of(made.block(0).root()).unwrap() != sampled {
            smol::future::yield_now().await;
        }
    });
    first.crash();

    // The block is forgotten with the start from the checkpoint's state; its columns are not.
    let (mut setup, commands) = setup(dir.path(), Start::Resume, clock_in(ANCHOR + 1), Capacities::default());
    setup.node_id = Some(NODE);
    let again = Rig::with_setup(setup, commands);
    assert_eq!(again.import(made.block(0)), Ok(made.block(0).root()));
}
