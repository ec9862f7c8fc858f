//! Blocks, the canonical chain, small values, pruning, and whose directory it is.

use super::*;

#[test]
fn what_is_stored_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let blocks: Vec<_> = (0..20).map(|n| (root(n), sample::block(n * 300, n, 2_000))).collect();
    db.put_blocks(&blocks.iter().map(|(r, b)| (*r, b)).collect::<Vec<_>>()).unwrap();
    let check = |db: &Database| {
        for (root, block) in &blocks {
            assert_eq!(db.block(*root).unwrap().as_ref(), Some(block));
            assert_eq!(db.block_ssz(*root).unwrap(), Some((block.message.slot, block.as_ssz_bytes())));
            assert_eq!(db.block_parent(*root).unwrap(), Some((block.message.slot, block.message.parent_root)));
        }
        assert!(!db.has_block(root(99)).unwrap());
        assert_eq!(db.block(root(99)).unwrap(), None);
    };
    check(&db);
    assert_eq!(segment_files(dir.path()).len(), 6, "slots 0 to 5700 are six ranges");
    db.close().unwrap();
    check(&open_clean(dir.path()));
}

#[test]
fn a_block_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let block = put(&db, 1, 5);
    let before = db.disk_usage().unwrap().blocks;
    db.put_blocks(&[(root(1), &block), (root(2), &block), (root(2), &block)]).unwrap();
    assert_eq!(db.disk_usage().unwrap().blocks, 2 * before);
}

#[test]
fn the_canonical_chain_can_change() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let chain: Vec<_> = (0..3000).map(|slot| (slot, root(slot))).collect();
    db.set_canonical(&chain).unwrap();
    db.clear_canonical_above(9).unwrap();
    db.set_canonical(&[(11, root(1011))]).unwrap();
    assert_eq!(db.canonical_root(9).unwrap(), Some(root(9)));
    assert_eq!(db.canonical_root(10).unwrap(), None);
    let found = db.canonical_roots(8..4000).unwrap();
    assert_eq!(found, [(8, root(8)), (9, root(9)), (11, root(1011))]);
    assert_eq!(db.canonical_roots(9..9).unwrap(), []);
    assert!(matches!(db.canonical_roots(0..1 << 20), Err(DbError::TooLarge { .. })));
    db.clear_canonical_above(u64::MAX).unwrap();
    assert_eq!(db.canonical_root(11).unwrap(), Some(root(1011)));
}

#[test]
fn small_values_stay_small() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let anchor = Anchor { slot: 64, block_root: root(1), state_root: root(2) };
    assert_eq!((db.anchor().unwrap(), db.earliest_slot().unwrap()), (None, None));
    db.put_anchor(&anchor).unwrap();
    db.set_earliest_slot(64).unwrap();
    db.put_meta("peer", b"id").unwrap();
    assert!(matches!(db.put_meta("big", &[0; 7000]), Err(DbError::TooLarge { .. })));
    db.close().unwrap();
    let db = open_clean(dir.path());
    assert_eq!((db.anchor().unwrap(), db.earliest_slot().unwrap()), (Some(anchor), Some(64)));
    assert_eq!((db.meta("peer").unwrap(), db.meta("big").unwrap()), (Some(b"id".to_vec()), None));
}

#[test]
fn pruning_deletes_files_and_keeps_what_it_was_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    for n in 0..40 {
        put(&db, n, n * 256);
        db.set_canonical(&[(n * 256, root(n))]).unwrap();
    }
    assert_eq!(segment_files(dir.path()).len(), 10);
    // Slot 5000 is in range 4, which stays; so does range 1, for the sake of the block of slot 1280.
    let report = db.prune_before(5000, &[root(5)]).unwrap();
    assert_eq!((report.blocks, report.files), (12, 3));
    assert!(report.bytes > 12 * 300);
    assert_eq!(segment_files(dir.path()).len(), 7);
    for n in 0..40 {
        let stays = (4..8).contains(&n) || n >= 16;
        assert_eq!(db.block(root(n)).unwrap().is_some(), stays, "block {n}");
        assert_eq!(db.has_block(root(n)).unwrap(), stays, "block {n}");
        assert_eq!(db.canonical_root(n * 256).unwrap().is_some(), stays, "slot of block {n}");
    }
    assert_eq!(db.earliest_slot().unwrap(), Some(4096));
    assert_eq!(
        db.prune_before(5000, &[root(5)]).unwrap(),
        PruneReport::default(),
        "a second time, nothing is left to do"
    );
    db.close().unwrap();
    let db = open_clean(dir.path());
    assert_eq!(db.prune_before(5000, &[]).unwrap().blocks, 4, "the range is no longer kept");
}

#[test]
fn a_prune_that_was_interrupted_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    put(&db, 1, 1);
    put(&db, 2, 5000);
    // As if the process had ended between the index and the file.
    db.inner.index.remove_range(0).unwrap();
    db.inner.index.remove_mark(Form::Whole, location(&db, 2).segment).unwrap();
    db.close().unwrap();
    let (db, _) = open(dir.path());
    db.prune_before(2048, &[]).unwrap();
    assert_eq!(segment_files(dir.path()).len(), 1);
    assert!(!db.has_block(root(1)).unwrap());
    assert!(db.block(root(2)).unwrap().is_some());
}

#[test]
fn another_networks_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open_clean(dir.path()).close().unwrap();
    let error = Database::open(dir.path(), &config("mainnet")).err().expect("refused");
    assert!(matches!(error, DbError::WrongNetwork { .. }));
    let text = error.to_string();
    assert!(text.contains("(test, preset") && text.contains("this node is for mainnet"), "{text}");
    let mut other_genesis = config("test");
    other_genesis.network.genesis_validators_root = Hash256::ZERO;
    assert!(matches!(Database::open(dir.path(), &other_genesis), Err(DbError::WrongNetwork { .. })));
    open_clean(dir.path());
}

#[test]
fn another_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    db.put_meta(META_SCHEMA, b"3").unwrap();
    db.close().unwrap();
    assert!(matches!(Database::open(dir.path(), &config("test")), Err(DbError::Schema { .. })));
}

#[test]
fn a_directory_in_use_is_refused_after_a_wait() {
    let dir = tempfile::tempdir().unwrap();
    let _db = open_clean(dir.path());
    let impatient = DbConfig { lock_wait: Duration::from_millis(1), ..config("test") };
    let error = Database::open(dir.path(), &impatient).err().expect("refused");
    assert!(matches!(error, DbError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("stop the other node"));
}
