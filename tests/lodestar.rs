//! A chain that another client makes: `hornero node` beside a real Lodestar beacon node.
//!
//! Lodestar builds a devnet of the minimal preset on loopback, with its own validators. Hornero starts from its checkpoint,
//! follows it for eight epochs with the columns of its blobs sampled, fetches what came before, is stopped for one epoch, and
//! catches up from its data directory. At every slot that both tell of, both must have the same head.
//!
//! Needs the peer scripts (`HORNERO_PEERS`, by default `../shared/peers`) and, where they are not installed yet, npm:
//! `PEERS_CACHE=target/peers ../shared/peers/install.sh lodestar`.
#![cfg(feature = "minimal")]

#[path = "lodestar/asked.rs"]
mod asked;
#[path = "lodestar/process.rs"]
mod process;
#[path = "lodestar/watch.rs"]
mod watch;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use process::{Hornero, Lodestar};
use serde_json::Value;
use watch::{Heads, Side};

const SLOTS_PER_EPOCH: u64 = 8;
const SLOT_MS: u64 = 2000;
/// Slots that both must tell of with the same head: eight epochs.
const FOLLOWED_SLOTS: usize = 8 * SLOTS_PER_EPOCH as usize;
/// Longest wait for anything of Lodestar's: its first finality takes about 90 s on two idle cores.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn follows_a_chain_made_by_lodestar() {
    let lodestar = Lodestar::start(SLOT_MS);
    let started = Instant::now();
    let mut theirs = Heads::of(&lodestar.rest, Side::Lodestar);
    // A checkpoint worth the name: not genesis.
    theirs.until(PATIENCE, |heads| heads.finalized_epoch.is_some_and(|epoch| epoch >= 1));
    println!("lodestar finalized its first epoch {} s after its start", started.elapsed().as_secs());

    let folder = tempfile::tempdir().unwrap();
    let network = lodestar.network_folder(folder.path());
    let datadir = folder.path().join("data");
    let checkpoint = ["--checkpoint-sync-url", &lodestar.rest];
    asked::ask(&lodestar, &network, folder.path());

    let hornero = Hornero::start(&network, &datadir, &lodestar.enr, &checkpoint);
    let agreed = follow(&lodestar, &hornero, FOLLOWED_SLOTS);
    println!("followed {agreed} slots from a checkpoint");
    let columns = Columns::of(&hornero);
    println!("{columns:?}");
    // Lodestar's mock engine puts about two blobs into each block; eight columns are sampled of each.
    assert!(columns.blocks >= FOLLOWED_SLOTS as f64 / 2.0, "{columns:?}\n{}", hornero.log_tail());
    assert!(columns.gossip >= columns.blocks, "most come by gossip: {columns:?}");
    let oldest = metric(&hornero, "hornero_backfill_slot");
    println!("blocks are stored from slot {oldest} on");
    assert!(oldest <= SLOTS_PER_EPOCH as f64, "all blocks before the checkpoint were fetched\n{}", hornero.log_tail());
    let before = head_slot(&hornero.rest);
    hornero.stop();

    // One epoch passes without us.
    let mut away = Heads::of(&lodestar.rest, Side::Lodestar);
    let goal = before + SLOTS_PER_EPOCH;
    away.until(PATIENCE, |heads| heads.last_slot() >= Some(goal));

    let hornero = Hornero::start(&network, &datadir, &lodestar.enr, &[]);
    assert!(hornero.log_contains("going on with the chain"), "it starts from its data directory");
    let agreed = follow(&lodestar, &hornero, SLOTS_PER_EPOCH as usize);
    println!("caught up after an epoch away, and followed {agreed} slots more");
    let columns = Columns::of(&hornero);
    println!("{columns:?}");
    assert!(columns.asked_for > 0.0, "what was missed was asked for: {columns:?}\n{}", hornero.log_tail());
    hornero.stop();
}

/// Follows both until they agree on `wanted` slots, then compares what is finalized and that nothing was rejected.
fn follow(lodestar: &Lodestar, hornero: &Hornero, wanted: usize) -> usize {
    let mut both = Heads::of(&lodestar.rest, Side::Lodestar);
    both.add(&hornero.rest, Side::Hornero);
    both.until(PATIENCE, |heads| heads.common().count() >= wanted);
    let differing: BTreeMap<u64, _> = both.common().filter(|(_, (a, b))| a != b).collect();
    assert!(differing.is_empty(), "heads differ: {differing:?}\n{}", hornero.log_tail());

    let finalized = |rest: &str| {
        let answer = process::get_json(rest, "/eth/v1/beacon/states/head/finality_checkpoints");
        (answer["data"]["finalized"].clone(), answer["data"]["current_justified"].clone())
    };
    // Asked one after the other: an epoch may end in between, so once more if they differ.
    let same = (0..3).any(|_| {
        let (ours, theirs) = (finalized(&hornero.rest), finalized(&lodestar.rest));
        ours == theirs || {
            both.next(PATIENCE);
            false
        }
    });
    assert!(same, "finalized or justified checkpoints differ\n{}", hornero.log_tail());

    let metrics = process::get_text(&hornero.rest, "/metrics");
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let rejected = line.contains("verdict=\"reject\"") || line.contains("outcome=\"invalid\"");
        assert!(!rejected || line.ends_with(" 0"), "something was rejected: {line}\n{}", hornero.log_tail());
    }
    let resident = metrics.lines().find(|line| line.starts_with("hornero_process_resident_bytes "));
    println!("{}", resident.unwrap_or("no resident memory in the metrics"));
    both.common().count()
}

/// What the metrics tell of columns, since the node's start.
#[derive(Debug)]
struct Columns {
    /// Blocks with blobs that were imported when all their sampled columns were here.
    blocks: f64,
    /// Columns that came by gossip.
    gossip: f64,
    /// Columns that were asked for, by range or root.
    asked_for: f64,
}

impl Columns {
    fn of(hornero: &Hornero) -> Columns {
        let metrics = process::get_text(&hornero.rest, "/metrics");
        let sum = |name: &str, labels: &[&str]| -> f64 {
            let lines = metrics.lines().filter(|line| line.starts_with(name));
            let wanted = lines.filter(|line| labels.iter().any(|label| line.contains(&format!("\"{label}\""))));
            wanted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        Columns {
            blocks: sum("hornero_data_checks_total", &["here", "waited"]),
            gossip: sum("hornero_columns_total", &["gossip"]),
            asked_for: sum("hornero_columns_total", &["by_range", "by_root"]),
        }
    }
}

fn metric(hornero: &Hornero, name: &str) -> f64 {
    let metrics = process::get_text(&hornero.rest, "/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}

fn head_slot(rest: &str) -> u64 {
    let answer: Value = process::get_json(rest, "/eth/v1/beacon/headers/head");
    answer["data"]["header"]["message"]["slot"].as_str().and_then(|slot| slot.parse().ok()).expect("a head")
}
