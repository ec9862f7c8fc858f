//! The figures, and how they are printed.

use std::{fmt, time::Instant};

use serde::Serialize;

use super::{
    stopwatch::{Time, time},
    verdict::Verdict,
    yardsticks::Yardsticks,
};
use crate::types::{BeaconState, preset::PRESET_BASE};

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of Hornero.
    pub version: &'static str,
    /// The preset that it was compiled for.
    pub preset: &'static str,
    /// In the state's registry.
    pub validators: usize,
    /// Times that each thing was measured; the best counts.
    pub runs: usize,
    /// What the times are multiples of.
    pub yardsticks: Yardsticks,
    /// How long things take.
    pub times: Vec<Duration>,
    /// How much memory things take.
    pub sizes: Vec<Size>,
    /// Whether that fits into a slot.
    pub verdict: Verdict,
}

/// How long something takes.
#[derive(Clone, Debug, Serialize)]
pub struct Duration {
    /// Stays the same from version to version.
    pub name: &'static str,
    /// In words.
    pub what: &'static str,
    /// The best of all runs.
    #[serde(flatten)]
    pub time: Time,
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

/// Measures, and keeps the figures.
pub struct Recorder {
    runs: usize,
    yardsticks: Yardsticks,
    times: Vec<Duration>,
    sizes: Vec<Size>,
    started: Instant,
}

impl Recorder {
    pub fn new(runs: usize, yardsticks: Yardsticks) -> Recorder {
        Recorder { runs, yardsticks, times: Vec::new(), sizes: Vec::new(), started: Instant::now() }
    }

    /// Measures `work` on what `prepare` makes, in all runs, and returns what the last left behind.
    pub fn time<S, R, E: fmt::Display>(
        &mut self,
        name: &'static str,
        what: &'static str,
        prepare: impl Fn() -> Result<S, String>,
        work: impl Fn(&mut S) -> Result<R, E>,
    ) -> Result<S, String> {
        self.time_in_runs(self.runs, name, what, prepare, work)
    }

    /// As [`Recorder::time`], once: for what takes long.
    pub fn time_once<S, R, E: fmt::Display>(
        &mut self,
        name: &'static str,
        what: &'static str,
        prepare: impl Fn() -> Result<S, String>,
        work: impl Fn(&mut S) -> Result<R, E>,
    ) -> Result<S, String> {
        self.time_in_runs(1, name, what, prepare, work)
    }

    fn time_in_runs<S, R, E: fmt::Display>(
        &mut self,
        runs: usize,
        name: &'static str,
        what: &'static str,
        prepare: impl Fn() -> Result<S, String>,
        work: impl Fn(&mut S) -> Result<R, E>,
    ) -> Result<S, String> {
        self.progress(what);
        let run = || {
            let mut subject = prepare()?;
            let (result, time) = time(|| work(&mut subject));
            result.map(|_| (subject, time)).map_err(|error| format!("{what}: {error}"))
        };
        let (mut left_behind, mut best) = run()?;
        for _ in 1..runs {
            drop(left_behind);
            let (subject, time) = run()?;
            (left_behind, best) = (subject, best.best(time));
        }
        self.add_time(name, what, best);
        Ok(left_behind)
    }

    /// Adds what was measured or computed elsewhere.
    pub fn add_time(&mut self, name: &'static str, what: &'static str, time: Time) {
        let thousands_of_hashes = time.cpu_ms / self.yardsticks.sha256_1000.cpu_ms;
        let verifications = time.cpu_ms / self.yardsticks.bls_verification.cpu_ms;
        self.times.push(Duration { name, what, time, thousands_of_hashes, verifications });
    }

    /// Adds a size.
    pub fn add_size(&mut self, name: &'static str, what: &'static str, bytes: u64) {
        self.sizes.push(Size { name, what, bytes });
    }

    /// A line on standard error.
    pub fn progress(&self, what: &str) {
        eprintln!("{:5.1} s  {what}", self.started.elapsed().as_secs_f64());
    }

    /// The time of `name`.
    ///
    /// # Panics
    /// When that was not measured: a mistake in this folder.
    pub fn of(&self, name: &str) -> Time {
        let duration = self.times.iter().find(|duration| duration.name == name);
        duration.unwrap_or_else(|| panic!("{name} was not measured")).time
    }

    /// All that was measured on `state`, and what follows from it.
    pub fn finish(self, state: &BeaconState) -> Report {
        Report {
            version: env!("CARGO_PKG_VERSION"),
            preset: PRESET_BASE,
            validators: state.validators.len(),
            runs: self.runs,
            yardsticks: self.yardsticks,
            verdict: Verdict::new(&self),
            times: self.times,
            sizes: self.sizes,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Yardsticks { sha256_1000, bls_verification } = self.yardsticks;
        writeln!(f, "hornero {}, {} preset, {} validators", self.version, self.preset, self.validators)?;
        writeln!(
            f,
            "yardsticks: 1,000 hashes {:.3} ms, BLS verification {:.3} ms of processor time",
            sha256_1000.cpu_ms, bls_verification.cpu_ms
        )?;
        writeln!(
            f,
            "\n{:<64} {:>10} {:>10} {:>10} {:>10}",
            format!("best of {}", self.runs),
            "wall ms",
            "cpu ms",
            "x hashes",
            "x BLS"
        )?;
        for Duration { what, time, thousands_of_hashes, verifications, .. } in &self.times {
            let Time { wall_ms, cpu_ms } = time;
            writeln!(f, "{what:<64} {wall_ms:>10.2} {cpu_ms:>10.2} {thousands_of_hashes:>10.1} {verifications:>10.2}")?;
        }
        writeln!(f, "\n{:<64} {:>10}", "memory", "MiB")?;
        for Size { what, bytes, .. } in &self.sizes {
            writeln!(f, "{what:<64} {:>10.2}", *bytes as f64 / f64::from(1 << 20))?;
        }
        writeln!(f, "\n{}", self.verdict)
    }
}
