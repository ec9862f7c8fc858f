use super::*;

const MIB: u64 = 1 << 20;

/// What is done at readings in MiB of a limit of 1 GiB.
fn at(budget: &mut Budget, readings: impl IntoIterator<Item = u64>) -> Vec<Action> {
    readings.into_iter().flat_map(|mib| budget.on_reading(mib * MIB)).collect()
}

fn shrunk(steps: &[Step]) -> Vec<Action> {
    steps.iter().map(|step| Action::Shrink(*step)).collect()
}

#[test]
fn nothing_happens_below_the_high_mark() {
    let mut budget = Budget::new(1024 * MIB);
    assert_eq!(at(&mut budget, (0..959).chain(std::iter::repeat_n(959, 1000))), []);
    assert_eq!(budget.shrunk(), []);
}

#[test]
fn steps_are_taken_in_order_and_each_gets_time_to_show() {
    let mut budget = Budget::new(1024 * MIB);
    for n in 0..ORDER.len() {
        assert_eq!(at(&mut budget, [960]), shrunk(&ORDER[n..=n]));
        assert_eq!(at(&mut budget, [961, 970, 965]), []);
    }
    assert_eq!(budget.shrunk(), ORDER);
    // All have been taken. What has grown within its bounds is made small again from time to time.
    let later = at(&mut budget, std::iter::repeat_n(970, AGAIN as usize));
    assert_eq!(later, shrunk(&ORDER));
}

#[test]
fn at_the_limit_all_are_taken_at_once() {
    let mut budget = Budget::new(1024 * MIB);
    assert_eq!(at(&mut budget, [960]), shrunk(&ORDER[..1]));
    assert_eq!(at(&mut budget, [992]), shrunk(&ORDER[1..]));
    assert_eq!(at(&mut budget, [2000; 20]), [], "not every second anew");
    assert_eq!(at(&mut budget, [2000; AGAIN as usize]), shrunk(&ORDER));
}

#[test]
fn caches_grow_again_in_the_opposite_order_when_it_has_been_calm() {
    let mut budget = Budget::new(1024 * MIB);
    at(&mut budget, [1000]);
    // Between the marks nothing changes, and what was low before does not count.
    assert_eq!(at(&mut budget, std::iter::repeat_n(900, 1000)), []);
    assert_eq!(at(&mut budget, std::iter::repeat_n(800, CALM as usize - 1)), []);
    assert_eq!(at(&mut budget, [864]), []);
    for step in ORDER.iter().rev() {
        assert_eq!(at(&mut budget, std::iter::repeat_n(863, CALM as usize)), [Action::Restore(*step)]);
    }
    assert_eq!(at(&mut budget, std::iter::repeat_n(100, 10 * CALM as usize)), []);
    assert_eq!(budget.shrunk(), []);
}

#[test]
fn what_comes_up_again_has_to_wait_longer_each_time() {
    let mut budget = Budget::new(1024 * MIB);
    let mut waited = Vec::new();
    at(&mut budget, [960]);
    for _ in 0..8 {
        let mut readings = 0;
        while at(&mut budget, [800]).is_empty() {
            readings += 1;
        }
        waited.push(readings + 1);
        assert_eq!(at(&mut budget, [960]), shrunk(&ORDER[..1]));
    }
    assert_eq!(waited, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
}
