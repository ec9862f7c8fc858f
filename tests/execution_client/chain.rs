//! A network of our own: its genesis and configuration as files that `hornero node` takes, and its validators.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use async_channel::Sender;
use hornero::{
    node::genesis::{Genesis, devnet_config, interop_genesis},
    types::{Config, Hash256},
    validator::{self, InteropKeys, ValidatorConfig},
};
use ssz::Encode;

use super::node::Node;

/// Validators, all of them with the same node.
pub const VALIDATORS: u64 = 16;
/// Seconds until the genesis: the first node starts in them.
const DELAY: u64 = 8;
/// Gwei of validators for each custody group, an eighth of the usual: 16 validators of 32 ETH keep all 128 groups, so that
/// whoever comes later finds those that it samples.
const GWEI_PER_GROUP: u64 = 4_000_000_000;

pub struct Chain {
    pub config: Arc<Config>,
    pub network: PathBuf,
    pub folder: PathBuf,
    genesis_validators_root: Hash256,
    /// Closing it stops the validators.
    validators: Option<Sender<()>>,
}

impl Chain {
    /// Writes the files of a network that begins soon, on an execution chain with this first block.
    pub fn new(folder: &Path, slot_ms: u64, chain_id: u64, execution_genesis: Hash256) -> Chain {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let config = Config {
            deposit_chain_id: chain_id,
            deposit_network_id: chain_id,
            balance_per_additional_custody_group: GWEI_PER_GROUP,
            ..devnet_config(now + DELAY, slot_ms)
        };
        let genesis = interop_genesis(&config, VALIDATORS).expect("a genesis");
        let Genesis { state, block } = genesis.on_execution_chain(execution_genesis);
        let network = folder.join("network");
        fs::create_dir_all(&network).unwrap();
        fs::write(network.join("config.yaml"), serde_yaml_ng::to_string(&config).unwrap()).unwrap();
        fs::write(folder.join("state.ssz"), state.to_ssz_bytes()).unwrap();
        fs::write(folder.join("block.ssz"), block.as_ssz_bytes()).unwrap();
        let genesis_validators_root = state.genesis_validators_root;
        Chain { config: config.into(), network, folder: folder.into(), genesis_validators_root, validators: None }
    }

    /// When the chain begins, in seconds since 1970.
    pub fn genesis_time(&self) -> u64 {
        self.config.min_genesis_time
    }

    /// Options with which a node starts from the genesis.
    pub fn genesis_files(&self) -> Vec<String> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        ["--checkpoint-state", &file("state.ssz"), "--checkpoint-block", &file("block.ssz")].map(String::from).into()
    }

    /// Starts a node with a data directory of its own, or goes on with it.
    pub fn start(&self, name: &'static str, options: &[Vec<String>]) -> Node {
        Node::start(name, &self.network, &self.folder.join(name), &options.concat())
    }

    /// Gives all validators to a node.
    pub fn validate(&mut self, node: &Node) {
        let config = ValidatorConfig {
            beacon_url: node.rest.clone(),
            keys: Arc::new(InteropKeys::new(0..VALIDATORS)),
            config: self.config.clone(),
            genesis_validators_root: self.genesis_validators_root,
            genesis_time: self.genesis_time(),
        };
        let (sender, stop) = async_channel::bounded(1);
        smol::spawn(validator::run(config, stop)).detach();
        self.validators = Some(sender);
    }
}

/// Options with which a node asks this execution client.
pub fn beside(url: &str, secret: &Path) -> Vec<String> {
    let secret = secret.display().to_string();
    ["--execution-endpoint", url, "--execution-jwt", &secret].map(String::from).into()
}

/// Options with which a node connects to another.
pub fn peer_of(node: &Node) -> Vec<String> {
    let identity = node.json("/eth/v1/node/identity");
    let enr = identity["data"]["enr"].as_str().expect("an ENR");
    ["--boot-nodes", enr].map(String::from).into()
}
