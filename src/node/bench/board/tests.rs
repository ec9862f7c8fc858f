use std::fs;

use super::{heat::Reading, *};

/// A kernel's files below a temporary root.
fn kernel(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    files.iter().for_each(|(path, text)| put(root.path(), path, text));
    root
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const THROTTLED: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";
const CLOCK: &str = "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq";
const PI: &[(&str, &str)] = &[
    ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0"),
    ("proc/meminfo", "MemTotal:        3884304 kB\nMemFree:          100000 kB\nMemAvailable:    3200000 kB\n"),
    ("sys/class/thermal/thermal_zone0/temp", "48200\n"),
    ("sys/class/thermal/thermal_zone1/temp", "51000\n"),
    ("sys/class/thermal/cooling_device0/temp", "99000\n"),
    (CLOCK, "1500000\n"),
    ("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "1500000\n"),
    ("sys/devices/system/cpu/cpuidle/current_driver", "none\n"),
    (THROTTLED, "0\n"),
];

#[test]
fn a_pi_tells_everything() {
    let root = kernel(PI);
    assert_eq!(model(root.path()).unwrap(), "Raspberry Pi 4 Model B Rev 1.4");
    let memory = Memory::read(root.path());
    assert_eq!(memory.total_bytes, Some(3_884_304 << 10));
    assert_eq!(memory.fits_one_gib, Some(true));
    let expected = Reading { celsius: Some(51.0), clock_percent: Some(100.0), pi_throttled: Some(0) };
    assert_eq!(Reading::take(root.path()), expected);
}

#[test]
fn a_kernel_that_tells_nothing_is_no_error() {
    let root = kernel(&[("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2GHz\n")]);
    assert_eq!(model(root.path()).unwrap(), "Some CPU @ 2GHz");
    assert_eq!(Memory::read(root.path()), Memory::default());
    let mut watch = HeatWatch::start(root.path());
    watch.look();
    let heat = watch.finish();
    assert_eq!((heat.before, heat.after), (Reading::default(), Reading::default()));
    assert_eq!((heat.was_slowed, heat.was_under_voltage), (None, None));
    assert_eq!(model(Path::new("/nowhere at all")), None);
}

#[test]
fn noise_in_a_file_is_as_if_it_were_missing() {
    let noise = [
        ("sys/class/thermal/thermal_zone0/temp", "hot"),
        (CLOCK, "1500000"),
        ("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "0"),
        (THROTTLED, "so-so"),
        ("proc/meminfo", "MemTotal: many kB\nMemAvailable: 99999999999999999999 kB\n"),
    ];
    let root = kernel(&noise);
    assert_eq!(Reading::take(root.path()), Reading::default());
    assert_eq!(Memory::read(root.path()), Memory::default());
}

#[test]
fn little_memory_does_not_fit() {
    let root = kernel(&[("proc/meminfo", "MemTotal:         948304 kB\nMemAvailable:     600000 kB\n")]);
    assert_eq!(Memory::read(root.path()).fits_one_gib, Some(false));
}

#[test]
fn heat_is_noticed_while_it_lasts() {
    let root = kernel(PI);
    let mut watch = HeatWatch::start(root.path());
    watch.look();
    put(root.path(), CLOCK, "1000000");
    put(root.path(), "sys/class/thermal/thermal_zone1/temp", "82000");
    watch.look();
    put(root.path(), CLOCK, "1500000");
    put(root.path(), "sys/class/thermal/thermal_zone1/temp", "70000");
    watch.look();
    let heat = watch.finish();
    assert_eq!((heat.highest_celsius, heat.after.celsius), (Some(82.0), Some(70.0)));
    assert_eq!(heat.lowest_clock_percent.map(f64::round), Some(67.0));
    assert_eq!((heat.was_slowed, heat.was_under_voltage), (Some(true), Some(false)));
}

#[test]
fn what_the_firmware_noticed_before_does_not_count() {
    let slowed = |before: &str, after: &str| {
        let root = kernel(PI);
        put(root.path(), THROTTLED, before);
        let mut watch = HeatWatch::start(root.path());
        put(root.path(), THROTTLED, after);
        watch.look();
        let heat = watch.finish();
        (heat.was_slowed.unwrap(), heat.was_under_voltage.unwrap())
    };
    assert_eq!(slowed("50000", "0x50000"), (false, false), "all of it since the start");
    assert_eq!(slowed("0", "80000"), (true, false), "the soft limit, between two looks");
    assert_eq!(slowed("0", "50005"), (true, true), "now");
    assert_eq!(slowed("0", "10000"), (false, true), "a weak power supply alone");
}

#[test]
fn the_disk_is_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::measure(dir.path()).unwrap();
    assert!(disk.syncs > 0 && disk.sync_p50_ms <= disk.sync_worst_ms, "{disk:?}");
    assert!(disk.write_mib_per_second > 0.0, "{disk:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "everything is removed");
    let error = Disk::measure(&dir.path().join("missing")).unwrap_err();
    assert!(error.contains("missing") && error.contains("--datadir"), "{error}");
}
