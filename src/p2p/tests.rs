//! Nodes on loopback: what two of ours say to each other, and what a hostile one cannot do.

mod bandwidth;
mod discovery;
mod goodbye;
mod gossip;
mod hostile;
mod late;
mod paced;
mod places;
mod quic;
mod requests;
mod slow;
pub(crate) mod stranger;

use std::{sync::Arc, time::Duration};

use async_channel::Receiver;
use smol::{Timer, future};
use ssz::Encode as _;
use ssz_types::{BitVector, VariableList};
use tempfile::TempDir;

use super::*;
use crate::types::{BeaconBlock, BeaconBlockBody, ExecutionPayload, ForkDigest, Hash256, SignedBeaconBlock, Version};

/// Longer than anything here takes, on a loaded machine too.
const PATIENCE: Duration = Duration::from_secs(20);
const FORK: [u8; 4] = [0xab, 0xcd, 1, 2];

/// One of our nodes.
struct Node {
    handle: P2pHandle,
    events: P2pEvents,
    _dir: TempDir,
}

fn status() -> Status {
    Status { head_slot: 77, finalized_epoch: 3, earliest_available_slot: 5, ..Status::default() }
}

pub(in crate::p2p) fn config(dir: &TempDir) -> P2pConfig {
    let forks = Forks::only(ForkDigest::from(FORK), Version::default());
    P2pConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        listen_quic: vec!["127.0.0.1:0".parse().unwrap()],
        response_timeout: Duration::from_secs(5),
        // The machine of a test may be as late as it likes.
        late_after: Duration::MAX,
        ..P2pConfig::new(dir.path().join("network-key"), forks, status())
    }
}

async fn node_with(change: impl FnOnce(&mut P2pConfig)) -> Node {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir);
    change(&mut config);
    let (handle, events) = start(config).await.unwrap();
    Node { handle, events, _dir: dir }
}

async fn node() -> Node {
    node_with(|_| ()).await
}

/// A node that stays connected to `others`.
async fn node_connected_to(others: &[&Node]) -> Node {
    let boot_nodes = others.iter().map(|other| other.handle.local_enr().to_base64()).collect();
    node_with(|config| config.boot_nodes = boot_nodes).await
}

/// Two nodes that know of each other's status; the second dialled.
async fn pair(change: impl Fn(&mut P2pConfig)) -> (Node, Node) {
    let first = node_with(&change).await;
    let enr = first.handle.local_enr().to_base64();
    let second = node_with(|config| {
        change(config);
        config.boot_nodes = vec![enr];
    })
    .await;
    assert!(matches!(next(&first.events.peers).await, PeerEvent::Connected { .. }));
    assert!(matches!(next(&second.events.peers).await, PeerEvent::Connected { .. }));
    (first, second)
}

/// The next message, or a panic.
async fn next<T>(queue: &Receiver<T>) -> T {
    in_time(async { queue.recv().await.expect("the queue is open") }).await
}

/// The next peer that comes or goes, or a panic.
async fn come_or_gone(node: &Node) -> PeerEvent {
    loop {
        let event = next(&node.events.peers).await;
        if !matches!(event, PeerEvent::Status { .. }) {
            return event;
        }
    }
}

/// The result, or a panic after a long time.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    within(PATIENCE, work).await
}

/// The result, or a panic after `patience`.
async fn within<T>(patience: Duration, work: impl Future<Output = T>) -> T {
    let late = async {
        Timer::after(patience).await;
        panic!("nothing happened for {patience:?}")
    };
    future::or(work, late).await
}

/// Tries until it succeeds.
async fn eventually(attempt: impl AsyncFnMut() -> bool) {
    eventually_within(PATIENCE, attempt).await;
}

/// Tries until it succeeds, for `patience` at most.
async fn eventually_within(patience: Duration, mut attempt: impl AsyncFnMut() -> bool) {
    within(patience, async {
        while !attempt().await {
            Timer::after(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Publishes as soon as a peer is there to hear it.
async fn publish(node: &Node, topic: Topic, ssz: Vec<u8>) {
    eventually(async || match node.handle.publish(topic, ssz.clone()).await {
        Ok(()) => true,
        Err(PublishError::NoPeers) => false,
        Err(e) => panic!("{e}"),
    })
    .await;
}

/// A block with `bytes` of transactions that hardly compress.
fn block(slot: u64, bytes: usize) -> SignedBeaconBlock {
    let noise = (0..bytes as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect::<Vec<u8>>();
    let transaction = VariableList::new(noise).unwrap();
    let execution_payload = ExecutionPayload {
        block_number: slot,
        transactions: VariableList::new(vec![transaction]).unwrap(),
        ..ExecutionPayload::default()
    };
    let body = BeaconBlockBody { execution_payload, ..BeaconBlockBody::default() };
    let message =
        BeaconBlock { slot, proposer_index: 1, parent_root: Hash256::default(), state_root: Hash256::default(), body };
    SignedBeaconBlock { message, signature: Default::default() }
}

/// All that an answer holds, until its end.
async fn collect(blocks: Blocks) -> Vec<Result<Arc<SignedBeaconBlock>, RpcError>> {
    in_time(async {
        let mut all = Vec::new();
        while let Ok(item) = blocks.recv().await {
            all.push(item);
        }
        all
    })
    .await
}

fn chunk(block: &SignedBeaconBlock) -> ResponseChunk {
    ResponseChunk::Item { fork_digest: ForkDigest::from(FORK), ssz: block.as_ssz_bytes() }
}
