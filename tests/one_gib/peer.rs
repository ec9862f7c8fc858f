//! The node's only peer, by the library's own network room: it tells where its chain stands, as far as it has been released,
//! answers for blocks from files, and gossips.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hornero::{
    crypto::compute_fork_digest,
    p2p::{
        self, ErrorCode, Forks, InboundRequest, P2pConfig, P2pEvents, P2pHandle, PublishError, RequestKind,
        ResponseChunk, Status, Topic,
    },
    types::*,
};

use super::chain::{Chain, Link, block_file};

/// How long the node may take to subscribe to our topics.
const MESH: Duration = Duration::from_secs(60);

pub struct Peer {
    handle: P2pHandle,
    blocks: Arc<Blocks>,
    status: Status,
}

/// What it serves.
struct Blocks {
    folder: PathBuf,
    canonical: Vec<Link>,
    digest: ForkDigest,
    /// The head's slot, as far as others are told.
    head: AtomicU64,
}

impl Peer {
    /// Starts with the anchor as head.
    pub fn start(chain: &Chain, folder: &Path) -> Peer {
        let config = chain.config();
        let epoch = compute_epoch_at_slot(chain.anchor.slot);
        let (version, blobs) = (config.fork_version(epoch), config.get_blob_parameters(epoch));
        let blobs = Some((blobs.epoch, blobs.max_blobs_per_block));
        let digest = compute_fork_digest(version, chain.genesis_validators_root, blobs);
        let status = Status {
            fork_digest: digest,
            finalized_root: chain.anchor.root,
            finalized_epoch: epoch,
            head_root: chain.anchor.root,
            head_slot: chain.anchor.slot,
            earliest_available_slot: chain.anchor.slot,
        };
        let network = P2pConfig {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            // What is measured is the node, not our patience.
            serve_bytes_per_second: 1 << 30,
            ..P2pConfig::new(folder.join("peer_key"), Forks::only(digest, version), status)
        };
        let (handle, events) = smol::block_on(p2p::start(network)).expect("loopback has ports");
        let blocks = Arc::new(Blocks {
            folder: folder.into(),
            canonical: chain.canonical().copied().collect(),
            digest,
            head: AtomicU64::new(chain.anchor.slot),
        });
        smol::spawn(serve(blocks.clone(), events)).detach();
        Peer { handle, blocks, status }
    }

    /// For `--boot-nodes`.
    pub fn address(&self) -> String {
        self.handle.local_enr().to_base64()
    }

    /// From now on, the chain ends here.
    pub fn release(&self, head: &Link) {
        self.blocks.head.store(head.slot, Ordering::Relaxed);
        self.handle.set_status(Status { head_root: head.root, head_slot: head.slot, ..self.status });
    }

    /// Gossips a block, as soon as somebody listens.
    pub fn gossip(&self, block: &Link) {
        let ssz = std::fs::read(block_file(&self.blocks.folder, &block.root)).expect("we made it");
        let until = Instant::now() + MESH;
        loop {
            match smol::block_on(self.handle.publish(Topic::BeaconBlock, ssz.clone())) {
                Ok(()) => return,
                Err(PublishError::NoPeers | PublishError::Busy) if Instant::now() < until => {
                    smol::block_on(smol::Timer::after(Duration::from_millis(50)));
                }
                Err(error) => panic!("block of slot {}: {error}", block.slot),
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        smol::block_on(self.handle.shutdown());
    }
}

/// Answers requests, and reads what else comes, so that nothing piles up.
async fn serve(blocks: Arc<Blocks>, events: P2pEvents) {
    let requests = async {
        while let Ok(request) = events.requests.recv().await {
            smol::spawn(answer(blocks.clone(), request)).detach();
        }
    };
    futures::join!(
        requests,
        async { while events.gossip_blocks.recv().await.is_ok() {} },
        async { while events.gossip_votes.recv().await.is_ok() {} },
        async { while events.gossip_operations.recv().await.is_ok() {} },
        async { while events.gossip_columns.recv().await.is_ok() {} },
        async { while events.gossip_light_clients.recv().await.is_ok() {} },
        async { while events.peers.recv().await.is_ok() {} },
    );
}

async fn answer(blocks: Arc<Blocks>, request: InboundRequest) {
    let roots: Vec<Hash256> = match request.kind {
        RequestKind::BlocksByRange { start_slot, count } => {
            let head = blocks.head.load(Ordering::Relaxed);
            let slots = start_slot..start_slot.saturating_add(count).min(head + 1);
            blocks.canonical.iter().filter(|link| slots.contains(&link.slot)).map(|link| link.root).collect()
        }
        RequestKind::BlocksByRoot { roots } => roots,
        // The node under test asks for nothing else of it.
        _ => return,
    };
    for root in roots {
        let file = block_file(&blocks.folder, &root);
        let chunk = match smol::unblock(move || std::fs::read(file)).await {
            Ok(ssz) => ResponseChunk::Item { fork_digest: blocks.digest, ssz },
            Err(_) => ResponseChunk::Error(ErrorCode::ResourceUnavailable, "no such block".into()),
        };
        if request.reply.send(chunk).await.is_err() {
            return;
        }
    }
}
