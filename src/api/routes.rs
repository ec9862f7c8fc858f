//! What is answered where.

use super::{
    Api, blobs, blocks, config, duties, events, node, pool, production, request::Request, response::Answer, states,
    validators,
};

/// What a client wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
}

/// Answers one kind of request. Runs on the blocking pool: it may wait.
type Handler = fn(&Api, &Request) -> Answer;

/// A line of the table. `{}` in the path stands for one part of any text.
pub(super) struct Route {
    pub verb: Verb,
    pub path: &'static str,
    pub handler: Handler,
}

const fn post(path: &'static str, handler: Handler) -> Route {
    Route { verb: Verb::Post, path, handler }
}

const fn get(path: &'static str, handler: Handler) -> Route {
    Route { verb: Verb::Get, path, handler }
}

static ROUTES: &[Route] = &[
    get("/eth/v1/beacon/genesis", blocks::genesis),
    get("/eth/v1/beacon/headers", blocks::headers),
    get("/eth/v1/beacon/headers/{}", blocks::header),
    get("/eth/v1/beacon/blocks/{}/root", blocks::root),
    get("/eth/v2/beacon/blocks/{}", blocks::block),
    post("/eth/v2/beacon/blocks", blocks::publish),
    get("/eth/v1/beacon/blobs/{}", blobs::blobs),
    get("/eth/v1/beacon/states/{}/root", states::root),
    get("/eth/v1/beacon/states/{}/fork", states::fork),
    get("/eth/v1/beacon/states/{}/finality_checkpoints", states::finality_checkpoints),
    get("/eth/v1/beacon/states/{}/validators", validators::list),
    post("/eth/v1/beacon/states/{}/validators", validators::list_by_post),
    get("/eth/v1/beacon/states/{}/validators/{}", validators::one),
    get("/eth/v2/debug/beacon/states/{}", states::download),
    get("/eth/v2/debug/beacon/heads", states::heads),
    get("/eth/v1/events", events::subscribe),
    get("/eth/v1/node/version", node::version),
    get("/eth/v1/node/identity", node::identity),
    get("/eth/v1/node/syncing", node::syncing),
    get("/eth/v1/node/health", node::health),
    get("/eth/v1/node/peers", node::peers),
    get("/eth/v1/node/peers/{}", node::peer),
    get("/hornero/v1/peers", node::peer_details),
    get("/eth/v1/node/peer_count", node::peer_count),
    get("/eth/v1/config/spec", config::spec),
    get("/eth/v1/config/fork_schedule", config::fork_schedule),
    get("/eth/v1/config/deposit_contract", config::deposit_contract),
    post("/eth/v1/validator/duties/attester/{}", duties::attester),
    get("/eth/v1/validator/duties/proposer/{}", duties::proposer),
    get("/eth/v2/validator/duties/proposer/{}", duties::proposer_v2),
    post("/eth/v1/validator/duties/sync/{}", duties::sync),
    get("/eth/v3/validator/blocks/{}", production::block),
    get("/eth/v1/validator/attestation_data", production::attestation_data),
    get("/eth/v2/validator/aggregate_attestation", production::aggregate),
    get("/eth/v1/validator/sync_committee_contribution", production::contribution),
    post("/eth/v2/beacon/pool/attestations", pool::attestations),
    post("/eth/v2/validator/aggregate_and_proofs", pool::aggregates),
    post("/eth/v1/beacon/pool/sync_committees", pool::sync_messages),
    post("/eth/v1/validator/contribution_and_proofs", pool::contributions),
    post("/eth/v1/validator/beacon_committee_subscriptions", pool::subscribe_committees),
    post("/eth/v1/validator/sync_committee_subscriptions", pool::subscribe_sync),
    post("/eth/v1/validator/prepare_beacon_proposer", pool::prepare_proposers),
    get("/metrics", node::metrics),
];

/// What a path leads to.
pub(super) enum Found<'a> {
    /// A route, and the parts of the path that stand where its `{}` are.
    Route(&'static Route, Vec<&'a str>),
    /// The path is known for another verb only.
    OtherVerb,
    /// The path is not known.
    Nothing,
}

/// Looks a path up in the table.
pub(super) fn find(verb: Option<Verb>, path: &str) -> Found<'_> {
    let mut found = Found::Nothing;
    for route in ROUTES {
        let Some(params) = matches(route.path, path) else { continue };
        if verb == Some(route.verb) {
            return Found::Route(route, params);
        }
        found = Found::OtherVerb;
    }
    found
}

fn matches<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let (mut parts, mut params) = (path.split('/'), Vec::new());
    for expected in pattern.split('/') {
        let part = parts.next()?;
        match expected {
            "{}" => params.push(part),
            _ if expected == part => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_as_a_whole() {
        assert_eq!(matches("/a/{}/c/{}", "/a/x/c/y"), Some(vec!["x", "y"]));
        assert_eq!(matches("/a/{}", "/a/"), Some(vec![""]));
        for path in ["/a", "/a/x/c", "/a/x/c/y/", "/a/x/d/y", "a/x/c/y", ""] {
            assert_eq!(matches("/a/{}/c/{}", path), None, "{path}");
        }
    }

    #[test]
    fn no_two_routes_answer_the_same() {
        for (n, route) in ROUTES.iter().enumerate() {
            let same = ROUTES[..n].iter().find(|r| r.verb == route.verb && matches(r.path, route.path).is_some());
            assert!(same.is_none(), "{} hides {}", same.unwrap().path, route.path);
        }
    }
}
