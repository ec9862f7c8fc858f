//! Blocks without their payloads: what takes their place, what is deleted, and what a crash leaves.

use super::*;

fn blinded_files(path: &Path) -> Vec<PathBuf> {
    files::list_finished(&path.join(BLINDED_DIR)).expect("listed")
}

/// Blinds stored blocks as the chain does, without asking anybody.
fn blind(db: &Database, numbers: impl IntoIterator<Item = u64>) {
    let blinded = |n| (root(n), db.block(root(n)).expect("read").expect("stored").into_blinded());
    db.put_blinded(&numbers.into_iter().map(blinded).collect::<Vec<_>>()).expect("stored");
}

/// Blocks of so many slots from `first` on, canonical, each numbered by its slot.
fn canonical(db: &Database, slots: Range<u64>) -> Vec<SignedBeaconBlock> {
    let blocks: Vec<_> = slots.clone().map(|slot| put(db, slot, slot)).collect();
    db.set_canonical(&slots.map(|slot| (slot, root(slot))).collect::<Vec<_>>()).unwrap();
    blocks
}

fn whole_ranges(db: &Database, slots: Range<u64>) -> Vec<(u64, u64)> {
    db.whole_ranges(slots).into_iter().map(|range| (range.start, range.end)).collect()
}

#[test]
fn a_blinded_block_takes_the_place_of_the_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let blocks = canonical(&db, 1020..1030);
    assert_eq!(db.whole_blocks(1000..1023).unwrap(), [1020, 1021, 1022].map(root));
    blind(&db, 1020..1022);
    let check = |db: &Database| {
        for (slot, block) in (1020..1030).zip(&blocks) {
            let (is_blinded, parent) = (slot < 1022, block.message.parent_root);
            assert_eq!(db.is_blinded(root(slot)).unwrap(), is_blinded);
            assert_eq!(db.block_parent(root(slot)).unwrap(), Some((slot, parent)));
            match db.stored_block(root(slot)).unwrap().unwrap() {
                StoredBlock::Whole(whole) => assert!(!is_blinded && whole == *block),
                StoredBlock::Blinded(blinded) => assert!(is_blinded && blinded == block.clone().into_blinded()),
            }
            let is_refused = matches!(db.block(root(slot)), Err(DbError::Blinded { slot: at }) if at == slot);
            let is_not_served = matches!(db.block_ssz(root(slot)), Err(DbError::Blinded { .. }));
            assert_eq!((is_refused, is_not_served), (is_blinded, is_blinded));
        }
        assert_eq!(db.whole_blocks(1000..1023).unwrap(), [root(1022)]);
    };
    check(&db);
    // It is there: neither another copy nor a second blinding changes anything.
    let usage = db.disk_usage().unwrap();
    db.put_blocks(&[(root(1020), &blocks[0])]).unwrap();
    db.put_blinded(&[(root(1020), blocks[0].clone().into_blinded()), (root(5), blocks[1].clone().into_blinded())])
        .unwrap();
    assert_eq!((db.disk_usage().unwrap().blocks, db.disk_usage().unwrap().blinded), (usage.blocks, usage.blinded));
    check(&db);
    db.close().unwrap();
    check(&open_clean(dir.path()));
}

#[test]
fn the_files_of_a_range_go_when_all_of_its_canonical_blocks_are_blinded() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    canonical(&db, 1020..1030);
    put(&db, 7, 1021);
    assert_eq!(whole_ranges(&db, 0..4096), [(1024, 2048), (0, 1024)]);
    assert_eq!(whole_ranges(&db, 0..2047), [(0, 1024)], "not those that end later");
    blind(&db, 1021..1024);
    assert_eq!(db.drop_whole(0).unwrap(), PruneReport::default(), "one is whole yet");
    assert_eq!(segment_files(dir.path()).len(), 2);
    blind(&db, [1020]);
    let report = db.drop_whole(0).unwrap();
    assert_eq!((report.blocks, report.files), (1, 1), "the block aside goes too");
    assert_eq!(segment_files(dir.path()).len(), 1);
    assert!(!db.has_block(root(7)).unwrap() && db.is_blinded(root(1020)).unwrap());
    assert!(db.block(root(1024)).unwrap().is_some());
    assert_eq!(whole_ranges(&db, 0..4096), [(1024, 2048)]);
    // A late block of the range begins a new file.
    let late = put(&db, 8, 1000);
    assert_eq!(db.block(root(8)).unwrap(), Some(late));
    db.close().unwrap();
    let db = open_clean(dir.path());
    let report = db.prune_before(1024, &[]).unwrap();
    assert_eq!((report.blocks, report.files), (5, 2), "both forms are pruned");
    assert!(blinded_files(dir.path()).is_empty() && !db.has_block(root(1020)).unwrap());
}

#[test]
fn a_crash_before_the_index_knew_of_blinded_blocks_is_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    canonical(&db, 10..13);
    blind(&db, [10]);
    // As if the index had not heard of the second.
    let before = db.inner.index.block(&root(11)).unwrap().unwrap();
    let (id, _) = db.inner.blinded.list()[0];
    let mark = db.inner.index.mark(Form::Blinded, id).unwrap();
    blind(&db, [11]);
    db.inner.index.put_blocks(&[(root(11), before)]).unwrap();
    db.inner.index.set_mark(Form::Blinded, id, mark).unwrap();
    db.close().unwrap();
    let (db, report) = open(dir.path());
    assert_eq!(report.reindexed_blocks, 1);
    assert!(db.is_blinded(root(11)).unwrap() && !db.is_blinded(root(12)).unwrap());
}

#[test]
fn a_file_that_should_have_been_deleted_brings_no_whole_blocks_back() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    canonical(&db, 10..13);
    blind(&db, 10..13);
    // As if the process had ended just before the file was deleted.
    db.inner.index.remove_mark(Form::Whole, location_of_range(0)).unwrap();
    db.close().unwrap();
    let (db, report) = open(dir.path());
    assert_eq!((report.reindexed_blocks, report.lost_blocks), (0, 0));
    assert!((10..13).all(|n| db.is_blinded(root(n)).unwrap()));
    assert_eq!(db.drop_whole(0).unwrap().files, 1);
}

fn location_of_range(range: u64) -> schema::SegmentId {
    schema::SegmentId { range, part: 0 }
}

#[test]
fn a_torn_blinded_block_is_lost_as_a_whole_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    canonical(&db, 10..12);
    blind(&db, 10..12);
    db.close().unwrap();
    let file = blinded_files(dir.path()).remove(0);
    let len = fs::metadata(&file).unwrap().len();
    fs::File::options().write(true).open(&file).unwrap().set_len(len - 5).unwrap();
    let (db, report) = open(dir.path());
    assert_eq!((report.torn.len(), report.lost_blocks), (1, 1));
    // Its whole copy is forgotten: the block is asked for again.
    assert!(db.is_blinded(root(10)).unwrap() && !db.has_block(root(11)).unwrap());
}

#[test]
fn a_directory_with_blinded_blocks_has_a_layout_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    canonical(&db, 10..12);
    assert_eq!(db.meta(META_SCHEMA).unwrap(), Some(b"1".to_vec()));
    blind(&db, [10]);
    assert_eq!(db.meta(META_SCHEMA).unwrap(), Some(b"2".to_vec()));
    db.close().unwrap();
    open_clean(dir.path());
}

#[test]
fn blocks_without_payloads_stay_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { config_name: "test".into(), ..Config::default() }.in_fork_from_genesis(ForkName::Altair);
    let config = DbConfig { reserve: 1 << 20, ..DbConfig::new(Hash256::ZERO, Arc::new(config)) };
    let (db, _) = Database::open(dir.path(), &config).unwrap();
    let mut block = SignedBeaconBlock::default();
    block.message.body = crate::types::BeaconBlockBody::empty(ForkName::Altair);
    db.put_blocks(&[(root(1), &block)]).unwrap();
    blind(&db, [1]);
    let Some(StoredBlock::Blinded(stored)) = db.stored_block(root(1)).unwrap() else { panic!("not blinded") };
    assert_eq!(stored.into_whole(Default::default(), Default::default()), Ok(block));
}
