//! Data columns: what was put is had, what is old goes, what a crash tore is found or forgotten.

use super::*;
use crate::types::DataColumnSidecar;

fn column(n: u64, slot: u64, index: u64) -> (Hash256, Arc<DataColumnSidecar>) {
    (root(n), Arc::new(sample::column(slot, n, index, 2)))
}

fn column_files(path: &Path) -> Vec<PathBuf> {
    files::list_finished(&path.join(COLUMNS_DIR)).expect("listed")
}

#[test]
fn columns_are_had_by_block_and_index_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let (first, second, other) = (column(1, 7, 127), column(1, 7, 3), column(2, 8, 3));
    db.put_columns(std::slice::from_ref(&first)).unwrap();
    let bytes = db.disk_usage().unwrap().columns;
    assert!(bytes > 2 * 2048);
    db.put_columns(&[first.clone(), second.clone(), other.clone(), second.clone()]).unwrap();
    assert_eq!(db.disk_usage().unwrap().columns, bytes * 3, "each is written once");
    let check = |db: &Database| {
        assert_eq!(db.columns_of(root(1)).unwrap(), [3, 127]);
        assert_eq!(db.columns_of(root(3)).unwrap(), [0; 0]);
        for (root, sidecar) in [&first, &second, &other] {
            assert_eq!(db.column(*root, sidecar.index).unwrap().as_ref(), Some(&**sidecar));
            let slot = sidecar.signed_block_header.message.slot;
            assert_eq!(db.column_ssz(*root, sidecar.index).unwrap(), Some((slot, sidecar.as_ssz_bytes())));
        }
        for (n, index) in [(1, 4), (1, 128), (1, u64::MAX), (3, 3)] {
            assert_eq!(db.column(root(n), index).unwrap(), None, "column {index} of {n}");
        }
    };
    check(&db);
    db.close().unwrap();
    check(&open_clean(dir.path()));
}

#[test]
fn a_column_beyond_the_last_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let error = db.put_columns(&[column(1, 7, 0), column(1, 7, 128)]).unwrap_err();
    assert!(matches!(error, DbError::TooLarge { len: 128, max: 127, .. }), "{error}");
    assert_eq!(db.columns_of(root(1)).unwrap(), [0; 0], "none of the group counts");
}

#[test]
fn old_ranges_go_as_a_whole_and_the_first_slot_rises() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    for n in 0..4 {
        db.put_columns(&[column(n, n * SLOTS_PER_SEGMENT + 5, 1), column(n, n * SLOTS_PER_SEGMENT + 5, 2)]).unwrap();
    }
    let block = put(&db, 0, 5);
    db.set_earliest_column_slot(9).unwrap();
    let report = db.prune_columns_before(3 * SLOTS_PER_SEGMENT - 1).unwrap();
    assert_eq!((report.columns, report.files, report.blocks), (4, 2, 0));
    assert_eq!(db.earliest_column_slot().unwrap(), Some(2 * SLOTS_PER_SEGMENT));
    let left: Vec<_> = (0..4).map(|n| db.columns_of(root(n)).unwrap().len()).collect();
    assert_eq!(left, [0, 0, 2, 2]);
    assert_eq!(db.block(root(0)).unwrap(), Some(block), "blocks have a term of their own");
    assert_eq!(db.prune_columns_before(3 * SLOTS_PER_SEGMENT - 1).unwrap(), PruneReport::default());
    db.close().unwrap();
    assert_eq!(column_files(dir.path()).len(), 2);
    open_clean(dir.path());
}

#[test]
fn what_a_crash_left_out_of_the_index_is_found_and_what_it_tore_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let (kept, late) = (column(1, 7, 0), column(1, 7, 9));
    db.put_columns(std::slice::from_ref(&kept)).unwrap();
    // As if the process had died between the file and the index.
    let mut append = db.inner.columns.append();
    append.put(7, late.0, &late.1.as_ssz_bytes()).unwrap();
    append.commit().unwrap();
    db.close().unwrap();
    let file = column_files(dir.path()).remove(0);
    fs::write(&file, [fs::read(&file).unwrap(), vec![0x48; 100]].concat()).unwrap();

    let (db, report) = open(dir.path());
    assert_eq!((report.reindexed_columns, report.lost_columns), (1, 0));
    assert_eq!(report.torn, [TornTail { file, bytes: 100 }]);
    assert_eq!(db.columns_of(root(1)).unwrap(), [0, 9]);
    assert_eq!(db.column(root(1), 9).unwrap(), Some((*late.1).clone()));
    db.close().unwrap();
    open_clean(dir.path());
}

#[test]
fn lost_and_damaged_columns_are_forgotten_and_can_be_stored_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let three: Vec<_> = (0..3).map(|index| column(1, 7, index)).collect();
    db.put_columns(&three).unwrap();
    let place = |db: &Database, index: u8| db.inner.index.columns(&root(1)).unwrap().unwrap().place(index).unwrap();
    let (second, third) = (place(&db, 1), place(&db, 2));
    db.close().unwrap();
    let file = column_files(dir.path()).remove(0);
    let handle = fs::OpenOptions::new().write(true).open(&file).unwrap();
    handle.set_len(third.offset + 50).unwrap();
    let (db, report) = open(dir.path());
    assert_eq!((report.lost_columns, report.torn.len()), (1, 1));
    assert_eq!(db.columns_of(root(1)).unwrap(), [0, 1]);

    flip(&file, second.offset + 200);
    let error = db.column(root(1), 1).unwrap_err();
    assert!(matches!(error, DbError::Corrupt { offset, .. } if offset == second.offset), "{error}");
    db.forget_column(root(1), 1).unwrap();
    db.put_columns(&three).unwrap();
    for (root, sidecar) in &three {
        assert_eq!(db.column(*root, sidecar.index).unwrap().as_ref(), Some(&**sidecar));
    }
    db.close().unwrap();
    fs::remove_file(&file).unwrap();
    let (db, report) = open(dir.path());
    assert_eq!((report.lost_columns, db.columns_of(root(1)).unwrap().len()), (3, 0));
}
