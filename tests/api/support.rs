//! A chain with its API on a port of its own, and a client.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock, atomic::AtomicBool},
};

use async_channel::Receiver;
use hornero::{
    api::{
        ApiContext, Ban, Direction, Identity, Limits, MetaData, NetworkInfo, Peer, PeerDetail, PeerDetails, PeerState,
        serve_with,
    },
    chain::{
        Capacities, ChainConfig, ChainHandle, ChainInputs, Clock, ExecutionCommand, ExecutionQueue, PayloadVerdict,
        Start, network::NetworkCommand, pools::Pools, produce::Producer, start,
    },
    db::{Database, DbConfig},
    engine::{BlobsBundle, Engine, StandIn},
    metrics,
    node::{
        blobs::made_up_blobs,
        genesis::{Genesis, devnet_config, interop_genesis},
    },
    types::{BeaconState, Config, SignedBeaconBlock},
};
use serde_json::Value;

/// When the chains of these tests begin, in seconds since 1970.
pub const GENESIS_TIME: u64 = 1_800_000_000;
/// Validators of a chain from genesis, with the interop keys.
pub const VALIDATORS: u64 = 16;
/// What the network is told that nobody has read yet.
const NETWORK_COMMANDS: usize = 1024;

/// Made once: each takes a while to prove.
pub fn blobs() -> &'static BlobsBundle {
    static BLOBS: OnceLock<BlobsBundle> = OnceLock::new();
    BLOBS.get_or_init(|| made_up_blobs(2).unwrap())
}

/// A node without a network. All ends when this is dropped.
pub struct Node {
    pub chain: ChainHandle,
    pub clock: Clock,
    pub network: Receiver<NetworkCommand>,
    address: SocketAddr,
    /// What the network would feed: the chain's tasks end when nobody can any more.
    _inputs: ChainInputs,
    _tasks: Vec<smol::Task<()>>,
    _dir: tempfile::TempDir,
}

/// What a server said.
pub struct Reply {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        let text = || String::from_utf8_lossy(&self.body).into_owned();
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Node {
    /// A chain at the start of its first slot, with the default limits.
    pub fn at_genesis() -> Node {
        Node::limited(Limits::default())
    }

    /// A chain at the start of its first slot.
    pub fn limited(limits: Limits) -> Node {
        let (config, genesis, clock) = first_slot();
        Node::start(config, genesis.state, genesis.block, clock, limits)
    }

    /// A chain at the start of its first slot that has no execution client.
    pub fn without_client() -> Node {
        let (config, genesis, clock) = first_slot();
        Node::start_with(config, genesis.state, genesis.block, clock, Limits::default(), false)
    }

    /// A chain from a checkpoint.
    pub fn start(config: Config, state: BeaconState, block: SignedBeaconBlock, clock: Clock, limits: Limits) -> Node {
        Node::start_with(config, state, block, clock, limits, true)
    }

    fn start_with(
        config: Config,
        state: BeaconState,
        block: SignedBeaconBlock,
        clock: Clock,
        limits: Limits,
        has_client: bool,
    ) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let config = Arc::new(config);
        let db_config = DbConfig::new(state.genesis_validators_root, config.clone());
        let (db, _) = Database::open(dir.path(), &db_config).unwrap();
        let (network_in, network) = async_channel::bounded(NETWORK_COMMANDS);
        let pools = Pools::default();
        let chain = start(ChainConfig {
            config,
            db,
            start: Start::Checkpoint { state: Box::new(state), block: Box::new(block) },
            node_id: Some([7; 32]),
            clock: Some(clock.clone()),
            network: network_in,
            execution: has_client.then(contented),
            pools: Some(pools.verified.clone()),
            capacities: Capacities::default(),
            backfill: false,
            prune_payloads: false,
        })
        .unwrap();
        let engine = if has_client { Engine::StandIn(StandIn::with_blobs(blobs().clone())) } else { Engine::None };
        let producer = Producer::new(chain.handle.clone(), pools.handle.clone(), engine);
        let context = ApiContext {
            chain: chain.handle.clone(),
            producer,
            network: NetworkInfo { identity: Box::new(identity), peers: Box::new(peers), details: Box::new(details) },
            exporter: metrics::install(),
            body_bytes: Default::default(),
        };
        let all = chain.tasks.into_iter().chain([pools.task]);
        let mut tasks: Vec<_> = all.map(|task| smol::spawn(async move { (task.start)().await.unwrap() })).collect();
        let listener = smol::block_on(smol::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        tasks.push(smol::spawn(async move { match serve_with(listener, context, limits).await {} }));
        Node { chain: chain.handle, clock, network, address, _inputs: chain.inputs, _tasks: tasks, _dir: dir }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn get(&self, path: &str) -> Reply {
        self.get_as(path, "*/*")
    }

    pub fn get_as(&self, path: &str, accept: &str) -> Reply {
        reply(agent().get(self.url(path)).header("accept", accept).call().unwrap())
    }

    /// The `data` of a good answer.
    pub fn data(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()["data"].take()
    }

    /// Sends a body as validator clients do: in chunks.
    pub fn post(&self, path: &str, content_type: &str, mut body: &[u8]) -> Reply {
        let request = agent().post(self.url(path)).header("content-type", content_type);
        let request = request.header("eth-consensus-version", "fulu");
        reply(request.send(ureq::SendBody::from_reader(&mut body)).unwrap())
    }

    pub fn post_json(&self, path: &str, body: &impl serde::Serialize) -> Reply {
        self.post(path, "application/json", &serde_json::to_vec(body).unwrap())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn first_slot() -> (Config, Genesis, Clock) {
    let config = devnet_config(GENESIS_TIME, 12_000);
    let genesis = interop_genesis(&config, VALIDATORS).unwrap();
    let clock = Clock::manual(GENESIS_TIME, &config, GENESIS_TIME * 1000 + 12_000);
    (config, genesis, clock)
}

/// An execution client that finds every payload valid and has no blobs.
fn contented() -> ExecutionQueue {
    let (commands, asked) = async_channel::bounded(16);
    smol::spawn(async move {
        while let Ok(command) = asked.recv().await {
            if let ExecutionCommand::NewPayload { reply, .. } | ExecutionCommand::ForkchoiceUpdated { reply, .. } =
                command
            {
                let _ = reply.try_send(PayloadVerdict::Valid);
            }
        }
    })
    .detach();
    ExecutionQueue { commands, is_up: Arc::new(AtomicBool::new(true)), bodies: None }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn reply(mut response: ureq::http::Response<ureq::Body>) -> Reply {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
    Reply { status, headers, body }
}

fn identity() -> Identity {
    Identity {
        peer_id: "16Uiu2HAm5uv2".into(),
        enr: "enr:-abc".into(),
        p2p_addresses: vec!["/ip4/127.0.0.1/tcp/9000/p2p/16Uiu2HAm5uv2".into()],
        discovery_addresses: Vec::new(),
        metadata: MetaData {
            seq_number: 3,
            attnets: "0x0000000000000003".into(),
            syncnets: "0x0f".into(),
            custody_group_count: 4,
        },
    }
}

fn peers() -> Vec<Peer> {
    let peer = |name: &str, direction| Peer {
        peer_id: name.into(),
        enr: None,
        last_seen_p2p_address: "/ip4/127.0.0.1/tcp/9001".into(),
        state: PeerState::Connected,
        direction,
    };
    vec![peer("in", Direction::Inbound), peer("out", Direction::Outbound)]
}

fn details() -> PeerDetails {
    let [_, peer] = &peers()[..] else { unreachable!() };
    let peer = PeerDetail {
        peer: peer.clone(),
        transport: "quic",
        agent: Some("other/1".into()),
        connected_seconds: 5,
        score: -10.0,
        penalties: [("timeout", 2)].into(),
        gossip_score: -3.5,
        received_bytes: 7,
        sent_bytes: 8,
        metadata: None,
        head_slot: Some(9),
        finalized_epoch: None,
        earliest_available_slot: None,
        goodbye: Some(129),
    };
    PeerDetails { peers: vec![peer], bans: vec![Ban { peer_id: "banned".into(), seconds_left: 60 }] }
}
