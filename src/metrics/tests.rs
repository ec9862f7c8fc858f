//! The registry is one per process and tests run at once: each test here looks only at series of its own.

use super::*;
use std::collections::BTreeSet;

#[test]
fn names_follow_the_rules() {
    let mut seen = BTreeSet::new();
    for metric in ALL {
        let name = metric.name;
        assert!(seen.insert(name), "{name} is there twice");
        assert!(
            name.starts_with("hornero_")
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
            "{name}"
        );
        assert!(metric.help.ends_with('.'), "the help of {name} is a sentence");
        assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}: counters end with _total");
        if let Kind::Histogram(buckets) = metric.kind {
            assert!(!buckets.is_empty() && buckets.is_sorted(), "{name}");
        }
    }
}

#[test]
fn every_install_gives_the_same_registry() {
    let (first, second) = (install(), install());
    inc(&BLOCKS, &[("outcome", "test_install")]);
    add(&BLOCKS, &[("outcome", "test_install")], 2);
    for exporter in [first, second] {
        assert!(exporter.render().contains("hornero_blocks_total{outcome=\"test_install\"} 3\n"));
    }
}

#[test]
fn metrics_without_labels_are_there_before_they_are_set() {
    let text = install().render();
    for metric in ALL.iter().filter(|m| m.labels.is_empty() && !matches!(m.kind, Kind::Histogram(_))) {
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
        assert!(text.contains(&format!("\n{} ", metric.name)), "{}", metric.name);
    }
}

#[test]
fn histograms_count_into_their_buckets() {
    let exporter = install();
    observe(&BLOCK_STAGE_SECONDS, &[("stage", "test")], 0.003);
    observe(&BLOCK_STAGE_SECONDS, &[("stage", "test")], 100.0);
    exporter.run_upkeep();
    let text = exporter.render();
    let bucket = |le| format!("hornero_block_stage_seconds_bucket{{stage=\"test\",le=\"{le}\"}}");
    assert!(text.contains(&format!("{} 0\n", bucket("0.002"))), "{text}");
    assert!(text.contains(&format!("{} 1\n", bucket("0.005"))));
    assert!(text.contains(&format!("{} 2\n", bucket("+Inf"))));
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_knows_its_memory_and_age() {
    assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    let text = install().render();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().parse().expect(name)
    };
    assert!(value("hornero_process_resident_peak_bytes ") >= value("hornero_process_anonymous_bytes "));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - value("hornero_process_start_time_seconds ");
    assert!((-2.0..86_400.0).contains(&age), "{age}");
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "labels of hornero_queue_length")]
fn a_wrong_label_is_found_in_tests() {
    set(&QUEUE_LENGTH, &[("topic", "block")], 1.0);
}
