//! Measures the database for docs/decisions/0003-storage.md: `cargo run --release --example db_figures -- DIR GROUP`.
//!
//! 1,000 blocks of about 100 KB that do not compress, GROUP of them (1) in each durable put. Linux only: reads `/proc/self`.

use hornero::types;

#[path = "../../src/db/sample.rs"]
mod sample;

use std::{env, fs, path::Path, sync::Arc, time::Instant};

use hornero::{
    db::{Database, DbConfig, DbError},
    types::{Config, ForkName, Hash256},
};
use ssz::Encode;

const BLOCKS: u64 = 1_000;
const BLOCK_BYTES: usize = 100_000;
const COLUMN_BLOCKS: u64 = 500;

fn main() -> Result<(), DbError> {
    let dir = env::args().nth(1).expect("a directory on the disk to measure");
    let group: u64 = env::args().nth(2).map_or(1, |n| n.parse().expect("a number"));
    let config = DbConfig::new(Hash256::ZERO, Arc::new(Config::default().in_fork_from_genesis(ForkName::Fulu)));
    let before = (number("status", "VmRSS:"), number("io", "write_bytes:"));

    let (db, _) = Database::open(Path::new(&dir), &config)?;
    let start = Instant::now();
    for first in (0..BLOCKS).step_by(group as usize) {
        let numbers = first..(first + group).min(BLOCKS);
        let blocks: Vec<_> = numbers.clone().map(|n| (root(n), sample::block(n, n, BLOCK_BYTES))).collect();
        db.put_blocks(&blocks.iter().map(|(root, block)| (*root, block)).collect::<Vec<_>>())?;
        db.set_canonical(&numbers.map(|n| (n, root(n))).collect::<Vec<_>>())?;
    }
    let took = start.elapsed();
    let usage = db.disk_usage()?;
    let payload = (BLOCKS as usize * BLOCK_BYTES) as f64;
    let written = (number("io", "write_bytes:") - before.1) as f64;
    println!("put: {:.2} ms a block", took.as_secs_f64() * 1e3 / BLOCKS as f64);
    println!("written / payload: {:.3}; on disk: {usage:?}", written / payload);
    println!("resident: {} KiB more than before", number("status", "VmRSS:") - before.0);
    db.close()?;

    let start = Instant::now();
    let (db, report) = Database::open(Path::new(&dir), &config)?;
    println!("reopened in {:?}, clean: {}", start.elapsed(), report.is_clean());
    let start = Instant::now();
    for n in 0..BLOCKS {
        assert!(db.block_ssz(root(n))?.is_some());
    }
    println!("read: {:.3} ms a block", start.elapsed().as_secs_f64() * 1e3 / BLOCKS as f64);
    println!("resident: {} KiB more than before", number("status", "VmRSS:") - before.0);
    columns(&db)
}

/// Eight columns of nine blobs for each of some blocks, each block's in one durable put.
fn columns(db: &Database) -> Result<(), DbError> {
    let (before, start) = (number("io", "write_bytes:"), Instant::now());
    for n in 0..COLUMN_BLOCKS {
        let columns = (0..8).map(|index| (root(n), Arc::new(sample::column(n, n, index * 16, 9))));
        db.put_columns(&columns.collect::<Vec<_>>())?;
    }
    let took = start.elapsed().as_secs_f64() * 1e3 / COLUMN_BLOCKS as f64;
    let payload = (COLUMN_BLOCKS as usize * 8 * sample::column(0, 0, 0, 9).as_ssz_bytes().len()) as f64;
    let (written, usage) = ((number("io", "write_bytes:") - before) as f64, db.disk_usage()?);
    println!("columns: put {took:.2} ms a block, with making them; written / payload {:.3}", written / payload);
    println!("columns: on disk / payload {:.3}", usage.columns as f64 / payload);
    let start = Instant::now();
    for n in 0..COLUMN_BLOCKS {
        assert!(db.column_ssz(root(n), 112)?.is_some());
    }
    println!("columns: read {:.3} ms each", start.elapsed().as_secs_f64() * 1e3 / COLUMN_BLOCKS as f64);
    Ok(())
}

fn root(n: u64) -> Hash256 {
    Hash256::left_padding_from(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
}

/// The number after `name` in `/proc/self/{file}`.
fn number(file: &str, name: &str) -> i64 {
    let text = fs::read_to_string(format!("/proc/self/{file}")).expect("Linux");
    let line = text.lines().find_map(|l| l.strip_prefix(name)).expect("the line");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}
