//! Ten nodes, each a process of its own with its own validators, that know one of them: they find each other by discovery,
//! finalize, lose four of them without a goodbye, and finalize again when those have returned.
//!
//! In the minimal preset, whose epochs have 8 slots.
#![cfg(feature = "minimal")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const NODES: usize = 10;
/// More than a third: without them nothing is finalized.
const LOST: usize = 4;
const SLOTS_PER_EPOCH: u64 = 8;
const SLOT_MS: u64 = 2000;
/// From the first process to genesis.
const START: u64 = 15;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(240);
/// Lines that wait to be read.
const LINES: usize = 1024;

/// What a node said of itself in one slot: "slot 12  3: 11 0xabababab j5 f4 p9".
#[derive(Clone, Debug)]
struct Said {
    slot: u64,
    head: String,
    finalized: u64,
    peers: usize,
}

fn parse(line: &str) -> Option<Said> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |sign: char| words.iter().find_map(|word| word.strip_prefix(sign)?.parse::<u64>().ok());
    let slot = words.iter().position(|word| *word == "slot")?;
    Some(Said {
        slot: words.get(slot + 1)?.parse().ok()?,
        head: words.iter().find(|word| word.starts_with("0x"))?.to_string(),
        finalized: number('f')?,
        peers: number('p')? as usize,
    })
}

/// All processes and what they said.
struct Network {
    nodes: BTreeMap<usize, Child>,
    lines: Receiver<(usize, String)>,
    sender: SyncSender<(usize, String)>,
    /// The last word of each.
    now: BTreeMap<usize, Said>,
    /// Heads by slot and node.
    heads: BTreeMap<u64, BTreeMap<usize, String>>,
    /// The first node's.
    record: Option<String>,
    genesis_time: u64,
}

impl Network {
    fn new() -> Network {
        let (sender, lines) = sync_channel(LINES);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (nodes, now_said, heads) = Default::default();
        Network { nodes, lines, sender, now: now_said, heads, record: None, genesis_time: now + START }
    }

    fn start(&mut self, number: usize, datadir: &Path) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hornero"));
        command.arg("devnet").args(["--nodes", &NODES.to_string(), "--validators", &(4 * NODES).to_string()]);
        command.args(["--member", &number.to_string(), "--genesis-time", &self.genesis_time.to_string()]);
        // Ten processes without optimisation share a machine: no columns besides.
        command.args(["--slot-ms", &SLOT_MS.to_string(), "--blobs", "0"]).arg("--datadir").arg(datadir);
        if let Some(record) = &self.record {
            command.args(["--boot-nodes", record]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pipes: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for pipe in pipes {
            let sender = self.sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    if sender.send((number, line)).is_err() {
                        return;
                    }
                }
            });
        }
        self.nodes.insert(number, child);
    }

    /// Ends a process as a power cut would.
    fn lose(&mut self, number: usize) {
        let mut child = self.nodes.remove(&number).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.now.remove(&number);
    }

    /// Reads on until `is_reached`; the time that it took.
    fn until(&mut self, what: &str, is_reached: impl Fn(&Network) -> bool) -> Duration {
        let since = Instant::now();
        while !is_reached(self) {
            let left = PATIENCE.checked_sub(since.elapsed());
            let left = left.unwrap_or_else(|| panic!("not reached in {PATIENCE:?}: {what}\n{:#?}", self.now));
            let Ok((number, line)) = self.lines.recv_timeout(left) else { continue };
            self.read(number, &line);
        }
        println!("{what}: {:.0} s", since.elapsed().as_secs_f64());
        since.elapsed()
    }

    fn read(&mut self, number: usize, line: &str) {
        if number == 1 && self.record.is_none() {
            self.record = line.find("enr:").map(|at| line[at..].trim().to_owned());
        }
        match parse(line) {
            Some(said) if self.nodes.contains_key(&number) => {
                self.heads.entry(said.slot).or_default().insert(number, said.head.clone());
                self.now.insert(number, said);
            }
            Some(_) => {}
            None => println!("{number}: {line}"),
        }
    }

    fn all(&self, is: impl Fn(&Said) -> bool) -> bool {
        self.now.len() == self.nodes.len() && self.now.values().all(is)
    }

    fn slot(&self) -> u64 {
        self.now.values().map(|said| said.slot).max().unwrap_or_default()
    }

    fn finalized(&self) -> u64 {
        self.now.values().map(|said| said.finalized).max().unwrap_or_default()
    }

    /// Whether all nodes had the same head in one slot from `slot` on.
    fn agree_from(&self, slot: u64) -> bool {
        self.heads.range(slot..).any(|(_, heads)| {
            heads.len() == self.nodes.len() && heads.values().all(|head| Some(head) == heads.values().next())
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for child in self.nodes.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn ten_processes_find_each_other_finalize_lose_a_third_and_finalize_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::new();
    network.start(1, folder.path());
    network.until("the first node's record", |network| network.record.is_some());
    for number in 2..=NODES {
        network.start(number, folder.path());
    }
    network.until("all have found all others", |network| network.all(|said| said.peers == NODES - 1));
    network.until("all have finalized an epoch", |network| network.all(|said| said.finalized >= 1));

    for number in NODES - LOST + 1..=NODES {
        network.lose(number);
    }
    let lost_at = network.slot();
    println!("{LOST} nodes lost at slot {lost_at}");
    // Votes for the epoch in which they were lost count until the end of the next, and may still make something final.
    let settled = (lost_at / SLOTS_PER_EPOCH + 2) * SLOTS_PER_EPOCH;
    network.until("what was voted for is settled", move |network| network.all(|said| said.slot > settled));
    let stalled = network.finalized();
    let next_epoch = settled + SLOTS_PER_EPOCH;
    network.until("one more epoch without them", move |network| network.all(|said| said.slot > next_epoch));
    assert_eq!(network.finalized(), stalled, "six of ten cannot finalize");

    for number in NODES - LOST + 1..=NODES {
        network.start(number, folder.path());
    }
    network.until("all have finalized again", move |network| network.all(|said| said.finalized > stalled));
    let again_at = network.slot();
    network.until("all ten have one head", move |network| network.agree_from(again_at));
    let peers: Vec<usize> = network.now.values().map(|said| said.peers).collect();
    println!("peers at the end, by node: {peers:?}; slot {}, finalized epoch {}", network.slot(), network.finalized());
}
