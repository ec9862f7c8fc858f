//! `hornero bench`: what this machine needs for a chain of mainnet's size, and whether that fits into a slot.
//!
//! Every time is also given as a multiple of two yardsticks of the same run, so that runs on different machines can be laid
//! side by side. docs/performance.md has our figures, and what the fields of the JSON mean.

mod aggregates;
mod ahead;
mod block;
mod board;
mod columns;
mod hard;
mod progress;
mod recorder;
mod report;
mod state;
mod stopwatch;
mod subject;
pub mod synthetic;
mod verdict;
mod votes;
mod yardsticks;

use std::path::Path;

pub use report::Report;

use super::cli::BenchArguments;
use crate::{
    crypto::PubkeyCache,
    metrics::peak_resident_bytes,
    transition::{Context, get_active_validator_indices},
    types::{BeaconState, Config, Slot, preset::PRESET_BASE},
};
use board::{Board, Disk, Memory, Scratch, forget_peak};
use recorder::{Effort, Recorder, Records};
use subject::{Blocks, Subject};
use verdict::Verdict;

/// Things that are measured or made, as the bar counts them, besides the hard epochs.
const STEPS: usize = 29;

/// Measures, and prints the report.
///
/// # Errors
/// When a file can't be read or written, or when what is measured fails: the figures would mean nothing.
pub fn run(arguments: &BenchArguments) -> Result<(), String> {
    let report = measure(arguments, if arguments.quick { Effort::QUICK } else { Effort::WHOLE })?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?);
    } else {
        print!("{report}");
    }
    Ok(())
}

fn measure(arguments: &BenchArguments, effort: Effort) -> Result<Report, String> {
    subject::check(arguments)?;
    let root = Path::new("/");
    let memory = Memory::read(root);
    let mut recorder = Recorder::new(effort, STEPS + ahead::STEPS + hard::STEPS);
    recorder.step("the disk");
    let disk = Disk::measure(&arguments.datadir)?;
    let subject = Subject::make(arguments, &mut recorder)?;
    let shape = subject.shape;
    let state = measure_subject(arguments, &mut recorder, subject)?;

    let (validators, active) = (state.validators.len(), active_validators(&state));
    let Records { effort, yardsticks, times, sizes, left_out, heat, seconds } = recorder.finish();
    let board = Board { model: board::model(root), cores: board::cores(), memory, disk, heat: heat.finish() };
    let cpu_ms = |name: &str| times.iter().find(|figure| figure.name == name).map(|figure| figure.time.cpu_ms);
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        preset: PRESET_BASE,
        shape,
        validators,
        active,
        runs: effort.runs,
        seconds,
        yardsticks,
        verdict: Verdict::new(cpu_ms, active, &board),
        times,
        sizes,
        left_out,
        board,
    })
}

/// All figures of a state and its blocks: first what the verdict needs, then the rest as far as there is time. Returns the
/// state.
fn measure_subject(
    arguments: &BenchArguments,
    recorder: &mut Recorder,
    subject: Subject,
) -> Result<BeaconState, String> {
    let Subject { shape, state: bytes, given } = subject;
    let config = Config::default();
    // A node keeps keys in a file; so does this, which makes a restart possible.
    let key_file = Scratch::new(&arguments.datadir, "keys")?;
    let keys = PubkeyCache::open(key_file.path()).map_err(doing("the file of keys"))?;
    let ctx = Context { config: &config, keys: &keys };

    let mut state = state::measure(recorder, bytes)?;
    let Blocks { block, others } = Blocks::make(given, &state, recorder)?;
    // Until here, bytes and copies lay beside the state that a node does not have.
    let peak_of_making = peak_resident_bytes();
    let is_counted_anew = forget_peak();
    let mut after_block = block::measure(recorder, &state, &block, &ctx)?;
    let last_slot = state::in_last_slot(&after_block, &ctx)?;
    let mut after_epoch = state::measure_epoch(recorder, &last_slot, &ctx)?;
    subject::check_roots(shape, &others, [&mut state, &mut after_block, &mut after_epoch])?;
    add_peaks(recorder, peak_of_making, is_counted_anew);
    drop((after_block, after_epoch));

    if arguments.quick {
        recorder.leave_out("columns", "their setup takes too long for --quick", 3);
    } else if recorder.has_time_for("columns", 3) {
        columns::measure(recorder, &config, state.current_epoch())?;
    }
    for other in &others {
        if recorder.has_time_for(other.name, 1) {
            block::measure_import(recorder, other, &state, &ctx)?;
        }
    }
    if recorder.has_time_for("votes", 2) {
        votes::measure(recorder, &state, &block, &ctx)?;
    }
    if shape != "file" && recorder.has_time_for("first_block", ahead::STEPS) {
        ahead::measure(recorder, &last_slot, &ctx)?;
    }
    // Dropped, as at a shutdown.
    drop(keys);
    if recorder.has_time_for("block_restart", 1) {
        block::measure_restart(recorder, &state, &block, &config, key_file.path())?;
    }
    let keys = PubkeyCache::default();
    hard::measure(recorder, &last_slot, &Context { config: &config, keys: &keys })?;
    Ok(state)
}

fn add_peaks(recorder: &mut Recorder, peak_of_making: Option<u64>, is_counted_anew: bool) {
    let Some((making, after)) = peak_of_making.zip(peak_resident_bytes()) else { return };
    let what = "the process at its peak, the state's making included";
    recorder.add_size("resident_peak", what, making.max(after));
    if is_counted_anew {
        let what = "the process at its peak while a block and an epoch's end pass";
        recorder.add_size("resident_peak_following", what, after);
    }
}

fn active_validators(state: &BeaconState) -> usize {
    get_active_validator_indices(state, state.current_epoch()).len()
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
