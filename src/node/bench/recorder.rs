//! Measures, and keeps the figures.

use std::{
    fmt,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    board::HeatWatch,
    progress::Progress,
    report::{Figure, LeftOut, Size},
    stopwatch::{Time, time},
    yardsticks::Yardsticks,
};

/// How much is measured. On a slow board each thing is measured fewer times, and what the verdict does not need is left out
/// in the end, so that a run stays below three minutes wherever a node can run at all.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Times that a thing is measured; the best counts.
    pub runs: usize,
    /// A thing that took as long in all is not measured again.
    pub enough: Duration,
    /// After this, only what the verdict needs is measured.
    pub optional_until: Duration,
}

impl Effort {
    /// A user who waits.
    pub const WHOLE: Effort =
        Effort { runs: 5, enough: Duration::from_secs(3), optional_until: Duration::from_secs(100) };
    /// A user who does not.
    pub const QUICK: Effort =
        Effort { runs: 2, enough: Duration::from_secs(1), optional_until: Duration::from_secs(30) };
}

/// Measures, and keeps the figures.
pub struct Recorder {
    effort: Effort,
    yardsticks: Yardsticks,
    times: Vec<Figure>,
    sizes: Vec<Size>,
    left_out: Vec<LeftOut>,
    progress: Progress,
    heat: HeatWatch,
    started: Instant,
}

/// What a recorder has in the end.
pub struct Records {
    pub effort: Effort,
    pub yardsticks: Yardsticks,
    pub times: Vec<Figure>,
    pub sizes: Vec<Size>,
    pub left_out: Vec<LeftOut>,
    pub heat: HeatWatch,
    pub seconds: f64,
}

impl Recorder {
    /// With nothing measured; about `steps` things will be.
    pub fn new(effort: Effort, steps: usize) -> Recorder {
        let (heat, mut progress) = (HeatWatch::start(Path::new("/")), Progress::new(steps));
        let started = Instant::now();
        progress.step("yardsticks");
        Recorder {
            effort,
            yardsticks: super::yardsticks::measure(),
            times: Vec::new(),
            sizes: Vec::new(),
            left_out: Vec::new(),
            progress,
            heat,
            started,
        }
    }

    /// Measures `work` on what `prepare` makes, several times, and returns what the last left behind.
    pub fn time<S, R, E: fmt::Display>(
        &mut self,
        name: &'static str,
        what: &'static str,
        prepare: impl Fn() -> Result<S, String>,
        work: impl Fn(&mut S) -> Result<R, E>,
    ) -> Result<S, String> {
        self.time_in_runs(self.effort.runs, name, what, prepare, work)
    }

    /// As [`Recorder::time`], once: for what happens once, or takes long.
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
        most: usize,
        name: &'static str,
        what: &'static str,
        prepare: impl Fn() -> Result<S, String>,
        work: impl Fn(&mut S) -> Result<R, E>,
    ) -> Result<S, String> {
        self.step(what);
        let begun = Instant::now();
        let run = || {
            let mut subject = prepare()?;
            let (result, time) = time(|| work(&mut subject));
            result.map(|_| (subject, time)).map_err(|error| format!("{what}: {error}"))
        };
        let (mut left_behind, mut best) = run()?;
        let mut runs = 1;
        while runs < most && begun.elapsed() < self.effort.enough {
            drop(left_behind);
            let (subject, time) = run()?;
            (left_behind, best) = (subject, best.best(time));
            runs += 1;
        }
        self.heat.look();
        self.add(name, what, best, runs);
        Ok(left_behind)
    }

    /// Adds what follows from other times.
    pub fn add_time(&mut self, name: &'static str, what: &'static str, time: Time) {
        self.add(name, what, time, 0);
    }

    fn add(&mut self, name: &'static str, what: &'static str, time: Time, runs: usize) {
        let thousands_of_hashes = time.cpu_ms / self.yardsticks.sha256_1000.cpu_ms;
        let verifications = time.cpu_ms / self.yardsticks.bls_verification.cpu_ms;
        self.times.push(Figure { name, what, time, runs, thousands_of_hashes, verifications });
    }

    /// Adds a size.
    pub fn add_size(&mut self, name: &'static str, what: &'static str, bytes: u64) {
        self.sizes.push(Size { name, what, bytes });
    }

    /// Shows what is being done next.
    pub fn step(&mut self, what: &str) {
        self.progress.step(what);
    }

    /// Whether there is time for something that the verdict can do without; if not, it is noted as left out, with its steps.
    pub fn has_time_for(&mut self, name: &'static str, steps: usize) -> bool {
        let has_time = self.started.elapsed() < self.effort.optional_until;
        if !has_time {
            self.leave_out(name, "the time was up", steps);
        }
        has_time
    }

    /// Notes something as not measured, with its steps.
    pub fn leave_out(&mut self, name: &'static str, why: &'static str, steps: usize) {
        self.left_out.push(LeftOut { name, why });
        (0..steps).for_each(|_| self.progress.step(name));
    }

    /// The time of `name`, if that was measured.
    pub fn find(&self, name: &str) -> Option<Time> {
        self.times.iter().find(|figure| figure.name == name).map(|figure| figure.time)
    }

    /// The time of `name`.
    ///
    /// # Panics
    /// When that was not measured: a mistake in this folder.
    pub fn of(&self, name: &str) -> Time {
        self.find(name).unwrap_or_else(|| panic!("{name} was not measured"))
    }

    /// All that was measured. The bar is gone after this.
    pub fn finish(self) -> Records {
        Records {
            effort: self.effort,
            yardsticks: self.yardsticks,
            times: self.times,
            sizes: self.sizes,
            left_out: self.left_out,
            heat: self.heat,
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}
