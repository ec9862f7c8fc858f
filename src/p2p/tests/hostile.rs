use futures::AsyncWriteExt as _;

use super::{stranger::Stranger, *};
use crate::p2p::{codec, protocol::Protocol};

const INVALID_REQUEST: u8 = ErrorCode::InvalidRequest as u8;

async fn score(node: &Node, stranger: &Stranger) -> f64 {
    let peers = node.handle.peers().await;
    peers.iter().find(|info| info.peer == stranger.peer_id).expect("still connected").score
}

fn varint(n: u64) -> Vec<u8> {
    unsigned_varint::encode::u64(n, &mut unsigned_varint::encode::u64_buffer()).to_vec()
}

/// A frame with 64 KiB of zeros in 3 KB.
fn bomb_frame() -> Vec<u8> {
    let encoded = codec::encode_payload(&vec![0; 65_536]);
    encoded[varint(65_536).len()..].to_vec()
}

fn block_chunk(fork: [u8; 4], ssz: &[u8]) -> Vec<u8> {
    [&[0][..], &fork, &codec::encode_payload(ssz)].concat()
}

#[test]
fn malformed_gossip_is_rejected_and_costs_its_sender() {
    smol::block_on(async {
        let node = node().await;
        let stranger = Stranger::known_to(&node).await;
        let packed = snap::raw::Encoder::new().compress_vec(b"not a block").unwrap();
        stranger.publish(Topic::BeaconBlock, packed).await;
        eventually(async || score(&node, &stranger).await < 0.0).await;
        assert!(node.events.gossip_blocks.is_empty());
    });
}

#[test]
fn who_gossips_bombs_is_banned() {
    smol::block_on(async {
        let node = node().await;
        let stranger = Stranger::known_to(&node).await;
        let zeros = snap::raw::Encoder::new().compress_vec(&vec![0; codec::MAX_PAYLOAD_SIZE + 1]).unwrap();
        stranger.publish(Topic::BeaconBlock, zeros).await;
        let more = async {
            for len in 1.. {
                stranger.publish(Topic::BeaconBlock, varint((1 << 32) - len)).await;
            }
            unreachable!()
        };
        let (said, _) = future::or(stranger.asked(Protocol::GoodbyeV1), more).await;
        assert_eq!(said, codec::encode_payload(&251u64.to_le_bytes()));
        assert!(matches!(come_or_gone(&node).await, PeerEvent::Disconnected { .. }));
        assert!(node.events.gossip_blocks.is_empty());
    });
}

#[test]
fn bad_requests_are_refused_and_cost_their_sender() {
    let endless_padding =
        [varint(32), b"\xff\x06\x00\x00sNaPpY".to_vec(), b"\xfe\x01\x00\x00x".repeat(20_000)].concat();
    let cases = [
        ("a length beyond the type's", varint(1 << 40), false),
        ("a bomb", [varint(32), bomb_frame()].concat(), false),
        ("endless padding", endless_padding, false),
        ("not a multiple of a root", codec::encode_payload(&[1; 33]), true),
        ("more roots than allowed", codec::encode_payload(&[1; 129 * 32]), true),
        ("no roots", codec::encode_payload(&[]), true),
        ("bytes behind the end", [codec::encode_payload(&[1; 32]), vec![0]].concat(), true),
        ("cut off", codec::encode_payload(&[1; 32])[..10].to_vec(), true),
    ];
    smol::block_on(async {
        for (what, bytes, close) in cases {
            let node = node().await;
            let stranger = Stranger::known_to(&node).await;
            let answer = stranger.say(&node, Protocol::BlocksByRootV2, &bytes, close).await;
            assert_eq!(answer.first(), Some(&INVALID_REQUEST), "{what}");
            eventually(async || score(&node, &stranger).await < 0.0).await;
            assert!(node.events.requests.is_empty(), "{what}");
        }
    });
}

#[test]
fn a_request_that_never_ends_is_given_up() {
    smol::block_on(async {
        let node = node_with(|config| config.response_timeout = Duration::from_millis(300)).await;
        let stranger = Stranger::known_to(&node).await;
        let answer = stranger.say(&node, Protocol::BlocksByRootV2, &varint(32), false).await;
        assert_eq!(answer.first(), Some(&INVALID_REQUEST));
        eventually(async || score(&node, &stranger).await < 0.0).await;
    });
}

#[test]
fn a_range_without_slots_makes_no_sense_and_a_long_one_is_cut() {
    smol::block_on(async {
        let node = node().await;
        let stranger = Stranger::known_to(&node).await;
        let range = |count: u64| codec::encode_payload(&[7u64, count, 1].map(u64::to_le_bytes).concat());
        let answer = stranger.say(&node, Protocol::BlocksByRangeV2, &range(0), true).await;
        assert_eq!(answer.first(), Some(&INVALID_REQUEST));
        let mut stream = stranger.open(&node, Protocol::BlocksByRangeV2).await;
        stream.write_all(&range(u64::MAX)).await.unwrap();
        stream.close().await.unwrap();
        let kind = next(&node.events.requests).await.kind;
        assert_eq!(kind, RequestKind::BlocksByRange { start_slot: 7, count: MAX_REQUEST_BLOCKS as u64 });
    });
}

#[test]
fn too_many_requests_at_once_are_refused() {
    smol::block_on(async {
        let node = node().await;
        let stranger = Stranger::known_to(&node).await;
        let range = codec::encode_payload(&[7u64, 1, 1].map(u64::to_le_bytes).concat());
        let mut open = Vec::new();
        let mut waiting = Vec::new();
        // Two are allowed, and two more may be answers that the stranger has read and we have not ended.
        for _ in 0..4 {
            let mut stream = stranger.open(&node, Protocol::BlocksByRangeV2).await;
            stream.write_all(&range).await.unwrap();
            stream.close().await.unwrap();
            open.push(stream);
            waiting.push(next(&node.events.requests).await);
        }
        let answer = stranger.say(&node, Protocol::BlocksByRangeV2, &range, true).await;
        assert_eq!(answer.first(), Some(&(ErrorCode::RateLimited as u8)));
        assert!(score(&node, &stranger).await < 0.0);
        // Another kind is not affected.
        let pong = stranger.say(&node, Protocol::PingV1, &codec::encode_payload(&[0; 8]), true).await;
        assert_eq!(pong.first(), Some(&0));
    });
}

/// What the node makes of `answer` to its request for the slots 10 to 13.
async fn asked_and_answered(answer: &[u8]) -> (Vec<Result<Arc<SignedBeaconBlock>, RpcError>>, f64) {
    let node = node_with(|config| config.response_timeout = Duration::from_millis(700)).await;
    let stranger = Stranger::known_to(&node).await;
    let blocks = node.handle.blocks_by_range(stranger.peer_id, 10, 4);
    let (got, ()) = futures::join!(collect(blocks), stranger.answer(Protocol::BlocksByRangeV2, answer));
    // The task hears of the end after the asker.
    if got.last().is_some_and(Result::is_err) {
        eventually(async || score(&node, &stranger).await < 0.0).await;
    }
    (got, score(&node, &stranger).await)
}

#[test]
fn bad_answers_end_the_request_and_cost_their_sender() {
    let good = block(11, 100).as_ssz_bytes();
    let head = [&[0][..], &FORK].concat();
    let unrelated = |what| Err(RpcError::Unrelated(what));
    let malformed = |what: &str| Err(RpcError::Malformed(what.into()));
    let cases = [
        (block_chunk([1, 2, 3, 4], &good), unrelated("an item of an unknown fork")),
        (block_chunk(FORK, &block(14, 1).as_ssz_bytes()), unrelated("a block outside of the range")),
        (block_chunk(FORK, &good).repeat(2), unrelated("blocks out of order")),
        (
            [head.clone(), varint(1 << 30)].concat(),
            malformed("a length of 1073741824 bytes where 184 to 10485760 are allowed"),
        ),
        ([head.clone(), varint(1000), bomb_frame()].concat(), malformed("more bytes than the length prefix promised")),
        (block_chunk(FORK, &good)[..50].to_vec(), malformed("the stream ended inside a message")),
        ([vec![2], varint(257)].concat(), malformed("an error message that is too long")),
    ];
    smol::block_on(async {
        for (answer, expected) in cases {
            let (got, score) = asked_and_answered(&answer).await;
            assert_eq!(got.last().unwrap(), &expected);
            assert!(score < -19.0, "{expected:?}: {score}");
        }
        let (got, score) = asked_and_answered(&block_chunk(FORK, &[0; 1000])).await;
        assert!(matches!(got[..], [Err(RpcError::Malformed(_))]), "{got:?}");
        assert!(score < -19.0);
    });
}

#[test]
fn odd_but_honest_answers_cost_nothing_or_little() {
    smol::block_on(async {
        assert_eq!(asked_and_answered(&[]).await, (vec![], 0.0));
        let refusal = [vec![3], codec::encode_payload(b"pruned\n")].concat();
        let (got, score) = asked_and_answered(&refusal).await;
        assert_eq!(got, [Err(RpcError::Refused { code: 3, message: "pruned?".into() })]);
        assert!((-3.0..0.0).contains(&score), "{score}");
        // More than was asked for is not read.
        let five: Vec<u8> = (10..15).flat_map(|slot| block_chunk(FORK, &block(slot, 1).as_ssz_bytes())).collect();
        let (got, _) = asked_and_answered(&five).await;
        assert!(got.len() == 4 && got.iter().all(Result::is_ok));
    });
}

#[test]
fn a_silent_or_dripping_answer_is_given_up() {
    smol::block_on(async {
        let node = node_with(|config| config.response_timeout = Duration::from_millis(300)).await;
        let stranger = Stranger::known_to(&node).await;
        let blocks = node.handle.blocks_by_range(stranger.peer_id, 10, 4);
        let (_, _silent) = stranger.asked(Protocol::BlocksByRangeV2).await;
        assert_eq!(collect(blocks).await, [Err(RpcError::Timeout)]);
        let blocks = node.handle.blocks_by_range(stranger.peer_id, 10, 4);
        let (_, mut dripping) = stranger.asked(Protocol::BlocksByRangeV2).await;
        let drip = async {
            for byte in block_chunk(FORK, &block(10, 1000).as_ssz_bytes()) {
                if dripping.write_all(&[byte]).await.is_err() || dripping.flush().await.is_err() {
                    break;
                }
                Timer::after(Duration::from_millis(50)).await;
            }
            future::pending().await
        };
        let got = future::or(collect(blocks), drip).await;
        assert_eq!(got, [Err(RpcError::Timeout)]);
        eventually(async || score(&node, &stranger).await < -9.0).await;
    });
}

#[test]
fn a_peer_of_another_fork_hears_goodbye() {
    smol::block_on(async {
        let node = node().await;
        let stranger = Stranger::serving(&Protocol::ALL).await;
        stranger.dial(&node).await;
        stranger.is_connected().await;
        stranger.tell_status(&node, [7, 7, 7, 7]).await;
        let (said, mut stream) = stranger.asked(Protocol::GoodbyeV1).await;
        assert_eq!(said, codec::encode_payload(&2u64.to_le_bytes()));
        stream.close().await.unwrap();
        stranger.is_disconnected().await;
        eventually(async || node.handle.peers().await.is_empty()).await;
        assert!(node.events.peers.is_empty());
    });
}

#[test]
fn a_banned_peer_is_not_let_in_again() {
    smol::block_on(async {
        let node = node().await;
        let stranger = Stranger::known_to(&node).await;
        for _ in 0..3 {
            node.handle.report(stranger.peer_id, Reason::InvalidBlock);
        }
        let (said, stream) = stranger.asked(Protocol::GoodbyeV1).await;
        assert_eq!(said, codec::encode_payload(&251u64.to_le_bytes()));
        drop(stream);
        stranger.is_disconnected().await;
        assert!(matches!(come_or_gone(&node).await, PeerEvent::Disconnected { .. }));
        stranger.dial(&node).await;
        stranger.is_disconnected().await;
        assert!(node.handle.peers().await.is_empty());
    });
}

#[test]
fn a_peer_that_never_tells_its_status_is_sent_away() {
    smol::block_on(async {
        let node = node_with(|config| config.response_timeout = Duration::from_millis(300)).await;
        let stranger = Stranger::serving(&Protocol::ALL).await;
        stranger.dial(&node).await;
        let (said, _) = stranger.asked(Protocol::GoodbyeV1).await;
        assert_eq!(said, codec::encode_payload(&3u64.to_le_bytes()));
        stranger.is_disconnected().await;
        assert!(node.events.peers.is_empty());
    });
}

#[test]
fn an_older_peer_is_spoken_to_in_its_versions() {
    smol::block_on(async {
        let stranger = Stranger::serving(&[Protocol::StatusV1, Protocol::MetaDataV2]).await;
        // Without a peer id, too.
        let node = node_with(|config| config.boot_nodes = vec![stranger.addr.to_string()]).await;
        let status = Status { fork_digest: ForkDigest::from(FORK), ..status() };
        let answer = [vec![0], codec::encode_payload(&status.to_v1_bytes())].concat();
        stranger.answer(Protocol::StatusV1, &answer).await;
        let PeerEvent::Connected { status: got, .. } = come_or_gone(&node).await else { panic!() };
        assert_eq!(got, Status { earliest_available_slot: 0, ..status });
        let metadata = MetaData { seq_number: 9, ..MetaData::default() };
        let answer = [vec![0], codec::encode_payload(&metadata.to_v2_bytes())].concat();
        stranger.answer(Protocol::MetaDataV2, &answer).await;
        eventually(async || node.handle.peers().await[0].metadata == Some(metadata.clone())).await;
    });
}
