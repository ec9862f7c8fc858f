//! A node of its own process under a hard limit of 1 GiB: checkpoint sync, blocks with full attestations, two branches, an
//! epoch's end, and 64 epochs without finality, while a client reads all validators over and over.
//!
//! `cargo test` runs it with few validators, and holds it to that size's share of the limit. `tests/one_gib/run` runs it at
//! mainnet's size. Time is compressed: the clock is at the chain's end from the start.
//!
//! | variable | |
//! |---|---|
//! | `HORNERO_ONE_GIB_RECORDS` | validators in the state; 2300000 is mainnet's size |
//! | `HORNERO_ONE_GIB_CHAIN` | folder that keeps the chain for the next run |
//! | `HORNERO_ONE_GIB_LOG` | file for the node's log |
#![cfg(all(target_os = "linux", not(any(feature = "minimal", feature = "gnosis"))))]

mod one_gib {
    pub mod api;
    pub mod chain;
    pub mod limit;
    pub mod maker;
    pub mod node;
    pub mod peer;
    pub mod provider;
}

use std::{
    env,
    path::PathBuf,
    time::{Duration, Instant},
};

use one_gib::{
    api::{Events, Reader, get, get_text},
    chain::{self, Chain, Link},
    limit::Limit,
    node::Node,
    peer::Peer,
    provider,
};

/// The limit of the process, whatever the size.
const LIMIT: u64 = 1 << 30;
/// A size at which this takes seconds.
const SMALL: u64 = 20_000;
/// Mainnet's, as of 2026.
const MAINNET: u64 = 2_300_000;
/// What a node needs without any validator: the program, its libraries, buffers, the trusted setup, threads' stacks.
const BASE: u64 = 96 << 20;
/// Longest wait for a stage: at mainnet's size, on two busy cores.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What may be resident with so many validators: a straight line to the limit at mainnet's size.
fn bound(records: u64) -> u64 {
    LIMIT.min(BASE + (LIMIT - BASE) * records / MAINNET)
}

struct Run {
    node: Node,
    peer: Peer,
    events: Events,
    reader: Reader,
    bound: u64,
    began: Instant,
    bytes_before: u64,
}

impl Run {
    /// Waits for a head.
    fn until_head(&self, head: &Link) {
        if let Err(reason) = self.events.wait("head", head.root, PATIENCE) {
            panic!("slot {}: {reason}\n{}", head.slot, self.node.told());
        }
    }

    /// Ends a stage: prints and checks its peak, and begins the next.
    fn ends(&mut self, stage: &str) {
        let bytes = self.reader.read().1;
        report(&self.node, stage, self.bound, self.began.elapsed(), bytes - self.bytes_before);
        (self.began, self.bytes_before) = (Instant::now(), bytes);
    }
}

fn report(node: &Node, stage: &str, bound: u64, took: Duration, streamed: u64) {
    let memory = node.memory();
    let mib = |bytes: u64| bytes / (1 << 20);
    println!(
        "{stage:<32} {:>6} {:>6} {:>6} {:>6} {:>7} {:>7} {:>7.1}",
        mib(memory.peak),
        mib(memory.resident),
        mib(memory.files),
        mib(caches(&node.api)),
        mib(memory.addresses),
        mib(streamed),
        took.as_secs_f64()
    );
    assert!(memory.peak <= bound, "{stage}: {} MiB resident, more than {}", mib(memory.peak), mib(bound));
    node.forget_peak();
}

#[test]
fn mainnet_in_one_gib() {
    let records = env::var("HORNERO_ONE_GIB_RECORDS").map_or(SMALL, |text| text.parse().expect("a number"));
    let is_small = records < MAINNET / 2;
    let temporary = tempfile::tempdir().unwrap();
    let kept = env::var_os("HORNERO_ONE_GIB_CHAIN").map(PathBuf::from);
    let folder = kept.unwrap_or_else(|| temporary.path().join("chain"));
    let began = Instant::now();
    let chain = chain::load_or_make(&folder, records, if is_small { 1_000 } else { 12_000 });
    println!("the chain, of {records} validators, is there after {:?}", began.elapsed());

    let network = temporary.path().join("network");
    chain.write_network(&network);
    let peer = Peer::start(&chain, &folder);
    let (provider, datadir) = (provider::start(&chain, &folder), temporary.path().join("node"));
    let limit = Limit::new(LIMIT);
    println!("the limit of {} MiB is held by {}", LIMIT >> 20, limit.describe());
    let columns = ["peak", "now", "files", "caches", "address", "API", "s"];
    let [peak, now, files, caches, address, api, time] = columns;
    println!("{:<32} {peak:>6} {now:>6} {files:>6} {caches:>6} {address:>7} {api:>7} {time:>7}", "MiB");
    let began = Instant::now();
    let arguments = [
        ["--network", network.to_str().unwrap()],
        ["--datadir", datadir.to_str().unwrap()],
        ["--checkpoint-sync-url", &provider],
        ["--boot-nodes", &peer.address()],
        ["--listen-address", "127.0.0.1"],
        ["--port", "0"],
        ["--http-port", "0"],
        ["--memory-limit", "1GiB"],
        ["--log-level", "info,hornero=debug"],
    ];
    let node = Node::start(limit, arguments.as_flattened(), PATIENCE);
    report(&node, "checkpoint sync", bound(records), began.elapsed(), 0);
    let events = Events::listen(&node.api);
    let reader = Reader::start(&node.api);
    let run = Run { node, peer, events, reader, bound: bound(records), began: Instant::now(), bytes_before: 0 };
    follow(run, &chain);
}

fn follow(mut run: Run, chain: &Chain) {
    let last = |links: &[Link]| *links.last().expect("there are blocks");
    run.peer.release(&last(&chain.full));
    run.until_head(&last(&chain.full));
    run.ends("64 blocks, full attestations");

    // The first branch block by block, of the second only the last: its parents have to be asked for.
    let [first, second] = chain.branches.each_ref();
    first.iter().for_each(|link| run.peer.gossip(link));
    run.peer.gossip(&last(second));
    let tips = [last(first).root, last(second).root];
    let events = &run.events;
    let told = || tips.iter().try_for_each(|tip| events.wait("block", *tip, PATIENCE));
    told().unwrap_or_else(|reason| panic!("{reason}\n{}", run.node.told()));
    let heads = get(&run.node.api, "/eth/v2/debug/beacon/heads").to_string();
    assert!(tips.iter().all(|tip| heads.contains(&format!("{tip:?}"))), "{heads}");
    run.ends("two branches of 8 blocks");

    run.peer.release(&last(&chain.boundary));
    run.until_head(&last(&chain.boundary));
    run.ends("an epoch's end");

    let finalized = finalized_epoch(&run.node);
    for (n, eight) in chain.leak.chunks(chain.leak.len().div_ceil(8)).enumerate() {
        run.peer.release(&last(eight));
        run.until_head(&last(eight));
        run.ends(&format!("{} epochs without finality", 8 * (n + 1)));
    }
    assert_eq!(finalized_epoch(&run.node), finalized, "nothing more was finalized");

    let (whole, bytes) = run.reader.stop();
    println!("all validators were read {whole} times, {} MiB", bytes >> 20);
    assert!(whole > 0, "the client got no whole answer");
    if let Some(most) = run.node.limit().most() {
        println!("the control group held {} MiB at most, page cache included", most >> 20);
    }
    run.node.stop();
}

/// What the node's caches hold by its own count, as of some seconds ago; nothing before it has counted.
fn caches(api: &str) -> u64 {
    let metrics = get_text(api, "/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("hornero_caches_bytes "));
    line.and_then(|number| number.parse::<f64>().ok()).unwrap_or_default() as u64
}

fn finalized_epoch(node: &Node) -> String {
    let checkpoints = get(&node.api, "/eth/v1/beacon/states/head/finality_checkpoints");
    checkpoints["data"]["finalized"]["epoch"].as_str().expect("a number").to_string()
}
