//! The figures, and how they are printed. The names of all fields and figures stay from version to version:
//! docs/performance.md lists them.

use std::fmt;

use serde::Serialize;

use super::{
    board::{Board, Disk, Heat, Memory},
    stopwatch::Time,
    verdict::Verdict,
    yardsticks::Yardsticks,
};

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of Hornero.
    pub version: &'static str,
    /// The preset that it was compiled for.
    pub preset: &'static str,
    /// `mainnet` for a registry like mainnet's, `active` for one in which all are active, `file` for a given state.
    pub shape: &'static str,
    /// Records in the state's registry.
    pub validators: usize,
    /// Of these, active ones.
    pub active: usize,
    /// Times that each thing is measured at most; the best counts.
    pub runs: usize,
    /// How long all of it took.
    pub seconds: f64,
    /// What the times are multiples of.
    pub yardsticks: Yardsticks,
    /// How long things take.
    pub times: Vec<Figure>,
    /// How much memory things take.
    pub sizes: Vec<Size>,
    /// What was not measured.
    pub left_out: Vec<LeftOut>,
    /// The board, and how it fared.
    pub board: Board,
    /// Whether that fits into a slot.
    pub verdict: Verdict,
}

/// How long something takes.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Stays the same from version to version.
    pub name: &'static str,
    /// In words.
    pub what: &'static str,
    /// The best of all runs.
    #[serde(flatten)]
    pub time: Time,
    /// How often it was measured; zero when it follows from others.
    pub runs: usize,
    /// Processor time in units of the first yardstick: 1,000 hashes.
    pub thousands_of_hashes: f64,
    /// Processor time in units of the second.
    pub verifications: f64,
}

/// How much memory something takes.
#[derive(Clone, Debug, Serialize)]
pub struct Size {
    /// Stays the same from version to version.
    pub name: &'static str,
    /// In words.
    pub what: &'static str,
    /// Bytes.
    pub bytes: u64,
}

/// Something that was not measured.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// What its first figure would be called.
    pub name: &'static str,
    /// Why.
    pub why: &'static str,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Report { version, preset, validators, active, runs, seconds, .. } = self;
        writeln!(f, "hornero {version}, {preset} preset, {validators} validators of which {active} are active")?;
        let Yardsticks { sha256_1000, bls_verification } = self.yardsticks;
        let (hashes, verification) = (sha256_1000.cpu_ms, bls_verification.cpu_ms);
        writeln!(f, "1,000 hashes take {hashes:.3} ms, a BLS verification {verification:.3} ms of processor time")?;
        let head = format!("best of {runs} at most, {seconds:.0} s in all");
        writeln!(f, "\n{head:<64} {:>10} {:>10} {:>10} {:>10}", "wall ms", "cpu ms", "x hashes", "x BLS")?;
        for Figure { what, time, thousands_of_hashes, verifications, .. } in &self.times {
            let Time { wall_ms, cpu_ms } = time;
            writeln!(f, "{what:<64} {wall_ms:>10.2} {cpu_ms:>10.2} {thousands_of_hashes:>10.1} {verifications:>10.2}")?;
        }
        for LeftOut { name, why } in &self.left_out {
            writeln!(f, "{name}: left out, {why}")?;
        }
        writeln!(f, "\n{:<64} {:>10}", "memory", "MiB")?;
        for Size { what, bytes, .. } in &self.sizes {
            writeln!(f, "{what:<64} {:>10.2}", mib(*bytes))?;
        }
        writeln!(f, "\n{}\n{}", self.board, self.verdict)
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Board { model, cores, memory, disk, heat } = self;
        writeln!(f, "board: {}, {cores} cores", model.as_deref().unwrap_or(UNTOLD))?;
        let Memory { total_bytes, available_bytes, .. } = *memory;
        let told_mib = |bytes: Option<u64>| told(bytes.map(mib), " MiB");
        writeln!(f, "memory: {} in all, {} free before", told_mib(total_bytes), told_mib(available_bytes))?;
        let Disk { syncs, sync_p50_ms, sync_worst_ms, write_mib_per_second } = disk;
        writeln!(
            f,
            "disk: {write_mib_per_second:.0} MiB a second; a small write is safe after {sync_p50_ms:.1} ms, the slowest of \
             {syncs} after {sync_worst_ms:.1} ms"
        )?;
        let Heat { before, after, highest_celsius, lowest_clock_percent, was_slowed, was_under_voltage } = *heat;
        let celsius = |degrees| told(degrees, " C");
        writeln!(
            f,
            "temperature: {} before, {} after, {} at most; slowest clock {} of the highest",
            celsius(before.celsius),
            celsius(after.celsius),
            celsius(highest_celsius),
            told(lowest_clock_percent, "%"),
        )?;
        let answer = |yes: Option<bool>| match yes {
            Some(true) => "yes",
            Some(false) => "no",
            None => UNTOLD,
        };
        writeln!(f, "slowed down: {}; power too weak: {}", answer(was_slowed), answer(was_under_voltage))
    }
}

const UNTOLD: &str = "not told by this kernel";

fn told(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(|| UNTOLD.to_owned(), |value| format!("{value:.0}{unit}"))
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
