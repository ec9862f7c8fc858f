//! What the API tells of the network, in the API's words.

use std::time::Duration;

use crate::{
    api::{Ban, Direction, Identity, MetaData, NetworkInfo, Peer, PeerDetail, PeerDetails, PeerState},
    p2p::{self, P2pHandle},
};

/// Answers about us and our peers from the network task.
pub fn network_info(network: &P2pHandle) -> NetworkInfo {
    let (us, them, details) = (network.clone(), network.clone(), network.clone());
    NetworkInfo {
        identity: Box::new(move || identity(&us)),
        peers: Box::new(move || smol::block_on(them.peers()).into_iter().map(peer).collect()),
        details: Box::new(move || smol::block_on(peer_details(&details))),
    }
}

fn identity(network: &P2pHandle) -> Identity {
    let identity = network.identity();
    let address = |listen: &p2p::Multiaddr| format!("{listen}/p2p/{}", identity.peer_id);
    Identity {
        peer_id: identity.peer_id.to_string(),
        enr: identity.enr.to_base64(),
        p2p_addresses: identity.listen_addrs.iter().map(address).collect(),
        discovery_addresses: identity.discovery_addrs.iter().map(address).collect(),
        metadata: metadata(&identity.metadata),
    }
}

fn peer(info: p2p::PeerInfo) -> Peer {
    Peer {
        peer_id: info.peer.to_string(),
        enr: info.enr.map(|enr| enr.to_base64()),
        last_seen_p2p_address: info.addr.to_string(),
        state: match info.state {
            p2p::PeerState::Connecting => PeerState::Connecting,
            p2p::PeerState::Connected => PeerState::Connected,
            p2p::PeerState::Disconnecting => PeerState::Disconnecting,
        },
        direction: match info.direction {
            p2p::Direction::Inbound => Direction::Inbound,
            p2p::Direction::Outbound => Direction::Outbound,
        },
    }
}

async fn peer_details(network: &P2pHandle) -> PeerDetails {
    let (peers, bans) = futures::join!(network.peers(), network.bans());
    let ban = |(peer, left): (p2p::PeerId, Duration)| Ban { peer_id: peer.to_string(), seconds_left: left.as_secs() };
    PeerDetails { peers: peers.into_iter().map(peer_detail).collect(), bans: bans.into_iter().map(ban).collect() }
}

fn peer_detail(info: p2p::PeerInfo) -> PeerDetail {
    PeerDetail {
        transport: info.transport,
        agent: info.agent.clone(),
        connected_seconds: info.connected_for.as_secs(),
        score: info.score,
        penalties: info.penalties.iter().copied().collect(),
        gossip_score: info.gossip_score,
        received_bytes: info.received_bytes,
        sent_bytes: info.sent_bytes,
        metadata: info.metadata.as_ref().map(metadata),
        head_slot: info.status.map(|status| status.head_slot),
        finalized_epoch: info.status.map(|status| status.finalized_epoch),
        earliest_available_slot: info.status.map(|status| status.earliest_available_slot),
        goodbye: info.goodbye,
        peer: peer(info),
    }
}

fn metadata(metadata: &p2p::MetaData) -> MetaData {
    MetaData {
        seq_number: metadata.seq_number,
        attnets: bits(metadata.attnets.as_slice()),
        syncnets: bits(metadata.syncnets.as_slice()),
        custody_group_count: metadata.custody_group_count,
    }
}

fn bits(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
