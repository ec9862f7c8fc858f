//! What others ask for, under a small budget.

use rand::RngCore as _;

use super::*;

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

#[test]
fn who_asks_waits_for_the_budget_and_is_told_when_it_would_be_long() {
    let exporter = crate::metrics::install();
    smol::block_on(async {
        let (soon, late) = futures::join!(two_blocks(SMALL, 2_500_000), two_blocks(SMALL, 6_000_000));
        assert!(soon.len() == 2 && soon.iter().all(Result::is_ok));
        assert!(late.len() == 2 && late[0].is_ok());
        assert!(matches!(late[1], Err(RpcError::Refused { code: 139, .. })), "{:?}", late[1].as_ref().err());
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
