//! A node that is late itself does not blame its peers for it.

use futures::AsyncWriteExt as _;
use libp2p::{Stream, StreamProtocol};

use super::{stranger::Stranger, *};
use crate::p2p::{codec, gossip::GRAYLIST_SCORE, protocol::Protocol};

/// A node that counts as late whenever it wakes.
async fn late_node(change: impl FnOnce(&mut P2pConfig)) -> Node {
    node_with(|config| {
        config.late_after = Duration::ZERO;
        change(config);
    })
    .await
}

async fn the_peer(node: &Node) -> Option<PeerInfo> {
    node.handle.peers().await.into_iter().next()
}

#[test]
fn its_timeouts_cost_nothing_and_what_a_peer_does_costs_what_it_always_does() {
    smol::block_on(async {
        let node = late_node(|config| config.response_timeout = Duration::from_millis(300)).await;
        let stranger = Stranger::known_to(&node).await;
        // Half a length.
        let answer = stranger.say(&node, Protocol::PingV1, &[0x80], false).await;
        assert_eq!(answer.first(), Some(&(ErrorCode::InvalidRequest as u8)));
        assert!(the_peer(&node).await.unwrap().penalties.is_empty());
        // A length that no ping has.
        stranger.say(&node, Protocol::PingV1, &codec::encode_payload(&[0; 9]), true).await;
        eventually(async || the_peer(&node).await.unwrap().penalties == [("request_malformed", 1)]).await;
    });
}

fn block_topic() -> String {
    Topic::BeaconBlock.on(ForkDigest::from(FORK)).hash().to_string()
}

/// Offers messages that nobody has, and so never sends them. Returns the stream for more gossip.
async fn break_promises(stranger: &Stranger, node: &Node) -> Stream {
    const PROMISES: u64 = 500;
    // Of its own: nobody is asked for what another has offered already.
    let mut name = stranger.peer_id.to_bytes();
    name.reverse();
    let ids = (0..PROMISES).flat_map(|id| field(2, &[&id.to_le_bytes()[..], &name[..12]].concat()));
    let offer: Vec<u8> = field(1, block_topic().as_bytes()).into_iter().chain(ids).collect();
    // control { ihave { topic_id, message_ids } }, behind its length.
    let packet = field(3, &field(1, &offer));
    let mut stream = stranger.open_any(node, StreamProtocol::new("/meshsub/1.1.0")).await;
    stream.write_all(&with_length(&packet)).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

/// A field of bytes as protobuf writes it.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &with_length(bytes)].concat()
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut buffer = unsigned_varint::encode::usize_buffer();
    [unsigned_varint::encode::usize(bytes.len(), &mut buffer), bytes].concat()
}

/// Waits until gossipsub holds all that against the only peer there, and for some ticks, each of which looked at it.
async fn is_counted(node: &Node) {
    let mut counted = Duration::MAX;
    eventually(async || {
        let info = the_peer(node).await.unwrap();
        counted = info.connected_for;
        info.gossip_score < GRAYLIST_SCORE
    })
    .await;
    eventually(async || the_peer(node).await.unwrap().connected_for > counted + Duration::from_secs(1)).await;
}

/// The only peer there is not blamed for anything, and its gossip is heard.
async fn is_pardoned(node: &Node, stream: &mut Stream) {
    let info = the_peer(node).await.unwrap();
    assert!(info.state == PeerState::Connected && info.score == 0.0 && info.penalties.is_empty(), "{info:?}");
    let sent = block(12, 10);
    let packed = snap::raw::Encoder::new().compress_vec(&sent.as_ssz_bytes()).unwrap();
    // publish { data, topic }
    let message = [field(2, &packed), field(4, block_topic().as_bytes())].concat();
    stream.write_all(&with_length(&field(2, &message))).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(*next(&node.events.gossip_blocks).await.block, sent);
}

#[test]
fn who_breaks_promises_is_banned_by_a_node_that_is_in_time() {
    smol::block_on(async {
        let node = node().await;
        let stranger = Stranger::known_to(&node).await;
        let _stream = break_promises(&stranger, &node).await;
        eventually(async || node.handle.bans().await.iter().any(|(peer, _)| *peer == stranger.peer_id)).await;
    });
}

#[test]
fn who_seems_to_break_them_to_a_late_one_stays() {
    smol::block_on(async {
        let node = late_node(|_| ()).await;
        let stranger = Stranger::known_to(&node).await;
        let mut stream = break_promises(&stranger, &node).await;
        is_counted(&node).await;
        assert!(node.handle.bans().await.is_empty());
        is_pardoned(&node, &mut stream).await;
    });
}

#[test]
fn if_all_seem_to_break_them_one_is_banned_and_the_others_stay() {
    smol::block_on(async {
        let node = node().await;
        let strangers = [Stranger::known_to(&node).await, Stranger::known_to(&node).await];
        let mut streams = Vec::new();
        for stranger in &strangers {
            streams.push((stranger.peer_id, break_promises(stranger, &node).await));
        }
        eventually(async || node.handle.bans().await.len() == 1 && node.handle.peers().await.len() == 1).await;
        is_counted(&node).await;
        let there = the_peer(&node).await.unwrap().peer;
        let (_, stream) = streams.iter_mut().find(|(peer, _)| *peer == there).unwrap();
        is_pardoned(&node, stream).await;
        assert_eq!(node.handle.bans().await.len(), 1);
    });
}
