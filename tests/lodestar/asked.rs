//! Lodestar asked over the network by our protocols: blocks by range and by head, columns by range and by root.

use std::{fs, path::Path, sync::Arc, time::Duration};

use async_channel::Receiver;
use hornero::{
    chain::availability::verify_data_column_sidecar_inclusion_proof,
    crypto::{compute_fork_digest, verify_data_column_sidecar, verify_data_column_sidecar_kzg_proofs},
    p2p::{self, Forks, P2pConfig, PeerEvent, PeerId, RpcError, Status},
    types::{Config, DataColumnSidecar, Hash256, SignedBeaconBlock},
};
use tree_hash::TreeHash as _;

use super::process::{self, Lodestar};

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Slots before the head that are asked for.
const SLOTS: u64 = 8;
const COLUMNS: [u64; 3] = [0, 63, 127];

/// Asks for the newest blocks and columns, and checks what comes.
pub fn ask(lodestar: &Lodestar, network: &Path, folder: &Path) {
    let yaml = fs::read_to_string(network.join("config.yaml")).expect("written before");
    let config = Config::from_yaml(&yaml).expect("ours to read");
    let genesis = process::get_json(&lodestar.rest, "/eth/v1/beacon/genesis");
    let genesis_root: Hash256 = genesis["data"]["genesis_validators_root"].as_str().unwrap().parse().unwrap();
    let blobs = config.get_blob_parameters(0);
    let version = config.fork_version(0);
    let digest = compute_fork_digest(version, genesis_root, Some((blobs.epoch, blobs.max_blobs_per_block)));
    let head = process::get_json(&lodestar.rest, "/eth/v1/beacon/headers/head");
    let head_root: Hash256 = head["data"]["root"].as_str().unwrap().parse().unwrap();
    let head_slot: u64 = head["data"]["header"]["message"]["slot"].as_str().unwrap().parse().unwrap();

    smol::block_on(async {
        let setup = P2pConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            boot_nodes: vec![lodestar.enr.clone()],
            ..P2pConfig::new(folder.join("asker-key"), Forks::only(digest, version), Status::default())
        };
        let (network, events) = p2p::start(setup).await.expect("starts");
        let peer = connected(&events.peers).await;
        let start = head_slot + 1 - SLOTS;
        let blocks: Vec<Arc<SignedBeaconBlock>> = all(network.blocks_by_range(peer, start, SLOTS)).await;
        assert_eq!(blocks.last().map(|block| block.root()), Some(head_root));

        let before: Vec<_> = all(network.blocks_by_head(peer, head_root, SLOTS)).await;
        assert_eq!(before.first().map(|block| block.root()), Some(head_root));
        assert!(
            before.windows(2).all(|pair| pair[0].message.parent_root == pair[1].root()),
            "each is the last's parent"
        );

        let with_blobs: Vec<_> =
            blocks.iter().filter(|block| !block.message.body.blob_kzg_commitments.is_empty()).collect();
        assert!(!with_blobs.is_empty(), "the mock engine puts blobs into blocks");
        let columns = all(network.columns_by_range(peer, start, SLOTS, &COLUMNS)).await;
        let expected: Vec<_> =
            with_blobs.iter().flat_map(|block| COLUMNS.map(|column| (block.root(), column))).collect();
        assert_eq!(names(&columns), expected, "all columns of all blocks, in order");

        let wanted = vec![(with_blobs[0].root(), vec![5, 6])];
        let by_root = all(network.columns_by_root(peer, wanted)).await;
        assert_eq!(by_root.len(), 2);
        for sidecar in columns.iter().chain(&by_root) {
            assert!(verify_data_column_sidecar(&config, sidecar));
            assert!(verify_data_column_sidecar_inclusion_proof(sidecar));
            assert!(verify_data_column_sidecar_kzg_proofs(sidecar));
        }
        println!("{} columns of {} blocks by range, {} by root", columns.len(), with_blobs.len(), by_root.len());
        network.shutdown().await;
    });
}

fn names(columns: &[Arc<DataColumnSidecar>]) -> Vec<(Hash256, u64)> {
    columns.iter().map(|sidecar| (sidecar.signed_block_header.message.tree_hash_root(), sidecar.index)).collect()
}

async fn connected(events: &Receiver<PeerEvent>) -> PeerId {
    let first = async {
        loop {
            if let PeerEvent::Connected { peer, .. } = events.recv().await.expect("the network runs") {
                return peer;
            }
        }
    };
    in_time(first).await
}

async fn all<T>(answer: Receiver<Result<T, RpcError>>) -> Vec<T> {
    in_time(async {
        let mut items = Vec::new();
        while let Ok(item) = answer.recv().await {
            items.push(item.unwrap_or_else(|error| panic!("after {} items: {error}", items.len())));
        }
        items
    })
    .await
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let late = async {
        smol::Timer::after(ANSWER).await;
        panic!("nothing came for {ANSWER:?}")
    };
    smol::future::or(work, late).await
}
