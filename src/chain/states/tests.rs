use super::*;
use crate::{ssz::Column, types::Gwei};

/// What a chunk of the states below holds.
const BALANCES: usize = 1 << 12;

fn root(n: u8) -> Hash256 {
    Hash256::repeat_byte(n)
}

/// A state with balances to share.
fn first() -> Arc<BeaconState> {
    let balances: Column<Gwei> = (0..BALANCES as u64).collect();
    let mut state = BeaconState { balances, ..BeaconState::default() };
    state.hash_tree_root();
    Arc::new(state)
}

/// A copy in which some balances, from `from` on, are others.
fn after(parent: &BeaconState, from: usize, number: usize) -> Arc<BeaconState> {
    let mut state = parent.clone();
    state.slot += 1;
    for at in from..from + number {
        let balance = state.balances[at];
        state.balances.set(at, balance + 1 + state.slot);
    }
    state.hash_tree_root();
    Arc::new(state)
}

/// States 1 to `count` on the base 0, each beside the one before, each with as many new balances in a place of its own.
fn line(count: u8, limits: StateLimits) -> (HotStates, Vec<Arc<BeaconState>>) {
    let mut line = vec![first()];
    let mut states = HotStates::new(root(0), line[0].clone());
    states.limit(limits);
    for n in 1..=count {
        let parent = line.last().unwrap();
        let state = after(parent, usize::from(n) * 256 % BALANCES, 256);
        states.insert_recent(root(n), state.clone(), Cost::measure(&state, root(n - 1), parent));
        line.push(state);
    }
    (states, line)
}

fn limits(count: usize, bytes: usize) -> StateLimits {
    StateLimits { count, bytes, rebuilt: 2 }
}

/// Measures and evicts until nothing is left to do, as the store task does.
fn settle(states: &mut HotStates) {
    loop {
        let evicted = states.evict().len();
        match states.to_measure() {
            Some(measuring) => states.take_measures(measuring.run()),
            None if evicted == 0 => return,
            None => {}
        }
    }
}

fn held(states: &HotStates) -> Vec<u8> {
    let mut roots: Vec<u8> = states.others.iter().map(|held| held.entry.0[0]).collect();
    roots.sort_unstable();
    roots
}

#[test]
fn the_least_recently_used_make_room_and_the_base_stays() {
    let (mut states, _) = line(5, limits(4, usize::MAX));
    // A reader's copy counts too.
    let copy = states.clone();
    assert!(copy.get(&root(1)).is_some() && copy.get(&root(99)).is_none());
    assert_eq!(states.evict().len(), 1);
    assert_eq!(held(&states), [1, 3, 4, 5]);
    assert!(states.get(&root(0)).is_some() && copy.get(&root(2)).is_some());
    // What is inserted again counts as used.
    let again = states.get(&root(3)).unwrap();
    states.insert_recent(root(3), again, Cost { beside: root(1), bytes: 1 });
    states.limit(limits(1, usize::MAX));
    states.evict();
    assert_eq!(held(&states), [3]);
}

#[test]
fn what_is_pinned_stays_whatever_the_limits_say() {
    let (mut states, _) = line(6, limits(0, 0));
    states.pin(vec![root(2), root(6), root(77)]);
    settle(&mut states);
    assert_eq!(held(&states), [2, 6]);
    states.pin(vec![root(6)]);
    settle(&mut states);
    assert_eq!(held(&states), [6]);
}

#[test]
fn bytes_are_those_of_what_is_not_shared() {
    let (mut states, line) = line(6, StateLimits::default());
    let each = line[3].bytes_beside(&line[2]);
    assert_eq!(states.bytes(), (1..=6).map(|n| line[n].bytes_beside(&line[n - 1])).sum::<usize>());
    // The last is now counted beside the base, with all that the others had brought.
    states.pin(vec![root(6)]);
    states.limit(limits(0, usize::MAX));
    settle(&mut states);
    assert_eq!(held(&states), [6]);
    assert_eq!(states.bytes(), line[6].bytes_beside(&line[0]));
    let of_ancestors = states.bytes() - each;
    assert!(of_ancestors >= 5 * 256 * size_of::<Gwei>(), "its ancestors' balances are its own now: {of_ancestors}");
    assert_eq!(states.base_bytes(), line[0].bytes_beside(&BeaconState::default()));
}

#[test]
fn bytes_are_bounded_and_no_more_is_dropped_than_need_be() {
    let (mut states, line) = line(12, StateLimits::default());
    let each = line[3].bytes_beside(&line[2]);
    let limit = 8 * each;
    states.limit(limits(MAX_STATES, limit));
    settle(&mut states);
    assert!(states.bytes() <= limit, "{} of {limit}", states.bytes());
    assert!(states.len() >= 3 && held(&states).ends_with(&[11, 12]), "{:?}", held(&states));
    assert!(states.others.iter().all(|held| held.is_measured));
}

#[test]
fn what_had_to_be_rebuilt_is_few_and_must_not_push_out_the_rest() {
    let (mut states, line) = line(4, limits(16, 1 << 20));
    let cost = |state: &Arc<BeaconState>| Cost::measure(state, root(0), &line[0]);
    for n in 50..54 {
        let state = after(&line[0], 0, 16);
        let cost = cost(&state);
        states.insert_rebuilt(root(n), state, cost);
    }
    states.get(&root(51));
    settle(&mut states);
    assert_eq!(held(&states), [1, 2, 3, 4, 51, 53]);
    let stranger = first();
    let large = Cost { bytes: 1 << 20, ..cost(&stranger) };
    states.insert_rebuilt(root(60), stranger.clone(), large);
    assert!(states.get(&root(60)).is_none(), "as large as the limit");
    states.pin(vec![root(60)]);
    states.insert_rebuilt(root(60), stranger, large);
    settle(&mut states);
    assert!(states.get(&root(60)).is_some(), "but it is the head's");
}

#[test]
fn finality_moves_the_base_only_to_a_state_that_is_here() {
    let (mut states, line) = line(9, StateLimits::default());
    states.insert_boundary(root(8), line[8].clone());
    assert!(states.finalize(&root(77), |_| true).is_empty());
    assert_eq!(states.base().0, root(0));
    assert_eq!(states.newest_boundary(|_, _| true).unwrap().0, root(8));
    assert_eq!(states.finalize(&root(8), |known| *known == root(9)).len(), 8);
    assert_eq!((states.base().0, held(&states)), (root(8), vec![9]));
    settle(&mut states);
    assert_eq!(states.base_bytes(), line[8].bytes_beside(&BeaconState::default()));
    assert_eq!(states.bytes(), line[9].bytes_beside(&line[8]));
}

#[test]
fn a_state_whose_neighbour_went_is_counted_beside_the_base() {
    let (mut states, line) = line(1, StateLimits::default());
    let state = after(&line[1], 0, 256);
    states.insert_recent(root(7), state.clone(), Cost { beside: root(99), bytes: 5 });
    states.insert_boundary(root(8), state.clone());
    settle(&mut states);
    assert_eq!(states.bytes(), line[1].bytes_beside(&line[0]) + 2 * state.bytes_beside(&line[0]));
}
