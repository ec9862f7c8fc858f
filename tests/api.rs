//! The API over HTTP on the loopback interface, asked by a client that is not ours.

#[path = "api/bounds.rs"]
mod bounds;
#[path = "api/chain.rs"]
mod chain;
#[path = "api/node.rs"]
mod node;
#[cfg(feature = "minimal")]
#[path = "api/recorded.rs"]
mod recorded;
#[path = "api/support.rs"]
mod support;
#[path = "api/validating.rs"]
mod validating;
