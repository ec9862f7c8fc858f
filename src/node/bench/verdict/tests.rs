use super::*;
use crate::node::bench::board::{Heat, Memory};

fn heat(was_slowed: Option<bool>) -> Heat {
    let before = Default::default();
    Heat {
        before,
        after: before,
        highest_celsius: None,
        lowest_clock_percent: None,
        was_slowed,
        was_under_voltage: None,
    }
}

fn board(sync_p50_ms: f64, fits_one_gib: Option<bool>, was_slowed: Option<bool>) -> Board {
    Board {
        model: None,
        cores: 4,
        memory: Memory { fits_one_gib, ..Memory::default() },
        disk: Disk { syncs: 50, sync_p50_ms, sync_worst_ms: 500.0, write_mib_per_second: 20.0 },
        heat: heat(was_slowed),
    }
}

/// A machine `slower` times slower than ours.
fn verdict(slower: f64, active: usize, board: &Board) -> Verdict {
    let ours = [
        ("block_import", 40.0),
        ("block_root", 8.0),
        ("block_signatures", 10.0),
        ("epoch", 64.0),
        ("epoch_root", 32.0),
        ("shuffling", 64.0),
        ("aggregate_batch", 96.0),
        ("columns", 200.0),
    ];
    let cpu_ms = |name: &str| ours.iter().find(|(known, _)| *known == name).map(|(_, ms)| ms * slower);
    Verdict::new(cpu_ms, active, board)
}

#[test]
fn a_good_board_has_most_of_a_slot_to_spare() {
    let verdict = verdict(1.0, 950_000, &board(1.0, Some(true), Some(false)));
    // Of three tasks on four cores, the longest counts: sixteen aggregates of each committee, or eight columns.
    let longest = (MAX_COMMITTEES_PER_SLOT as f64 * 16.0 * 1.5).max(216.0);
    assert!((verdict.spare_percent - 100.0 * (1.0 - longest / 12_000.0)).abs() < 1e-9);
    assert!(verdict.follows && verdict.warnings.is_empty());
    let text = verdict.to_string();
    assert!(text.starts_with("this board follows mainnet with "), "{text}");
    assert!(text.contains("% of each slot to spare; "), "{text}");
}

#[test]
fn a_board_that_cannot_follow_is_told_why() {
    let fast_disk = board(1.0, Some(true), None);
    let slow = verdict(100.0, 950_000, &fast_disk);
    assert!(!slow.follows && slow.spare_percent < 0.0);
    assert_eq!(slow.limited_by, if MAX_COMMITTEES_PER_SLOT == 64 { "signatures" } else { "columns" });
    assert!(slow.to_string().starts_with("this board does not follow mainnet: a slot's work"), "{slow}");

    let slow_disk = verdict(1.0, 950_000, &board(800.0, Some(true), None));
    assert!(!slow_disk.follows && slow_disk.to_string().contains("waiting for the disk"), "{slow_disk}");

    let small = verdict(1.0, 950_000, &board(1.0, Some(false), None));
    assert!(!small.follows && small.spare_percent > 0.0);
    assert!(small.to_string().contains("1 GiB of memory is not free"), "{small}");
    let both = verdict(100.0, 950_000, &board(1.0, Some(false), None)).to_string();
    assert!(both.contains("nor is 1 GiB"), "{both}");
}

#[test]
fn one_core_does_one_thing_after_the_other() {
    let board = Board { cores: 1, ..board(1.0, None, None) };
    let verdict = verdict(1.0, 950_000, &board);
    let all = verdict.block_ms + verdict.epoch_share_ms + verdict.aggregates_ms + 200.0 + 18.0;
    assert!((verdict.busy_ms - all).abs() < 1e-9, "{verdict:?}");
}

#[test]
fn heat_is_told_but_does_not_decide() {
    let hot = verdict(1.0, 950_000, &board(1.0, None, Some(true)));
    assert!(hot.follows && hot.warnings == ["heat"]);
    assert!(hot.to_string().contains("slowed down"), "{hot}");
}

#[test]
fn fewer_validators_count_for_mainnets() {
    let board = board(1.0, None, None);
    let tenth = verdict(1.0, 95_000, &board);
    assert!((tenth.block_ms - 400.0).abs() < 1e-9 && (tenth.scaled_by - 10.0).abs() < 1e-9);
    assert!(tenth.to_string().contains("Scaled up 10.0 times"), "{tenth}");
    assert!((verdict(1.0, 2_000_000, &board).block_ms - 40.0).abs() < 1e-9, "more are not scaled down");
}
