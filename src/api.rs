//! The Beacon API over HTTP, and the text of `/metrics`.
//!
//! [`serve`] answers on a listener until it is dropped. Names, shapes and errors are those of
//! <https://github.com/ethereum/beacon-APIs>; `routes.rs` has the table of what is answered. A handler is a plain function:
//! it runs on the blocking pool, so it may wait for the chain, read the database and write long JSON without holding up
//! the executor. Long answers are streamed in small pieces and never held whole.

mod blobs;
mod blocks;
mod body;
mod config;
mod duties;
mod events;
mod gates;
mod ids;
mod lookup;
mod network;
mod node;
mod paced;
mod pool;
mod production;
mod request;
mod response;
mod routes;
mod server;
mod states;
mod validators;
pub mod wire;

pub use gates::Limits;
pub use network::{Ban, Direction, Identity, MetaData, NetworkInfo, Peer, PeerDetail, PeerDetails, PeerState};
pub use server::{serve, serve_with};

use std::sync::{Arc, atomic::AtomicUsize};

use crate::{
    chain::{ChainHandle, produce::Producer},
    metrics::Exporter,
};

/// What the API answers from.
pub struct ApiContext {
    /// The chain.
    pub chain: ChainHandle,
    /// What validators ask for and hand over.
    pub producer: Producer,
    /// Who we and our peers are.
    pub network: NetworkInfo,
    /// The text of `/metrics`.
    pub exporter: Exporter,
    /// Bytes of requests' bodies that are in memory now; whoever counts the node's memory reads it.
    pub body_bytes: Arc<AtomicUsize>,
}

/// What a handler gets besides the request.
struct Api {
    context: ApiContext,
    gates: gates::Gates,
}
