//! How fast we serve, over real connections. A slow machine can only make it slower.

use std::time::Instant;

use super::*;

/// Seconds of the rate that may go at once after a rest.
const BURST_SECONDS: f64 = 4.0;
/// All peers together are served at so many times the rate of one.
const ALL: f64 = 4.0;

/// A node serves these blocks to each of the others at once. Seconds that it took until all had come.
async fn serve(server: &Node, askers: &[Node], blocks: &[SignedBeaconBlock]) -> f64 {
    let peer = server.handle.peer_id();
    let begin = Instant::now();
    let asked = askers.iter().map(|asker| collect(asker.handle.blocks_by_range(peer, 0, blocks.len() as u64)));
    let answer = async || {
        let request = next(&server.events.requests).await;
        for block in blocks {
            request.reply.send(chunk(block)).await.unwrap();
        }
    };
    let answers = askers.iter().map(|_| answer());
    let (got, _) = futures::join!(futures::future::join_all(asked), futures::future::join_all(answers));
    let span = begin.elapsed().as_secs_f64();
    for got in got {
        let slots: Vec<u64> = got.into_iter().map(|block| block.unwrap().message.slot).collect();
        assert_eq!(slots, (0..blocks.len() as u64).collect::<Vec<_>>(), "all come, and no error");
    }
    let punished = server.handle.peers().await.into_iter().filter(|info| !info.penalties.is_empty());
    assert_eq!(punished.count(), 0);
    span
}

fn bytes(blocks: &[SignedBeaconBlock]) -> f64 {
    blocks.iter().map(|block| block.as_ssz_bytes().len() as f64).sum()
}

#[test]
fn a_peer_that_asks_for_much_gets_it_at_its_pace() {
    const RATE: u64 = 400_000;
    smol::block_on(async {
        let (server, asker) = pair(|config| config.serve_bytes_per_second = RATE).await;
        let blocks: Vec<_> = (0..5).map(|slot| block(slot, 500_000)).collect();
        let span = serve(&server, &[asker], &blocks).await;
        let (sent, allowed) = (bytes(&blocks), RATE as f64 * (span + BURST_SECONDS));
        assert!(sent <= allowed, "{sent} bytes in {span} s");
    });
}

#[test]
fn many_peers_get_it_at_the_pace_of_all() {
    const RATE: u64 = 100_000;
    const ASKERS: usize = 6;
    smol::block_on(async {
        let server = node_with(|config| config.serve_bytes_per_second = RATE).await;
        let mut askers = Vec::new();
        for _ in 0..ASKERS {
            let asker = node_connected_to(&[&server]).await;
            assert!(matches!(come_or_gone(&asker).await, PeerEvent::Connected { .. }));
            askers.push(asker);
        }
        // Each has as much as a peer may at once.
        let blocks = [block(0, 395_000)];
        assert!(bytes(&blocks) <= RATE as f64 * BURST_SECONDS);
        let span = serve(&server, &askers, &blocks).await;
        let (sent, allowed) = (bytes(&blocks) * ASKERS as f64, ALL * RATE as f64 * (span + BURST_SECONDS));
        assert!(sent <= allowed, "{sent} bytes in {span} s");
    });
}
