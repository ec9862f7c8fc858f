//! Peers that write or read slowly, or not at all, on every protocol.

use futures::AsyncWriteExt as _;

use super::{stranger::Stranger, *};
use crate::p2p::{codec, protocol::Protocol};

const SHORT: Duration = Duration::from_millis(300);

async fn penalties(node: &Node) -> Vec<(&'static str, u32)> {
    node.handle.peers().await.first().map(|info| info.penalties.clone()).unwrap_or_default()
}

#[test]
fn a_slow_writer_is_given_up_on_every_protocol() {
    smol::block_on(async {
        for protocol in Protocol::ALL {
            let node = node_with(|config| config.response_timeout = SHORT).await;
            let stranger = Stranger::known_to(&node).await;
            // Half a length, or no end where there is nothing to say.
            let begun: &[u8] = if protocol.request_bounds().is_some() { &[0x80] } else { &[] };
            let answer = stranger.say(&node, protocol, begun, false).await;
            assert_eq!(answer.first(), Some(&(ErrorCode::InvalidRequest as u8)), "{protocol:?}");
            eventually(async || penalties(&node).await == [("timeout", 1)]).await;
        }
    });
}

#[test]
fn a_reader_that_does_not_read_loses_its_place_and_its_score() {
    smol::block_on(async {
        let range = codec::encode_payload(&[7u64, 2, 1].map(u64::to_le_bytes).concat());
        let head = codec::encode_payload(&[&[1; 32][..], &2u64.to_le_bytes()].concat());
        let roots = codec::encode_payload(&[1; 64]);
        let asking =
            [(Protocol::BlocksByRangeV2, range), (Protocol::BlocksByRootV2, roots), (Protocol::BlocksByHeadV1, head)];
        for (protocol, request) in asking {
            let node = node_with(|config| config.response_timeout = SHORT).await;
            let stranger = Stranger::known_to(&node).await;
            let mut stream = stranger.open(&node, protocol).await;
            stream.write_all(&request).await.unwrap();
            stream.close().await.unwrap();
            let asked = next(&node.events.requests).await;
            // Far more than fits into a window, so that writing has to wait for the reader.
            let mut large = block(7, 0);
            let mut transaction = vec![0; 4_000_000];
            rand::RngCore::fill_bytes(&mut rand::rng(), &mut transaction);
            large.message.body.execution_payload.transactions =
                vec![transaction.try_into().unwrap()].try_into().unwrap();
            let _ = asked.reply.send(chunk(&large)).await;
            eventually(async || penalties(&node).await == [("timeout", 1)]).await;
            // Nobody produces for it any more.
            assert!(asked.reply.is_closed(), "{protocol:?}");
            drop(stream);
        }
    });
}

/// Nodes that ping often.
fn impatient(config: &mut P2pConfig) {
    config.response_timeout = Duration::from_secs(1);
    config.ping_interval = Duration::from_millis(200);
}

#[test]
fn who_answers_nothing_is_given_up_while_others_answer() {
    smol::block_on(async {
        let (node, other) = pair(impatient).await;
        let stranger = Stranger::known_to(&node).await;
        let gone = come_or_gone(&node).await;
        assert!(matches!(gone, PeerEvent::Disconnected { peer } if peer == stranger.peer_id), "{gone:?}");
        assert!(node.handle.bans().await.is_empty(), "it may only have a bad line");
        drop(other);
    });
}

#[test]
fn who_answers_nothing_stays_while_nobody_answers() {
    smol::block_on(async {
        let node = node_with(impatient).await;
        let _stranger = Stranger::known_to(&node).await;
        // Two more than would be enough.
        eventually(async || penalties(&node).await == [("timeout", 6)]).await;
    });
}

#[test]
fn the_same_range_is_not_served_for_ever() {
    smol::block_on(async {
        let node = node().await;
        let stranger = Stranger::known_to(&node).await;
        let range = codec::encode_payload(&[7u64, 2, 1].map(u64::to_le_bytes).concat());
        let ask = async {
            let mut served = 0;
            while stranger.say(&node, Protocol::BlocksByRangeV2, &range, true).await.is_empty() {
                served += 1;
            }
            served
        };
        let serve = async {
            // We have none of these blocks.
            while let Ok(asked) = node.events.requests.recv().await {
                drop(asked.reply);
            }
            unreachable!()
        };
        assert_eq!(in_time(future::or(ask, serve)).await, 32);
        eventually(async || penalties(&node).await == [("request_repeated", 1)]).await;
    });
}

#[test]
fn one_peer_cannot_take_all_places() {
    smol::block_on(async {
        let node = node().await;
        let stranger = Stranger::known_to(&node).await;
        let mut open = Vec::new();
        // Two of each kind would be more than one peer may have.
        let is_first = |it: &Protocol| it.method().protocols()[0] == *it && it.request_bounds().is_some();
        for protocol in Protocol::ALL.into_iter().filter(is_first).cycle().take(16) {
            let mut stream = stranger.open(&node, protocol).await;
            // Half a length: the rest is waited for.
            stream.write_all(&[0x80]).await.unwrap();
            stream.flush().await.unwrap();
            open.push(stream);
        }
        // Of this kind it has none open.
        eventually(async || {
            let answer = stranger.say(&node, Protocol::MetaDataV3, &[], true).await;
            answer.first() == Some(&(ErrorCode::RateLimited as u8))
        })
        .await;
        // Another peer is served.
        let other = Stranger::known_to(&node).await;
        let pong = other.say(&node, Protocol::PingV1, &codec::encode_payload(&[0; 8]), true).await;
        assert_eq!(pong.first(), Some(&0));
        drop(open);
    });
}
