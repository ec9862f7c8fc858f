//! The readers of what clients send, as the server uses them, for checks from outside: the fuzz targets
//! (`docs/fuzzing.md`).

use hyper::{HeaderMap, header::ACCEPT, header::HeaderValue};
use ssz::Decode;

use super::{
    ids::{ChainId, ValidatorId},
    pool,
    request::{Media, Request},
    routes::{Found, Verb, find},
};

/// The parts of a request's target, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What stands in the variable parts of the path.
    pub params: Vec<String>,
    /// Names and values of the query.
    pub query: Vec<(String, String)>,
}

/// Reads the target of a request, and its `Accept` header; `None` if no route has the path, or if it is malformed. What
/// handlers read out of it is read, too: names of states and validators, numbers, lists.
pub fn read_target(path: &str, query: Option<&str>, accept: &[u8]) -> Option<Target> {
    let route = [Verb::Get, Verb::Post].into_iter().find_map(|verb| match find(Some(verb), path) {
        Found::Route(_, params) => Some(params),
        _ => None,
    });
    let headers: HeaderMap = HeaderValue::from_bytes(accept).ok().map(|value| (ACCEPT, value)).into_iter().collect();
    let request = Request::new(&route?, query, headers).ok()?;
    // A handler that is refused one of these answers with an error; none of them may do worse.
    let _ = (request.param(0).parse::<ChainId>(), request.param(1).parse::<ValidatorId>());
    let _ = (request.param_number(0, "number"), request.query_number("slot"), request.accepted(&Media::ALL));
    for id in request.query_list("id") {
        let _ = id.parse::<ValidatorId>();
    }
    let (params, query) = request.into_parts();
    Some(Target { params, query })
}

/// Reads the SSZ of a body that is a list; `None` if it is malformed or has more items than a request may have.
pub fn read_ssz_list<T: Decode + 'static>(body: &[u8]) -> Option<Vec<T>> {
    pool::ssz_list(body).ok()
}
