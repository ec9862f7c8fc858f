//! How much memory the board has.

use std::{fs, path::Path};

use serde::Serialize;

/// What Hornero needs at most.
const ONE_GIB: u64 = 1 << 30;

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// All that the kernel has.
    pub total_bytes: Option<u64>,
    /// What it could give to a new process.
    pub available_bytes: Option<u64>,
    /// Whether a process of 1 GiB has room beside what runs already.
    pub fits_one_gib: Option<bool>,
}

impl Memory {
    /// As the kernel below `root` tells it.
    pub fn read(root: &Path) -> Memory {
        let text = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?.strip_prefix(':')?;
            let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
            kib.checked_mul(1024)
        };
        let (total_bytes, available_bytes) = (field("MemTotal"), field("MemAvailable"));
        let fits_one_gib = available_bytes.or(total_bytes).map(|bytes| bytes >= ONE_GIB);
        Memory { total_bytes, available_bytes, fits_one_gib }
    }
}

/// Lets the kernel count the process' peak anew; says whether it can.
pub fn forget_peak() -> bool {
    // Five is the command for the peak, see proc(5).
    fs::write("/proc/self/clear_refs", "5").is_ok()
}
