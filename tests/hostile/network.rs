//! An honest node in this process that makes a chain with all validators, on a thread of its own.

use std::{
    collections::HashMap,
    ops::RangeInclusive,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_channel::Sender;
use hornero::{
    chain::{ChainEvent, Snapshot},
    crypto::compute_fork_digest,
    engine::{Engine, StandIn},
    node::{
        CheckpointChoice, NodeConfig, RunningNode,
        genesis::{Genesis, devnet_config, interop_genesis},
    },
    p2p::NetworkSize,
    types::*,
    validator::{self, InteropKeys, ValidatorConfig},
};
use ssz::Encode as _;

use super::forger::Forger;

/// Enough for a committee in each slot of either preset.
const VALIDATORS: u64 = 64;
/// The first of those that an attacker may own: less than a third, so that the chain goes on without them.
const FIRST_FALSE: u64 = 48;
/// Bytes by which each block is larger: half of mainnet's.
const NOISE: usize = 48 << 10;
/// From the start to genesis: two nodes start in it, on a busy machine.
const START_DELAY: u64 = 6;

pub struct Network {
    pub config: Arc<Config>,
    pub genesis: Genesis,
    pub dir: tempfile::TempDir,
    node: RunningNode,
    /// When each block became our head, and its slot.
    heads: Arc<Mutex<HashMap<Hash256, (Slot, Instant)>>>,
    /// Who owns some of the validators, as soon as he makes use of it.
    pub forger: Arc<Forger>,
    validators: Sender<()>,
}

impl Network {
    pub fn start(slot_ms: u64) -> Network {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let config = Arc::new(devnet_config(now + START_DELAY, slot_ms));
        let genesis = interop_genesis(&config, VALIDATORS).expect("a genesis");
        let dir = tempfile::tempdir().unwrap();
        let node = smol::block_on(hornero::node::start(node_config(&config, &genesis, dir.path()))).expect("it starts");
        let heads: Arc<Mutex<HashMap<Hash256, (Slot, Instant)>>> = Arc::default();
        let (events, noted) = (node.chain.subscribe(), heads.clone());
        smol::spawn(async move {
            while let Ok(event) = events.recv().await {
                if let ChainEvent::Head { block, slot, .. } = event {
                    noted.lock().unwrap().insert(block, (slot, Instant::now()));
                }
            }
        })
        .detach();
        let run = |keys: &Arc<InteropKeys>| {
            let (client, stop) = async_channel::bounded(1);
            let duties = ValidatorConfig {
                beacon_url: format!("http://{}", node.http),
                keys: keys.clone(),
                config: config.clone(),
                genesis_validators_root: genesis.state.genesis_validators_root,
                genesis_time: config.min_genesis_time,
            };
            smol::spawn(validator::run(duties, stop)).detach();
            client
        };
        let validators = run(&Arc::new(InteropKeys::new(0..FIRST_FALSE)));
        let keys = Arc::new(InteropKeys::new(FIRST_FALSE..VALIDATORS));
        let forger = Arc::new(Forger::new(node.chain.clone(), keys.clone(), NOISE, run(&keys)));
        Network { config, genesis, dir, node, heads, forger, validators }
    }

    /// For `--boot-nodes`.
    pub fn address(&self) -> String {
        format!("{}/p2p/{}", self.node.network.listen_addrs()[0], self.node.network.peer_id())
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.node.chain.snapshot()
    }

    /// The head's block, which the node under attack has, too.
    pub fn head_block(&self) -> SignedBeaconBlock {
        let root = self.snapshot().head_root;
        self.node.chain.database().block(root).expect("the disk works").expect("it is stored")
    }

    pub fn slot(&self) -> Slot {
        self.node.chain.clock().slot()
    }

    /// Whether a block was ever our head.
    pub fn was_head(&self, root: &Hash256) -> bool {
        self.heads.lock().unwrap().contains_key(root)
    }

    /// Our heads of these slots, and since when each was it.
    pub fn heads_of(&self, slots: RangeInclusive<Slot>) -> Vec<(Slot, Instant)> {
        let heads = self.heads.lock().unwrap();
        heads.values().filter(|(slot, _)| slots.contains(slot)).copied().collect()
    }

    /// All blocks that were ever our head.
    pub fn roots(&self) -> Vec<Hash256> {
        self.heads.lock().unwrap().keys().copied().collect()
    }

    /// What limits of gossip are worked out from.
    pub fn size(&self) -> NetworkSize {
        let slot = Duration::from_millis(self.config.slot_duration_ms);
        NetworkSize { slot, active_validators: VALIDATORS }
    }

    pub fn fork_digest(&self) -> ForkDigest {
        let blobs = self.config.get_blob_parameters(0);
        let root = self.genesis.state.genesis_validators_root;
        compute_fork_digest(self.config.fork_version(0), root, Some((blobs.epoch, blobs.max_blobs_per_block)))
    }

    /// A folder for `--network`, and the files for `--checkpoint-state` and `--checkpoint-block`.
    pub fn write(&self) -> [String; 3] {
        let folder = self.dir.path().join("network");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.yaml"), yaml(&self.config)).unwrap();
        let state = &self.genesis.state;
        let files = [folder.clone(), self.dir.path().join("state.ssz"), self.dir.path().join("block.ssz")];
        std::fs::write(&files[1], state.to_ssz_bytes()).unwrap();
        std::fs::write(&files[2], self.genesis.block.as_ssz_bytes()).unwrap();
        files.map(|path| path.to_str().expect("UTF-8").to_owned())
    }

    pub fn stop(self) {
        drop(self.validators);
        smol::block_on(self.node.stop());
    }
}

fn node_config(config: &Arc<Config>, genesis: &Genesis, dir: &Path) -> NodeConfig {
    let Genesis { state, block } = genesis.clone();
    let network = hornero::node::Network::local(config.clone(), state.genesis_validators_root);
    let checkpoint = CheckpointChoice::Anchor(Box::new(state), Box::new(block));
    let engine = Engine::StandIn(StandIn::default().with_noise(NOISE));
    NodeConfig { listen_quic: Vec::new(), engine, ..NodeConfig::on_loopback(network, dir.join("maker"), checkpoint) }
}

/// What differs from the preset's own configuration.
fn yaml(config: &Config) -> String {
    let mut lines = vec![
        format!("PRESET_BASE: {}", preset::PRESET_BASE),
        format!("CONFIG_NAME: {}", config.config_name),
        format!("MIN_GENESIS_TIME: {}", config.min_genesis_time),
        "GENESIS_DELAY: 0".into(),
        format!("SLOT_DURATION_MS: {}", config.slot_duration_ms),
        format!("CHURN_LIMIT_QUOTIENT: {}", config.churn_limit_quotient),
        format!("MIN_PER_EPOCH_CHURN_LIMIT_ELECTRA: {}", config.min_per_epoch_churn_limit_electra),
        format!("MAX_PER_EPOCH_ACTIVATION_EXIT_CHURN_LIMIT: {}", config.max_per_epoch_activation_exit_churn_limit),
        format!("SHARD_COMMITTEE_PERIOD: {}", config.shard_committee_period),
        format!("ETH1_FOLLOW_DISTANCE: {}", config.eth1_follow_distance),
        format!("GENESIS_FORK_VERSION: {}", config.genesis_fork_version),
        "BLOB_SCHEDULE: []".into(),
    ];
    let forks = [
        ("ALTAIR", config.altair_fork_version),
        ("BELLATRIX", config.bellatrix_fork_version),
        ("CAPELLA", config.capella_fork_version),
        ("DENEB", config.deneb_fork_version),
        ("ELECTRA", config.electra_fork_version),
        ("FULU", config.fulu_fork_version),
    ];
    for (fork, version) in forks {
        lines.push(format!("{fork}_FORK_VERSION: {version}\n{fork}_FORK_EPOCH: 0"));
    }
    lines.join("\n") + "\n"
}
