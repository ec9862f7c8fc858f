//! Temperature and clock, and whether the board was slowed down.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

/// Of its highest clock, what a busy processor that is not slowed down keeps, in percent.
const FULL_CLOCK_PERCENT: f64 = 90.0;
/// Bits of the Raspberry Pi's firmware: those of the present, and the same since the start.
const UNDER_VOLTAGE: u32 = 1;
const NOW: u32 = 0xf;
const SINCE_START_SHIFT: u32 = 16;

/// A look at the board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reading {
    /// Of the warmest zone.
    pub celsius: Option<f64>,
    /// Of the processors that run fastest, the clock in percent of the highest that they can have.
    pub clock_percent: Option<f64>,
    /// What the Raspberry Pi's firmware says, as its documentation numbers the bits.
    pub pi_throttled: Option<u32>,
}

impl Reading {
    /// As the kernel below `root` tells it.
    pub fn take(root: &Path) -> Reading {
        Reading { celsius: celsius(root), clock_percent: clock_percent(root), pi_throttled: pi_throttled(root) }
    }
}

/// How the board fared while it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Heat {
    /// Before.
    pub before: Reading,
    /// Right after.
    pub after: Reading,
    /// The warmest moment.
    pub highest_celsius: Option<f64>,
    /// The slowest clock at the end of a measurement.
    pub lowest_clock_percent: Option<f64>,
    /// Whether the board was slowed down meanwhile, by heat or by its power supply; none where neither clock nor firmware tell.
    pub was_slowed: Option<bool>,
    /// Whether the power supply was too weak meanwhile, on a Raspberry Pi.
    pub was_under_voltage: Option<bool>,
}

/// Looks at the board again and again.
#[derive(Debug)]
pub struct HeatWatch {
    root: PathBuf,
    heat: Heat,
    pi_meanwhile: u32,
}

impl HeatWatch {
    /// The first look. `root` is `/`, but for tests.
    pub fn start(root: &Path) -> HeatWatch {
        let before = Reading::take(root);
        let heat = Heat {
            before,
            after: before,
            highest_celsius: before.celsius,
            lowest_clock_percent: None,
            was_slowed: None,
            was_under_voltage: None,
        };
        HeatWatch { root: root.to_path_buf(), heat, pi_meanwhile: 0 }
    }

    /// Another look, best right after hard work: a processor with nothing to do clocks down by itself.
    pub fn look(&mut self) {
        let now = Reading::take(&self.root);
        let heat = &mut self.heat;
        heat.after = now;
        heat.highest_celsius = extreme(heat.highest_celsius, now.celsius, f64::max);
        heat.lowest_clock_percent = extreme(heat.lowest_clock_percent, now.clock_percent, f64::min);
        // What happened for the first time since the start happened meanwhile.
        let since_start = |reading: Reading| reading.pi_throttled.unwrap_or(0) >> SINCE_START_SHIFT;
        let new = since_start(now) & !since_start(heat.before);
        self.pi_meanwhile |= (now.pi_throttled.unwrap_or(0) | new) & NOW;
    }

    /// All looks together.
    pub fn finish(self) -> Heat {
        let Heat { before, lowest_clock_percent, .. } = self.heat;
        let pi = before.pi_throttled.map(|_| self.pi_meanwhile);
        let by_clock = lowest_clock_percent.map(|percent| percent < FULL_CLOCK_PERCENT);
        let was_slowed = match (by_clock, pi.map(|bits| bits & !UNDER_VOLTAGE != 0)) {
            (None, None) => None,
            (clock, firmware) => Some(clock == Some(true) || firmware == Some(true)),
        };
        Heat { was_slowed, was_under_voltage: pi.map(|bits| bits & UNDER_VOLTAGE != 0), ..self.heat }
    }
}

fn extreme(a: Option<f64>, b: Option<f64>, choose: fn(f64, f64) -> f64) -> Option<f64> {
    a.zip(b).map(|(a, b)| choose(a, b)).or(a).or(b)
}

/// Zones are given in thousandths of a degree.
fn celsius(root: &Path) -> Option<f64> {
    let zones = children(&root.join("sys/class/thermal"), "thermal_zone");
    let degrees = zones.filter_map(|zone| number(&zone.join("temp"))).map(|thousandths| thousandths / 1000.0);
    degrees.reduce(f64::max)
}

fn clock_percent(root: &Path) -> Option<f64> {
    let processors = children(&root.join("sys/devices/system/cpu"), "cpu");
    let shares = processors.filter_map(|processor| {
        let of = |file: &str| number(&processor.join("cpufreq").join(file));
        let highest = of("cpuinfo_max_freq").or_else(|| of("scaling_max_freq")).filter(|highest| *highest > 0.0)?;
        Some(100.0 * of("scaling_cur_freq")? / highest)
    });
    shares.reduce(f64::max)
}

/// A hexadecimal number, on newer kernels without `0x`.
fn pi_throttled(root: &Path) -> Option<u32> {
    let text = fs::read_to_string(root.join("sys/devices/platform/soc/soc:firmware/get_throttled")).ok()?;
    let text = text.trim();
    u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

/// Entries of a directory whose names start so.
fn children(dir: &Path, prefix: &'static str) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let entries = entries.filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix));
    entries.map(|entry| entry.path())
}

fn number(path: &Path) -> Option<f64> {
    fs::read_to_string(path).ok()?.trim().parse::<i64>().ok().map(|number| number as f64)
}
