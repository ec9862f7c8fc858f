//! Over QUIC, over TCP, and over what of both is there.

use std::net::UdpSocket;

use super::*;
use crate::p2p::{identity::quic_sockets, transport};

fn only_quic(config: &mut P2pConfig) {
    config.listen = Vec::new();
}

fn only_tcp(config: &mut P2pConfig) {
    config.listen_quic = Vec::new();
}

/// The transport of each connection of the node.
async fn transports(node: &Node) -> Vec<&'static str> {
    node.handle.peers().await.iter().map(|info| transport::name(&info.addr)).collect()
}

#[test]
fn a_record_of_quic_alone_is_enough() {
    smol::block_on(async {
        let (first, second) = pair(only_quic).await;
        assert_eq!(quic_sockets(&first.handle.local_enr()).len(), 1);
        assert!(first.handle.local_enr().tcp4_socket().is_none());
        assert_eq!((transports(&first).await, transports(&second).await), (vec!["quic"], vec!["quic"]));
        let info = &second.handle.peers().await[0];
        assert!(info.received_bytes > 0 && info.sent_bytes > 0);
    });
}

#[test]
fn large_blocks_pass_over_quic_and_over_tcp() {
    smol::block_on(async {
        for change in [only_quic, only_tcp] {
            let (first, second) = pair(change).await;
            // Larger than a connection's window.
            let sent = [block(5, 3_000_000), block(6, 3_000_000)];
            let blocks = second.handle.blocks_by_range(first.handle.peer_id(), 5, 2);
            let request = next(&first.events.requests).await;
            let producer = async {
                for block in &sent {
                    request.reply.send(chunk(block)).await.unwrap();
                }
                drop(request);
            };
            let (got, ()) = futures::join!(collect(blocks), producer);
            assert_eq!(got.len(), 2);
            for (got, sent) in got.into_iter().zip(&sent) {
                assert_eq!(*got.unwrap(), *sent);
            }
            publish(&first, Topic::BeaconBlock, block(7, 2_000_000).as_ssz_bytes()).await;
            assert_eq!(next(&second.events.gossip_blocks).await.block.message.slot, 7);
        }
    });
}

#[test]
fn tcp_is_the_fallback_where_quic_is_not_answered() {
    smol::block_on(async {
        let first = node_with(only_tcp).await;
        // A port that nobody answers on, as behind a firewall that lets only TCP through.
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let peer = first.handle.peer_id();
        let quic = format!("/ip4/127.0.0.1/udp/{}/quic-v1/p2p/{peer}", silent.local_addr().unwrap().port());
        let tcp = format!("{}/p2p/{peer}", first.handle.listen_addrs()[0]);
        let second = node_with(|config| config.boot_nodes = vec![quic, tcp]).await;
        assert!(matches!(next(&second.events.peers).await, PeerEvent::Connected { .. }));
        assert_eq!(transports(&second).await, ["tcp"]);
    });
}

#[test]
fn without_quic_a_node_finds_its_way_over_tcp() {
    smol::block_on(async {
        let first = node().await;
        let enr = first.handle.local_enr().to_base64();
        let second = node_with(|config| {
            only_tcp(config);
            config.boot_nodes = vec![enr];
        })
        .await;
        assert!(matches!(next(&second.events.peers).await, PeerEvent::Connected { .. }));
        assert_eq!(transports(&second).await, ["tcp"]);
        let info = &second.handle.peers().await[0];
        assert!(info.received_bytes > 0 && info.sent_bytes > 0);
        assert!(quic_sockets(&second.handle.local_enr()).is_empty());
    });
}
