//! Bodies of payloads that the chain does not keep itself.

use async_channel::{Receiver, Sender};
use futures::future::join_all;

use crate::{
    chain::BodiesRequest,
    engine::{ClientError, ExecutionClient, PayloadBody},
    types::Hash256,
};

/// Questions that wait; who comes when it is full is told that the payload can't be had now. Half of the answers that peers
/// may have at once.
const WAITING: usize = 8;
/// Questions at once: each reads megabytes from the disk that the head's payloads are on, too.
const AT_ONCE: usize = 2;

/// Where bodies are asked for, and who answers.
pub(super) fn queue(client: ExecutionClient) -> (Sender<BodiesRequest>, impl Future<Output = ()>) {
    let (sender, requests) = async_channel::bounded(WAITING);
    let work = async move {
        join_all((0..AT_ONCE).map(|_| answer(&client, &requests))).await;
    };
    (sender, work)
}

async fn answer(client: &ExecutionClient, requests: &Receiver<BodiesRequest>) {
    while let Ok(BodiesRequest { hashes, reply }) = requests.recv().await {
        // Whoever asked may have given up.
        if reply.is_closed() {
            continue;
        }
        match ask(client, &hashes).await {
            Ok(bodies) => drop(reply.try_send(bodies)),
            Err(error) if error.is_lost() => {}
            Err(error) => tracing::warn!("{error}; the blocks of these payloads can't be served"),
        }
    }
}

/// Asks in smaller pieces if the answer is too large.
async fn ask(client: &ExecutionClient, hashes: &[Hash256]) -> Result<Vec<Option<PayloadBody>>, ClientError> {
    let (mut bodies, mut size) = (Vec::with_capacity(hashes.len()), hashes.len());
    while bodies.len() < hashes.len() {
        let end = (bodies.len() + size).min(hashes.len());
        match client.payload_bodies_by_hash(&hashes[bodies.len()..end]).await {
            Ok(more) => bodies.extend(more),
            Err(ClientError::TooLarge { .. }) if size > 1 => size /= 2,
            Err(error) => return Err(error),
        }
    }
    Ok(bodies)
}
