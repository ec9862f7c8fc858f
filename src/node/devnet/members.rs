//! The nodes of a devnet and their validators.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_channel::Sender;
use futures::future::{join_all, select_all};

use super::super::{
    blobs::made_up_blobs,
    cli::DevnetArguments,
    genesis::{Genesis, devnet_config, interop_genesis},
    networks::Network,
    run::{self, CheckpointChoice, Finding, NodeConfig, NodeError, RunningNode},
};
use crate::{
    chain::checkpoint::Sources,
    engine::{
        BlobsBundle, Engine, ExecutionClient, LatestBlock, Secret, StandIn, StandInOptions, StandInServer, schedule,
    },
    types::{Checkpoint, Config, Hash256, Slot},
    validator::{self, InteropKeys, ValidatorConfig},
};

/// Time from the command to genesis: the nodes start and find each other in it.
const START_DELAY: Duration = Duration::from_secs(4);

/// Blocks of a node's chain that are compared with the others'.
const BRANCH: usize = 64;

/// A running network.
pub(super) struct Devnet {
    /// Who makes the payloads of the stand-ins.
    maker: Engine,
    /// The blobs of its payloads: every second node's stand-in knows them before they are in a block, as if their transactions had
    /// gone round; the others wait for columns.
    blobs: BlobsBundle,
    /// The first payload of all stand-ins' chains.
    genesis: LatestBlock,
    /// The execution clients' stand-ins, one for each node.
    stand_ins: Vec<StandInServer>,
    has_blobs: bool,
    network: Network,
    datadir: PathBuf,
    genesis_time: u64,
    /// Whether nodes know only the first one, and find the others.
    discovery: bool,
    /// Records of nodes in other processes.
    boot_nodes: Vec<String>,
    /// The number of the first node in this process.
    first: usize,
    nodes: Vec<RunningNode>,
    /// Closing it stops the validators.
    validators: Option<Sender<()>>,
    duties: Vec<smol::Task<()>>,
}

/// A node at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// Counted from 1.
    pub number: usize,
    /// The clock's slot.
    pub slot: Slot,
    pub head_slot: Slot,
    pub head_root: Hash256,
    pub justified: Checkpoint,
    pub finalized: Checkpoint,
    pub is_syncing: bool,
    /// How many it is connected to.
    pub peers: usize,
    /// Slots and roots of its last blocks, newest first.
    pub branch: Vec<(Slot, Hash256)>,
}

impl View {
    async fn of(number: usize, node: &RunningNode) -> Self {
        let snapshot = node.chain.snapshot();
        let branch = snapshot.branch(snapshot.head_root).take(BRANCH);
        View {
            number,
            slot: snapshot.slot,
            head_slot: snapshot.head_slot,
            head_root: snapshot.head_root,
            justified: snapshot.justified,
            finalized: snapshot.finalized,
            is_syncing: snapshot.is_syncing,
            branch: branch.map(|(root, block)| (block.slot, root)).collect(),
            peers: node.network.peers().await.len(),
        }
    }

    /// The last block at or before a slot, if it is one of the last.
    pub(super) fn block_at(&self, slot: Slot) -> Option<Hash256> {
        self.branch.iter().find(|(at, _)| *at <= slot).map(|(_, root)| *root)
    }
}

/// What the chain of payloads begins with.
fn first_payload(genesis: &Genesis) -> LatestBlock {
    let header = &genesis.state.latest_execution_payload_header;
    LatestBlock { number: header.block_number, hash: header.block_hash, timestamp: header.timestamp }
}

impl Devnet {
    /// Makes the genesis, starts the nodes, then the validators.
    pub(super) async fn start(arguments: &DevnetArguments, datadir: &Path) -> Result<Self, String> {
        // A whole second, because a state's genesis time is one.
        let genesis_time = arguments.genesis_time.unwrap_or((now() + START_DELAY).as_secs() + 1);
        let config = Arc::new(devnet_config(genesis_time, arguments.slot_ms));
        let (genesis_config, count) = (config.clone(), arguments.validators as u64);
        let genesis = smol::unblock(move || interop_genesis(&genesis_config, count)).await;
        let genesis = genesis.map_err(|error| format!("the genesis can't be made: {error}"))?;
        let network = Network::local(config.clone(), genesis.state.genesis_validators_root);
        let most_blobs = arguments.blobs;
        let blobs = smol::unblock(move || made_up_blobs(most_blobs)).await;
        let blobs = blobs.map_err(|error| format!("the blobs can't be made: {error}"))?;
        let datadir = datadir.to_path_buf();
        let mut devnet = Devnet {
            maker: Engine::StandIn(StandIn::with_blobs(blobs.clone())),
            blobs,
            genesis: first_payload(&genesis),
            stand_ins: Vec::new(),
            has_blobs: arguments.blobs > 0,
            network,
            datadir,
            genesis_time,
            discovery: arguments.discovery || arguments.member.is_some(),
            boot_nodes: arguments.boot_nodes.iter().cloned().collect(),
            first: arguments.member.unwrap_or(1),
            nodes: Vec::new(),
            validators: None,
            duties: Vec::new(),
        };
        for _ in 0..if arguments.member.is_some() { 1 } else { arguments.nodes } {
            let Genesis { state, block } = genesis.clone();
            devnet.add(CheckpointChoice::Anchor(Box::new(state), Box::new(block))).await?;
        }
        devnet.start_validators(&config, genesis.state.genesis_validators_root, arguments);
        Ok(devnet)
    }

    /// One more node, by checkpoint sync from the first one's API.
    pub(super) async fn join(&mut self) -> Result<(), String> {
        let urls = vec![format!("http://{}", self.nodes[0].http)];
        self.add(CheckpointChoice::Sources(Sources { urls, may_fail: false, stall_timeout: None })).await
    }

    async fn add(&mut self, checkpoint: CheckpointChoice) -> Result<(), String> {
        let number = self.first + self.nodes.len();
        let datadir = self.datadir.join(format!("node{number}"));
        let pool = if number.is_multiple_of(2) { self.blobs.clone() } else { BlobsBundle::default() };
        let engine = self.stand_in(&datadir, pool)?;
        let first = self.nodes.first().map(|node| node.network.local_enr().to_base64());
        let finding = Finding { port: None, boot_nodes: self.boot_nodes.iter().cloned().chain(first).collect() };
        let everyone = self.nodes.iter().flat_map(addresses);
        let config = NodeConfig {
            boot_nodes: if self.discovery { Vec::new() } else { everyone.collect() },
            discovery: self.discovery.then_some(finding),
            target_peers: 2 * super::MAX_NODES,
            backfill: true,
            engine,
            ..NodeConfig::on_loopback(self.network.clone(), datadir, checkpoint)
        };
        let failed = |error: NodeError| format!("node {number} did not start: {error}");
        let node = run::start(config).await.map_err(failed)?;
        if number == 1 && self.has_blobs {
            let groups = self.network.config.number_of_custody_groups;
            node.chain.keep_groups(groups).await.map_err(|error| failed(error.into()))?;
        }
        self.nodes.push(node);
        Ok(())
    }

    /// Starts a stand-in for one more node, which speaks to it as to any execution client.
    fn stand_in(&mut self, datadir: &Path, pool: BlobsBundle) -> Result<Engine, String> {
        let failed =
            |error: &dyn std::fmt::Display| format!("the stand-in of an execution client did not start: {error}");
        fs::create_dir_all(datadir).map_err(|error| failed(&error))?;
        let (secret, _) = Secret::load_or_make(&datadir.join("jwt.hex")).map_err(|error| failed(&error))?;
        let config = &self.network.config;
        let options = StandInOptions {
            secret: secret.clone(),
            genesis: self.genesis,
            chain_id: config.deposit_chain_id,
            schedule: schedule(config, self.genesis_time),
            maker: self.maker.clone(),
            pool,
            has_short_slots: true,
        };
        let server =
            StandInServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), options).map_err(|error| failed(&error))?;
        let client = ExecutionClient::new(&server.url(), secret);
        self.stand_ins.push(server);
        Ok(Engine::Client(client))
    }

    /// Shares the validators out evenly, one client for each node.
    fn start_validators(
        &mut self,
        config: &Arc<Config>,
        genesis_validators_root: Hash256,
        arguments: &DevnetArguments,
    ) {
        let (sender, stop) = async_channel::bounded(1);
        let (nodes, count) = (arguments.nodes as u64, arguments.validators as u64);
        for (n, node) in self.nodes.iter().enumerate() {
            let (n, bound) = (self.first - 1 + n, |n: u64| count * n / nodes);
            let config = ValidatorConfig {
                beacon_url: format!("http://{}", node.http),
                keys: Arc::new(InteropKeys::new(bound(n as u64)..bound(n as u64 + 1))),
                config: config.clone(),
                genesis_validators_root,
                genesis_time: self.genesis_time,
            };
            self.duties.push(smol::spawn(validator::run(config, stop.clone())));
        }
        self.validators = Some(sender);
    }

    /// Waits; an error if a node fails meanwhile.
    pub(super) async fn wait(&self, time: Duration) -> Result<(), String> {
        let failures = select_all(self.nodes.iter().map(|node| Box::pin(node.failed())));
        let failed = async {
            let (error, n, _) = failures.await;
            Err(format!("node {} failed: {error}", n + 1))
        };
        let passed = async {
            smol::Timer::after(time).await;
            Ok(())
        };
        smol::future::or(failed, passed).await
    }

    /// All nodes as they are now.
    pub(super) async fn views(&self) -> Vec<View> {
        join_all(self.nodes.iter().enumerate().map(|(n, node)| View::of(self.first + n, node))).await
    }

    /// The records of the nodes, and where their APIs answer.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (String, SocketAddr)> {
        self.nodes.iter().map(|node| (node.network.local_enr().to_base64(), node.http))
    }

    /// The clock's slot.
    pub(super) fn slot(&self) -> Slot {
        self.since_genesis().as_millis() as u64 / self.network.config.slot_duration_ms
    }

    /// Time since genesis; none before.
    pub(super) fn since_genesis(&self) -> Duration {
        now().saturating_sub(Duration::from_secs(self.genesis_time))
    }

    /// Stops the validators, then all nodes at once.
    pub(super) async fn stop(mut self) {
        drop(self.validators.take());
        for task in self.duties {
            task.cancel().await;
        }
        join_all(self.nodes.into_iter().map(RunningNode::stop)).await;
    }
}

/// Where a node's peers find it, with its name.
fn addresses(node: &RunningNode) -> Vec<String> {
    let peer = node.network.peer_id();
    node.network.listen_addrs().into_iter().map(|address| format!("{address}/p2p/{peer}")).collect()
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
