//! What the database promises: nothing stored is lost, nothing damaged is believed, nothing half-written is seen.

mod blinded;
mod blocks;
mod columns;
mod damage;
mod differences;
mod model;
mod states;

use std::{fs, path::Path, time::Duration};

use super::{sample, *};
use crate::types::ForkName;

fn config(name: &str) -> DbConfig {
    let config = Config { config_name: name.to_owned(), ..Config::default() }.in_fork_from_genesis(ForkName::Fulu);
    // Dropping sled's handle gives the lock back a moment later.
    let lock_wait = Duration::from_secs(10);
    DbConfig { lock_wait, reserve: 1 << 20, ..DbConfig::new(Hash256::repeat_byte(7), Arc::new(config)) }
}

fn open(path: &Path) -> (Database, OpenReport) {
    Database::open(path, &config("test")).expect("opens")
}

fn open_clean(path: &Path) -> Database {
    let (db, report) = open(path);
    assert!(report.is_clean(), "{report:?}");
    db
}

/// A root of our own: the database does not compute roots.
fn root(n: u64) -> Hash256 {
    let mut bytes = [0xab; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    Hash256::from(bytes)
}

fn put(db: &Database, n: u64, slot: u64) -> SignedBeaconBlock {
    let block = sample::block(slot, n, 300);
    db.put_blocks(&[(root(n), &block)]).expect("stored");
    block
}

fn segment_files(path: &Path) -> Vec<PathBuf> {
    files::list_finished(&path.join(BLOCKS_DIR)).expect("listed")
}

fn flip(file: &Path, at: u64) {
    let mut bytes = fs::read(file).expect("read");
    bytes[at as usize] ^= 0x10;
    fs::write(file, bytes).expect("written");
}

fn location(db: &Database, n: u64) -> schema::Location {
    db.inner.index.block(&root(n)).expect("read").expect("indexed").location
}
