//! A chain that another client makes: `hornero node` beside a real Lodestar beacon node.
//!
//! Lodestar builds a devnet of the minimal preset on loopback, with its own validators. Hornero starts from its checkpoint,
//! follows it for eight epochs with the columns of its blobs, fetches what came before, is stopped for one epoch, and
//! catches up from its data directory. At every slot that both tell of, both must have the same head.
//!
//! Meanwhile a second Lodestar that knows Hornero only starts from Hornero's checkpoint, fetches the epochs since then by range,
//! and follows by gossip. Both Lodestars' scores of Hornero are read and printed, and nobody's log may hold a complaint.
//!
//! That Hornero has validators, and by their balances all columns, which the second Lodestar needs. Another one, without any,
//! follows the first Lodestar by the eight columns that it samples while the first Hornero is away.
//!
//! Needs the peer scripts (`HORNERO_PEERS`, by default `../shared/peers`) and, where they are not installed yet, npm:
//! `PEERS_CACHE=target/peers ../shared/peers/install.sh lodestar`.
#![cfg(feature = "minimal")]

#[path = "lodestar/asked.rs"]
mod asked;
#[path = "lodestar/manners.rs"]
mod manners;
#[path = "lodestar/process.rs"]
mod process;
#[path = "lodestar/second.rs"]
mod second;
#[path = "lodestar/watch.rs"]
mod watch;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use process::{Hornero, Lodestar};
use second::Second;
use serde_json::Value;
use watch::{Heads, Side};

const SLOTS_PER_EPOCH: u64 = 8;
const SLOT_MS: u64 = 2000;
/// Slots that both must tell of with the same head: eight epochs.
const FOLLOWED_SLOTS: usize = 8 * SLOTS_PER_EPOCH as usize;
/// Lodestar's validators.
const VALIDATORS: u64 = 16;
/// Groups of columns; with so many of them nobody finds one that a node lacks.
const GROUPS: f64 = 128.0;
/// Groups that a node without validators keeps (`CUSTODY_REQUIREMENT`).
const ORDINARY_GROUPS: f64 = 4.0;
/// Slots that pass before the second Lodestar may connect: more than those within which Lodestar asks for single blocks.
const SLOTS_ALONE: usize = 4 * SLOTS_PER_EPOCH as usize;
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
    hornero.attach_validators(VALIDATORS);
    let second = Second::start(&lodestar, &hornero, folder.path());
    let mut heads = Heads::of(&lodestar.rest, Side::Lodestar);
    heads.add(&hornero.rest, Side::Hornero);
    heads.until(PATIENCE, |heads| agreed(heads) >= SLOTS_ALONE);
    for since in ["start", "first_peer"] {
        let seconds = hornero.metric("hornero_first_head_seconds", since);
        println!("at the head {seconds:.1} s after the {since}");
        assert!(seconds > 0.0, "it never came to the head\n{}", hornero.log_tail());
    }
    serve_alone(&lodestar, &hornero, &second, &mut heads);
    follow(&lodestar, &hornero, &mut heads, FOLLOWED_SLOTS);
    println!("followed {} slots from a checkpoint", agreed(&heads));
    let meshes = manners::check_scores("the first Lodestar", &lodestar.rest, &hornero, 0.0);
    assert!(meshes > 0, "the first Lodestar keeps us out of its meshes");
    manners::check_scores("the second Lodestar", &second.rest, &hornero, 0.0);
    manners::check_meshes(&second.log(), &hornero);
    manners::check_log("the first Lodestar", &lodestar.log(), &hornero);
    manners::check_log("the second Lodestar", &second.log(), &hornero);
    manners::check_ours(&hornero);
    drop(second);
    let columns = Columns::of(&hornero);
    println!("{columns:?}");
    // Lodestar's mock engine puts about two blobs into each block.
    assert!(columns.blocks >= FOLLOWED_SLOTS as f64 / 2.0, "{columns:?}\n{}", hornero.log_tail());
    assert!(columns.gossip >= columns.blocks, "most come by gossip: {columns:?}");
    let oldest = hornero.metric("hornero_backfill_slot", "");
    println!("blocks are stored from slot {oldest} on");
    assert!(
        oldest <= lodestar.first_block() as f64,
        "all blocks before the checkpoint were fetched\n{}",
        hornero.log_tail()
    );
    let before = head_slot(&hornero.rest);
    hornero.stop();

    // One epoch passes without us.
    let mut away = Heads::of(&lodestar.rest, Side::Lodestar);
    let ordinary = Hornero::start(&network, &folder.path().join("ordinary"), &lodestar.enr, &checkpoint);
    away.add(&ordinary.rest, Side::Ordinary);
    let goal = before + SLOTS_PER_EPOCH;
    away.until(PATIENCE, |heads| heads.last_slot() >= Some(goal));

    let hornero = Hornero::start(&network, &datadir, &lodestar.enr, &[]);
    assert!(hornero.log_contains("going on with the chain"), "it starts from its data directory");
    let mut heads = Heads::of(&lodestar.rest, Side::Lodestar);
    heads.add(&hornero.rest, Side::Hornero);
    follow(&lodestar, &hornero, &mut heads, SLOTS_PER_EPOCH as usize);
    println!("caught up after an epoch away, and followed {} slots more", agreed(&heads));
    let columns = Columns::of(&hornero);
    println!("{columns:?}");
    assert!(columns.asked_for > 0.0, "what was missed was asked for: {columns:?}\n{}", hornero.log_tail());
    let meshes = manners::check_scores("the first Lodestar", &lodestar.rest, &hornero, manners::FORGIVEN);
    assert!(meshes > 0, "the first Lodestar keeps us out of its meshes");
    manners::check_log("the first Lodestar", &lodestar.log(), &hornero);
    manners::check_ours(&hornero);
    hornero.stop();
    follow_as_most_do(&lodestar, &ordinary, &mut away);
    ordinary.stop();
}

/// A node without validators has the same heads, with the data of their blobs sampled.
fn follow_as_most_do(lodestar: &Lodestar, ordinary: &Hornero, heads: &mut Heads) {
    let both = |heads: &Heads| heads.common(Side::Lodestar, Side::Ordinary).count();
    heads.until(PATIENCE, |heads| both(heads) >= 2 * SLOTS_PER_EPOCH as usize);
    let differing: Vec<_> = heads.common(Side::Lodestar, Side::Ordinary).filter(|(_, (a, b))| a != b).collect();
    assert!(differing.is_empty(), "heads differ: {differing:?}\n{}", ordinary.log_tail());
    let columns = Columns::of(ordinary);
    println!("without validators, by eight columns: {} slots with the same head, {columns:?}", both(heads));
    assert_eq!(ordinary.metric("hornero_custody_groups", ""), ORDINARY_GROUPS);
    assert!(columns.blocks > SLOTS_PER_EPOCH as f64, "{columns:?}\n{}", ordinary.log_tail());
    manners::check_scores("the first Lodestar", &lodestar.rest, ordinary, 0.0);
    manners::check_log("the first Lodestar", &lodestar.log(), ordinary);
    assert_eq!(ordinary.metric("hornero_peers_punished_total", ""), 0.0, "{}", ordinary.log_tail());
}

/// The second Lodestar gets the chain from Hornero: what it lacks by range, then by gossip what is new, with the same heads.
fn serve_alone(lodestar: &Lodestar, hornero: &Hornero, second: &Second, heads: &mut Heads) {
    // Old columns come when nothing else is to be done, and Lodestar asks nobody who lacks some.
    let first = lodestar.first_block() as f64;
    let has_all = || {
        hornero.metric("hornero_custody_groups", "") == GROUPS
            && hornero.metric("hornero_earliest_available_slot", "") <= first
    };
    heads.until(PATIENCE, |_| has_all() && second.is_up());
    // It has its checkpoint's state and no block yet.
    let syncing = process::get_json(&second.rest, "/eth/v1/node/syncing");
    let (began, from) = (Instant::now(), syncing["data"]["head_slot"].clone());
    // In this order: Lodestar's event stream begins to answer with its first event.
    second.connect(hornero);
    heads.add(&second.rest, Side::Second);
    heads.until(PATIENCE, |heads| heads.last_slot_of(Side::Second) >= heads.last_slot_of(Side::Hornero));
    let head = heads.last_slot_of(Side::Second).expect("just waited for");
    println!("from us alone a Lodestar came from slot {from} to the head, slot {head}, in {:?}", began.elapsed());
    let served = ["beacon_blocks_by_range", "data_column_sidecars_by_range", "by_root"];
    let served = || served.map(|method| hornero.metric("hornero_p2p_requests_served_total", method));
    let at_head = served();
    assert!(at_head[0] > 0.0 && at_head[1] > 0.0, "blocks and columns were asked for by range: {at_head:?}");

    let by_gossip = |heads: &Heads| heads.common(Side::Hornero, Side::Second).filter(|(slot, _)| *slot > head).count();
    heads.until(PATIENCE, |heads| by_gossip(heads) > SLOTS_PER_EPOCH as usize);
    let differing: Vec<_> = heads.common(Side::Hornero, Side::Second).filter(|(_, (a, b))| a != b).collect();
    assert!(differing.is_empty(), "heads differ: {differing:?}");
    println!(
        "and followed for {} slots more; blocks, columns by range, by root: {at_head:?}, {:?}",
        by_gossip(heads),
        served()
    );
    assert_eq!(manners::connected_peers(&second.rest), [manners::peer_id(hornero)], "it has no other peer");
    assert_eq!(manners::connected_peers(&lodestar.rest), [manners::peer_id(hornero)], "nor has the first");
}

/// How many slots Lodestar and Hornero both told of.
fn agreed(heads: &Heads) -> usize {
    heads.common(Side::Lodestar, Side::Hornero).count()
}

/// Follows both until they agree on `wanted` slots, then compares what is finalized and that nothing was rejected.
fn follow(lodestar: &Lodestar, hornero: &Hornero, heads: &mut Heads, wanted: usize) {
    heads.until(PATIENCE, |heads| agreed(heads) >= wanted);
    let differing: BTreeMap<u64, _> =
        heads.common(Side::Lodestar, Side::Hornero).filter(|(_, (a, b))| a != b).collect();
    assert!(differing.is_empty(), "heads differ: {differing:?}\n{}", hornero.log_tail());

    let finalized = |rest: &str| {
        let answer = process::get_json(rest, "/eth/v1/beacon/states/head/finality_checkpoints");
        (answer["data"]["finalized"].clone(), answer["data"]["current_justified"].clone())
    };
    // Asked one after the other: an epoch may end in between, so once more if they differ.
    let same = (0..3).any(|_| {
        let (ours, theirs) = (finalized(&hornero.rest), finalized(&lodestar.rest));
        ours == theirs || {
            heads.next(PATIENCE);
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

fn head_slot(rest: &str) -> u64 {
    let answer: Value = process::get_json(rest, "/eth/v1/beacon/headers/head");
    answer["data"]["header"]["message"]["slot"].as_str().and_then(|slot| slot.parse().ok()).expect("a head")
}
