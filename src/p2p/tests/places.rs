//! Who gets a place, and who loses it.

use super::{stranger::Stranger, *};
use crate::p2p::{codec, protocol::Protocol};

const TOO_MANY_PEERS: u64 = 129;

async fn said_goodbye(stranger: &Stranger, code: u64) {
    let (said, _stream) = stranger.asked(Protocol::GoodbyeV1).await;
    assert_eq!(said, codec::encode_payload(&code.to_le_bytes()));
}

#[test]
fn two_hundred_connections_of_one_address_leave_the_places_to_others() {
    smol::block_on(async {
        let both = || vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
        let node = node_with(|config| {
            (config.listen, config.listen_quic) = (both(), both());
            (config.max_peers, config.exempt_addresses) = (8, Exempt::none());
        })
        .await;
        let mut sybil = Vec::new();
        for _ in 0..200 {
            let stranger = Stranger::serving(&[]).await;
            stranger.dial(&node).await;
            sybil.push(stranger);
            assert!(node.handle.peers().await.len() <= 4);
        }
        // An honest node, from another address.
        let addr = node.handle.listen_addrs().into_iter().find(|addr| addr.to_string().starts_with("/ip6/")).unwrap();
        let addr = format!("{addr}/p2p/{}", node.handle.peer_id());
        let honest = node_with(|config| config.boot_nodes = vec![addr]).await;
        assert!(matches!(next(&honest.events.peers).await, PeerEvent::Connected { .. }));
        let peers = node.handle.peers().await;
        assert!(peers.len() <= 5 && peers.iter().any(|info| info.peer == honest.handle.peer_id()));
    });
}

#[test]
fn who_behaves_worse_makes_room_and_who_is_only_new_does_not_stay() {
    smol::block_on(async {
        let node = node_with(|config| config.max_peers = 2).await;
        let (worse, good) = (Stranger::known_to(&node).await, Stranger::known_to(&node).await);
        node.handle.report(worse.peer_id, Reason::Timeout);
        let second = Stranger::known_to(&node).await;
        said_goodbye(&worse, TOO_MANY_PEERS).await;
        worse.is_disconnected().await;
        let third = Stranger::known_to(&node).await;
        said_goodbye(&third, TOO_MANY_PEERS).await;
        third.is_disconnected().await;
        eventually(async || node.handle.peers().await.len() == 2).await;
        let peers: Vec<PeerId> = node.handle.peers().await.iter().map(|info| info.peer).collect();
        assert!(peers.contains(&good.peer_id) && peers.contains(&second.peer_id));
    });
}

#[test]
fn who_comes_again_under_other_names_loses_the_address() {
    const BANNED: u64 = 251;
    const BANNED_ADDRESS: u64 = 252;
    smol::block_on(async {
        let both = || vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
        let node = node_with(|config| (config.listen, config.exempt_addresses) = (both(), Exempt::none())).await;
        for said in [BANNED, BANNED, BANNED, BANNED_ADDRESS] {
            let stranger = Stranger::known_to(&node).await;
            for _ in 0..3 {
                node.handle.report(stranger.peer_id, Reason::InvalidBlock);
            }
            said_goodbye(&stranger, said).await;
            stranger.is_disconnected().await;
            assert!(matches!(come_or_gone(&node).await, PeerEvent::Disconnected { .. }));
        }
        let again = Stranger::serving(&[]).await;
        again.dial(&node).await;
        again.is_disconnected().await;
        assert!(node.handle.peers().await.is_empty());
        // Another address is served.
        let addrs: Vec<String> = node.handle.listen_addrs().iter().map(ToString::to_string).collect();
        let addr = addrs.iter().find(|addr| addr[..5] != addrs[0][..5]).unwrap();
        let addr = format!("{addr}/p2p/{}", node.handle.peer_id());
        let honest = node_with(|config| config.boot_nodes = vec![addr]).await;
        assert!(matches!(next(&honest.events.peers).await, PeerEvent::Connected { .. }));
    });
}

#[test]
fn what_is_known_of_a_peer_can_be_asked_for() {
    smol::block_on(async {
        let node = node().await;
        let stranger = Stranger::known_to(&node).await;
        node.handle.report(stranger.peer_id, Reason::Timeout);
        node.handle.report(stranger.peer_id, Reason::Timeout);
        let info = node.handle.peers().await.remove(0);
        assert_eq!((info.penalties, info.transport), (vec![("timeout", 2)], "tcp"));
        let goodbye = codec::encode_payload(&TOO_MANY_PEERS.to_le_bytes());
        let mut stream = stranger.open(&node, Protocol::GoodbyeV1).await;
        futures::AsyncWriteExt::write_all(&mut stream, &goodbye).await.unwrap();
        futures::AsyncWriteExt::close(&mut stream).await.unwrap();
        eventually(async || node.handle.peers().await.first().is_none_or(|info| info.goodbye == Some(TOO_MANY_PEERS)))
            .await;
        stranger.is_disconnected().await;
        let banned = Stranger::known_to(&node).await;
        for _ in 0..3 {
            node.handle.report(banned.peer_id, Reason::InvalidBlock);
        }
        eventually(async || node.handle.bans().await.len() == 1).await;
        assert_eq!(node.handle.bans().await[0].0, banned.peer_id);
    });
}
