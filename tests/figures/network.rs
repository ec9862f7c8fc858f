//! Measures what docs/network.md says of bandwidth and of a peer's memory: `cargo run --release --example network_figures`.
//!
//! One node, in a process of its own, among as many others as it has places for peers, all in the same meshes, while gossip
//! brings what mainnet's does ([`traffic`]). It tells its bytes each minute: at rest, with columns alone, with everything,
//! with others who ask it for blocks without a pause, and the same under budgets. Linux only; takes
//! half an hour. `-- parts 3 5` runs only those.

#[path = "network/member.rs"]
mod member;
#[path = "network/traffic.rs"]
mod traffic;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use hornero::{
    metrics,
    p2p::{Bandwidth, BudgetConfig},
    types::Slot,
};
use member::Member;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use traffic::Kinds;

/// Peers of the measured node: what `--target-peers` is by default.
const PEERS: usize = 24;
const SLOT: Duration = Duration::from_secs(12);
/// Others that each of the others knows beside the measured node: they share one processor, and what counts is what passes
/// through the measured one.
const LINKS: usize = 7;
/// Five slots.
const MINUTE: Duration = Duration::from_secs(60);
/// Who asks the measured node for blocks.
const ASKERS: usize = 4;

/// What happens in a part of the run, and for how many minutes after one in which meshes form.
type Part = (&'static str, Kinds, bool, Option<&'static str>, u64);
const COLUMNS: Kinds = Kinds { columns: true, others: false };
const ALL: Kinds = Kinds { columns: true, others: true };
const PARTS: [Part; 8] = [
    ("at rest", Kinds { columns: false, others: false }, false, None, 1),
    ("8 columns of 14 blobs", COLUMNS, false, None, 2),
    ("all gossip", ALL, false, None, 3),
    ("all gossip, asked without a pause", ALL, true, None, 2),
    ("the same with --max-bandwidth 20mbit", ALL, true, Some("20mbit"), 3),
    ("the same with --max-bandwidth 10mbit", ALL, true, Some("10mbit"), 3),
    ("8 columns of 14 blobs with --max-bandwidth 10mbit", COLUMNS, false, Some("10mbit"), 2),
    ("all gossip with --max-bandwidth 10mbit", ALL, false, Some("10mbit"), 3),
];

static IS_OVER: AtomicBool = AtomicBool::new(false);

fn main() {
    if env::var_os("RUST_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_writer(std::io::stderr)
            .init();
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.split_first() {
        None => smol::block_on(network(&PARTS)),
        Some((word, [from, to])) if word == "parts" => {
            let number = |text: &String| text.parse::<usize>().expect("numbers of parts, counted from 1");
            smol::block_on(network(&PARTS[number(from) - 1..number(to)]));
        }
        Some((limit, records)) => smol::block_on(measured(limit, records.to_vec())),
    }
}

/// The other nodes, who publish.
async fn network(parts: &[Part]) {
    let exporter = metrics::install();
    let folder = tempfile::tempdir().expect("a folder");
    let mut others: Vec<Member> = Vec::new();
    for number in 0..PEERS {
        let path = folder.path().join(number.to_string());
        fs::create_dir(&path).expect("a folder");
        let known = others.iter().rev().take(LINKS).map(|other| other.handle.local_enr().to_base64()).collect();
        others.push(Member::start(&path, known, 2 * PEERS, BudgetConfig::default()).await);
    }
    for (name, kinds, is_asked, limit, minutes) in parts.iter().copied() {
        println!("{name}");
        IS_OVER.store(false, Ordering::Relaxed);
        let records = others.iter().map(|other| other.handle.local_enr().to_base64());
        let mut child = Command::new(env::current_exe().expect("this program"))
            .arg(limit.unwrap_or("none"))
            .args(records)
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program runs");
        let output = child.stdout.take().expect("piped");
        // The first minute is the meshes'.
        let reader = smol::unblock(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.take(minutes as usize + 1).skip(1).for_each(|line| println!("  {line}"));
            IS_OVER.store(true, Ordering::Relaxed);
        });
        futures::join!(reader, publish(&others, kinds), ask(&others, is_asked));
        child.kill().expect("ours to end");
        child.wait().expect("ours to end");
        exporter.run_upkeep();
        tell_of_quarrels("the others", &exporter.render());
    }
}

/// Why there are fewer peers than there should be, if there are.
fn tell_of_quarrels(who: &str, text: &str) {
    let told = [metrics::PEERS_PUNISHED.name, metrics::GOODBYES_RECEIVED.name];
    let lines = text.lines().filter(|line| told.iter().any(|name| line.starts_with(name)));
    lines.for_each(|line| eprintln!("  {who}: {line}"));
}

/// Publishes each message through one of the nodes, slot by slot.
async fn publish(others: &[Member], kinds: Kinds) {
    let mut rng = StdRng::from_os_rng();
    let begin = Instant::now();
    for slot in 1.. {
        let start = begin + SLOT * (slot as u32 - 1);
        let mut sent = Sent::default();
        for mut message in traffic::slot(slot, kinds, &mut rng) {
            smol::Timer::at(start + message.at).await;
            if message.topic == hornero::p2p::Topic::BeaconBlock {
                traffic::stamp(&mut message.ssz);
            }
            sent.add(&message.ssz);
            let by = others[rng.random_range(0..others.len())].handle.clone();
            smol::spawn(async move {
                if let Err(error) = by.publish(message.topic, message.ssz).await {
                    println!("  {} of slot {slot}: {error}", message.topic.name());
                }
            })
            .detach();
        }
        if slot == 1 {
            println!("  a slot's messages: {}, {} KB compressed", sent.messages, sent.bytes / 1000);
        }
        smol::Timer::at(start + SLOT).await;
        if IS_OVER.load(Ordering::Relaxed) {
            return;
        }
    }
}

#[derive(Default)]
struct Sent {
    messages: usize,
    bytes: usize,
}

impl Sent {
    fn add(&mut self, ssz: &[u8]) {
        self.messages += 1;
        self.bytes += snap::raw::Encoder::new().compress_vec(ssz).expect("small").len();
    }
}

/// Some nodes ask the measured one for blocks, without a pause, until the part is over.
async fn ask(others: &[Member], is_asked: bool) {
    if !is_asked {
        return;
    }
    futures::future::join_all(others.iter().take(ASKERS).map(ask_on)).await;
}

async fn ask_on(by: &Member) {
    let mut slot: Slot = 1;
    while !IS_OVER.load(Ordering::Relaxed) {
        // The newcomer among the peers is the measured one.
        let peers = by.handle.peers().await;
        let newest = peers.iter().min_by_key(|info| info.connected_for);
        let Some(newest) = newest.map(|info| info.peer) else { continue };
        let blocks = by.handle.blocks_by_range(newest, slot, 64);
        let mut came = 0;
        while let Ok(Ok(_)) = blocks.recv().await {
            came += 1;
        }
        slot += 64;
        if came < 64 {
            smol::Timer::after(Duration::from_secs(1)).await;
        }
    }
}

/// The measured node: prints a line each minute until it is ended.
async fn measured(limit: &str, records: Vec<String>) {
    let exporter = metrics::install();
    let rate = (limit != "none").then(|| limit.parse::<Bandwidth>().expect("such as 20mbit").0);
    let budget = BudgetConfig { download: rate, upload: rate, data_cap: None };
    let folder = tempfile::tempdir().expect("a folder");
    let member = Member::start(folder.path(), records, PEERS, budget).await;
    let mut next = Instant::now();
    let mut before = Totals::default();
    loop {
        next += MINUTE;
        smol::Timer::at(next).await;
        exporter.run_upkeep();
        let text = exporter.render();
        let now = Totals::of(&text);
        let slots = MINUTE.as_secs_f64() / SLOT.as_secs_f64();
        let (down, up) = (now.received - before.received, now.sent - before.sent);
        before = now;
        let peers = member.handle.peers().await.len();
        let each = |bytes: f64| {
            format!("{:.0} KB a slot ({:.1} a peer)", bytes / slots / 1e3, bytes / slots / peers as f64 / 1e3)
        };
        let of_budget = |bytes: f64| rate.map(|rate| format!(", {:.1}%", 100.0 * bytes / (60.0 * rate as f64)));
        let mut delays = std::mem::take(&mut *member.delays.lock().expect("nobody panics with it"));
        delays.sort();
        println!(
            "{peers} peers; down {}{}; up {}{}; blocks {} of {slots}, latest after {:.0} ms; resident {} MiB",
            each(down),
            of_budget(down).unwrap_or_default(),
            each(up),
            of_budget(up).unwrap_or_default(),
            delays.len(),
            delays.last().copied().unwrap_or_default().as_secs_f64() * 1e3,
            metrics::resident_bytes().unwrap_or_default() >> 20,
        );
        tell_of_quarrels("the measured node", &text);
    }
}

/// All bytes over the wire since the start.
#[derive(Clone, Copy, Default)]
struct Totals {
    received: f64,
    sent: f64,
}

impl Totals {
    fn of(text: &str) -> Totals {
        let sum = |name: &str| -> f64 {
            let lines = text.lines().filter(|line| line.starts_with(name));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        Totals { received: sum(metrics::BYTES_IN.name), sent: sum(metrics::BYTES_OUT.name) }
    }
}
