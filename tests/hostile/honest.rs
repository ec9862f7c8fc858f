//! An honest peer of the node: asks it for blocks from time to time, as one that syncs does.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use hornero::{
    p2p::{self, Forks, P2pConfig, P2pEvents, P2pHandle, PeerEvent, PeerId, Verdict},
    types::Version,
};
use smol::{Timer, future};

use super::{network::Network, scene::Scene, victim::Victim};

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(200);
/// After a refusal: who asks again and again holds each against the node, and leaves in the end.
const REST: Duration = Duration::from_secs(2);
/// Where the ranges begin that are asked for, and how long they are: a hundred, for nobody honest asks for the same all the time,
/// and short ones, for who is served a megabyte a second.
const STARTS: u64 = 6;
const LENGTHS: u64 = 16;
/// Longest wait for the first meeting.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the node served it.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// Answers with blocks.
    pub answers: u64,
    /// Refusals and failures.
    pub failures: u64,
    /// The longest that an answer took.
    pub worst: Duration,
    /// Blocks that the node gossiped to it.
    pub gossiped: u64,
}

impl Served {
    pub fn add(&mut self, more: Served) {
        self.answers += more.answers;
        self.failures += more.failures;
        self.worst = self.worst.max(more.worst);
        self.gossiped += more.gossiped;
    }
}

pub struct Honest {
    network: P2pHandle,
    node: PeerId,
    /// Asks and hears in turn with what happens, and gives what it saw since it was asked last.
    looks: async_channel::Sender<async_channel::Sender<Served>>,
    _dir: tempfile::TempDir,
}

impl Honest {
    /// Joins from an address where nobody has been before; panics if the node does not let it in.
    pub fn join(network: &Network, scene: &Scene, victim: &Victim) -> Honest {
        let dir = tempfile::tempdir().unwrap();
        let here = SocketAddr::new(Scene::new_address(), 0);
        let config = P2pConfig {
            listen: vec![here],
            listen_quic: vec![here],
            boot_nodes: vec![victim.address("/tcp/")],
            network_size: network.size(),
            ..P2pConfig::new(
                dir.path().join("key"),
                Forks::only(network.fork_digest(), Version::default()),
                scene.status,
            )
        };
        let (handle, events) = smol::block_on(p2p::start(config)).expect("it starts");
        let met = smol::block_on(future::or(met(&events), async {
            Timer::after(PATIENCE).await;
            None
        }));
        let node = met.unwrap_or_else(|| panic!("an honest peer was not let in\n{}", victim.told()));
        let (looks, asked) = async_channel::bounded(1);
        smol::spawn(live(handle.clone(), events, node, asked)).detach();
        Honest { network: handle, node, looks, _dir: dir }
    }

    /// What it saw since the last time.
    pub fn look(&self) -> Served {
        smol::block_on(async {
            let (reply, served) = async_channel::bounded(1);
            self.looks.send(reply).await.expect("it lives");
            served.recv().await.expect("it answers")
        })
    }

    /// What it holds against the node, each with how often.
    pub fn holds(&self) -> Vec<(&'static str, u32)> {
        let peers = smol::block_on(self.network.peers());
        peers.into_iter().filter(|info| info.peer == self.node).flat_map(|info| info.penalties).collect()
    }

    /// Whether the node is still its peer.
    pub fn is_connected(&self) -> bool {
        smol::block_on(self.network.peers()).iter().any(|info| info.peer == self.node)
    }
}

async fn met(events: &P2pEvents) -> Option<PeerId> {
    while let Ok(event) = events.peers.recv().await {
        if let PeerEvent::Connected { peer, .. } = event {
            return Some(peer);
        }
    }
    None
}

/// Asks, and passes gossip on, until nobody looks any more.
async fn live(
    network: P2pHandle,
    events: P2pEvents,
    node: PeerId,
    looks: async_channel::Receiver<async_channel::Sender<Served>>,
) {
    let mut seen = Served::default();
    for number in 0.. {
        let begun = Instant::now();
        let is_served = ask(&network, node, number).await;
        if is_served {
            seen.answers += 1;
            seen.worst = seen.worst.max(begun.elapsed());
        } else {
            seen.failures += 1;
        }
        while let Ok(block) = events.gossip_blocks.try_recv() {
            seen.gossiped += 1;
            network.verdict(block.id, block.peer, Verdict::Accept);
        }
        let look = async { looks.recv().await };
        let pause = async {
            Timer::after(if is_served { PAUSE } else { REST }).await;
            Err(async_channel::RecvError)
        };
        match future::or(look, pause).await {
            Ok(reply) => drop(reply.try_send(std::mem::take(&mut seen))),
            Err(_) if looks.is_closed() => return,
            Err(_) => {}
        }
    }
}

async fn ask(network: &P2pHandle, node: PeerId, number: u64) -> bool {
    let blocks = network.blocks_by_range(node, number % STARTS, 1 + number / STARTS % LENGTHS);
    let mut count = 0;
    while let Ok(block) = blocks.recv().await {
        match block {
            Ok(_) => count += 1,
            Err(_) => return false,
        }
    }
    count > 0
}
