//! What the database called durable is there after `kill -9`.
//!
//! Each test starts this binary again as a writer (told by an environment variable) and kills it.

// The sample blocks of the unit tests name their types by `crate::types`.
use hornero::types;

#[path = "../src/db/sample.rs"]
mod sample;

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use hornero::{
    db::{Database, DbConfig, Difference},
    types::{Config, ForkName, Hash256},
};
use rand::Rng;

const DIR: &str = "HORNERO_TEST_DB_KILL_DIR";
const FIRST: &str = "HORNERO_TEST_DB_KILL_FIRST";
const ROUNDS: usize = 20;

fn config() -> DbConfig {
    DbConfig::new(Hash256::ZERO, Arc::new(Config::default().in_fork_from_genesis(ForkName::Fulu)))
}

/// This binary again, running only `test`, as a writer.
fn writer(test: &str, dir: &Path, first: u64) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env::current_exe().expect("own path"))
        .args(["--exact", test, "--nocapture"])
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped"));
    (child, lines)
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the parent reads");
}

fn root(n: u64) -> Hash256 {
    let mut bytes = [1; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    Hash256::from(bytes)
}

/// Blocks of 16 slots each go to a segment of their own 64 blocks later: files are begun now and then.
fn block(n: u64) -> types::SignedBeaconBlock {
    sample::block(n * 16, n, 20_000)
}

fn state(n: u64) -> Vec<u8> {
    sample::noise(n, 100_000)
}

/// Of more than one piece, and spread over some files.
fn difference(n: u64) -> (Difference, Vec<u8>) {
    let described = Difference { root: root(n), slot: n * 16, anchor: root(0), state_root: root(n + 1) };
    (described, sample::noise(n, 600_000))
}

/// Columns of block `n`, stored in two groups.
fn columns(n: u64) -> Vec<(Hash256, Arc<types::DataColumnSidecar>)> {
    (0..4).map(|index| (root(n), Arc::new(sample::column(n * 16, n, index * 31, 3)))).collect()
}

/// Stores groups of blocks with columns, a state, a difference and a snapshot, over and over, and says what is durable.
fn write_until_killed(dir: String) {
    let first: u64 = env::var(FIRST).expect("told").parse().expect("a number");
    let (db, _) = Database::open(Path::new(&dir), &config()).expect("opens");
    for n in (first..).step_by(3) {
        let blocks: Vec<_> = (n..n + 3).map(|n| (root(n), block(n))).collect();
        db.put_blocks(&blocks.iter().map(|(r, b)| (*r, b)).collect::<Vec<_>>()).expect("stored");
        (n..n + 3).for_each(|n| say(&format!("durable block {n}")));
        for group in columns(n).chunks(2) {
            db.put_columns(group).expect("stored");
        }
        say(&format!("durable columns {n}"));
        if n % 4 == 0 {
            db.put_state(root(n), n, |out| out.write_all(&state(n))).expect("stored");
            say(&format!("durable state {n}"));
            let (described, content) = difference(n);
            db.put_difference(&described, |out| out.write_all(&content)).expect("stored");
            say(&format!("durable difference {n}"));
            db.put_snapshot(&state(n)).expect("stored");
            say(&format!("durable snapshot {n}"));
        }
    }
}

/// What the writers said.
#[derive(Default)]
struct Said {
    blocks: Vec<u64>,
    states: Vec<u64>,
    differences: Vec<u64>,
    columns: Vec<u64>,
    snapshot: Option<u64>,
}

impl Said {
    fn note(&mut self, line: &str) {
        // The test harness prints on the same line before the first of ours.
        let Some((_, what)) = line.split_once("durable ") else { return };
        let (kind, n) = what.trim().split_once(' ').expect("kind and number");
        let Ok(n) = n.parse() else { return };
        match kind {
            "block" => self.blocks.push(n),
            "state" => self.states.push(n),
            "difference" => self.differences.push(n),
            "columns" => self.columns.push(n),
            _ => self.snapshot = Some(n),
        }
    }

    fn check(&mut self, db: &Database) {
        for n in &self.blocks {
            assert_eq!(db.block(root(*n)).expect("whole"), Some(block(*n)), "block {n}");
        }
        for n in &self.columns {
            assert_eq!(db.columns_of(root(*n)).expect("read"), [0, 31, 62, 93], "columns {n}");
            for (root, sidecar) in columns(*n) {
                let found = db.column(root, sidecar.index).expect("whole").expect("there");
                assert_eq!(found, *sidecar, "column {} of {n}", sidecar.index);
            }
        }
        for n in &self.states {
            let mut bytes = Vec::new();
            db.state_reader(root(*n)).expect("whole").expect("there").read_to_end(&mut bytes).expect("whole");
            assert_eq!(bytes, state(*n), "state {n}");
        }
        for n in &self.differences {
            let (described, content) = difference(*n);
            let (found, mut reader) = db.difference(root(*n)).expect("whole").expect("there");
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).expect("whole");
            assert_eq!((found, bytes), (described, content), "difference {n}");
        }
        // What was begun and not said is whole too, or not there.
        for (found, _) in db.differences().expect("listed") {
            let (_, mut reader) = db.difference(found.root).expect("whole").expect("there");
            std::io::copy(&mut reader, &mut std::io::sink()).expect("whole");
        }
        if let Some(n) = self.snapshot {
            let found = db.snapshot().expect("whole").expect("there");
            // That of the last group may have been finished but not yet said; its blocks were. What is found now must be
            // found later too.
            let last = *self.blocks.last().expect("blocks come first");
            let found = [n].into_iter().chain(last.saturating_sub(2)..=last).find(|n| found == state(*n));
            self.snapshot = Some(found.unwrap_or_else(|| panic!("neither snapshot {n} nor that of block {last}")));
        }
    }
}

#[test]
fn what_was_durable_survives_kill_9() {
    if let Ok(dir) = env::var(DIR) {
        return write_until_killed(dir);
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut said = Said::default();
    for round in 0..ROUNDS {
        // Numbers are not used twice: a block that was stored but not said must not be in the way.
        let first = round as u64 * 10_000;
        let (mut child, mut lines) = writer("what_was_durable_survives_kill_9", dir.path(), first);
        let wanted = said.blocks.len() + rand::rng().random_range(1..20);
        let mut line = String::new();
        while said.blocks.len() < wanted {
            line.clear();
            assert!(lines.read_line(&mut line).expect("read") > 0, "the writer ended by itself in round {round}");
            said.note(&line);
        }
        // Not to wait for anything: to hit another moment of the writer's work in each round.
        thread::sleep(Duration::from_micros(rand::rng().random_range(0..4_000)));
        child.kill().expect("killed");
        child.wait().expect("gone");
        let mut rest = Vec::new();
        lines.read_to_end(&mut rest).expect("read");
        // A last line without its end may be cut within its number.
        let whole = rest.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        String::from_utf8_lossy(&rest[..whole]).lines().for_each(|line| said.note(line));
        let (db, report) = Database::open(dir.path(), &config()).expect("opens after a kill");
        assert_eq!(
            (report.lost_blocks, report.lost_columns, report.lost_differences, report.damaged.len()),
            (0, 0, 0, 0),
            "{report:?}"
        );
        said.check(&db);
        db.close().expect("closed");
    }
    assert!(
        said.blocks.len() >= ROUNDS
            && ![&said.states, &said.differences, &said.columns].into_iter().any(|said| said.is_empty()),
        "the writers wrote something"
    );
}

#[test]
fn a_lock_held_by_a_dying_process_is_waited_for() {
    if let Ok(dir) = env::var(DIR) {
        return write_until_killed(dir);
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (mut child, mut lines) = writer("a_lock_held_by_a_dying_process_is_waited_for", dir.path(), 0);
    let mut said = Said::default();
    while said.blocks.is_empty() {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).expect("read") > 0, "the writer ended by itself");
        said.note(&line);
    }
    // Someone must read on, or the writer's pipe fills up.
    let reader = thread::spawn(move || lines.lines().count());
    let impatient = DbConfig { lock_wait: Duration::ZERO, ..config() };
    let error = Database::open(dir.path(), &impatient).err().expect("the writer holds the lock");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    let opener = thread::spawn({
        let dir = dir.path().to_path_buf();
        move || Database::open(&dir, &config())
    });
    child.kill().expect("killed");
    child.wait().expect("gone");
    reader.join().expect("read");
    let (db, _) = opener.join().expect("no panic").expect("opens once the writer is gone");
    said.check(&db);
}
