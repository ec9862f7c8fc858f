//! Torn ends, flipped bytes, missing files, a full disk.

use std::os::unix::fs::symlink;

use super::*;
use crate::db::{
    record::{HEADER_LEN, Kind},
    scan::scan,
    schema::SegmentId,
};

/// A directory with blocks 0, 1, 2 in one file, closed.
fn three_blocks() -> (tempfile::TempDir, PathBuf, Vec<schema::Location>) {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    (0..3).for_each(|n| drop(put(&db, n, 10 + n)));
    let at = (0..3).map(|n| location(&db, n)).collect();
    db.close().unwrap();
    let file = segment_files(dir.path()).remove(0);
    (dir, file, at)
}

fn truncate(file: &Path, len: u64) {
    fs::OpenOptions::new().write(true).open(file).unwrap().set_len(len).unwrap();
}

/// Offsets of the records in `file`, where the last one ends, and how many damaged ones lie between.
fn records(file: &Path) -> (Vec<u64>, u64, usize) {
    let file = fs::File::open(file).unwrap();
    let mut found = Vec::new();
    let scanned = scan(&file, 0, file.metadata().unwrap().len(), |at, _, _| found.push(at)).unwrap();
    (found, scanned.end, scanned.damaged.len())
}

#[test]
fn a_file_torn_at_any_byte_of_its_last_record_ends_before_it() {
    let (_dir, file, at) = three_blocks();
    let len = fs::metadata(&file).unwrap().len();
    for cut in (at[2].offset..len).rev() {
        truncate(&file, cut);
        assert_eq!(records(&file), (vec![0, at[1].offset], at[2].offset, 0), "cut at {cut} of {len}");
    }
}

#[test]
fn a_torn_record_is_cut_off_and_reported() {
    for torn in [1, 200, HEADER_LEN as u64, HEADER_LEN as u64 - 1] {
        let (dir, file, at) = three_blocks();
        let len = fs::metadata(&file).unwrap().len();
        let cut = if torn < 64 { at[2].offset + torn } else { len - torn };
        truncate(&file, cut);
        let (db, report) = open(dir.path());
        assert_eq!(report.torn, [TornTail { file: file.clone(), bytes: cut - at[2].offset }]);
        assert_eq!((report.lost_blocks, report.damaged.len()), (1, 0));
        assert!(db.block(root(1)).unwrap().is_some());
        assert!(!db.has_block(root(2)).unwrap());
        // It can be had again, and is.
        let block = put(&db, 2, 12);
        assert_eq!(db.block(root(2)).unwrap(), Some(block));
        db.close().unwrap();
        open_clean(dir.path());
    }
}

#[test]
fn blocks_that_a_crash_left_out_of_the_index_are_found() {
    let (dir, file, _) = three_blocks();
    let segments = Segments::open(&dir.path().join(BLOCKS_DIR), Kind::Block).unwrap();
    let late = sample::block(13, 3, 300);
    let mut append = segments.append();
    append.put(13, root(3), &late.as_ssz_bytes()).unwrap();
    append.commit().unwrap();
    // And the start of one more that never was finished.
    let whole = fs::metadata(&file).unwrap().len();
    fs::write(&file, [fs::read(&file).unwrap(), vec![0x48; 100]].concat()).unwrap();

    let (db, report) = open(dir.path());
    assert_eq!(report.reindexed_blocks, 1);
    assert_eq!(report.torn, [TornTail { file: file.clone(), bytes: 100 }]);
    assert_eq!(fs::metadata(&file).unwrap().len(), whole);
    assert_eq!(db.block(root(3)).unwrap(), Some(late));
    assert_eq!(db.block_parent(root(3)).unwrap(), Some((13, Hash256::repeat_byte(3))));
    assert_eq!(report.lost_blocks, 0);
    db.close().unwrap();
    open_clean(dir.path());
}

#[test]
fn the_index_of_blocks_can_be_rebuilt() {
    let (dir, _, _) = three_blocks();
    fs::remove_dir_all(dir.path().join(INDEX_DIR)).unwrap();
    let (db, report) = open(dir.path());
    assert_eq!(report.reindexed_blocks, 3);
    assert!((0..3).all(|n| db.block(root(n)).unwrap().is_some()));
}

#[test]
fn a_flipped_byte_costs_one_record() {
    let (dir, file, at) = three_blocks();
    flip(&file, at[1].offset + HEADER_LEN as u64 + 50);
    let db = open_clean(dir.path());
    let error = db.block(root(1)).expect_err("damaged");
    assert!(matches!(&error, DbError::Corrupt { offset, .. } if *offset == at[1].offset), "{error}");
    assert!(error.to_string().contains("the checksum does not match"), "{error}");
    assert!(db.block_ssz(root(1)).is_err());
    assert!(db.block(root(0)).unwrap().is_some() && db.block(root(2)).unwrap().is_some());
    db.forget_block(root(1)).unwrap();
    assert_eq!(db.block(root(1)).unwrap(), None);
    let again = put(&db, 1, 11);
    assert_eq!(db.block(root(1)).unwrap(), Some(again));
}

#[test]
fn wherever_a_byte_flips_the_records_around_it_are_read() {
    let (_dir, file, at) = three_blocks();
    let end = fs::metadata(&file).unwrap().len();
    for place in at[1].offset..at[2].offset {
        flip(&file, place);
        assert_eq!(records(&file), (vec![0, at[2].offset], end, 1), "byte {place}");
        flip(&file, place);
    }
    assert_eq!(records(&file), (at.iter().map(|a| a.offset).collect(), end, 0));
}

#[test]
fn damage_in_what_is_indexed_again_is_reported() {
    let (dir, file, at) = three_blocks();
    flip(&file, at[1].offset + 70);
    fs::remove_dir_all(dir.path().join(INDEX_DIR)).unwrap();
    let (db, report) = open(dir.path());
    assert_eq!((report.reindexed_blocks, report.damaged.len(), report.torn.len()), (2, 1, 0));
    assert!(report.damaged[0].to_string().contains(&format!("byte {}", at[1].offset)));
    assert!(!db.has_block(root(1)).unwrap());
    assert!(db.block(root(2)).unwrap().is_some());
}

#[test]
fn an_entry_that_points_beyond_the_file_is_a_missing_block() {
    let (dir, file, at) = three_blocks();
    let db = open_clean(dir.path());
    truncate(&file, at[1].offset + 10);
    assert_eq!(db.block(root(1)).unwrap(), None);
    assert_eq!(db.block(root(2)).unwrap(), None);
    assert!(db.block(root(0)).unwrap().is_some());
    db.close().unwrap();
    let (db, report) = open(dir.path());
    assert_eq!(report.lost_blocks, 2);
    assert!(!db.has_block(root(2)).unwrap());
}

#[test]
fn a_missing_file_loses_only_its_own_blocks() {
    let (dir, file, _) = three_blocks();
    let db = open_clean(dir.path());
    put(&db, 9, 5000);
    db.close().unwrap();
    fs::remove_file(&file).unwrap();
    let (db, report) = open(dir.path());
    assert_eq!(report.lost_blocks, 3);
    assert_eq!(db.block(root(0)).unwrap(), None);
    assert!(db.block(root(9)).unwrap().is_some());
}

#[test]
fn a_file_that_is_full_is_followed_by_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut segments = Segments::open(dir.path(), Kind::Block).unwrap();
    segments.file_limit = 5_000;
    let mut at = Vec::new();
    for group in 0..3u64 {
        let mut append = segments.append();
        for n in group * 10..group * 10 + 10 {
            at.push(append.put(7, root(n), &sample::noise(n, 1_000)).unwrap());
        }
        append.commit().unwrap();
    }
    assert_eq!(segments.list().len(), 8, "four records fit in a file");
    assert!(segments.list().iter().all(|(_, len)| *len <= 5_000));
    let segments = Segments::open(dir.path(), Kind::Block).unwrap();
    for (n, at) in (0..).zip(at) {
        assert_eq!(segments.read(at, root(n)).unwrap(), Some(sample::noise(n, 1_000)));
        assert!(segments.read(at, root(n + 1)).is_err(), "another record is there");
    }
}

#[test]
fn a_group_that_is_not_committed_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let segments = Segments::open(dir.path(), Kind::Block).unwrap();
    let mut append = segments.append();
    append.put(1, root(1), &[1; 100]).unwrap();
    append.commit().unwrap();
    let before = segments.list();
    let mut append = segments.append();
    append.put(2, root(2), &[2; 100]).unwrap();
    append.put(2000, root(3), &[3; 100]).unwrap();
    drop(append);
    assert_eq!(segments.list(), before);
    assert_eq!(Segments::open(dir.path(), Kind::Block).unwrap().list(), before);
    let too_large = vec![0; record::MAX_PAYLOAD + 1];
    assert!(matches!(segments.append().put(1, root(4), &too_large), Err(DbError::TooLarge { .. })));
}

#[test]
fn a_full_disk_is_said_and_reading_goes_on() {
    let (dir, _, _) = three_blocks();
    let db = open_clean(dir.path());
    // The file of the next range is a device that is always full.
    let full = db.inner.blocks.path(SegmentId { range: 1, part: 0 });
    symlink("/dev/full", &full).unwrap();
    let (good, bad) = (sample::block(14, 4, 300), sample::block(1500, 5, 300));
    let error = db.put_blocks(&[(root(4), &good), (root(5), &bad)]).expect_err("the disk is full");
    assert!(error.to_string().contains("Free some space"), "{error}");
    assert!(!db.has_block(root(4)).unwrap() && !db.has_block(root(5)).unwrap(), "nothing of the group is seen");
    assert!(db.block(root(2)).unwrap().is_some());
    // And once there is room again it goes on.
    let _ = fs::remove_file(&full);
    db.put_blocks(&[(root(4), &good), (root(5), &bad)]).unwrap();
    assert_eq!(db.block(root(5)).unwrap(), Some(bad));
    db.close().unwrap();
    open_clean(dir.path());
}

#[test]
fn writing_stops_before_the_disk_is_full() {
    let (dir, _, _) = three_blocks();
    // No disk has that much left.
    let full = DbConfig { reserve: u64::MAX, ..config("test") };
    let (db, report) = Database::open(dir.path(), &full).unwrap();
    assert!(report.is_clean());
    let block = sample::block(5000, 4, 300);
    let error = db.put_blocks(&[(root(4), &block)]).expect_err("refused");
    assert!(matches!(error, DbError::DiskFull { .. }) && error.to_string().contains("make room"), "{error}");
    assert!(matches!(db.put_snapshot(b"x"), Err(DbError::DiskFull { .. })));
    assert!(matches!(db.put_state(root(1), 1, |_| Ok(())), Err(DbError::DiskFull { .. })));
    assert!(db.block(root(2)).unwrap().is_some());
    assert_eq!(db.prune_before(2048, &[]).unwrap().blocks, 3, "pruning makes room");
}
