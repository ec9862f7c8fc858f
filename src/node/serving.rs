//! Everything that the Fulu networking page lists, asked of a running node by another one, and by a stranger where our node
//! has no use for the answer: over real sockets, of a chain with blobs that has finalized.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_channel::Receiver;
use ssz::Encode as _;
use tree_hash::TreeHash as _;

use super::{
    CheckpointChoice, Network, NodeConfig, RunningNode,
    blobs::made_up_blobs,
    bridge::status_of_ours,
    genesis::{Genesis, devnet_config, interop_genesis},
    start,
};
use crate::{
    chain::{availability::verify_data_column_sidecar_inclusion_proof, light_client::*},
    crypto::{verify_data_column_sidecar, verify_data_column_sidecar_kzg_proofs},
    engine::{Engine, ExecutionClient, Fault, LatestBlock, Secret, StandIn, StandInOptions, StandInServer, schedule},
    p2p::{Enr, MAX_REQUEST_BLOCKS, MetaData, RpcError, Status, tests::stranger::Stranger},
    types::*,
    validator::{self, InteropKeys, ValidatorConfig},
};

const VALIDATORS: u64 = 32;
const SLOT_MS: u64 = 750;
const START_DELAY: u64 = 5;
const PATIENCE: Duration = Duration::from_secs(240);
/// `ResourceUnavailable`.
const UNAVAILABLE: u8 = 3;
const ALL: u64 = MAX_REQUEST_BLOCKS as u64;
/// Slots that are asked for: on a busy machine the chain may be longer than one answer when it is final.
const SLOTS: u64 = 32;

async fn node(config: &Arc<Config>, engine: &Engine, datadir: &Path, anchor: Genesis, boot: &[Enr]) -> RunningNode {
    let network = Network::local(config.clone(), anchor.state.genesis_validators_root);
    let checkpoint = CheckpointChoice::Anchor(Box::new(anchor.state), Box::new(anchor.block));
    let config = NodeConfig {
        boot_nodes: boot.iter().map(Enr::to_base64).collect(),
        engine: engine.clone(),
        ..NodeConfig::on_loopback(network, datadir.into(), checkpoint)
    };
    start(config).await.expect("it starts")
}

/// A stand-in that keeps payloads, as execution clients do, and is asked over HTTP.
fn execution_client(config: &Config, genesis: &Genesis, maker: &Engine, folder: &Path) -> (StandInServer, Engine) {
    let (secret, _) = Secret::load_or_make(&folder.join("jwt.hex")).unwrap();
    let header = &genesis.state.latest_execution_payload_header;
    let (number, hash, timestamp) = (header.block_number, header.block_hash, header.timestamp);
    let options = StandInOptions {
        secret: secret.clone(),
        genesis: LatestBlock { number, hash, timestamp },
        chain_id: config.deposit_chain_id,
        schedule: schedule(config, genesis.state.genesis_time),
        maker: maker.clone(),
        pool: Default::default(),
        has_short_slots: true,
    };
    let server = StandInServer::start(([127, 0, 0, 1], 0).into(), options).unwrap();
    let client = ExecutionClient::new(&server.url(), secret);
    (server, Engine::Client(client))
}

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let late = async {
        smol::Timer::after(PATIENCE).await;
        panic!("{what}: not within {PATIENCE:?}")
    };
    smol::future::or(work, late).await
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    in_time(what, async {
        while !is_so().await {
            smol::Timer::after(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// How often a finality update of others was found good and passed on, in this process.
async fn finality_updates_accepted(node: &RunningNode) -> f64 {
    let url = format!("http://{}/metrics", node.http);
    let text = smol::unblock(move || ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap()).await;
    let is_it = |line: &&str| {
        line.starts_with("hornero_gossip_verdicts_total")
            && line.contains("\"light_client_finality_update\"")
            && line.contains("\"accept\"")
    };
    text.lines().find(is_it).map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

async fn all<T>(answer: Receiver<Result<T, RpcError>>) -> Vec<T> {
    in_time("an answer", async {
        let mut items = Vec::new();
        while let Ok(item) = answer.recv().await {
            items.push(item.unwrap_or_else(|error| panic!("after {} items: {error}", items.len())));
        }
        items
    })
    .await
}

#[test]
fn everything_that_peers_may_ask_for_is_served() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let config = Arc::new(devnet_config(now + START_DELAY, SLOT_MS));
    let genesis = interop_genesis(&config, VALIDATORS).expect("a genesis");
    let genesis_validators_root = genesis.state.genesis_validators_root;
    let dir = tempfile::tempdir().unwrap();
    smol::block_on(async {
        let engine = Engine::StandIn(StandIn::with_blobs(smol::unblock(|| made_up_blobs(2)).await.unwrap()));
        let (server, client) = execution_client(&config, &genesis, &engine, dir.path());
        let first = node(&config, &client, &dir.path().join("first"), genesis.clone(), &[]).await;
        // Whoever missed a column by gossip finds it here: there is nobody else.
        first.chain.keep_groups(config.number_of_custody_groups).await.unwrap();
        let boot = [first.network.local_enr()];
        let second = node(&config, &engine, &dir.path().join("second"), genesis, &boot).await;
        let (stop, stopped) = async_channel::bounded(1);
        let duties = ValidatorConfig {
            beacon_url: format!("http://{}", first.http),
            keys: Arc::new(InteropKeys::new(0..VALIDATORS)),
            config: config.clone(),
            genesis_validators_root,
            genesis_time: config.min_genesis_time,
        };
        smol::spawn(validator::run(duties, stopped)).detach();
        let accepted = finality_updates_accepted(&second).await;
        until("finality", async || {
            let [first, second] = [&first, &second].map(|node| node.chain.snapshot());
            second.finalized.epoch >= 2 && first.head_root == second.head_root
        })
        .await;
        // The first one publishes what it says to light clients, and the second passes it on.
        until("a finality update", async || finality_updates_accepted(&second).await > accepted).await;

        blocks_and_columns(&config, &first, &second).await;
        let stranger = Stranger::met(&first.network, &status(&first)).await;
        what_every_peer_is_told(&first, &stranger).await;
        what_light_clients_are_told(&config, &first, &stranger).await;
        stranger.ask(&first.network, "goodbye/1", Some(&1u64.as_ssz_bytes())).await;
        stranger.is_disconnected().await;

        what_is_not_there(&config, &engine, &first, dir.path()).await;
        without_payloads(&first, &second, &server).await;
        drop(stop);
        first.stop().await;
        second.stop().await;
    });
}

fn status(node: &RunningNode) -> Status {
    status_of_ours(node.chain.status())
}

/// Blocks by range, head and root, and their columns by range and root.
async fn blocks_and_columns(config: &Config, first: &RunningNode, second: &RunningNode) {
    let (peer, network) = (first.network.peer_id(), &second.network);
    let by_range = all(network.blocks_by_range(peer, 0, SLOTS)).await;
    let roots: Vec<Hash256> = by_range.iter().map(|block| block.root()).collect();
    assert!(by_range.windows(2).all(|pair| pair[1].message.parent_root == pair[0].root()), "a chain");
    assert!(by_range[0].message.slot == 0 && roots.len() > 9, "{} blocks", roots.len());
    let by_head = all(network.blocks_by_head(peer, roots[roots.len() - 1], ALL)).await;
    assert!(by_head.iter().rev().eq(&by_range), "the same down to genesis");
    let head = first.chain.snapshot().head_root;
    assert_eq!(all(network.blocks_by_head(peer, head, 1)).await[0].root(), head);
    let by_root = all(network.blocks_by_root(peer, vec![roots[5], Hash256::ZERO, roots[9]])).await;
    assert_eq!(by_root.iter().map(|block| block.root()).collect::<Vec<_>>(), [roots[5], roots[9]]);

    let identity = first.network.identity();
    let kept = columns_of_node(config, identity.enr.node_id().raw(), identity.metadata.custody_group_count).unwrap();
    let asked = [kept[0], kept[1], kept[kept.len() - 1]];
    // With the validators came more columns to keep, so that all of them are there only from some slot on.
    let start = first.chain.status().earliest_available_slot;
    let has_columns = |block: &&Arc<SignedBeaconBlock>| {
        block.message.slot >= start && !block.message.body.blob_kzg_commitments.is_empty()
    };
    let with_blobs: Vec<_> = by_range.iter().filter(has_columns).map(|block| block.root()).collect();
    assert!(with_blobs.len() > 2, "{} blocks with blobs from slot {start} on", with_blobs.len());
    let mut columns = asked.to_vec();
    columns.sort_unstable();
    let named =
        |sidecar: &Arc<DataColumnSidecar>| (sidecar.signed_block_header.message.tree_hash_root(), sidecar.index);
    let by_range = all(network.columns_by_range(peer, start, SLOTS - start, &asked)).await;
    let expected: Vec<_> = with_blobs.iter().flat_map(|root| columns.iter().map(|column| (*root, *column))).collect();
    assert_eq!(by_range.iter().map(named).collect::<Vec<_>>(), expected);
    let by_root = all(network.columns_by_root(peer, vec![(with_blobs[2], columns.clone())])).await;
    assert_eq!(by_root.iter().map(named).collect::<Vec<_>>(), expected[6..9]);
    for sidecar in by_root.iter().chain(by_range.iter().take(3)) {
        assert!(verify_data_column_sidecar(config, sidecar));
        assert!(verify_data_column_sidecar_inclusion_proof(sidecar));
        assert!(verify_data_column_sidecar_kzg_proofs(sidecar));
    }
}

/// The one chunk of an answer.
async fn one(stranger: &Stranger, node: &RunningNode, name: &str, body: Option<&[u8]>) -> Vec<u8> {
    let mut answer = stranger.ask(&node.network, name, body).await;
    assert_eq!(answer.len(), 1, "{name}");
    answer.remove(0).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Status, metadata and ping.
async fn what_every_peer_is_told(node: &RunningNode, stranger: &Stranger) {
    let ours = status(node).as_ssz_bytes();
    // The first version lacks the last field.
    for (name, len) in [("status/2", ours.len()), ("status/1", ours.len() - 8)] {
        let told = one(stranger, node, name, Some(&ours[..len])).await;
        // The head may have moved meanwhile; the fork and the finalized block hardly.
        assert_eq!((told.len(), &told[..4]), (len, &ours[..4]), "{name}");
        let (head, finalized) = (node.chain.snapshot().head_slot, u64::from_le_bytes(told[36..44].try_into().unwrap()));
        let told = u64::from_le_bytes(told[76..84].try_into().unwrap());
        assert!(finalized >= 2 && told + 2 >= head, "{name}: {told} of {head}");
    }
    let metadata = node.network.identity().metadata;
    assert_eq!(one(stranger, node, "metadata/3", None).await, metadata.as_ssz_bytes());
    let second = MetaData::from_v2_bytes(&one(stranger, node, "metadata/2", None).await).unwrap();
    assert_eq!(second, MetaData { custody_group_count: 0, ..metadata.clone() });
    assert_eq!(one(stranger, node, "ping/1", Some(&[0; 8])).await, metadata.seq_number.as_ssz_bytes());
}

/// What is served is good for a light client.
async fn what_light_clients_are_told(config: &Config, node: &RunningNode, stranger: &Stranger) {
    let root = node.chain.genesis_validators_root();
    let ask = async |name: &str, body: Option<&[u8]>| one(stranger, node, &format!("light_client_{name}"), body).await;
    let finalized = node.chain.snapshot().finalized.root;
    let bootstrap = ask("bootstrap/1", Some(finalized.as_slice())).await;
    let bootstrap = LightClientBootstrap::from_ssz_bytes(ForkName::Fulu, &bootstrap).unwrap();
    let mut store = initialize_light_client_store(finalized, bootstrap, config).unwrap();
    let all_periods = (0u64, 128u64).as_ssz_bytes();
    let updates = stranger.ask(&node.network, "light_client_updates_by_range/1", Some(&all_periods)).await;
    let update = |ssz: Result<Vec<u8>, RpcError>| LightClientUpdate::from_ssz_bytes(ForkName::Fulu, &ssz.unwrap());
    let updates: Vec<_> = updates.into_iter().map(|ssz| update(ssz).unwrap()).collect();
    assert!(!updates.is_empty() && updates.iter().all(is_sync_committee_update));
    let finality = ask("finality_update/1", None).await;
    let finality = LightClientFinalityUpdate::from_ssz_bytes(ForkName::Fulu, &finality).unwrap();
    let optimistic = ask("optimistic_update/1", None).await;
    let optimistic = LightClientOptimisticUpdate::from_ssz_bytes(ForkName::Fulu, &optimistic).unwrap();
    assert!(finality.finalized_header.beacon.slot > 0 && optimistic.signature_slot + 4 > node.chain.clock().slot());
    let attested = optimistic.attested_header.clone();
    let now = node.chain.clock().slot() + 1;
    // Some may be as old as the store already is.
    for update in updates {
        let _ = process_light_client_update(&mut store, update, now, root, config);
    }
    let _ = process_light_client_finality_update(&mut store, finality, now, root, config);
    process_light_client_optimistic_update(&mut store, optimistic, now, root, config).unwrap();
    assert_eq!(store.optimistic_header, attested);
}

/// Before the oldest block that a node has.
async fn what_is_not_there(config: &Arc<Config>, engine: &Engine, first: &RunningNode, dir: &Path) {
    let root = first.chain.snapshot().finalized.root;
    let state = first.chain.state_by_block_root(root).await.expect("it is kept");
    let block = first.chain.database().block(root).unwrap().expect("it is stored");
    let anchor = Genesis { state: (*state).clone(), block };
    let slot = anchor.block.message.slot;
    let late = node(config, engine, &dir.join("late"), anchor, &[]).await;
    let stranger = Stranger::met(&late.network, &status(&late)).await;
    let start = (slot - 1).as_ssz_bytes();
    let columns = [start, 8u64.as_ssz_bytes(), 20u32.to_le_bytes().to_vec(), 3u64.as_ssz_bytes()].concat();
    let blocks = |start: Slot| (start, 8u64, 1u64).as_ssz_bytes();
    for (name, body) in [
        ("beacon_blocks_by_range/2", blocks(slot - 1)),
        ("data_column_sidecars_by_range/1", columns),
        ("light_client_bootstrap/1", Hash256::repeat_byte(1).to_vec()),
    ] {
        let answer = stranger.ask(&late.network, name, Some(&body)).await;
        assert!(matches!(answer[..], [Err(RpcError::Refused { code: UNAVAILABLE, .. })]), "{name}: {answer:?}");
    }
    let head = stranger.ask(&late.network, "beacon_blocks_by_head/1", Some(&(root, 8u64).as_ssz_bytes())).await;
    assert_eq!(head.len(), 1, "it stops at the oldest");
    let range = stranger.ask(&late.network, "beacon_blocks_by_range/2", Some(&blocks(slot))).await;
    assert_eq!(range, head);
    late.stop().await;
}

/// Old blocks of which only the execution client has the payloads, and what is said when it is away.
async fn without_payloads(first: &RunningNode, second: &RunningNode, server: &StandInServer) {
    let (peer, network) = (first.network.peer_id(), &second.network);
    let snapshot = first.chain.snapshot();
    let finalized = snapshot.blocks.get(&snapshot.finalized.root).unwrap().slot;
    let before = all(network.blocks_by_range(peer, 0, finalized)).await;
    assert!(before.iter().any(|block| !block.message.body.execution_payload.transactions.is_empty()));
    // The head may be unverified for a moment, and the index a moment behind.
    let mut blinded = 0;
    until("blocks without payloads", async || {
        if let Ok(report) = first.chain.blind(0..finalized).await {
            assert_eq!(report.kept, 0);
            blinded += report.blinded;
        }
        blinded == before.len() as u64
    })
    .await;
    let db = first.chain.database();
    assert!(before.iter().all(|block| db.is_blinded(block.root()).unwrap()));
    assert_eq!(all(network.blocks_by_range(peer, 0, finalized)).await, before);
    let roots = vec![before[7].root(), before[3].root()];
    assert_eq!(all(network.blocks_by_root(peer, roots.clone())).await, [before[7].clone(), before[3].clone()]);
    let url = |path: &str| format!("http://{}/eth/{path}/{}", first.http, before[3].root());
    let get = async |url: String| {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        smol::unblock(move || {
            let mut answer = agent.get(url).header("accept", "application/octet-stream, */*;q=0.1").call().unwrap();
            (answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap())
        })
        .await
    };
    assert_eq!(get(url("v2/beacon/blocks")).await, (200, before[3].as_ssz_bytes()));

    server.faults().set(Fault::Down);
    let answer = network.blocks_by_range(peer, 0, finalized);
    // The genesis block has no payload.
    assert_eq!(in_time("an answer", answer.recv()).await.unwrap().unwrap(), before[0]);
    let end = in_time("an end", answer.recv()).await.unwrap();
    assert!(matches!(end, Err(RpcError::Refused { code: UNAVAILABLE, .. })), "{end:?}");
    assert!(all(network.blocks_by_root(peer, roots)).await.is_empty());
    assert_eq!(get(url("v2/beacon/blocks")).await.0, 503);
    assert_eq!(get(url("v1/beacon/headers")).await.0, 200, "it is at hand");
    server.faults().set(Fault::None);
}
