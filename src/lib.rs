//! Hornero: an Ethereum beacon node for a single-board computer.
//!
//! The crate is a house of rooms; a room may import only the rooms that the table in `tests/rooms.rs` allows.
//! `docs/architecture.md` shows the house and a block's way through it.

pub mod api;
pub mod chain;
pub mod crypto;
pub mod db;
pub mod engine;
pub mod fork_choice;
pub mod metrics;
pub mod node;
pub mod p2p;
pub mod ssz;
pub mod transition;
pub mod types;
pub mod validator;
