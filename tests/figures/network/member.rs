//! One node of the network: only its network room, with a chain that takes everything for good.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use hornero::{
    p2p::{BudgetConfig, Forks, InboundRequest, P2pConfig, P2pEvents, P2pHandle, RequestKind, ResponseChunk, Status},
    p2p::{Topic, Verdict, start},
    types::{ForkDigest, Version},
};
use rand::{SeedableRng as _, rngs::StdRng};
use ssz::Encode as _;

use super::traffic;

const FORK: [u8; 4] = [1, 2, 3, 4];
/// What a chain takes to judge a message.
const JUDGING: Duration = Duration::from_millis(20);

/// A running node.
pub struct Member {
    pub handle: P2pHandle,
    /// From publishing to arrival of the blocks that came since they were last taken.
    pub delays: Arc<Mutex<Vec<Duration>>>,
}

impl Member {
    /// Starts a node on loopback that stays connected to `peers`, and the tasks that answer for its chain.
    pub async fn start(folder: &Path, peers: Vec<String>, max_peers: usize, budget: BudgetConfig) -> Member {
        let forks = Forks::only(ForkDigest::from(FORK), Version::default());
        let config = P2pConfig {
            listen: vec!["127.0.0.1:0".parse().expect("an address")],
            listen_quic: vec!["127.0.0.1:0".parse().expect("an address")],
            boot_nodes: peers,
            max_peers,
            budget,
            ..P2pConfig::new(folder.join("network-key"), forks, Status::default())
        };
        let (handle, events) = start(config).await.expect("the network starts");
        handle.set_subnets(traffic::subnets());
        (0..traffic::COLUMNS).for_each(|column| handle.listen(Topic::DataColumnSidecar(column), true));
        let delays = Arc::default();
        let member = Member { handle, delays };
        member.answer(events);
        member
    }

    fn answer(&self, events: P2pEvents) {
        let P2pEvents {
            gossip_blocks,
            gossip_votes,
            gossip_operations,
            gossip_light_clients,
            gossip_columns,
            requests,
            peers,
        } = events;
        let (handle, delays) = (self.handle.clone(), self.delays.clone());
        smol::spawn(async move {
            while let Ok(got) = gossip_blocks.recv().await {
                let since = traffic::published_at(&got.block.message);
                let delay = SystemTime::now().duration_since(since).unwrap_or_default();
                delays.lock().expect("nobody panics with it").push(delay);
                accept(&handle, got.id, got.peer);
            }
        })
        .detach();
        let handle = self.handle.clone();
        smol::spawn(async move {
            while let Ok(got) = gossip_columns.recv().await {
                accept(&handle, got.id, got.peer);
            }
        })
        .detach();
        let handle = self.handle.clone();
        smol::spawn(async move {
            while let Ok(got) = gossip_votes.recv().await {
                accept(&handle, got.id, got.peer);
            }
        })
        .detach();
        smol::spawn(async move {
            while let Ok(request) = requests.recv().await {
                smol::spawn(serve(request)).detach();
            }
        })
        .detach();
        smol::spawn(async move { while peers.recv().await.is_ok() {} }).detach();
        smol::spawn(async move { while gossip_operations.recv().await.is_ok() {} }).detach();
        smol::spawn(async move { while gossip_light_clients.recv().await.is_ok() {} }).detach();
    }
}

fn accept(handle: &P2pHandle, id: hornero::p2p::MessageId, peer: hornero::p2p::PeerId) {
    let handle = handle.clone();
    smol::spawn(async move {
        smol::Timer::after(JUDGING).await;
        handle.verdict(id, peer, Verdict::Accept);
    })
    .detach();
}

/// Blocks as large as mainnet's for every slot that is asked for.
async fn serve(request: InboundRequest) {
    let RequestKind::BlocksByRange { start_slot, count } = request.kind else { return };
    let mut rng = StdRng::seed_from_u64(start_slot);
    for slot in start_slot..start_slot + count {
        let ssz = traffic::block(slot, &mut rng).as_ssz_bytes();
        let chunk = ResponseChunk::Item { fork_digest: ForkDigest::from(FORK), ssz };
        if request.reply.send(chunk).await.is_err() {
            return;
        }
    }
}
