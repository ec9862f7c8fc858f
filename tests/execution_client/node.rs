//! A node as a user runs it: the binary, with its log, its API and its metrics.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use hornero::types::{ForkName, SignedBeaconBlock};
use serde_json::Value;

use super::log::Log;

/// Longest wait for anything that comes in time on a machine that is ten times as slow.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(20);

pub struct Node {
    pub name: &'static str,
    pub rest: String,
    pub log: Arc<Log>,
    child: Child,
}

/// What the API says of the node's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syncing {
    pub head_slot: u64,
    pub sync_distance: u64,
    pub is_optimistic: bool,
    pub el_offline: bool,
}

impl Syncing {
    /// At the head, and the execution client says that it is good.
    pub fn is_well(&self) -> bool {
        self.sync_distance <= 1 && !self.is_optimistic && !self.el_offline
    }
}

impl Node {
    /// Starts it on a network's folder, and waits until its API answers.
    pub fn start(name: &'static str, network: &Path, datadir: &Path, options: &[String]) -> Node {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hornero"))
            .args(["node", "--listen-address", "127.0.0.1", "--port", "0", "--http-port", "0", "--no-discovery"])
            .args(["--no-upnp", "--log-level", "info,hornero=debug"])
            .arg("--network")
            .arg(network)
            .arg("--datadir")
            .arg(datadir)
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let log = Log::of(child.stderr.take().expect("piped"));
        let mut node = Node { name, rest: String::new(), log, child };
        let address = |line: &str| Some(line.split("API and metrics at ").nth(1)?.split(';').next()?.to_string());
        match node.log.wait(0, PATIENCE, address) {
            Some((rest, _)) => node.rest = rest,
            None => panic!("{name} did not come up:\n{}", node.log.tail()),
        }
        node
    }

    /// Waits for the line that it logs late in a slot.
    pub fn next_slot(&self) -> u64 {
        let slot = |line: &str| {
            let (_, text) = line.split_once(" slot ").filter(|(_, text)| text.contains("  distance "))?;
            text.split_whitespace().next()?.parse().ok()
        };
        match self.log.wait(self.log.len(), PATIENCE, slot) {
            Some((slot, _)) => slot,
            None => panic!("{} says nothing more:\n{}", self.name, self.log.tail()),
        }
    }

    /// Waits until it `is_so`, looking again at each line of the log; how long that took.
    pub fn until(&self, what: &str, is_so: impl Fn(&Node) -> bool) -> Duration {
        let begun = Instant::now();
        let mut from = self.log.len();
        while !is_so(self) {
            let more = self.log.wait(from, PATIENCE, |_| Some(()));
            from = more.map_or(from, |(_, next)| next.max(self.log.len()));
            let waited = begun.elapsed();
            assert!(waited < PATIENCE, "{}: {what}: not in time: {:?}\n{}", self.name, self.syncing(), self.log.tail());
        }
        begun.elapsed()
    }

    pub fn syncing(&self) -> Syncing {
        let data = &self.json("/eth/v1/node/syncing")["data"];
        let number = |key: &str| data[key].as_str().and_then(|text| text.parse().ok()).expect("a number");
        let truth = |key: &str| data[key].as_bool().expect("true or false");
        Syncing {
            head_slot: number("head_slot"),
            sync_distance: number("sync_distance"),
            is_optimistic: truth("is_optimistic"),
            el_offline: truth("el_offline"),
        }
    }

    pub fn finalized(&self) -> u64 {
        let answer = self.json("/eth/v1/beacon/states/head/finality_checkpoints");
        let epoch = answer["data"]["finalized"]["epoch"].as_str();
        epoch.and_then(|epoch| epoch.parse().ok()).expect("an epoch")
    }

    /// The statuses of what a validator asks for in this slot: data to vote for, and a block.
    pub fn duties(&self) -> [u16; 2] {
        let slot = self.syncing().head_slot + self.syncing().sync_distance;
        let reveal = format!("0xc0{}", "00".repeat(95));
        [
            self.status(&format!("/eth/v1/validator/attestation_data?slot={slot}&committee_index=0")),
            self.status(&format!("/eth/v3/validator/blocks/{}?randao_reveal={reveal}", slot + 1)),
        ]
    }

    pub fn health(&self) -> u16 {
        self.status("/eth/v1/node/health")
    }

    /// The block of a slot on the head's branch, if there is one.
    pub fn block(&self, slot: u64) -> Option<SignedBeaconBlock> {
        let path = format!("/eth/v2/beacon/blocks/{slot}");
        let mut answer = self.ask(&path, "application/octet-stream");
        if answer.status() == 404 {
            return None;
        }
        assert_eq!(answer.status(), 200, "{}: {path}", self.name);
        let bytes = answer.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap();
        Some(SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, &bytes).expect("a block of Fulu"))
    }

    pub fn json(&self, path: &str) -> Value {
        let mut answer = self.ask(path, "application/json");
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "{}: {path}: {text}", self.name);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {path}: {error}", self.name))
    }

    pub fn metrics(&self) -> String {
        self.ask("/metrics", "text/plain").body_mut().with_config().limit(16 << 20).read_to_string().unwrap()
    }

    /// The sum of a metric over those of its lines that hold all of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.metrics();
        let lines = metrics.lines().filter(|line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']));
            rest.is_some_and(|rest| labels.iter().all(|label| rest.contains(&format!("\"{label}\""))))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).fold(0.0, |sum, value| sum + value)
    }

    fn status(&self, path: &str) -> u16 {
        self.ask(path, "application/json").status().as_u16()
    }

    fn ask(&self, path: &str, accept: &str) -> ureq::http::Response<ureq::Body> {
        let answer = agent().get(format!("{}{path}", self.rest)).header("accept", accept).call();
        answer.unwrap_or_else(|error| panic!("{}: {path}: {error}\n{}", self.name, self.log.tail()))
    }

    /// Asks for an orderly end.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{} ended with {status}:\n{}", self.name, self.log.tail());
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(ANSWER)).http_status_as_error(false).build().into()
}

impl Drop for Node {
    fn drop(&mut self) {
        // Already ended after `stop`; otherwise the test failed, or is over.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
