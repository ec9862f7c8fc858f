//! `hornero bench`: what this machine needs for a chain of mainnet's size, and whether that fits into a slot.
//!
//! Every time is also given as a multiple of two yardsticks of the same run, so that runs on different machines can be laid
//! side by side. docs/performance.md has our figures.

mod block;
mod report;
mod state;
mod stopwatch;
mod verdict;
mod votes;
mod yardsticks;

use std::{fs, path::Path};

pub use report::Report;

use super::cli::BenchArguments;
use crate::{
    crypto::PubkeyCache,
    transition::Context,
    types::{Config, ForkName, SignedBeaconBlock, Slot},
};
use report::Recorder;

/// Times that a thing is measured; the best counts.
const RUNS: usize = 5;
const QUICK_RUNS: usize = 2;

/// What is measured with.
struct Subject {
    config: Config,
    /// The state's SSZ.
    state: Vec<u8>,
    /// A block on the state, of the next slot.
    block: SignedBeaconBlock,
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
    let subject = from_files(&arguments.state, &arguments.block)?;
    let runs = if arguments.quick { QUICK_RUNS } else { RUNS };
    let mut recorder = Recorder::new(runs, yardsticks::measure());
    let Subject { config, state: bytes, block } = subject;
    let state = state::measure(&mut recorder, bytes)?;
    let keys = PubkeyCache::default();
    let ctx = Context { config: &config, keys: &keys };
    let after_block = block::measure(&mut recorder, &state, &block, &ctx)?;
    state::measure_epoch(&mut recorder, &after_block, &ctx)?;
    votes::measure(&mut recorder, &state, &block, &ctx)?;
    Ok(recorder.finish(&state))
}

fn from_files(state: &Path, block: &Path) -> Result<Subject, String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let block_bytes = read(block)?;
    let decoded = SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, &block_bytes)
        .map_err(|error| format!("{}: not a block of Fulu: {error:?}", block.display()))?;
    Ok(Subject { config: Config::default(), state: read(state)?, block: decoded })
}

/// An error with what was being done.
fn doing<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}

/// The first slot after `slot` that starts an epoch.
fn next_epoch_start(slot: Slot) -> Slot {
    crate::types::compute_start_slot_at_epoch(crate::types::compute_epoch_at_slot(slot) + 1)
}
