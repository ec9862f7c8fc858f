//! What is answered where.

use super::{Api, config, node, request::Request, response::Answer};

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

const fn get(path: &'static str, handler: Handler) -> Route {
    Route { verb: Verb::Get, path, handler }
}

static ROUTES: &[Route] = &[
    get("/eth/v1/node/version", node::version),
    get("/eth/v1/node/identity", node::identity),
    get("/eth/v1/node/peers", node::peers),
    get("/eth/v1/node/peers/{}", node::peer),
    get("/eth/v1/node/peer_count", node::peer_count),
    get("/eth/v1/config/spec", config::spec),
    get("/eth/v1/config/fork_schedule", config::fork_schedule),
    get("/eth/v1/config/deposit_contract", config::deposit_contract),
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
