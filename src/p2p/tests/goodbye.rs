//! What we make of a peer's goodbye.

use super::{stranger::Stranger, *};
use crate::p2p::{codec, protocol::Protocol};

/// A stop: nothing that lasts.
const SHUTDOWN: u64 = 1;
/// We are of another network or can't be told from one, there is no place, our score is low, we are banned, or our address is.
const LASTING: [u64; 6] = [2, 128, 129, 250, 251, 252];

/// A node has dialled the stranger, which tells where it stands and then says goodbye.
async fn meet_and_part(stranger: &Stranger, node: &Node, code: u64) {
    stranger.is_connected().await;
    let status = Status { fork_digest: ForkDigest::from(FORK), ..status() };
    let chunk = [vec![0], codec::encode_payload(&status.as_ssz_bytes())].concat();
    stranger.answer(Protocol::StatusV2, &chunk).await;
    let is_known = |info: &PeerInfo| info.peer == stranger.peer_id && info.state == PeerState::Connected;
    eventually(async || node.handle.peers().await.iter().any(is_known)).await;
    stranger.say(node, Protocol::GoodbyeV1, &codec::encode_payload(&code.to_le_bytes()), true).await;
    stranger.is_disconnected().await;
}

#[test]
fn who_sent_us_away_is_left_alone_and_who_stopped_is_dialled_again() {
    smol::block_on(async {
        let stopped = Stranger::serving(&Protocol::ALL).await;
        let mut others = Vec::new();
        for code in LASTING {
            others.push((Stranger::serving(&Protocol::ALL).await, code));
        }
        let all = others.iter().map(|(stranger, _)| stranger).chain([&stopped]);
        let boot_nodes = all.map(|stranger| stranger.addr.to_string()).collect();
        // Though we were told to stay connected to all of them.
        let node = node_with(|config| config.boot_nodes = boot_nodes).await;
        let partings = others.iter().map(|(stranger, code)| meet_and_part(stranger, &node, *code));
        futures::join!(futures::future::join_all(partings), meet_and_part(&stopped, &node, SHUTDOWN));
        // It comes back twice within seconds. The least that the others are left alone for is most of a minute.
        meet_and_part(&stopped, &node, SHUTDOWN).await;
        meet_and_part(&stopped, &node, SHUTDOWN).await;
        for (stranger, code) in &others {
            assert!(stranger.hears_nothing(), "dialled again after goodbye {code}");
        }
    });
}
