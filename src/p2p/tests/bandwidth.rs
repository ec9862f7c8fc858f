//! What others ask for, under a small budget.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use rand::RngCore as _;

use super::{
    budget::{Budget, Way},
    codec::CodecError,
    pace::Pace,
    server::{self, Answer, ErrorCode},
    *,
};

/// 4 mbit: a full bucket holds 1.5 MB, more than a connection's windows.
const SMALL: BudgetConfig = BudgetConfig { download: None, upload: Some(500_000), data_cap: None };

/// A block with `bytes` that do not compress.
fn noise(slot: u64, bytes: usize) -> SignedBeaconBlock {
    let mut transaction = vec![0; bytes];
    rand::rng().fill_bytes(&mut transaction);
    let mut block = block(slot, 0);
    block.message.body.execution_payload.transactions = vec![transaction.try_into().unwrap()].try_into().unwrap();
    block
}

/// What comes of a request for two blocks, of which the first has `bytes`.
async fn two_blocks(budget: BudgetConfig, bytes: usize) -> Vec<Result<Arc<SignedBeaconBlock>, RpcError>> {
    let (first, second) = pair(|config| {
        config.budget = budget;
        // As in the field, where nobody waits longer for an answer.
        config.response_timeout = Duration::from_secs(10);
    })
    .await;
    let blocks = second.handle.blocks_by_range(first.handle.peer_id(), 5, 2);
    let request = next(&first.events.requests).await;
    let producer = async {
        let _ = request.reply.send(chunk(&noise(5, bytes))).await;
        let _ = request.reply.send(chunk(&block(6, 1000))).await;
        drop(request);
    };
    futures::join!(collect(blocks), producer).0
}

/// What is written of an answer that the budget has no room for, and how it ended.
async fn withheld() -> (Vec<u8>, Result<Option<ErrorCode>, CodecError>) {
    let dir = tempfile::tempdir().unwrap();
    let budget = Arc::new(Budget::new(SMALL, &dir.path().join("month")));
    budget.passed(Way::Up, 20_000_000);
    let (reply, from) = async_channel::bounded(1);
    reply.try_send(chunk(&block(5, 1000))).unwrap();
    let mut stream = futures::io::Cursor::new(Vec::new());
    let answer =
        Answer::Chunks { what: None, from, limit: 2, paces: [1, 1].map(|_| Arc::new(Pace::new(1 << 20))), budget };
    let end = server::write_answer(&mut stream, answer, Duration::from_secs(10)).await;
    (stream.into_inner(), end)
}

#[test]
fn who_asks_waits_for_the_budget_and_is_never_refused_for_it() {
    let exporter = crate::metrics::install();
    smol::block_on(async {
        let (soon, late, (written, end)) =
            futures::join!(two_blocks(SMALL, 2_500_000), two_blocks(SMALL, 9_500_000), withheld());
        assert!(soon.len() == 2 && soon.iter().all(Result::is_ok));
        assert!(late.len() == 2 && late[0].is_ok());
        assert!(matches!(late[1], Err(RpcError::Timeout)), "{:?}", late[1].as_ref().err());
        assert!(written.is_empty() && matches!(end, Err(CodecError::Withheld)), "{end:?}");
    });
    let text = exporter.render();
    assert!(text.contains("hornero_budget_delayed_bytes_total{direction=\"up\",use=\"serving\"}"));
}

#[test]
fn what_we_ask_for_waits_for_the_budget() {
    smol::block_on(async {
        let budget = BudgetConfig { download: Some(125_000), upload: None, data_cap: None };
        // The second block waits until the first one is paid for.
        let got = two_blocks(budget, 500_000).await;
        assert!(got.len() == 2 && got.iter().all(Result::is_ok));
    });
}

/// Blocks of this size are asked for, which a full bucket of [`SMALL`] has room for many times.
const PIECE: usize = 100_000;
/// Blocks that are gossiped meanwhile, and their size.
const GOSSIPED: (u64, usize) = (10, 20_000);

/// Answers every request for a range with blocks that do not compress.
async fn serve_pieces(node: &Node) {
    while let Ok(request) = node.events.requests.recv().await {
        let RequestKind::BlocksByRange { start_slot, count } = request.kind else { panic!("{:?}", request.kind) };
        smol::spawn(async move {
            for slot in start_slot..start_slot + count {
                if request.reply.send(chunk(&noise(slot, PIECE))).await.is_err() {
                    return;
                }
            }
        })
        .detach();
    }
}

/// Asks on, whatever comes of a request, until `wanted` blocks have come to all who ask.
async fn ask_on(by: &Node, whom: PeerId, come: &AtomicUsize, wanted: usize) {
    while come.load(Ordering::Relaxed) < wanted {
        let blocks = by.handle.blocks_by_range(whom, 5, 8);
        while let Ok(Ok(block)) = blocks.recv().await {
            assert_eq!(block.message.body.execution_payload.transactions[0].len(), PIECE);
            come.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Two nodes of which one wants more than the budget of one of them allows: what passed in a time is never more than the
/// budget of that time, a full bucket, and what never waits. A busy machine only makes the time longer.
async fn keeps_to(limit: BudgetConfig, is_askers: bool) {
    let rate = limit.upload.or(limit.download).unwrap();
    let begin = Instant::now();
    let first = node_with(|config| config.budget = if is_askers { BudgetConfig::default() } else { limit }).await;
    let enr = first.handle.local_enr().to_base64();
    let change = |config: &mut P2pConfig| {
        config.boot_nodes = vec![enr];
        config.budget = if is_askers { limit } else { BudgetConfig::default() };
    };
    let second = node_with(change).await;
    next(&second.events.peers).await;
    let (whom, come) = (first.handle.peer_id(), AtomicUsize::new(0));
    // Three seconds of the rate fill the bucket; then as much again, in gossip's company.
    let bucket = 3 * rate as usize;
    let wanted = 2 * bucket / PIECE;
    let gossip = async {
        eventually(async || come.load(Ordering::Relaxed) >= bucket / PIECE).await;
        for slot in 0..GOSSIPED.0 {
            let sent = noise(slot, GOSSIPED.1);
            publish(&first, Topic::BeaconBlock, sent.as_ssz_bytes()).await;
            assert_eq!(*next(&second.events.gossip_blocks).await.block, sent);
        }
    };
    let asked = async { futures::join!(ask_on(&second, whom, &come, wanted), ask_on(&second, whom, &come, wanted)) };
    let work = in_time(async { futures::join!(asked, gossip) });
    let work = async {
        work.await;
    };
    future::or(work, serve_pieces(&first)).await;
    let allowed = begin.elapsed().as_secs_f64() * rate as f64;
    let passed = come.load(Ordering::Relaxed) * PIECE + GOSSIPED.0 as usize * GOSSIPED.1;
    // What is under way when the bucket is empty: two blocks.
    let besides = bucket + 2 * PIECE + GOSSIPED.0 as usize * GOSSIPED.1;
    assert!(passed as f64 <= allowed + besides as f64, "{passed} of {allowed} and {besides}");
}

#[test]
fn what_passes_keeps_to_the_budget_and_gossip_comes_in_any_case() {
    smol::block_on(async {
        let up = BudgetConfig { download: None, upload: Some(500_000), data_cap: None };
        let down = BudgetConfig { download: Some(500_000), upload: None, data_cap: None };
        futures::join!(keeps_to(up, false), keeps_to(down, true));
    });
}
