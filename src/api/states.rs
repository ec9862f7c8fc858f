//! What is asked of states: roots, forks, checkpoints; the whole state as a stream.

use serde_json::json;

use super::{
    Api,
    body::Body,
    lookup::Standing,
    request::{Media, Request},
    response::{Answer, SSZ, data, json, of_fork, with_body},
};
use crate::types::BeaconState;

pub(super) fn root(api: &Api, request: &Request) -> Answer {
    let found = api.state(request.param(0).parse()?)?;
    // The copy shares the hashes that the original remembers.
    let root = BeaconState::clone(&found.state).hash_tree_root();
    json(&Standing { settled: found.settled, data: json!({ "root": root }) })
}

pub(super) fn fork(api: &Api, request: &Request) -> Answer {
    let found = api.state(request.param(0).parse()?)?;
    json(&Standing { settled: found.settled, data: found.state.fork })
}

pub(super) fn finality_checkpoints(api: &Api, request: &Request) -> Answer {
    let found = api.state(request.param(0).parse()?)?;
    let checkpoints = json!({
        "previous_justified": found.state.previous_justified_checkpoint,
        "current_justified": found.state.current_justified_checkpoint,
        "finalized": found.state.finalized_checkpoint,
    });
    json(&Standing { settled: found.settled, data: checkpoints })
}

/// The whole state, as SSZ only: in JSON it would be several times as long. Written while it is sent, so that it is never
/// held as a whole.
pub(super) fn download(api: &Api, request: &Request) -> Answer {
    request.accepted(&[Media::Ssz])?;
    let id = request.param(0).parse()?;
    let place = api.gates.stream()?;
    let state = api.state(id)?.state;
    let (fork, len) = (state.fork_name, state.ssz_len() as u64);
    let body = Body::written(Some(len), place, move |out| state.write_to(out));
    Ok(of_fork(with_body(SSZ, body), fork))
}

pub(super) fn heads(api: &Api, _: &Request) -> Answer {
    let snapshot = api.chain().snapshot();
    let optimistic = snapshot.is_optimistic;
    let heads = snapshot
        .heads()
        .into_iter()
        .map(|(root, slot)| json!({ "root": root, "slot": slot.to_string(), "execution_optimistic": optimistic }));
    data(heads.collect::<Vec<_>>())
}
