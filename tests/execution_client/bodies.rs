//! Blocks without their payloads, made whole with what a real client keeps.

use std::time::Instant;

use hornero::engine::{ExecutionClient, MAX_BODIES, PayloadBody, Secret};
use smol::block_on;

use super::{ethrex::Ethrex, node::Node};

/// Takes the payloads out of all of a node's blocks, as it would when they are old, and puts in what the client has.
pub fn are_kept(client: &Ethrex, node: &Node) {
    let engine = ExecutionClient::new(&client.url(), Secret::load(&client.secret).unwrap());
    let blocks: Vec<_> = (1..=node.syncing().head_slot).filter_map(|slot| node.block(slot)).collect();
    let (begun, mut count) = (Instant::now(), 0);
    for some in blocks.chunks(MAX_BODIES) {
        let hashes: Vec<_> = some.iter().map(|block| block.message.body.execution_payload.block_hash).collect();
        let bodies = block_on(engine.payload_bodies_by_hash(&hashes)).unwrap();
        for (block, body) in some.iter().zip(bodies) {
            let slot = block.message.slot;
            let PayloadBody { transactions, withdrawals } = body.unwrap_or_else(|| panic!("nothing of slot {slot}"));
            count += transactions.len();
            let whole = block.clone().into_blinded().into_whole(transactions, withdrawals.unwrap_or_default());
            assert_eq!(whole.as_ref(), Ok(block), "slot {slot}");
        }
    }
    let took = begun.elapsed() / blocks.len() as u32;
    println!("{} blocks with {count} transactions made whole with the client's bodies, {took:.1?} each", blocks.len());
}
