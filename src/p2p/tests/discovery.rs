//! Nodes that know one other node find each other.

use super::*;
use crate::p2p::{
    discovery::read_kept,
    identity::{node_id, node_id_of},
};

const NODES: usize = 10;
/// A search asks for a random part of the network: what it misses is found by another one, and when a search brought nobody
/// new, that begins half a minute later. Who was lost is dialled again after as long, or twice that.
const SEARCHES: Duration = Duration::from_secs(180);

fn finding(config: &mut P2pConfig, dir: &TempDir, boot: Option<&Node>) {
    config.discovery = Some(DiscoveryConfig {
        port: None,
        boot_nodes: boot.iter().map(|node| node.handle.local_enr().to_base64()).collect(),
        private_addresses: false,
        peers_file: dir.path().join("peers"),
        chain: Default::default(),
    });
}

/// A node on loopback that discovery begins at `boot` with.
async fn finder(boot: Option<&Node>, change: impl FnOnce(&mut P2pConfig)) -> Node {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir);
    finding(&mut config, &dir, boot);
    change(&mut config);
    let (handle, events) = start(config).await.unwrap();
    Node { handle, events, _dir: dir }
}

/// With discovery a fork matters: nodes of another are not even dialled.
fn on_another_fork(config: &mut P2pConfig) {
    config.forks = Forks::only(ForkDigest::from([9, 9, 9, 9]), Version::default());
}

/// Tries until searches brought it.
async fn found(attempt: impl AsyncFnMut() -> bool) {
    eventually_within(SEARCHES, attempt).await;
}

async fn peers_of(node: &Node) -> usize {
    node.handle.peers().await.iter().filter(|peer| peer.state == PeerState::Connected).count()
}

#[test]
fn ten_nodes_that_know_one_find_each_other() {
    smol::block_on(async {
        let first = finder(None, |_| ()).await;
        let stranger = finder(Some(&first), on_another_fork).await;
        let mut nodes = vec![];
        for _ in 1..NODES {
            nodes.push(finder(Some(&first), |_| ()).await);
        }
        nodes.push(first);
        for node in &nodes {
            found(async || peers_of(node).await == NODES - 1).await;
        }
        assert_eq!(peers_of(&stranger).await, 0);
        // They are written at the end, to come back to. (Of those who came to us there is no record yet; the second one
        // went to the first.)
        let last = nodes.remove(0);
        last.handle.shutdown().await;
        let kept = read_kept(&last._dir.path().join("peers"));
        assert!(!kept.is_empty() && kept.iter().all(|record| record.get_raw_rlp("eth2").is_some()));
    });
}

#[test]
fn kept_peers_are_dialled_without_boot_nodes() {
    smol::block_on(async {
        let other = finder(None, |_| ()).await;
        let dir = tempfile::tempdir().unwrap();
        let records = [other.handle.local_enr()];
        crate::p2p::discovery::write_kept(&dir.path().join("peers"), &records).unwrap();
        let mut config = config(&dir);
        finding(&mut config, &dir, None);
        let (node, _events) = start(config).await.unwrap();
        found(async || node.peers().await.len() == 1).await;
        let record = node.local_enr();
        assert_eq!(
            record.udp4(),
            node.identity().discovery_addrs[0].iter().find_map(|part| match part {
                libp2p::multiaddr::Protocol::Udp(port) => Some(port),
                _ => None,
            })
        );
        node.shutdown().await;
    });
}

#[test]
fn a_change_of_forks_makes_a_newer_record_that_others_see() {
    smol::block_on(async {
        let node = finder(None, |_| ()).await;
        let before = node.handle.local_enr();
        let mut forks = Forks::only(ForkDigest::from([5, 6, 7, 8]), Version::default());
        (forks.next_epoch, forks.next_digest) = (9, ForkDigest::from([8, 7, 6, 5]));
        node.handle.set_forks(forks.clone());
        eventually(async || node.handle.local_enr().seq() > before.seq()).await;
        assert_eq!(node.handle.local_enr().get_raw_rlp("nfd").unwrap(), [0x84, 8, 7, 6, 5]);
        // A node of that fork finds it by its new record only.
        let other = finder(Some(&node), |config| config.forks = forks).await;
        found(async || peers_of(&other).await == 1).await;
    });
}

#[test]
fn a_full_node_looks_for_a_subnet_that_nobody_serves() {
    smol::block_on(async {
        let topic = Topic::BeaconAttestation(9);
        let full_of = async |peers: usize| {
            let node = finder(None, |config| config.max_peers = peers).await;
            let mut with = Vec::new();
            for _ in 0..peers {
                with.push(node_connected_to(&[&node]).await);
            }
            eventually(async || peers_of(&node).await == peers).await;
            (node, with)
        };
        // Neither looks for anybody: both are full.
        let (seeker, _first) = full_of(2).await;
        let (wanted, _second) = full_of(1).await;
        let subnets = Subnets { listen: [topic].into(), attnets: [9].into(), ..Subnets::default() };
        wanted.handle.set_subnets(subnets);
        eventually(async || wanted.handle.identity().metadata.attnets.get(9).unwrap()).await;
        // Somebody whom both know, which they do when it has gone to them by what discovery found.
        let boot_nodes = [&seeker, &wanted].map(|node| node.handle.local_enr().to_base64());
        let wanted_id = node_id_of(&wanted.handle.peer_id()).unwrap();
        let change = |config: &mut P2pConfig| {
            config.discovery.as_mut().unwrap().boot_nodes = boot_nodes.into();
            // A search asks everybody for nodes about as far from them as a random place is: half of all places are as far as
            // can be, and so is the wanted node from the introducer.
            while (node_id(&config.key_file).unwrap()[0] ^ wanted_id[0]) >> 7 == 0 {
                std::fs::remove_file(&config.key_file).unwrap();
            }
        };
        let introducer = finder(None, change).await;
        for node in [&seeker, &wanted] {
            let introduced = introducer.handle.peer_id();
            let is_it = |event| matches!(event, PeerEvent::Connected { peer, .. } if peer == introduced);
            within(SEARCHES, async { while !is_it(node.events.peers.recv().await.unwrap()) {} }).await;
        }
        // It finds no place, and leaves.
        eventually(async || introducer.handle.peers().await.is_empty()).await;
        let is_there = async || seeker.handle.peers().await.iter().any(|info| info.peer == wanted.handle.peer_id());
        // A search that misses it is followed by another.
        let searched = async || {
            seeker.handle.listen(topic, false);
            seeker.handle.listen(topic, true);
            for _ in 0..100 {
                if is_there().await {
                    return true;
                }
                Timer::after(Duration::from_millis(10)).await;
            }
            false
        };
        found(searched).await;
        found(async || peers_of(&seeker).await == 2 && is_there().await).await;
    });
}
