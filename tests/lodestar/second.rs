//! A Lodestar node that knows Hornero only: what it learns of the chain after its checkpoint, it learns from Hornero.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use serde_json::Value;

use super::process::{self, Hornero, Lodestar};

pub struct Second {
    pub rest: String,
    child: Child,
    log: PathBuf,
}

impl Second {
    /// Starts it from Hornero's finalized state. It looks for nobody: discovery is off, and it has no boot nodes.
    ///
    /// It is an ordinary node, which samples eight columns of each block, those that its node id says. Lodestar asks a peer for a
    /// range only when that peer keeps a column that it samples, and needs peers for all eight: with one peer alone,
    /// that one has to keep what any node id may ask for, which is everything. So validators are attached to Hornero
    /// (`Hornero::attach_validators`), with which the specification makes it keep all groups.
    pub fn start(lodestar: &Lodestar, hornero: &Hornero, folder: &Path) -> Second {
        let folder = folder.join("second");
        fs::create_dir_all(&folder).unwrap();
        let log = folder.join("lodestar.log");
        let output = File::create(&log).unwrap();
        let (port, rest_port) = (process::free_port(), process::free_port());
        let text = |port: u16| port.to_string();
        let child = lodestar
            .another()
            .arg("--dataDir")
            .arg(folder.join("data"))
            .args(["--checkpointSyncUrl", &hornero.rest, "--ignoreWeakSubjectivityCheck"])
            .args(["--discv5", "false", "--execution.engineMock", "true", "--network.useWorker", "false"])
            .args(["--listenAddress", "127.0.0.1", "--port", &text(port), "--quicPort", &text(port + 1)])
            .args(["--rest", "--rest.namespace", "*", "--rest.address", "127.0.0.1", "--rest.port", &text(rest_port)])
            // Which peers are in which mesh is told nowhere else.
            .env("DEBUG", "libp2p:gossipsub")
            .args(["--logFileLevel", "error"])
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .expect("node runs");
        Second { rest: format!("http://127.0.0.1:{rest_port}"), child, log }
    }

    /// Whether its API answers.
    pub fn is_up(&self) -> bool {
        ureq::get(format!("{}/eth/v1/node/version", self.rest)).call().is_ok()
    }

    /// Makes it connect to Hornero.
    pub fn connect(&self, hornero: &Hornero) {
        let identity = process::get_json(&hornero.rest, "/eth/v1/node/identity");
        let peer = identity["data"]["peer_id"].as_str().expect("a peer id");
        let addresses = identity["data"]["p2p_addresses"].as_array().expect("addresses");
        let quic = addresses.iter().filter_map(Value::as_str).find(|address| address.contains("quic"));
        let address = quic.expect("Hornero listens on QUIC").split("/p2p/").next().unwrap_or_default();
        process::post(&format!("{}/eth/v1/lodestar/connect_peer?peerId={peer}&multiaddr={address}", self.rest), "");
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let told = |line: &&str| line.contains("peer score adjusted") || line.contains("ReqResp request error");
            let complaints: Vec<&str> = log.lines().filter(told).collect();
            eprintln!("the second Lodestar's complaints:\n{}", complaints.join("\n"));
            let last: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("its log, the newest line first:\n{}", last.join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
