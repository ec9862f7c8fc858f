//! The Beacon API over HTTP, and the text of `/metrics`.
//!
//! [`serve`] answers on a listener until it is dropped. Names, shapes and errors are those of
//! <https://github.com/ethereum/beacon-APIs>; `routes.rs` has the table of what is answered. A handler is a plain function:
//! it runs on the blocking pool, so it may wait for the chain, read the database and write long JSON without holding up
//! the executor. Long answers are streamed in small pieces and never held whole.

mod body;
mod config;
mod gates;
mod ids;
mod network;
mod node;
mod paced;
mod request;
mod response;
mod routes;
mod server;

pub use gates::Limits;
pub use network::{Direction, Identity, MetaData, NetworkInfo, Peer, PeerState};
pub use server::{serve, serve_with};

use std::sync::Arc;

use crate::{metrics::Exporter, types::Config};

/// What the API answers from.
pub struct ApiContext {
    /// The network's configuration.
    pub config: Arc<Config>,
    /// Who we and our peers are.
    pub network: NetworkInfo,
    /// The text of `/metrics`.
    pub exporter: Exporter,
}

/// What a handler gets besides the request.
struct Api {
    context: ApiContext,
    gates: gates::Gates,
}
