//! Where a node starts: a finalized state and its block, fetched over HTTP or read from files, and checked.
//!
//! The state streams into columns as it arrives; its bytes are never held whole. Checked, in this order:
//!
//! 1. its first bytes: network, slot, and a fork that this program knows;
//! 2. that it decodes, and ends where it should;
//! 3. its root against its block's `state_root`, and its latest header against that block (some providers give the state
//!    at the start of an epoch whose first slot was empty: see `check_taken_forward`);
//! 4. `--checkpoint-root`, if given, and every other provider: all must name this block at its slot;
//! 5. the weak-subjectivity period: an old checkpoint proves nothing.

mod http;
mod progress;
mod providers;

use std::{
    io::{self, Read},
    path::Path,
};

use tree_hash::TreeHash;

pub use http::HttpError;
pub use progress::Progress;
pub use providers::{Sources, fetch};

use crate::{
    crypto::PubkeyCache,
    transition::{Context, is_within_weak_subjectivity_period},
    types::{
        preset::{PRESET_BASE, SLOTS_PER_EPOCH, SLOTS_PER_HISTORICAL_ROOT},
        *,
    },
};

/// Largest state that is believed: mainnet's has 0.32 GB, and one of three times its size would not fit our memory.
pub const MAX_STATE_BYTES: u64 = 1 << 30;
/// Largest block: the network's own limit for a message.
const MAX_BLOCK_BYTES: u64 = 10 << 20;
/// Bytes at a state's start that tell genesis time, genesis validators' root and slot.
const HEAD_BYTES: usize = 48;

/// A state and the block that made it: both checked, and a node's start.
#[derive(Clone, Debug)]
pub struct Anchor {
    /// The state right after the block; already hashed.
    pub state: BeaconState,
    /// The block.
    pub block: SignedBeaconBlock,
    /// The block's root.
    pub root: Hash256,
}

/// What a checkpoint is held against.
#[derive(Clone, Copy, Debug)]
pub struct Expectations<'a> {
    /// The network's configuration.
    pub config: &'a Config,
    /// The network's root, where known.
    pub genesis_validators_root: Option<Hash256>,
    /// `--checkpoint-root`: the block's root.
    pub block_root: Option<Hash256>,
    /// Seconds since 1970, to see how old the checkpoint is.
    pub now: u64,
    /// Accept a checkpoint that is older than the weak-subjectivity period (a test network that stood still).
    pub ignore_weak_subjectivity: bool,
}

/// Why a checkpoint was refused.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A request failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A file can't be read.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// What happened.
        source: io::Error,
    },
    /// The state is of another network.
    #[error("the checkpoint is of another network: its genesis validators root is {theirs}, this network's is {ours}")]
    Network {
        /// What the state says.
        theirs: Hash256,
        /// What was expected.
        ours: Hash256,
    },
    /// The state is of a fork that this program does not know, or not of the fork that its slot is in.
    #[error("the checkpoint's state at slot {slot} {problem}")]
    Fork {
        /// The state's slot.
        slot: Slot,
        /// What is wrong, as the end of a sentence.
        problem: String,
    },
    /// The bytes are not a state.
    #[error("the checkpoint's state can't be read as a {fork} state of the {PRESET_BASE} preset: {source}")]
    State {
        /// As which fork it was read.
        fork: ForkName,
        /// What is wrong.
        source: StateError,
    },
    /// The bytes are not a block.
    #[error("the checkpoint's block can't be read: {0}")]
    Block(String),
    /// State and block do not belong together, or are not what was asked for.
    #[error("{what} does not match: expected {expected}, got {got}")]
    Mismatch {
        /// What was compared.
        what: &'static str,
        /// What it should be.
        expected: Hash256,
        /// What it is.
        got: Hash256,
    },
    /// Two providers name different blocks.
    #[error("{first} and {second} disagree at slot {slot}: {ours} and {theirs}; one of them is wrong, do not go on")]
    Disagreement {
        /// Who gave the state.
        first: String,
        /// Who named another block.
        second: String,
        /// At which slot.
        slot: Slot,
        /// The first one's block.
        ours: Hash256,
        /// The other's.
        theirs: Hash256,
    },
    /// The state lies past its block, so that the block can't prove it.
    #[error(
        "the provider's finalized state is at slot {state}, past its block at {block}, so --checkpoint-root can't prove \
         it; try again in a few minutes, or with another provider"
    )]
    PastItsBlock {
        /// The state's slot.
        state: Slot,
        /// Its block's.
        block: Slot,
    },
    /// Too old to be trusted.
    #[error(
        "the checkpoint at epoch {epoch} is older than the weak-subjectivity period: a chain from it could be forged; \
         take a newer one"
    )]
    TooOld {
        /// Its epoch.
        epoch: Epoch,
    },
    /// From the future: this machine's clock or the provider's is wrong.
    #[error("the checkpoint at slot {slot} is in the future: check this machine's clock (timedatectl)")]
    Future {
        /// Its slot.
        slot: Slot,
    },
    /// There is nowhere to get it from.
    #[error("this network has no built-in checkpoint provider: give --checkpoint-sync-url or --checkpoint-state")]
    NoProvider,
    /// The state's own contents contradict each other.
    #[error("the checkpoint's state is not sound: {0}")]
    Unsound(String),
}

/// Reads a checkpoint from a state's file and a block's.
pub fn from_files(state: &Path, block: &Path, expected: &Expectations) -> Result<Anchor, CheckpointError> {
    let file_error = |path: &Path| {
        let path = path.display().to_string();
        move |source| CheckpointError::File { path, source }
    };
    let file = std::fs::File::open(state).map_err(file_error(state))?;
    let state = read_state(io::BufReader::new(file), expected)?;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(block).map_err(file_error(block))?;
    file.take(MAX_BLOCK_BYTES + 1).read_to_end(&mut bytes).map_err(file_error(block))?;
    let block = read_block(&bytes, expected.config)?;
    check(state, block, expected)
}

/// Reads a state from a stream, after a look at its head.
pub(super) fn read_state(mut source: impl Read, expected: &Expectations) -> Result<BeaconState, CheckpointError> {
    let fork_if_short = ForkName::default();
    let mut head = [0; HEAD_BYTES];
    source.read_exact(&mut head).map_err(|source| CheckpointError::State {
        fork: fork_if_short,
        source: StateError::Io { field: Field::GenesisTime, source },
    })?;
    let theirs = Hash256::from_slice(&head[8..40]);
    if let Some(ours) = expected.genesis_validators_root.filter(|ours| *ours != theirs) {
        return Err(CheckpointError::Network { theirs, ours });
    }
    let slot = Slot::from_le_bytes(head[40..].try_into().expect("eight bytes"));
    let fork = expected.config.fork_name(compute_epoch_at_slot(slot)).ok_or_else(|| CheckpointError::Fork {
        slot,
        problem: "is of a fork that this version of Hornero does not know".into(),
    })?;
    let state = BeaconState::from_reader(fork, &mut head.as_slice().chain(source))
        .map_err(|source| CheckpointError::State { fork, source })?;
    let version = expected.config.fork_version(state.current_epoch());
    if state.fork.current_version != version {
        let theirs = state.fork.current_version;
        return Err(CheckpointError::Fork { slot, problem: format!("says fork {theirs}, the network's is {version}") });
    }
    Ok(state)
}

pub(super) fn read_block(bytes: &[u8], config: &Config) -> Result<SignedBeaconBlock, CheckpointError> {
    SignedBeaconBlock::from_ssz_bytes_by_slot(config, bytes)
        .map_err(|error| CheckpointError::Block(format!("{error:?}")))
}

/// The root of the block that a state came from, with the state's own root filled in where the state can't know it.
pub(super) fn latest_block_root(state: &mut BeaconState) -> Hash256 {
    let mut header = state.latest_block_header;
    if header.state_root.is_zero() {
        header.state_root = state.hash_tree_root();
    }
    header.tree_hash_root()
}

/// Holds a state and its block against each other and against what is expected.
///
/// # Errors
/// When they do not belong together, are of another network or too old, or when the state contradicts itself.
pub fn check(
    mut state: BeaconState,
    block: SignedBeaconBlock,
    expected: &Expectations,
) -> Result<Anchor, CheckpointError> {
    let same = |what, expected: Hash256, got: Hash256| {
        if expected == got { Ok(()) } else { Err(CheckpointError::Mismatch { what, expected, got }) }
    };
    let root = block.root();
    if let Some(wanted) = expected.block_root {
        same("the checkpoint's block root (--checkpoint-root)", wanted, root)?;
    }
    if state.slot == block.message.slot {
        same("the state's root", block.message.state_root, state.hash_tree_root())?;
    } else {
        check_taken_forward(&state, &block, root, expected)?;
    }
    same("the state's latest block", root, latest_block_root(&mut state))?;
    check_shape(&state)?;
    check_age(&mut state, expected)?;
    Ok(Anchor { state, block, root })
}

/// Some providers give the state at the start of the finalized epoch when that slot was empty. It remembers its block's
/// root and state root, but nothing proves the rest of it: fine from a provider that is trusted, not against a root that
/// the user brought.
fn check_taken_forward(
    state: &BeaconState,
    block: &SignedBeaconBlock,
    root: Hash256,
    expected: &Expectations,
) -> Result<(), CheckpointError> {
    let from = block.message.slot;
    let remembers = |slot: Slot| state.block_roots.get(slot as usize % SLOTS_PER_HISTORICAL_ROOT) == Some(&root);
    let is_near = from < state.slot && state.slot - from < SLOTS_PER_HISTORICAL_ROOT as u64;
    let is_epoch_start = state.slot.is_multiple_of(SLOTS_PER_EPOCH);
    if expected.block_root.is_some() || !is_near || !is_epoch_start {
        return Err(CheckpointError::PastItsBlock { state: state.slot, block: from });
    }
    if !(from..state.slot).all(remembers) {
        return Err(CheckpointError::Unsound(format!("block {root:?} is not the last one it remembers")));
    }
    let remembered = state.state_roots[from as usize % SLOTS_PER_HISTORICAL_ROOT];
    if remembered != block.message.state_root {
        let (expected, got) = (block.message.state_root, remembered);
        return Err(CheckpointError::Mismatch { what: "the state root of its block", expected, got });
    }
    Ok(())
}

/// A root can be right and the state still be nonsense, when the provider made it up: what we index by must be there.
fn check_shape(state: &BeaconState) -> Result<(), CheckpointError> {
    let validators = state.validators.len();
    for (name, len) in [
        ("balances", state.balances.len()),
        ("inactivity_scores", state.inactivity_scores.len()),
        ("previous_epoch_participation", state.previous_epoch_participation.len()),
        ("current_epoch_participation", state.current_epoch_participation.len()),
    ] {
        if len != validators {
            return Err(CheckpointError::Unsound(format!("{validators} validators, but {len} {name}")));
        }
    }
    if state.proposer_lookahead.iter().any(|index| *index >= validators as u64) {
        return Err(CheckpointError::Unsound("a proposer who is not in the registry".into()));
    }
    Ok(())
}

fn check_age(state: &mut BeaconState, expected: &Expectations) -> Result<(), CheckpointError> {
    let config = expected.config;
    let since_genesis = expected.now.saturating_sub(state.genesis_time).saturating_mul(1000);
    let current_slot = since_genesis / config.slot_duration_ms;
    if state.slot > current_slot + 1 {
        return Err(CheckpointError::Future { slot: state.slot });
    }
    let current_epoch = compute_epoch_at_slot(current_slot);
    let ctx = Context { config, keys: &PubkeyCache::default() };
    let young = is_within_weak_subjectivity_period(state, current_epoch, &ctx)
        .map_err(|error| CheckpointError::Unsound(error.to_string()))?;
    if !young && !expected.ignore_weak_subjectivity {
        return Err(CheckpointError::TooOld { epoch: state.current_epoch() });
    }
    Ok(())
}
