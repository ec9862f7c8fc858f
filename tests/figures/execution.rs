//! Calls every method of a real execution client and prints what it answers and how long that took.
//!
//! `cargo run --example execution_client -- URL SECRET_FILE [FORK]`, with a client whose chain may be changed: one block is made
//! on top of its head and becomes the head. `../shared/peers/el.sh start` starts one.

use std::{env, error::Error, path::Path, time::Instant};

use hornero::{
    engine::{ClientError, ExecutionClient, ForkchoiceState, PayloadAttributes, Secret},
    types::{BeaconBlock, BeaconBlockBody, ForkName, Hash256, SignedBeaconBlock},
};
use smol::block_on;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [url, file, rest @ ..] = &args[..] else { return Err("usage: execution_client URL SECRET_FILE [FORK]".into()) };
    let fork = rest.first().map_or(Some(ForkName::Fulu), |name| ForkName::from_name(name)).ok_or("no such fork")?;
    tracing_subscriber::fmt().with_target(false).init();
    let client = ExecutionClient::new(url, Secret::load(Path::new(file))?);
    Ok(block_on(ask(&client, fork))?)
}

async fn ask(client: &ExecutionClient, fork: ForkName) -> Result<(), ClientError> {
    shown("eth_syncing", client.upcheck()).await?;
    if let Some(problem) = client.session().and_then(|session| session.problem(fork)) {
        println!("{problem}");
    }
    let setup = shown("eth_chainId, eth_getBlockByNumber, eth_config", client.setup()).await?;
    let head = setup.latest;
    let state = |head| ForkchoiceState { head, ..Default::default() };
    shown("forkchoiceUpdated", client.forkchoice_updated(fork, state(head.hash), None)).await?;
    let attributes = PayloadAttributes { timestamp: head.timestamp + 12, ..Default::default() };
    let (_, id) =
        shown("forkchoiceUpdated, to make one", client.forkchoice_updated(fork, state(head.hash), Some(attributes)))
            .await?;
    let Some(id) = id else { return Ok(()) };
    let built = shown("getPayload", client.get_payload(fork, id)).await?;

    let mut body = BeaconBlockBody::empty(fork);
    let hash = built.payload.block_hash;
    body.execution_payload = built.payload;
    body.execution_requests = built.requests;
    let mut block = SignedBeaconBlock { message: BeaconBlock { body, ..Default::default() }, ..Default::default() };
    shown("newPayload", client.new_payload(fork, block.clone().into())).await?;
    shown("forkchoiceUpdated, to the new one", client.forkchoice_updated(fork, state(hash), None)).await?;
    shown("getPayloadBodiesByHash", client.payload_bodies_by_hash(&[hash, Hash256::ZERO])).await?;
    shown("getPayloadBodiesByRange", client.payload_bodies_by_range(head.number + 1, 5)).await?;
    shown("getBlobs", client.get_blobs(fork, &[Hash256::ZERO])).await?;
    // What must not work.
    let unknown = state(Hash256::repeat_byte(0x77));
    shown("forkchoiceUpdated, to an unknown one", client.forkchoice_updated(fork, unknown, None)).await?;
    let inconsistent = ForkchoiceState { finalized: Hash256::repeat_byte(0x66), ..state(hash) };
    let _ = shown("forkchoiceUpdated, inconsistent", client.forkchoice_updated(fork, inconsistent, None)).await;
    block.message.body.execution_payload.gas_limit += 1;
    let _ = shown("newPayload, with a wrong hash", client.new_payload(fork, block.into())).await;
    let _ = shown("getPayload, of another fork", client.get_payload(fork.previous().unwrap_or_default(), id)).await;
    Ok(())
}

async fn shown<T: std::fmt::Debug>(
    what: &str,
    call: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let begun = Instant::now();
    let result = call.await;
    let text = match &result {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("error: {error}"),
    };
    println!("{:6.1} ms  {what}: {}", begun.elapsed().as_secs_f64() * 1e3, text.chars().take(300).collect::<String>());
    result
}
