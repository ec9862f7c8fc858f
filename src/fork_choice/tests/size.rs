//! What the store says of its own size.

use super::*;

#[test]
fn bytes_are_those_of_votes_blocks_and_balances_that_are_not_shared() {
    const VALIDATORS: usize = 10_000;
    let mut store = new_store(vec![32 * ETH; VALIDATORS]);
    let empty = store.bytes();
    // Eight bytes of votes and two of balances.
    assert!((10 * VALIDATORS..11 * VALIDATORS + 20_000).contains(&empty), "{empty}");
    late_in(&mut store, 400);
    let mut tip = anchor_root(&store);
    for number in 1..=400 {
        tip = add(&mut store, number, tip, number.into());
    }
    let each = (store.bytes() - empty) / 400;
    assert!((size_of::<Node>()..size_of::<Node>() + 200).contains(&each), "{each}");
    // Equal balances of another checkpoint cost a table of pointers, others all that is not equal.
    let before = store.bytes();
    let balances = |changed: usize| {
        Balances::collect((0..VALIDATORS).map(move |at| (if at == changed { ETH } else { 32 * ETH }, true, false)))
    };
    store.provide_balances(Checkpoint { epoch: 1, root: root(1) }, balances(VALIDATORS));
    let equal = store.bytes() - before;
    store.provide_balances(Checkpoint { epoch: 2, root: root(2) }, balances(5_000));
    let one_chunk = store.bytes() - before - equal;
    assert!(equal < 500, "{equal}");
    assert!((equal + 2_048..equal + 2_200).contains(&one_chunk), "{one_chunk} after {equal}");
}
