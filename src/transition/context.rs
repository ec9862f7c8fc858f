//! What the transition needs besides the state, and what it is to verify.

use crate::{crypto::PubkeyCache, types::Config};

/// What every function needs besides the state.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The network's configuration.
    pub config: &'a Config,
    /// Decompressed keys, shared by all states.
    pub keys: &'a PubkeyCache,
}

/// What a caller wants verified. Everything else about a block is always checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// The block's signatures, in one batch.
    pub signatures: bool,
    /// That the block's state root is that of our state.
    pub state_root: bool,
}

impl Checks {
    /// For blocks that come from others.
    pub const ALL: Checks = Checks { signatures: true, state_root: true };
    /// For blocks that were verified before, and for those that are being built.
    pub const NONE: Checks = Checks { signatures: false, state_root: false };
}
