//! States and the fork-choice snapshot.

use std::io::Read;

use super::*;

fn state_file(path: &Path) -> PathBuf {
    files::list_finished(&path.join(STATES_DIR)).unwrap().remove(0)
}

fn read_state(db: &Database, n: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    db.state_reader(root(n)).unwrap().expect("stored").read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Half of it compresses, over several frames.
fn content() -> Vec<u8> {
    [sample::noise(1, 150_000), vec![0; 150_000]].concat()
}

#[test]
fn states_are_streamed_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let state = content();
    db.put_state(root(1), 64, |out| state.chunks(999).try_for_each(|c| out.write_all(c))).unwrap();
    db.put_state(root(2), 32, |_| Ok(())).unwrap();
    assert_eq!(db.state_reader(root(1)).unwrap().unwrap().ssz_len(), state.len() as u64);
    assert!(db.disk_usage().unwrap().states < 200_000, "it is compressed");
    db.close().unwrap();
    let db = open_clean(dir.path());
    assert_eq!(read_state(&db, 1).unwrap(), state);
    assert!(read_state(&db, 2).unwrap().is_empty());
    assert!(db.state_reader(root(3)).unwrap().is_none());
    assert_eq!(db.states().unwrap(), [(32, root(2)), (64, root(1))]);
    assert_eq!(db.prune_before(65, &[root(1)]).unwrap().states, 1);
    assert_eq!(db.states().unwrap(), [(64, root(1))]);
    assert!(db.state_reader(root(2)).unwrap().is_none());
}

#[test]
fn a_state_that_was_not_finished_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    let result = db.put_state(root(1), 64, |out| {
        out.write_all(&content())?;
        Err(io::Error::new(io::ErrorKind::StorageFull, "no space left"))
    });
    assert!(result.expect_err("failed").to_string().contains("Free some space"));
    assert!(db.state_reader(root(1)).unwrap().is_none());
    assert_eq!(db.disk_usage().unwrap().states, 0);
    // A crash leaves the temporary file.
    fs::write(dir.path().join(STATES_DIR).join("x.tmp"), b"half").unwrap();
    db.close().unwrap();
    let db = open_clean(dir.path());
    assert_eq!(db.disk_usage().unwrap().states, 0);
}

#[test]
fn a_state_that_a_crash_left_out_of_the_index_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    db.put_state(root(1), 64, |out| out.write_all(&content())).unwrap();
    db.inner.index.remove_state(&root(1)).unwrap();
    db.close().unwrap();
    let (db, report) = open(dir.path());
    assert_eq!(report.reindexed_states, 1);
    assert_eq!(read_state(&db, 1).unwrap(), content());
}

#[test]
fn a_damaged_state_is_never_read_as_a_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    db.put_state(root(1), 64, |out| out.write_all(&content())).unwrap();
    let file = state_file(dir.path());
    let whole = fs::read(&file).unwrap();
    for place in [0, 20, 70_000, 149_000] {
        flip(&file, place);
        let told = read_state(&db, 1).is_err_and(|e| e.kind() == io::ErrorKind::InvalidData);
        assert!(told, "byte {place}");
        flip(&file, place);
    }
    let trailer = whole.split_at(whole.len() - 16).1;
    // A frame is missing, and the trailer fits: the frames' own checksums do not see that.
    fs::write(&file, [&whole[..10], trailer].concat()).unwrap();
    assert!(read_state(&db, 1).expect_err("too short").to_string().contains("300000 bytes early"));
    for damaged in [&whole[..whole.len() - 1], &whole[..5], &[]] {
        fs::write(&file, damaged).unwrap();
        assert!(matches!(db.state_reader(root(1)), Err(DbError::Corrupt { .. })));
    }
    fs::remove_file(&file).unwrap();
    assert!(db.state_reader(root(1)).unwrap().is_none());
}

#[test]
fn the_snapshot_is_replaced_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_clean(dir.path());
    assert_eq!(db.snapshot().unwrap(), None);
    db.put_snapshot(b"first").unwrap();
    db.put_snapshot(&content()).unwrap();
    fs::write(dir.path().join("fork_choice.tmp"), b"half").unwrap();
    db.close().unwrap();
    let db = open_clean(dir.path());
    assert_eq!(db.snapshot().unwrap(), Some(content()));
    assert!(!dir.path().join("fork_choice.tmp").exists());
    let file = dir.path().join(SNAPSHOT_FILE);
    for place in [0, 5, 13, 16, 1000] {
        flip(&file, place);
        assert!(matches!(db.snapshot(), Err(DbError::Corrupt { .. })), "byte {place}");
        flip(&file, place);
    }
    fs::write(&file, b"short").unwrap();
    assert!(matches!(db.snapshot(), Err(DbError::Corrupt { .. })));
}
