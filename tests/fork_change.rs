//! A change of the blob schedule: the fork digest changes, and with it every topic, while the chain goes on. Two nodes with half of
//! the validators each finalize only if votes, aggregates, blocks and the columns of their blobs cross over on the old topics, then
//! on the new ones.
//!
//! In the minimal preset only, where an epoch has 8 slots.
#![cfg(feature = "minimal")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hornero::{
    crypto::compute_fork_digest,
    engine::{Engine, StandIn},
    node::{
        CheckpointChoice, Network, NodeConfig, RunningNode,
        blobs::made_up_blobs,
        genesis::{Genesis, devnet_config, interop_genesis},
    },
    p2p::PeerState,
    types::*,
    validator::{self, InteropKeys, ValidatorConfig},
};

/// The epoch of the change.
const CHANGE: Epoch = 2;
const VALIDATORS: u64 = 32;
const SLOT_MS: u64 = 750;
const START_DELAY: u64 = 5;
const PATIENCE: Duration = Duration::from_secs(180);

/// A node whose blocks have a blob or none in turn.
async fn start(config: &Arc<Config>, genesis: &Genesis, datadir: &Path, boot_nodes: Vec<String>) -> RunningNode {
    let Genesis { state, block } = genesis.clone();
    let network = Network::local(config.clone(), state.genesis_validators_root);
    let checkpoint = CheckpointChoice::Anchor(Box::new(state), Box::new(block));
    let node = NodeConfig {
        boot_nodes,
        listen_quic: Vec::new(),
        engine: Engine::StandIn(StandIn::with_blobs(made_up_blobs(1).expect("a blob"))),
        ..NodeConfig::on_loopback(network, datadir.into(), checkpoint)
    };
    hornero::node::start(node).await.expect("it starts")
}

/// The digest in a node's record.
fn announced(node: &RunningNode) -> Vec<u8> {
    let eth2 = node.network.local_enr().get_raw_rlp("eth2").expect("an entry").to_vec();
    // One byte says that it is a string of 16.
    eth2[1..5].to_vec()
}

/// The oldest block with blobs since the finalized one, and its columns that a node has.
fn columns_since_finality(node: &RunningNode) -> Option<(Slot, Vec<ColumnIndex>)> {
    let (snapshot, db) = (node.chain.snapshot(), node.chain.database());
    let roots: Vec<Hash256> = snapshot.branch(snapshot.head_root).map(|(root, _)| root).collect();
    let blocks = roots.into_iter().rev().filter_map(|root| Some((root, db.block(root).unwrap()?)));
    let mut with_blobs = blocks.filter(|(_, block)| !block.message.body.blob_kzg_commitments.is_empty());
    with_blobs.next().map(|(root, block)| (block.message.slot, db.columns_of(root).unwrap()))
}

#[test]
fn the_chain_goes_on_through_a_change_of_the_blob_schedule() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let blob_schedule = vec![BlobParameters { epoch: CHANGE, max_blobs_per_block: 12 }];
    let config = Arc::new(Config { blob_schedule, ..devnet_config(now + START_DELAY, SLOT_MS) });
    let genesis = interop_genesis(&config, VALIDATORS).expect("a genesis");
    let root = genesis.state.genesis_validators_root;
    let digest = |epoch| {
        let blobs = config.get_blob_parameters(epoch);
        compute_fork_digest(config.fork_version(epoch), root, Some((blobs.epoch, blobs.max_blobs_per_block)))
    };
    assert_ne!(digest(CHANGE - 1), digest(CHANGE));
    let dir = tempfile::tempdir().unwrap();
    smol::block_on(async {
        let first = start(&config, &genesis, &dir.path().join("first"), Vec::new()).await;
        let address = format!("{}/p2p/{}", first.network.listen_addrs()[0], first.network.peer_id());
        let second = start(&config, &genesis, &dir.path().join("second"), vec![address]).await;
        // Of two nodes one has to keep all columns, or who begins to keep more finds nobody who has them.
        first.chain.keep_groups(config.number_of_custody_groups).await.expect("a disk");
        assert_eq!(announced(&first), digest(0).as_slice());
        let (stop, stopped) = async_channel::bounded(1);
        for (node, keys) in [(&first, 0..VALIDATORS / 2), (&second, VALIDATORS / 2..VALIDATORS)] {
            let duties = ValidatorConfig {
                beacon_url: format!("http://{}", node.http),
                keys: Arc::new(InteropKeys::new(keys)),
                config: config.clone(),
                genesis_validators_root: root,
                genesis_time: config.min_genesis_time,
            };
            smol::spawn(validator::run(duties, stopped.clone())).detach();
        }
        let goal = async {
            while [&first, &second].iter().any(|node| node.chain.snapshot().finalized.epoch <= CHANGE) {
                smol::Timer::after(Duration::from_millis(50)).await;
            }
        };
        let late = async {
            smol::Timer::after(PATIENCE).await;
            let at = |node: &RunningNode| (node.chain.snapshot().head_slot, node.chain.snapshot().finalized.epoch);
            panic!("head and finalized epoch: {:?} and {:?}", at(&first), at(&second));
        };
        smol::future::or(goal, late).await;
        let finalized = [&first, &second].map(|node| node.chain.snapshot().finalized);
        let same = finalized[0].epoch != finalized[1].epoch || finalized[0] == finalized[1];
        assert!(same, "{finalized:?}");
        for node in [&first, &second] {
            assert_eq!(announced(node), digest(CHANGE).as_slice());
            let peers = node.network.peers().await;
            assert!(peers.iter().any(|peer| peer.state == PeerState::Connected && peer.score > -5.0), "{peers:?}");
        }
        let (slot, columns) = columns_since_finality(&second).expect("a block with blobs");
        assert_eq!(columns, second.chain.sampled_columns(), "of slot {slot}");
        let (_, columns) = columns_since_finality(&first).expect("a block with blobs");
        // Of all that it keeps, it imports a block with half.
        assert!(columns.len() >= preset::NUMBER_OF_COLUMNS / 2, "{} columns", columns.len());
        drop(stop);
        first.stop().await;
        second.stop().await;
    });
}
