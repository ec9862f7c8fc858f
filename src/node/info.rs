//! What the API tells of the network, in the API's words.

use crate::{
    api::{Direction, Identity, MetaData, NetworkInfo, Peer, PeerState},
    p2p::{self, P2pHandle},
};

/// Answers about us and our peers from the network task.
pub fn network_info(network: &P2pHandle) -> NetworkInfo {
    let (us, them) = (network.clone(), network.clone());
    NetworkInfo {
        identity: Box::new(move || identity(&us)),
        peers: Box::new(move || smol::block_on(them.peers()).into_iter().map(peer).collect()),
    }
}

fn identity(network: &P2pHandle) -> Identity {
    let identity = network.identity();
    let address = |listen: &p2p::Multiaddr| format!("{listen}/p2p/{}", identity.peer_id);
    Identity {
        peer_id: identity.peer_id.to_string(),
        enr: identity.enr.to_base64(),
        p2p_addresses: identity.listen_addrs.iter().map(address).collect(),
        discovery_addresses: Vec::new(),
        metadata: MetaData {
            seq_number: identity.metadata.seq_number,
            attnets: bits(identity.metadata.attnets.as_slice()),
            syncnets: bits(identity.metadata.syncnets.as_slice()),
            custody_group_count: identity.metadata.custody_group_count,
        },
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

fn bits(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
