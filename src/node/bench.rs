//! `hornero bench`: what this machine needs for a chain of mainnet's size, and whether that fits into a slot.
//!
//! Every time is also given as a multiple of two yardsticks of the same run, so that runs on different machines can be laid
//! side by side. docs/performance.md has our figures.

mod block;
mod report;
mod state;
mod stopwatch;
pub mod synthetic;
mod verdict;
mod votes;
mod yardsticks;

use std::{fs, path::Path};

use alloy_primitives::b256;

pub use report::Report;

use super::cli::BenchArguments;
use crate::{
    crypto::PubkeyCache,
    metrics::peak_resident_bytes,
    transition::Context,
    types::{
        Config, ForkName, Hash256, SignedBeaconBlock, Slot,
        preset::{PRESET_BASE, SLOTS_PER_EPOCH},
    },
};
use report::Recorder;
use synthetic::Contents;

/// Times that a thing is measured; the best counts.
const RUNS: usize = 5;
const QUICK_RUNS: usize = 2;

/// Validators of the synthetic state: about as many as are active on mainnet.
const VALIDATORS: u64 = 1_000_000;
const QUICK_VALIDATORS: u64 = 100_000;
/// With fewer, some slots have no committee.
const MIN_VALIDATORS: u64 = 4 * SLOTS_PER_EPOCH;
/// With more, a state takes more than 2 GiB: not what a board is for.
const MAX_VALIDATORS: u64 = 10_000_000;
/// Roots of the synthetic state of `VALIDATORS` in the mainnet preset, after its full block, after its small block, and
/// after the full block and the epoch's end, as another client computed them.
const KNOWN_ROOTS: [Hash256; 4] = [
    b256!("b1650e29f79815961cbeae22253b7afc55b99364716c1f3910563ed4bb3bbba6"),
    b256!("1bbf129e7ec5ea3e9860074df5a76db6e6fef2ea87cf791ba1bc2255c324914d"),
    b256!("84a7e0f21afadfe2a23daca0a8703005ff0be70f1d01ec76d8f7354077bfffab"),
    b256!("20d03766cc98e037d819ee3e74fa04fdc0adec008c4d57d99c503617c3995703"),
];

/// What is measured with.
struct Subject {
    /// The state's SSZ.
    state: Vec<u8>,
    /// A block on the state, of the next slot.
    block: SignedBeaconBlock,
    /// Another, with few attestations.
    small_block: Option<SignedBeaconBlock>,
    is_synthetic: bool,
}

/// Measures, and prints the report.
///
/// # Errors
/// When a file can't be read, or when what is measured fails: the figures would mean nothing.
pub fn run(arguments: &BenchArguments) -> Result<(), String> {
    let report = measure(arguments)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?);
    } else {
        print!("{report}");
    }
    Ok(())
}

fn measure(arguments: &BenchArguments) -> Result<Report, String> {
    let runs = if arguments.quick { QUICK_RUNS } else { RUNS };
    let mut recorder = Recorder::new(runs, yardsticks::measure());
    let subject = match (&arguments.state, &arguments.block) {
        (Some(state), Some(block)) => from_files(state, block)?,
        (None, None) => {
            let default = if arguments.quick { QUICK_VALIDATORS } else { VALIDATORS };
            synthetic_subject(&recorder, arguments.validators.unwrap_or(default))?
        }
        _ => return Err("--state and --block go together".into()),
    };
    let config = Config::default();
    let keys = PubkeyCache::default();
    let ctx = Context { config: &config, keys: &keys };
    let Subject { state: bytes, block, small_block, is_synthetic } = subject;
    let mut state = state::measure(&mut recorder, bytes)?;
    let mut after_block = block::measure(&mut recorder, &state, &block, &ctx)?;
    if let Some(small_block) = &small_block {
        block::measure_small(&mut recorder, &state, small_block, &ctx)?;
    }
    let mut after_epoch = state::measure_epoch(&mut recorder, &after_block, &ctx)?;
    votes::measure(&mut recorder, &state, &block, &ctx)?;
    if is_synthetic && state.validators.len() as u64 == VALIDATORS && PRESET_BASE == "mainnet" {
        let small = small_block.map_or(KNOWN_ROOTS[2], |block| block.message.state_root);
        let roots = [state.hash_tree_root(), after_block.hash_tree_root(), small, after_epoch.hash_tree_root()];
        if roots != KNOWN_ROOTS {
            return Err(format!("the roots are {roots:?} instead of {KNOWN_ROOTS:?}"));
        }
    }
    if let Some(peak) = peak_resident_bytes() {
        recorder.add_size("resident_peak", "the process at its peak, the state's making included", peak);
    }
    Ok(recorder.finish(&state))
}

fn synthetic_subject(recorder: &Recorder, validators: u64) -> Result<Subject, String> {
    if !(MIN_VALIDATORS..=MAX_VALIDATORS).contains(&validators) {
        return Err(format!("--validators must be from {MIN_VALIDATORS} to {MAX_VALIDATORS}"));
    }
    recorder.progress("making a state and blocks");
    let config = Config::default();
    let ctx = Context { config: &config, keys: &PubkeyCache::default() };
    let failed = doing("the synthetic state");
    let mut state = synthetic::state(validators).map_err(&failed)?;
    state.hash_tree_root();
    let make = |contents| synthetic::block(&state, state.slot + 1, contents, &ctx).map(|(block, _)| block);
    let block = make(&Contents::FULL).map_err(&failed)?;
    let small_block = Some(make(&Contents::SMALL).map_err(&failed)?);
    Ok(Subject { state: state.to_ssz_bytes(), block, small_block, is_synthetic: true })
}

fn from_files(state: &Path, block: &Path) -> Result<Subject, String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let block_bytes = read(block)?;
    let decoded = SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, &block_bytes)
        .map_err(|error| format!("{}: not a block of Fulu: {error:?}", block.display()))?;
    Ok(Subject { state: read(state)?, block: decoded, small_block: None, is_synthetic: false })
}

/// An error with what was being done.
fn doing<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}

/// The first slot after `slot` that starts an epoch.
fn next_epoch_start(slot: Slot) -> Slot {
    crate::types::compute_start_slot_at_epoch(crate::types::compute_epoch_at_slot(slot) + 1)
}

#[cfg(test)]
mod tests;
