//! Light clients: what a full node derives for them, and what they do with it.
//!
//! Functions keep the specification's names, a file for each of its headings. There is one form of the data in memory
//! (`types/light_client.rs`), so where the specification upgrades an object or a store to a fork, nothing has to be done.

mod collection;
mod error;
mod full_node;
mod helpers;
mod initialization;
mod is_better_update;
mod state_updates;

pub use collection::LightClientData;
pub use error::LightClientError;
pub use full_node::*;
pub use helpers::*;
pub use initialization::{LightClientStore, initialize_light_client_store};
pub use is_better_update::is_better_update;
pub use state_updates::*;
