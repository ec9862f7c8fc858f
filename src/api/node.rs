//! The node itself: who it is, whom it knows, how it does.

use hyper::StatusCode;
use serde_json::json;

use super::{
    Api, PeerState,
    request::Request,
    response::{Answer, ApiError, data, json, status, whole},
};

/// Slots for which the chain's task may be silent before it counts as stuck: it publishes in each.
const SILENT_SLOTS: u64 = 4;
/// What Prometheus expects of a `/metrics` page.
const METRICS_TEXT: &str = "text/plain; version=0.0.4";

/// Our name and version, and what we run on.
fn version_text() -> String {
    format!("Hornero/v{}/{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS)
}

pub(super) fn version(_: &Api, _: &Request) -> Answer {
    data(json!({ "version": version_text() }))
}

pub(super) fn identity(api: &Api, _: &Request) -> Answer {
    data((api.context.network.identity)())
}

pub(super) fn syncing(api: &Api, _: &Request) -> Answer {
    let snapshot = api.chain().snapshot();
    data(json!({
        "head_slot": snapshot.head_slot.to_string(),
        "sync_distance": api.chain().clock().slot().saturating_sub(snapshot.head_slot).to_string(),
        "is_syncing": snapshot.is_syncing,
        "is_optimistic": snapshot.is_optimistic,
        "el_offline": snapshot.el_offline,
    }))
}

pub(super) fn health(api: &Api, request: &Request) -> Answer {
    // The Beacon API also allows 1xx, but such an answer is never the last one.
    let wrong = || ApiError::bad_request("syncing_status is a status code, 200 to 599");
    let while_syncing = match request.query_number("syncing_status")? {
        Some(code @ 200..=599) => StatusCode::from_u16(code as u16).map_err(|_| wrong())?,
        Some(_) => return Err(wrong()),
        None => StatusCode::PARTIAL_CONTENT,
    };
    let snapshot = api.chain().snapshot();
    if api.chain().clock().slot() > snapshot.slot + SILENT_SLOTS {
        return Ok(status(StatusCode::SERVICE_UNAVAILABLE));
    }
    let ready = !snapshot.is_syncing && !snapshot.is_optimistic && !snapshot.el_offline;
    Ok(status(if ready { StatusCode::OK } else { while_syncing }))
}

pub(super) fn peers(api: &Api, request: &Request) -> Answer {
    let states = one_of(request, "state", &["disconnected", "connecting", "connected", "disconnecting"])?;
    let directions = one_of(request, "direction", &["inbound", "outbound"])?;
    let mut peers = (api.context.network.peers)();
    peers.retain(|peer| {
        (states.is_empty() || states.contains(&peer.state.as_str()))
            && (directions.is_empty() || directions.contains(&peer.direction.as_str()))
    });
    json(&json!({ "data": peers, "meta": { "count": peers.len() } }))
}

/// All that we know of our peers, and who is banned.
pub(super) fn peer_details(api: &Api, _: &Request) -> Answer {
    data((api.context.network.details)())
}

/// The values of a parameter, each of which must be one of `known`.
fn one_of<'a>(request: &'a Request, name: &str, known: &[&str]) -> Result<Vec<&'a str>, ApiError> {
    let values = request.query_list(name);
    match values.iter().find(|value| !known.contains(value)) {
        Some(unknown) => Err(ApiError::bad_request(format!("{name} is one of {}, not {unknown:?}", known.join(", ")))),
        None => Ok(values),
    }
}

pub(super) fn peer(api: &Api, request: &Request) -> Answer {
    let wanted = request.param(0);
    if wanted.is_empty() || !wanted.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(ApiError::bad_request(format!("invalid peer id: {wanted:?}")));
    }
    let found = (api.context.network.peers)().into_iter().find(|peer| peer.peer_id == wanted);
    data(found.ok_or_else(|| ApiError::not_found("no such peer"))?)
}

pub(super) fn peer_count(api: &Api, _: &Request) -> Answer {
    let peers = (api.context.network.peers)();
    let count = |state| peers.iter().filter(|peer| peer.state == state).count().to_string();
    data(json!({
        "disconnected": count(PeerState::Disconnected),
        "connecting": count(PeerState::Connecting),
        "connected": count(PeerState::Connected),
        "disconnecting": count(PeerState::Disconnecting),
    }))
}

pub(super) fn metrics(api: &Api, _: &Request) -> Answer {
    Ok(whole(METRICS_TEXT, api.context.exporter.render()))
}
