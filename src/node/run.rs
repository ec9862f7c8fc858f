//! A running node: its rooms wired together, supervised, and stopped in order.

use std::{
    fs,
    io::IsTerminal,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_channel::Receiver;
use futures::{FutureExt, future::BoxFuture};
use smol::net::TcpListener;
use tracing::{info, warn};

use super::{
    bridge,
    budget::{Caches, Keeper, MemoryLimit},
    execution, first_head,
    forks::{NotFollowed, check_followed, forks_at},
    networks::{Network, NetworkError},
    slot_log,
    supervisor::{GaveUp, supervise, watch},
};
use crate::{
    api::{self, ApiContext},
    chain::{
        self, Capacities, Chain, ChainConfig, ChainHandle, ChainInputs, ChainTask, Start, StartError,
        checkpoint::{self, Anchor, CheckpointError, Expectations, Progress, Sources},
        pools::Pools,
        produce::Producer,
    },
    db::{Database, DbConfig, DbError},
    engine::{Engine, ExecutionClient, Secret},
    metrics::{self, Exporter},
    p2p::{self, BudgetConfig, DiscoveryConfig, Exempt, NetworkSize, P2pConfig, P2pError, P2pHandle},
    types::{BeaconState, Hash256, SignedBeaconBlock, preset::SLOTS_PER_EPOCH},
};

/// What the chain wants of the network and has not been told yet: verdicts above all, hundreds in a slot.
const NETWORK_COMMANDS: usize = 512;
/// Time between two rounds of the metrics' housekeeping.
const UPKEEP: Duration = Duration::from_secs(5);
/// Time between two lines about a download, in a log.
const LOG_PROGRESS: Duration = Duration::from_secs(3);
/// Time that a stop may take before what is left is dropped; the service manager waits longer.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);
/// Slots for which a gossip message's id is remembered: two epochs, as the specification has it.
const SEEN_SLOTS: u32 = 2 * SLOTS_PER_EPOCH as u32;
/// Slots between two exchanges of status with a peer: often enough to see that it went ahead, seldom enough to cost nothing.
const STATUS_SLOTS: u32 = 10;
/// Peers of a node on this machine's own network: all of them.
const LOCAL_PEERS: usize = 32;
/// File that names the network of a data directory, for networks whose root is known from their checkpoint only.
const ROOT_FILE: &str = "genesis_validators_root";

/// Where a node starts when its data directory is empty.
pub enum CheckpointChoice {
    /// From a state and its block at hand: a new network's genesis.
    Anchor(Box<BeaconState>, Box<SignedBeaconBlock>),
    /// From beacon nodes' APIs.
    Sources(Sources),
    /// From files: the state's and the block's.
    Files(PathBuf, PathBuf),
}

/// What a node needs to know.
pub struct NodeConfig {
    /// The network.
    pub network: Network,
    /// Folder for its data; made when it does not exist.
    pub datadir: PathBuf,
    /// Where to start.
    pub checkpoint: CheckpointChoice,
    /// Root of the checkpoint's block, if only one will do.
    pub checkpoint_root: Option<Hash256>,
    /// Accept a checkpoint that is too old.
    pub ignore_weak_subjectivity: bool,
    /// Peers to stay connected to: ENR or multiaddr.
    pub boot_nodes: Vec<String>,
    /// Where peers connect by TCP.
    pub listen: Vec<SocketAddr>,
    /// Where peers connect by QUIC; without any, QUIC is off.
    pub listen_quic: Vec<SocketAddr>,
    /// The address that others are told, if it is not the one we listen on.
    pub external_ip: Option<IpAddr>,
    /// How other peers are found; none: only those that we were told, and those who come.
    pub discovery: Option<Finding>,
    /// Whether the router is asked to let others in.
    pub upnp: bool,
    /// Where the API answers.
    pub http: SocketAddr,
    /// How much of the line may be used.
    pub budget: BudgetConfig,
    /// Peers to be connected to.
    pub target_peers: usize,
    /// Addresses that may connect any number of peers and are never banned.
    pub exempt_addresses: Exempt,
    /// The execution client or its stand-in.
    pub engine: Engine,
    /// Resident memory near which caches shrink; none where several nodes share a process.
    pub memory: Option<MemoryLimit>,
    /// Whether to fetch the blocks before the checkpoint that peers may ask for.
    pub backfill: bool,
    /// Whether old blocks are stored without payloads that the execution client keeps.
    pub prune_payloads: bool,
    /// Whether a line is logged for each slot.
    pub log_slots: bool,
}

/// How peers are found.
pub struct Finding {
    /// UDP port; that of TCP by default.
    pub port: Option<u16>,
    /// Records with which it begins, besides the network's.
    pub boot_nodes: Vec<String>,
}

impl NodeConfig {
    /// A node of a network on this machine: free ports of the loopback interface, and no peers but those that it is told.
    pub fn on_loopback(network: Network, datadir: PathBuf, checkpoint: CheckpointChoice) -> NodeConfig {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        NodeConfig {
            network,
            datadir,
            checkpoint,
            checkpoint_root: None,
            ignore_weak_subjectivity: false,
            boot_nodes: Vec::new(),
            listen: vec![any_port],
            listen_quic: vec![any_port],
            external_ip: Some(any_port.ip()),
            discovery: None,
            upnp: false,
            http: any_port,
            budget: BudgetConfig::default(),
            target_peers: LOCAL_PEERS,
            exempt_addresses: Exempt::default(),
            engine: Engine::StandIn(Default::default()),
            memory: None,
            backfill: false,
            prune_payloads: true,
            log_slots: false,
        }
    }
}

/// Why a node did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The network can't be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The checkpoint was refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The chain can't start.
    #[error(transparent)]
    Chain(#[from] StartError),
    /// The data directory can't be used.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The network can't be reached.
    #[error(transparent)]
    P2p(#[from] P2pError),
    /// The API's port can't be used.
    #[error("cannot answer on {addr}: {source}. Is another node running? Choose another port with --http-port")]
    Http {
        /// The address.
        addr: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The data directory can't be made or read.
    #[error("{path}: {source}")]
    Datadir {
        /// Which file or folder.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The network is in a fork in which this program can't be a peer.
    #[error(transparent)]
    Fork(#[from] NotFollowed),
    /// A task failed for good.
    #[error("the {task} task failed and can't go on: {reason}")]
    Task {
        /// Which.
        task: &'static str,
        /// Why.
        reason: String,
    },
}

/// A node that runs.
pub struct RunningNode {
    /// Its chain.
    pub chain: ChainHandle,
    /// Its network.
    pub network: P2pHandle,
    /// Where its API answers.
    pub http: SocketAddr,
    gave_up: Receiver<GaveUp>,
    /// Held so that the chain's tasks do not take the network's end for a failure while the node stops.
    inputs: ChainInputs,
    tasks: Vec<smol::Task<()>>,
}

/// Starts a node on smol's global executor. Returns when it follows its chain and answers.
pub async fn start(config: NodeConfig) -> Result<RunningNode, NodeError> {
    let exporter = metrics::install();
    let (db, start) = open(&config).await?;
    let (network_sender, network_commands) = async_channel::bounded(NETWORK_COMMANDS);
    let (execution, answers) = execution::queue(config.engine.clone(), config.network.config.clone()).unzip();
    let pools = Pools::default();
    let node_id = Some(p2p::node_id(&network_key(&config))?);
    let chain_config = ChainConfig {
        config: config.network.config.clone(),
        db,
        start,
        node_id,
        clock: None,
        network: network_sender,
        execution,
        pools: Some(pools.verified),
        capacities: Capacities::default(),
        backfill: config.backfill,
        prune_payloads: config.prune_payloads,
    };
    let Chain { handle, inputs, tasks } = smol::unblock(move || chain::start(chain_config)).await?;
    let started = Instant::now();
    let (network, events) = start_network(&config, &handle).await?;
    let listener = TcpListener::bind(config.http).await;
    let listener = listener.map_err(|source| NodeError::Http { addr: config.http, source })?;
    let http = listener.local_addr().map_err(|source| NodeError::Http { addr: config.http, source })?;
    let caches = Caches::new(&handle, &pools.handle, &network, &events, &inputs);
    let producer = Producer::new(handle.clone(), pools.handle, config.engine.clone());
    let ahead = producer.clone();
    let context = api_context(&handle, &network, producer, exporter.clone());
    let caches = caches.with_api(context.body_bytes.clone());

    let (gave_up_sender, gave_up) = async_channel::bounded(1);
    let supervised = |task: ChainTask| smol::spawn(supervise(task.into(), gave_up_sender.clone()));
    let mut running: Vec<smol::Task<()>> = tasks.into_iter().chain([pools.task]).map(supervised).collect();
    running.push(smol::spawn(first_head::tell(handle.clone(), network.clone(), started)));
    let mut watched = |name, work: BoxFuture<'static, ()>| {
        running.push(smol::spawn(watch(name, work, gave_up_sender.clone())));
    };
    if let Some(answers) = answers {
        watched("execution", answers);
    }
    if let Engine::Client(client) = &config.engine {
        let (client, chain) = (client.clone(), handle.clone());
        let check = async move {
            let check = execution::check::run(client, chain.config(), chain.genesis_time(), execution::check::say);
            match check.await {}
        };
        watched("execution check", check.boxed());
        watched("payloads ahead", async move { match ahead.prepare_payloads().await {} }.boxed());
    }
    watched("network", bridge::network_to_chain(events, inputs.clone(), config.network.config.clone()).boxed());
    watched(
        "network commands",
        bridge::chain_to_network(network_commands, network.clone(), config.network.config.clone()).boxed(),
    );
    watched("API", async move { match api::serve(listener, context).await {} }.boxed());
    watched("slot", each_slot(handle.clone(), network.clone(), config.log_slots).boxed());
    watched("metrics", upkeep(exporter).boxed());
    if let Some(limit) = &config.memory {
        let keeper = Keeper::new(handle.clone(), limit);
        keeper.begin(limit.why).await;
        watched("memory", keeper.run(caches).boxed());
    }
    Ok(RunningNode { chain: handle, network, http, gave_up, inputs, tasks: running })
}

impl RunningNode {
    /// Returns only when a task has failed for good.
    pub async fn failed(&self) -> NodeError {
        match self.gave_up.recv().await {
            Ok(GaveUp { task, reason }) => NodeError::Task { task, reason },
            Err(_) => std::future::pending().await,
        }
    }

    /// Says goodbye to peers, writes what is to be kept, and ends. Takes a few seconds at most.
    pub async fn stop(self) {
        let orderly = async {
            self.network.shutdown().await;
            if let Err(error) = self.chain.shutdown().await {
                warn!("not everything could be written at the end: {error}");
            }
        };
        let late = async {
            smol::Timer::after(STOP_TIMEOUT).await;
            warn!("the stop took too long: what was not written is fetched again at the next start");
        };
        smol::future::or(orderly, late).await;
        // A task that sees another one end would call that a failure.
        self.gave_up.close();
        futures::future::join_all(self.tasks.into_iter().map(smol::Task::cancel)).await;
        drop(self.inputs);
    }
}

/// Opens the data directory; fetches a checkpoint when it holds no chain.
async fn open(config: &NodeConfig) -> Result<(Database, Start), NodeError> {
    let datadir_error = |path: &Path| {
        let path = path.display().to_string();
        move |source| NodeError::Datadir { path, source }
    };
    fs::create_dir_all(&config.datadir).map_err(datadir_error(&config.datadir))?;
    let known = config.network.genesis_validators_root.or_else(|| read_root(&config.datadir));
    if let Some(root) = known {
        let db = open_database(config, root).await?;
        if db.anchor()?.is_some() {
            info!("going on with the chain in {}", config.datadir.display());
            return Ok((db, Start::Resume));
        }
        // Closed again, because fetching takes long and may fail.
        db.close()?;
    }
    let anchor = fetch_anchor(config).await?;
    let root = anchor.state.genesis_validators_root;
    let root_file = config.datadir.join(ROOT_FILE);
    fs::write(&root_file, format!("{root:?}\n")).map_err(datadir_error(&root_file))?;
    let db = open_database(config, root).await?;
    info!("starting from block {:?} at slot {}", anchor.root, anchor.state.slot);
    Ok((db, Start::Checkpoint { state: Box::new(anchor.state), block: Box::new(anchor.block) }))
}

fn read_root(datadir: &Path) -> Option<Hash256> {
    fs::read_to_string(datadir.join(ROOT_FILE)).ok()?.trim().parse().ok()
}

async fn open_database(config: &NodeConfig, genesis_validators_root: Hash256) -> Result<Database, NodeError> {
    let path = config.datadir.join("chain");
    let db_config = DbConfig::new(genesis_validators_root, config.network.config.clone());
    let (db, report) = smol::unblock(move || Database::open(&path, &db_config)).await?;
    if !report.is_clean() {
        warn!("the last stop was not a clean one; the data directory was put in order: {report:?}");
    }
    Ok(db)
}

async fn fetch_anchor(config: &NodeConfig) -> Result<Anchor, CheckpointError> {
    let network = config.network.clone();
    let (block_root, ignore_weak_subjectivity) = (config.checkpoint_root, config.ignore_weak_subjectivity);
    let expected = move |work: &dyn Fn(&Expectations) -> Result<Anchor, CheckpointError>| {
        work(&Expectations {
            config: &network.config,
            genesis_validators_root: network.genesis_validators_root,
            block_root,
            now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            ignore_weak_subjectivity,
        })
    };
    match &config.checkpoint {
        CheckpointChoice::Anchor(state, block) => {
            let root = block.root();
            Ok(Anchor { state: (**state).clone(), block: (**block).clone(), root })
        }
        CheckpointChoice::Files(state, block) => {
            let (state, block) = (state.clone(), block.clone());
            smol::unblock(move || expected(&|e| checkpoint::from_files(&state, &block, e))).await
        }
        CheckpointChoice::Sources(sources) => {
            info!("fetching the finalized state from {}", sources.urls.first().map_or("nowhere", String::as_str));
            let sources = sources.clone();
            smol::unblock(move || expected(&|e| checkpoint::fetch(&sources, e, show_progress()))).await
        }
    }
}

/// Shows a download: in place on a terminal, otherwise a line now and then.
fn show_progress() -> impl FnMut(Progress) {
    let is_terminal = std::io::stderr().is_terminal();
    let mut logged = Duration::ZERO;
    move |progress| {
        let is_end = progress.total == Some(progress.bytes);
        if is_terminal {
            eprint!("\r\x1b[Kcheckpoint state: {progress}{}", if is_end { "\n" } else { "" });
        } else if is_end || progress.elapsed >= logged + LOG_PROGRESS {
            logged = progress.elapsed;
            info!("checkpoint state: {progress}");
        }
    }
}

/// The file of our key on the network.
fn network_key(config: &NodeConfig) -> PathBuf {
    config.datadir.join("network_key")
}

async fn start_network(config: &NodeConfig, chain: &ChainHandle) -> Result<(P2pHandle, p2p::P2pEvents), NodeError> {
    check_followed(chain.config(), chain.clock().epoch())?;
    let forks = forks_at(chain.config(), chain.genesis_validators_root(), chain.clock().epoch());
    let status = bridge::status_of_ours(chain.status());
    let slot = Duration::from_millis(chain.config().slot_duration_ms);
    let discovery = config.discovery.as_ref().map(|finding| DiscoveryConfig {
        port: finding.port,
        boot_nodes: config.network.boot_nodes.iter().chain(&finding.boot_nodes).cloned().collect(),
        private_addresses: !config.network.is_public,
        peers_file: config.datadir.join("peers"),
        chain: config.network.config.clone(),
    });
    let network = P2pConfig {
        listen: config.listen.clone(),
        listen_quic: config.listen_quic.clone(),
        external_ip: config.external_ip,
        boot_nodes: config.boot_nodes.clone(),
        discovery,
        upnp: config.upnp,
        max_peers: config.target_peers,
        exempt_addresses: config.exempt_addresses.clone(),
        budget: config.budget,
        network_size: NetworkSize { slot, active_validators: active_validators(chain) },
        seen_ttl: slot * SEEN_SLOTS,
        status_interval: slot * STATUS_SLOTS,
        ..P2pConfig::new(network_key(config), forks, status)
    };
    Ok(p2p::start(network).await?)
}

/// How many validators attest; as many as there are, if nobody has looked yet.
fn active_validators(chain: &ChainHandle) -> u64 {
    let state = chain.snapshot().head_state.clone();
    let shuffling = state.caches.shuffling(state.current_epoch());
    shuffling.map_or(state.validators.len() as u64, |shuffling| shuffling.shuffled.len() as u64)
}

fn api_context(chain: &ChainHandle, network: &P2pHandle, producer: Producer, exporter: Exporter) -> ApiContext {
    let (chain, network) = (chain.clone(), super::info::network_info(network));
    ApiContext { chain, producer, network, exporter, body_bytes: Default::default() }
}

/// In each slot: the network's fork as it begins, then the line and the gauges.
async fn each_slot(chain: ChainHandle, network: P2pHandle, log_slots: bool) {
    let clock = chain.clock().clone();
    let mut forks = forks_at(chain.config(), chain.genesis_validators_root(), clock.epoch());
    loop {
        let next = clock.slot() + 1;
        clock.until(clock.start_of(next)).await;
        let now = forks_at(chain.config(), chain.genesis_validators_root(), clock.epoch());
        if now != forks {
            if now.current != forks.current {
                info!("the chain is in another fork now: topics change to {}", now.current);
            } else if now.also.len() > forks.also.len() {
                info!("a fork is near: we listen to its topics, too ({})", now.next_digest);
            }
            network.set_forks(now.clone());
            forks = now;
        }
        if next.is_multiple_of(SLOTS_PER_EPOCH) {
            network.set_active_validators(active_validators(&chain));
        }
        // Late in the slot, when its block should have come.
        clock.until(clock.start_of(next) + clock.slot_ms() / 2).await;
        let peers = network.peers().await.len();
        if log_slots {
            slot_log::log(&chain.snapshot(), chain.has_execution_client(), peers);
        }
    }
}

async fn upkeep(exporter: Exporter) {
    loop {
        smol::Timer::after(UPKEEP).await;
        exporter.run_upkeep();
    }
}

/// `hornero node`: runs until SIGINT or SIGTERM, or until a task fails for good.
///
/// # Errors
/// Why it did not start, or could not go on; a sentence for the user.
pub fn until_signal(arguments: super::NodeArguments) -> Result<(), String> {
    let config = node_config(arguments)?;
    smol::block_on(async {
        let mut signals = async_signal::Signals::new([async_signal::Signal::Int, async_signal::Signal::Term])
            .map_err(|error| format!("signals can't be caught: {error}"))?;
        let stop_asked = async {
            use futures::StreamExt;
            let signal = signals.next().await;
            info!(
                "stopping ({})",
                if matches!(signal, Some(Ok(async_signal::Signal::Int))) { "SIGINT" } else { "SIGTERM" }
            );
            Ok(None)
        };
        let started = async { start(config).await.map(Some).map_err(|error| error.to_string()) };
        let mut stop_asked = std::pin::pin!(stop_asked);
        // A download in progress is simply dropped: nothing of it is kept.
        let Some(node) = smol::future::or(stop_asked.as_mut(), started).await? else { return Ok(()) };
        info!("{}", greeting(&node));
        let failed = async { Err(node.failed().await.to_string()) };
        let end = smol::future::or(async { stop_asked.await.map(drop) }, failed).await;
        node.stop().await;
        info!("stopped");
        end
    })
}

fn greeting(node: &RunningNode) -> String {
    let enr = node.network.local_enr().to_base64();
    format!("API and metrics at http://{}; our record is {enr}", node.http)
}

fn node_config(arguments: super::NodeArguments) -> Result<NodeConfig, String> {
    let engine = execution_client(&arguments)?;
    let memory = MemoryLimit::of_machine(arguments.memory_limit).map_err(|e| format!("--memory-limit: {e}"))?;
    let network = Network::load(&arguments.network).map_err(|error| error.to_string())?;
    let checkpoint = match (arguments.checkpoint_state, arguments.checkpoint_block, arguments.checkpoint_sync_url) {
        (Some(state), Some(block), None) => CheckpointChoice::Files(state, block),
        (None, None, Some(urls)) => {
            let urls = split(&urls);
            if let Some(wrong) = urls.iter().find(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
                return Err(format!("--checkpoint-sync-url {wrong}: an address begins with http:// or https://"));
            }
            CheckpointChoice::Sources(Sources { urls, may_fail: false, stall_timeout: None })
        }
        (None, None, None) => {
            let urls: Vec<String> = network.checkpoint_providers.iter().map(|url| url.to_string()).collect();
            if !urls.is_empty() && !arguments.datadir.join("chain").exists() {
                info!("no --checkpoint-sync-url: using the public providers {}", urls.join(", "));
            }
            CheckpointChoice::Sources(Sources { urls, may_fail: true, stall_timeout: None })
        }
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            return Err("give either --checkpoint-sync-url or --checkpoint-state and --checkpoint-block".into());
        }
        _ => return Err("--checkpoint-state and --checkpoint-block belong together".into()),
    };
    let families = listen_addresses(&arguments.listen_address);
    let on_each = |port: u16| families.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
    // As others have it; port 0 takes free ones for both.
    let next_port = if arguments.port == 0 { Some(0) } else { arguments.port.checked_add(1) };
    let quic_port =
        arguments.quic_port.or(next_port).ok_or("--port 65535 leaves no port for QUIC: give --quic-port")?;
    Ok(NodeConfig {
        network,
        datadir: arguments.datadir,
        checkpoint,
        checkpoint_root: arguments.checkpoint_root,
        ignore_weak_subjectivity: arguments.ignore_ws_check,
        boot_nodes: arguments.boot_nodes.as_deref().map(split).unwrap_or_default(),
        listen: on_each(arguments.port),
        listen_quic: if arguments.disable_quic { Vec::new() } else { on_each(quic_port) },
        external_ip: arguments.enr_address,
        discovery: (!arguments.no_discovery)
            .then(|| Finding { port: arguments.discovery_port, boot_nodes: Vec::new() }),
        upnp: !arguments.no_upnp,
        http: SocketAddr::new(arguments.http_address, arguments.http_port),
        budget: BudgetConfig {
            download: arguments.max_download.or(arguments.max_bandwidth).map(|rate| rate.0),
            upload: arguments.max_upload.or(arguments.max_bandwidth).map(|rate| rate.0),
            data_cap: arguments.data_cap.map(|cap| cap.0),
        },
        target_peers: arguments.target_peers,
        exempt_addresses: arguments.exempt_addresses,
        backfill: !arguments.no_backfill,
        prune_payloads: arguments.prune_payloads,
        engine,
        memory: Some(memory),
        log_slots: true,
    })
}

/// The execution client of the command line. Its secret is made if there is none.
fn execution_client(arguments: &super::NodeArguments) -> Result<Engine, String> {
    let Some(url) = &arguments.execution_endpoint else {
        // The chain says what that means.
        return Ok(Engine::None);
    };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(format!("--execution-endpoint {url}: an address begins with http:// or https://"));
    }
    let path = arguments.execution_jwt.clone().unwrap_or_else(|| arguments.datadir.join("jwt.hex"));
    if arguments.execution_jwt.is_none() {
        fs::create_dir_all(&arguments.datadir).map_err(|error| format!("{}: {error}", arguments.datadir.display()))?;
    }
    let (secret, is_new) = Secret::load_or_make(&path).map_err(|error| error.to_string())?;
    if is_new {
        info!("made {} for the execution client: start that with the same file", path.display());
    }
    Ok(Engine::Client(ExecutionClient::new(url, secret)))
}

/// Where to listen: everywhere over IPv4 if nothing is said, over both families if only `::` is.
fn listen_addresses(given: &[IpAddr]) -> Vec<IpAddr> {
    let everywhere = IpAddr::from([0, 0, 0, 0]);
    match given {
        [] => vec![everywhere],
        [IpAddr::V6(ip)] if ip.is_unspecified() => vec![everywhere, given[0]],
        _ => given.to_vec(),
    }
}

/// The items of a list with commas, without blanks.
fn split(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(String::from).collect()
}

#[cfg(test)]
mod tests;
