//! The board: its memory, its disk, its temperature. What a kernel does not tell stays unknown.

mod disk;
mod heat;
mod memory;

use std::{fs, path::Path, thread};

use serde::Serialize;

pub use disk::{Disk, Scratch};
pub use heat::{Heat, HeatWatch};
pub use memory::{Memory, forget_peak};

/// What the board is, and how it fared.
#[derive(Clone, Debug, Serialize)]
pub struct Board {
    /// As the firmware calls it, or the processor's name.
    pub model: Option<String>,
    /// Processors that this process may use.
    pub cores: usize,
    /// Memory, before the measuring.
    pub memory: Memory,
    /// The disk below the chosen directory.
    pub disk: Disk,
    /// Temperature and clock before, while and after measuring.
    pub heat: Heat,
}

/// The board's name: a device tree has one, a PC's processor another. `root` is `/`, but for tests.
pub fn model(root: &Path) -> Option<String> {
    let of_tree = fs::read_to_string(root.join("proc/device-tree/model")).ok();
    let name = of_tree.or_else(|| {
        let processors = fs::read_to_string(root.join("proc/cpuinfo")).ok()?;
        let line = processors.lines().find_map(|line| line.strip_prefix("model name"))?;
        Some(line.trim_start().trim_start_matches(':').to_owned())
    })?;
    let name = name.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    (!name.is_empty()).then(|| name.to_owned())
}

/// Processors that this process may use.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests;
