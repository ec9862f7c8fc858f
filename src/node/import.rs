//! `hornero import`: recorded blocks through the state transition and the fork choice, without a network.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use tracing::info;

use super::{cli::ImportArguments, networks::Network};
use crate::{
    chain::checkpoint::{self, Expectations},
    crypto::PubkeyCache,
    fork_choice::{Store, import_block},
    transition::{Checks, Context},
    types::{Config, Hash256, SignedBeaconBlock, Slot},
};

/// Longest block file that is read.
const MAX_BLOCK_BYTES: u64 = 10 << 20;

/// Imports all blocks in order of their slots and returns the head.
///
/// # Errors
/// With the file and the reason, at the first block that is not valid on the chain so far.
pub fn import(arguments: &ImportArguments) -> Result<(Slot, Hash256), String> {
    let network = Network::load(&arguments.network).map_err(|error| error.to_string())?;
    let config = network.config.clone();
    let expected = Expectations {
        config: &config,
        genesis_validators_root: network.genesis_validators_root,
        block_root: None,
        now: u64::MAX,
        ignore_weak_subjectivity: true,
    };
    let anchor = checkpoint::from_files(&arguments.checkpoint_state, &arguments.checkpoint_block, &expected)
        .map_err(|error| error.to_string())?;
    info!("checkpoint at slot {}, block {:?}", anchor.state.slot, anchor.root);
    let keys = PubkeyCache::default();
    let ctx = Context { config: &config, keys: &keys };
    let mut state = anchor.state;
    let mut store = Store::from_anchor(&mut state, &anchor.block.message.header(), config.clone())
        .map_err(|error| error.to_string())?;
    let start = state.slot;
    // A recorded chain has no side branches: each block builds on the one before.
    for (slot, path) in block_files(&arguments.blocks)?.into_iter().filter(|(slot, _)| *slot > start) {
        let failed = |reason: String| format!("{}: {reason}", path.display());
        let started = Instant::now();
        let block = read_block(&path, &config)?;
        let (post, imported) =
            import_block(&state, &block, &ctx, Checks::ALL).map_err(|error| failed(error.to_string()))?;
        store.on_tick(state.genesis_time * 1000 + slot * config.slot_duration_ms);
        let root = imported.root;
        store.on_block(imported).map_err(|error| failed(error.to_string()))?;
        info!("slot {slot}: block {root:?} imported in {} ms", started.elapsed().as_millis());
        state = post;
    }
    let head = store.get_head();
    let slot = store.node(&head).map_or(state.slot, |node| node.slot);
    Ok((slot, head))
}

/// Files named `SLOT.ssz` in a folder, by slot.
fn block_files(folder: &Path) -> Result<Vec<(Slot, PathBuf)>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<(Slot, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let slot = path.file_name()?.to_str()?.strip_suffix(".ssz")?.parse().ok()?;
            Some((slot, path))
        })
        .collect();
    files.sort_unstable();
    Ok(files)
}

fn read_block(path: &Path, config: &Config) -> Result<SignedBeaconBlock, String> {
    let failed = |reason: String| format!("{}: {reason}", path.display());
    let len = fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if len > MAX_BLOCK_BYTES {
        return Err(failed(format!("{len} bytes are too many for a block")));
    }
    let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
    SignedBeaconBlock::from_ssz_bytes_by_slot(config, &bytes).map_err(|error| failed(format!("not a block: {error:?}")))
}
