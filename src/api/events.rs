//! Events as they happen, as server-sent events.
//! <https://ethereum.github.io/beacon-APIs/#/Events/eventstream>

use std::{io, time::Duration};

use async_channel::{Receiver, Sender};
use hyper::body::Bytes;
use serde_json::{Value, json};
use smol::{Timer, future, lock::SemaphoreGuardArc};

use super::{
    Api,
    body::Body,
    request::Request,
    response::{Answer, ApiError, with_body},
};
use crate::chain::ChainEvent;

/// Events made ahead of the client; behind them, the chain's own queue for the subscriber fills and drops.
const EVENTS_AHEAD: usize = 8;
/// A comment is sent this often when nothing happens, so that both ends notice when the other is gone.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// A comment: clients skip it.
const COMMENT: &str = ":\n\n";
/// What we tell of.
const TOPICS: &[&str] = &["head", "block", "finalized_checkpoint", "chain_reorg"];
/// Other topics of the Beacon API: not wrong, but nothing will be told of them.
const SILENT_TOPICS: &[&str] = &[
    "attestation",
    "attester_slashing",
    "block_gossip",
    "bls_to_execution_change",
    "contribution_and_proof",
    "data_column_sidecar",
    "head_v2",
    "light_client_finality_update",
    "light_client_optimistic_update",
    "payload_attributes",
    "proposer_slashing",
    "single_attestation",
    "voluntary_exit",
];

pub(super) fn subscribe(api: &Api, request: &Request) -> Answer {
    let topics: Vec<String> = request.query_list("topics").into_iter().map(str::to_string).collect();
    if let Some(unknown) = topics.iter().find(|t| !TOPICS.contains(&t.as_str()) && !SILENT_TOPICS.contains(&t.as_str()))
    {
        return Err(ApiError::bad_request(format!("invalid topic: {unknown:?}")));
    }
    if topics.is_empty() {
        return Err(ApiError::bad_request(format!("the parameter topics is missing; known are {}", TOPICS.join(", "))));
    }
    let place = api.gates.subscriber()?;
    let (sender, receiver) = async_channel::bounded(EVENTS_AHEAD);
    let task = smol::spawn(tell(api.chain().subscribe(), topics, sender, place));
    Ok(with_body("text/event-stream", Body::sent(receiver, task)))
}

/// Passes events on until the client or the chain is gone.
async fn tell(
    events: Receiver<ChainEvent>,
    topics: Vec<String>,
    client: Sender<io::Result<Bytes>>,
    _place: SemaphoreGuardArc,
) {
    // The first comment tells the client that it is connected.
    let mut text = Some(COMMENT.to_string());
    loop {
        if let Some(text) = text.take()
            && client.send(Ok(text.into())).await.is_err()
        {
            return;
        }
        let quiet = async {
            Timer::after(COMMENT_EVERY).await;
            Ok(None)
        };
        text = match future::or(async { events.recv().await.map(Some) }, quiet).await {
            Ok(Some(event)) => event_text(&event, &topics),
            Ok(None) => Some(COMMENT.to_string()),
            Err(_) => break,
        };
    }
    // An empty piece is the regular end.
    let _ = client.send(Ok(Bytes::new())).await;
}

/// An event on the wire; none if its topic was not asked for.
fn event_text(event: &ChainEvent, topics: &[String]) -> Option<String> {
    let (topic, data) = describe(event);
    topics.iter().any(|wanted| wanted == topic).then(|| format!("event: {topic}\ndata: {data}\n\n"))
}

fn describe(event: &ChainEvent) -> (&'static str, Value) {
    match event {
        ChainEvent::Block { slot, block, optimistic } => {
            ("block", json!({ "slot": slot.to_string(), "block": block, "execution_optimistic": optimistic }))
        }
        ChainEvent::Head {
            slot,
            block,
            state,
            epoch_transition,
            current_duty_dependent_root,
            previous_duty_dependent_root,
            optimistic,
        } => (
            "head",
            json!({
                "slot": slot.to_string(),
                "block": block,
                "state": state,
                "epoch_transition": epoch_transition,
                "previous_duty_dependent_root": previous_duty_dependent_root,
                "current_duty_dependent_root": current_duty_dependent_root,
                "execution_optimistic": optimistic,
            }),
        ),
        ChainEvent::Reorg { slot, depth, old_head_block, new_head_block, old_head_state, new_head_state, epoch } => (
            "chain_reorg",
            json!({
                "slot": slot.to_string(),
                "depth": depth.to_string(),
                "old_head_block": old_head_block,
                "new_head_block": new_head_block,
                "old_head_state": old_head_state,
                "new_head_state": new_head_state,
                "epoch": epoch.to_string(),
                "execution_optimistic": false,
            }),
        ),
        ChainEvent::Finalized { checkpoint, state, optimistic } => (
            "finalized_checkpoint",
            json!({
                "block": checkpoint.root,
                "state": state,
                "epoch": checkpoint.epoch.to_string(),
                "execution_optimistic": optimistic,
            }),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Checkpoint, Hash256};

    #[test]
    fn only_what_was_asked_for_is_told() {
        let checkpoint = Checkpoint { epoch: 2, root: Hash256::repeat_byte(1) };
        let event = ChainEvent::Finalized { checkpoint, state: Hash256::repeat_byte(2), optimistic: false };
        assert_eq!(event_text(&event, &["head".into(), "block".into()]), None);
        let text = event_text(&event, &["finalized_checkpoint".into()]).unwrap();
        let data = text.strip_prefix("event: finalized_checkpoint\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["epoch"], "2");
        assert_eq!(data["block"], Hash256::repeat_byte(1).to_string());
    }

    #[test]
    fn a_client_that_reads_nothing_holds_up_only_itself() {
        let gates = super::super::gates::Gates::new(Default::default());
        let (chain, events) = async_channel::bounded(1000);
        let (sender, receiver) = async_channel::bounded(EVENTS_AHEAD);
        let event = ChainEvent::Block { slot: 1, block: Hash256::ZERO, optimistic: false };
        for _ in 0..1000 {
            chain.try_send(event).unwrap();
        }
        chain.close();
        let task = smol::spawn(tell(events, vec!["block".into()], sender, gates.subscriber().ok().unwrap()));
        let pieces = smol::block_on(async {
            let mut pieces = Vec::new();
            while let Ok(piece) = receiver.recv().await {
                assert!(receiver.len() <= EVENTS_AHEAD);
                pieces.push(piece.unwrap());
            }
            task.await;
            pieces
        });
        assert_eq!(pieces.len(), 1 + 1000 + 1, "a comment, the events, the end");
        assert_eq!(pieces[0], COMMENT);
        assert!(pieces[1001].is_empty());
    }
}
