//! The API over HTTP on the loopback interface, asked by a client that is not ours.

#[path = "api/bounds.rs"]
mod bounds;
#[path = "api/node.rs"]
mod node;
#[path = "api/support.rs"]
mod support;
