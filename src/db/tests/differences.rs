//! Differences of states: whole or not there, whatever happened to their files.

use std::io::Read;

use super::*;

fn difference(n: u64, slot: u64) -> Difference {
    Difference { root: root(n), slot, anchor: root(1_000), state_root: root(2_000 + n) }
}

/// Several pieces, of which half compresses.
fn content(n: u64) -> Vec<u8> {
    [sample::noise(n, 700_000), vec![0; 700_000]].concat()
}

fn put(db: &Database, n: u64, slot: u64) -> u64 {
    db.put_difference(&difference(n, slot), |out| content(n).chunks(777).try_for_each(|c| out.write_all(c))).unwrap()
}

fn read(db: &Database, n: u64) -> io::Result<Vec<u8>> {
    let (found, mut reader) = db.difference(root(n)).unwrap().expect("stored");
    assert_eq!(found.root, root(n));
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map(|_| bytes)
}

fn files(path: &Path) -> Vec<PathBuf> {
    files::list_finished(&path.join(DIFFERENCES_DIR)).unwrap()
}

#[test]
fn differences_are_streamed_both_ways_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let stored = put(&db, 1, 64);
    assert!(stored < 800_000, "{stored} bytes: it is compressed");
    assert_eq!(db.put_difference(&difference(1, 64), |_| panic!("it is there")).unwrap(), 0);
    put(&db, 2, 32);
    db.close().unwrap();
    let db = open_clean(dir.path());
    assert_eq!(read(&db, 1).unwrap(), content(1));
    assert_eq!(read(&db, 2).unwrap(), content(2));
    assert!(db.difference(root(3)).unwrap().is_none());
    let listed: Vec<_> = db.differences().unwrap();
    assert_eq!(listed.iter().map(|(d, _)| *d).collect::<Vec<_>>(), [difference(2, 32), difference(1, 64)]);
    assert_eq!(listed[1].1, stored);
    assert_eq!(db.disk_usage().unwrap().differences, listed[0].1 + stored);
}

#[test]
fn a_difference_that_fails_or_is_too_large_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    put(&db, 1, 64);
    let before = db.disk_usage().unwrap().differences;
    let failed = db.put_difference(&difference(2, 65), |out| {
        out.write_all(&content(2))?;
        Err(io::ErrorKind::Unsupported.into())
    });
    assert!(matches!(failed, Err(DbError::Io { .. })), "{failed:?}");
    let endless = db.put_difference(&difference(3, 66), |out| {
        loop {
            out.write_all(&[0; 1 << 16])?;
        }
    });
    assert!(matches!(endless, Err(DbError::TooLarge { .. })), "{endless:?}");
    assert_eq!(db.disk_usage().unwrap().differences, before);
    assert!(db.difference(root(2)).unwrap().is_none() && db.difference(root(3)).unwrap().is_none());
    put(&db, 2, 65);
    assert_eq!(read(&db, 2).unwrap(), content(2));
}

#[test]
fn what_the_index_does_not_name_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let first = put(&db, 1, 64);
    put(&db, 2, 65);
    put(&db, 3, 5000);
    // A crash came between the segment's sync and the index.
    db.inner.index.remove_difference(&root(2)).unwrap();
    db.inner.index.remove_difference(&root(3)).unwrap();
    db.close().unwrap();
    let db = open_clean(dir.path());
    assert_eq!((db.disk_usage().unwrap().differences, files(dir.path()).len()), (first, 1));
    put(&db, 2, 65);
    assert_eq!((read(&db, 1).unwrap(), read(&db, 2).unwrap()), (content(1), content(2)));
}

#[test]
fn a_difference_without_its_file_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    put(&db, 1, 64);
    put(&db, 2, 5000);
    put(&db, 3, 5001);
    db.close().unwrap();
    let all = files(dir.path());
    fs::remove_file(&all[0]).unwrap();
    let len = fs::metadata(&all[1]).unwrap().len();
    fs::File::options().write(true).open(&all[1]).unwrap().set_len(len - 1).unwrap();
    let (db, report) = open(dir.path());
    assert_eq!(report.lost_differences, 2);
    assert_eq!(db.differences().unwrap().len(), 1);
    assert_eq!(read(&db, 2).unwrap(), content(2));
}

#[test]
fn a_damaged_difference_is_never_read_as_a_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let len = put(&db, 1, 64);
    let file = files(dir.path()).remove(0);
    for place in [0, 70, 300_000, len - 1] {
        flip(&file, place);
        let told = read(&db, 1).is_err_and(|e| e.kind() == io::ErrorKind::InvalidData);
        assert!(told, "byte {place}");
        flip(&file, place);
    }
    assert_eq!(read(&db, 1).unwrap(), content(1));
}

#[test]
fn pruning_deletes_whole_files() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    for (n, slot) in [(1, 10), (2, 20), (3, 2000), (4, 2001), (5, 9000)] {
        put(&db, n, slot);
    }
    let report = db.keep_differences(|difference| difference.slot > 2000).unwrap();
    assert_eq!((report.states, report.files), (3, 1));
    assert_eq!(files(dir.path()).len(), 2);
    assert!(db.difference(root(3)).unwrap().is_none());
    assert_eq!((read(&db, 4).unwrap(), read(&db, 5).unwrap()), (content(4), content(5)));
    db.close().unwrap();
    let db = open_clean(dir.path());
    assert_eq!(db.differences().unwrap().len(), 2);
    db.keep_differences(|_| false).unwrap();
    assert_eq!(db.disk_usage().unwrap().differences, 0);
}

#[test]
fn a_directory_from_before_there_were_differences_opens() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    super::put(&db, 1, 64);
    db.close().unwrap();
    fs::remove_dir(dir.path().join(DIFFERENCES_DIR)).unwrap();
    let db = open_clean(dir.path());
    assert!(db.differences().unwrap().is_empty() && db.has_block(root(1)).unwrap());
}
