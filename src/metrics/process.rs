//! What the operating system says of this process, from Linux's `/proc`; elsewhere nothing is reported.

use super::{ANONYMOUS_BYTES, CPU_SECONDS, RESIDENT_BYTES, RESIDENT_PEAK_BYTES, START_TIME, set};
use std::fs::read_to_string;
use std::time::{SystemTime, UNIX_EPOCH};

/// Linux reports processor time in this many ticks a second, whatever the kernel's own timer.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory in bytes; `None` where there is no `/proc`.
pub fn resident_bytes() -> Option<u64> {
    memory_field(&read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The most memory that was resident at once so far, in bytes; `None` where there is no `/proc`.
pub fn peak_resident_bytes() -> Option<u64> {
    memory_field(&read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Processor seconds used so far, user and system; `None` where there is no `/proc`.
pub fn processor_seconds() -> Option<f64> {
    cpu_seconds(&read_to_string("/proc/self/stat").ok()?)
}

/// Sets the gauges of the process. What cannot be read keeps its last value.
pub(super) fn update() {
    if let Ok(status) = read_to_string("/proc/self/status") {
        for (metric, field) in
            [(&RESIDENT_BYTES, "VmRSS:"), (&ANONYMOUS_BYTES, "RssAnon:"), (&RESIDENT_PEAK_BYTES, "VmHWM:")]
        {
            if let Some(bytes) = memory_field(&status, field) {
                set(metric, &[], bytes as f64);
            }
        }
    }
    if let Some(seconds) = processor_seconds() {
        set(&CPU_SECONDS, &[], seconds);
    }
}

/// Takes the present as the moment when the process started.
pub(super) fn set_start_time() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    set(&START_TIME, &[], now.as_secs_f64());
}

/// A field of `/proc/self/status`, whose unit is KiB, in bytes.
fn memory_field(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Processor seconds of `/proc/self/stat`, user and system.
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses and may hold spaces: count from after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_memory_in_kib() {
        assert_eq!(memory_field("VmHWM:\t    9 kB\nVmRSS:\t  1024 kB\n", "VmRSS:"), Some(1 << 20));
        assert_eq!(memory_field("VmRSS:\t  many kB\n", "VmRSS:"), None);
        assert_eq!(memory_field("", "VmRSS:"), None);
    }

    #[test]
    fn reads_processor_time_after_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 0 0 0 0 0 250 50 0 0 20 0 3 0 12345 0 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("7 (cut) S 1"), None);
    }
}
