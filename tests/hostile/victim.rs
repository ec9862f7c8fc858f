//! The node under attack: a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel, sync_channel},
    },
    time::{Duration, Instant},
};

use hornero::types::{Hash256, Slot};
use serde_json::Value;

use super::network::Network;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// Lines of the log that are kept for a failure's message.
const LOG_LINES: usize = 60;

/// How well the node followed the chain.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// For each of the maker's heads how much later the node had it, or one after it.
    pub delays: Vec<Duration>,
    /// Heads of the node that were never the maker's.
    pub strange: usize,
}

impl Followed {
    pub fn add(&mut self, more: Followed) {
        self.delays.extend(more.delays);
        self.strange += more.strange;
    }

    pub fn median(&self) -> Duration {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        delays.get(delays.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }

    pub fn worst(&self) -> Duration {
        self.delays.iter().max().copied().unwrap_or_default()
    }
}

pub struct Victim {
    api: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// Its heads, and when it told of each.
    heads: Receiver<(Slot, Hash256, Instant)>,
}

impl Victim {
    /// Starts it with the maker of the chain as its only boot node.
    pub fn start(network: &Network) -> Victim {
        let [folder, state, block] = network.write();
        let datadir = network.dir.path().join("victim").to_str().expect("UTF-8").to_owned();
        let arguments = [
            ["--network", &folder],
            ["--datadir", &datadir],
            ["--checkpoint-state", &state],
            ["--checkpoint-block", &block],
            ["--boot-nodes", &network.address()],
            ["--listen-address", "127.0.0.1"],
            ["--port", "0"],
            ["--http-port", "0"],
            ["--memory-limit", "1GiB"],
            // Strangers come from other addresses, and limits hold for them as they do on a public network.
            ["--exempt-addresses", "127.0.0.1/32"],
        ];
        let mut child = Command::new(env!("CARGO_BIN_EXE_hornero"))
            .arg("node")
            .args(["--ignore-ws-check", "--no-discovery", "--no-upnp"])
            .args(arguments.as_flattened())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let log = Arc::new(Mutex::new(Vec::new()));
        let address = read_log(child.stderr.take().expect("piped"), log.clone());
        let told = || log.lock().unwrap().join("\n");
        let api = address.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it did not come up:\n{}", told()));
        Victim { heads: listen(&api), api, child, log }
    }

    /// Where strangers reach it by this transport.
    pub fn address(&self, transport: &str) -> String {
        let identity = self.get("/eth/v1/node/identity");
        let all = identity["data"]["p2p_addresses"].as_array().expect("addresses").clone();
        let one = all.iter().filter_map(Value::as_str).find(|address| address.contains(transport));
        one.expect("an address").to_owned()
    }

    /// Waits for the heads of so many slots, and says when each was its head.
    pub fn follow(&self, network: &Network, slots: u64) -> Followed {
        let first = network.slot() + 1;
        let until = Instant::now() + PATIENCE;
        let mut seen: Vec<(Slot, Hash256, Instant)> = Vec::new();
        while seen.last().is_none_or(|(slot, ..)| *slot < first + slots - 1) {
            let next = self.heads.recv_timeout(until.saturating_duration_since(Instant::now()));
            seen.push(next.unwrap_or_else(|_| panic!("it is not at the head any more:\n{}", self.told())));
        }
        let last = seen[seen.len() - 1].0;
        let (seen, made) = (&seen, network.heads_of(first..=last));
        let delays = made.iter().map(|(slot, at)| {
            let (_, _, had) = seen.iter().find(|(it, ..)| it >= slot).expect("the last is as late");
            had.saturating_duration_since(*at)
        });
        // The last may have been the node's head before it is the maker's.
        let strange = seen.iter().filter(|(slot, root, _)| *slot < last && !network.was_head(root)).count();
        Followed { delays: delays.collect(), strange }
    }

    /// Its peers, as it knows them.
    pub fn peers(&self) -> Vec<Value> {
        let details = self.get("/hornero/v1/peers");
        details["data"]["peers"].as_array().expect("peers").clone()
    }

    /// The sum of a counter's lines that have this text in them.
    pub fn counter(&self, name: &str, label: &str) -> u64 {
        let mut answer = ureq::get(format!("{}/metrics", self.api)).call().expect("metrics");
        let text = answer.body_mut().read_to_string().expect("text");
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    }

    fn get(&self, path: &str) -> Value {
        let mut answer = ureq::get(format!("{}{path}", self.api)).call().unwrap_or_else(|e| panic!("{path}: {e}"));
        serde_json::from_str(&answer.body_mut().read_to_string().expect("text")).expect("JSON")
    }

    fn memory(&self, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or_else(|| panic!("the node has ended:\n{}", self.told())) * 1024
    }

    /// The most that was resident since [`Victim::forget_peak`], in bytes.
    pub fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    pub fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// Begins a new peak, where the kernel lets us; else the peak is of all cases until then, which only makes it stricter.
    pub fn forget_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }

    /// The end of its log, for a failure's message.
    pub fn told(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    pub fn stop(mut self) {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        let ended = self.child.wait().expect("it ends");
        assert!(killed.success() && ended.success(), "it ended with {ended}:\n{}", self.told());
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Already ended after `stop`; otherwise the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps the log's last lines; sends the API's address when a line tells it.
fn read_log(stderr: impl Read + Send + 'static, log: Arc<Mutex<Vec<String>>>) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some(api) = line.split("API and metrics at ").nth(1) {
                let _ = sender.try_send(api.split(';').next().unwrap_or_default().to_string());
            }
            let mut log = log.lock().unwrap();
            if log.len() == LOG_LINES {
                log.remove(0);
            }
            log.push(line);
        }
    });
    receiver
}

fn listen(api: &str) -> Receiver<(Slot, Hash256, Instant)> {
    let answer = ureq::get(format!("{api}/eth/v1/events?topics=head")).call().expect("events are told");
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(answer.into_body().into_reader()).lines().map_while(Result::ok) {
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let data: Value = serde_json::from_str(data).expect("JSON");
            let slot = data["slot"].as_str().and_then(|slot| slot.parse().ok()).expect("a slot");
            let root = data["block"].as_str().and_then(|root| root.parse().ok()).expect("a root");
            if sender.send((slot, root, Instant::now())).is_err() {
                return;
            }
        }
    });
    heads
}
