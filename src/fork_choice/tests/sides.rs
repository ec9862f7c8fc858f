//! Side branches that are dropped while nothing is finalized.

use proptest::prelude::*;

use super::{super::prune::SideBranches, *};

const VALIDATORS: u64 = 12;

fn copy(store: &Store) -> Store {
    Store::from_snapshot(&store.to_snapshot(), Arc::new(Config::default())).unwrap()
}

/// A store with a tree: block `n` is one slot above block `n - back`, or on the anchor.
fn tree(parents: &[u16]) -> Store {
    let mut store = new_store((0..VALIDATORS).map(|index| (index + 1) * ETH));
    let mut slots = vec![0];
    for (number, back) in (1u16..).zip(parents) {
        let parent = number.saturating_sub(1 + back);
        let slot = slots[usize::from(parent)] + 1;
        late_in(&mut store, slot);
        let parent_root = if parent == 0 { anchor_root(&store) } else { root(parent) };
        add(&mut store, number, parent_root, slot);
        slots.push(slot);
    }
    let epoch = compute_epoch_at_slot(*slots.iter().max().unwrap()) + 3;
    late_in(&mut store, compute_start_slot_at_epoch(epoch) + 3);
    store
}

/// The epoch of the clock.
fn now(store: &Store) -> Epoch {
    compute_epoch_at_slot(store.get_current_slot())
}

fn bounds(slots: u64, wanted: usize) -> SideBranches {
    SideBranches { threshold: 1, slots, wanted }
}

/// A line of `length` blocks, then branches of two blocks each on its first ones. All vote for the line's tip.
fn line_with_branches(length: u16, branches: u16) -> (Store, Hash256) {
    let mut store = tree(&vec![0; usize::from(length)]);
    for n in 0..branches {
        let one = add(&mut store, 1000 + 2 * n, root(n + 1), u64::from(n) + 2);
        add(&mut store, 1001 + 2 * n, one, u64::from(n) + 3);
    }
    let tip = root(length);
    let epoch = now(&store) - 1;
    vote(&mut store, &(0..VALIDATORS).collect::<Vec<_>>(), tip, epoch);
    (store, tip)
}

#[test]
fn branches_that_nobody_is_on_go_leaf_by_leaf_once_it_is_worth_the_work() {
    let (mut store, tip) = line_with_branches(60, 10);
    assert_eq!(store.get_head(), tip);
    assert!(store.prune_side_branches(&tip).is_empty(), "too few");
    // The last two branches are near enough, though one of their blocks is not.
    let dropped = store.prune_sides(&tip, bounds(50, usize::MAX));
    assert_eq!(dropped.len(), 2 * 8);
    assert!(store.contains(&root(1000 + 2 * 8)) && store.contains(&root(1001 + 2 * 8)));
    assert!((1..=60).all(|number| store.contains(&root(number))), "the head's branch stays");
    assert_eq!(store.get_head(), tip);
    // A block on what was dropped has no parent here: it is fetched with it. What is here can be built on.
    let late = block(&store, 2000, root(1001), 70);
    assert_eq!(store.on_block(late), Err(OnBlockError::UnknownParent(root(1001))));
    let head_slot = store.node(&tip).unwrap().slot;
    assert_eq!(add(&mut store, 2001, tip, head_slot + 1), store.get_head());
}

#[test]
fn a_branch_with_a_vote_goes_only_when_the_tree_is_full_and_leaves_it_to_its_parent() {
    let (mut store, tip) = line_with_branches(60, 3);
    let epoch = now(&store);
    vote(&mut store, &[1], root(1001), epoch);
    vote(&mut store, &[2], root(1003), epoch);
    assert_eq!(store.prune_sides(&tip, bounds(20, usize::MAX)), [root(1004), root(1005)]);
    let weight = |store: &Store, number| store.node(&root(number)).unwrap().weight;
    store.get_head();
    let before = [weight(&store, 1), weight(&store, 2), weight(&store, 60)];
    let all = store.nodes().len();
    // The lighter of the two goes, with its parent, on whose own parent the vote counts now.
    assert_eq!(store.prune_sides(&tip, bounds(20, all - 2)), [root(1000), root(1001)]);
    assert_eq!((store.latest_message(1), store.latest_message(2)), (Some(root(1)), Some(root(1003))));
    assert_eq!(store.get_head(), tip);
    assert_eq!([weight(&store, 1), weight(&store, 2), weight(&store, 60)], before);
    // Votes for an invalid payload count nowhere, then as now.
    store.on_invalid_payload(&root(1003), None).unwrap();
    store.get_head();
    let before = weight(&store, 2);
    store.prune_sides(&tip, bounds(20, 0));
    assert_eq!((store.get_head(), weight(&store, 2), store.latest_message(2)), (tip, before, None));
}

#[test]
fn blocks_that_the_store_names_stay() {
    let (mut store, _) = line_with_branches(30, 4);
    let line: Vec<_> = store.nodes().iter().map(|node| node.root).take(31).collect();
    let head = root(1007);
    // Whatever is told to be the head, its branch stays, and so does what was confirmed and boosted.
    store.prune_sides(&head, bounds(0, 0));
    assert!([root(1007), root(1006), root(4), line[0]].iter().all(|root| store.contains(root)));
    assert!(store.contains(&store.justified_checkpoint().root) && store.contains(&store.finalized_checkpoint().root));
    assert!(store.prune_sides(&Hash256::repeat_byte(0xee), bounds(0, 0)).is_empty(), "an unknown head");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// What is left has the same weights, the same head, and goes on in the same way.
    #[test]
    fn nothing_else_changes(
        parents in proptest::collection::vec(0u16..12, 10..60),
        votes in proptest::collection::vec((0..VALIDATORS, 0u64..1000), 1..40),
        later in proptest::collection::vec((0..VALIDATORS, 0u64..1000), 1..40),
        (slots, wanted) in (0u64..20, 0usize..60),
    ) {
        let mut whole = tree(&parents);
        for (validator, number) in votes {
            let at = number as usize % whole.nodes().len();
            let block = whole.nodes()[at].root;
            let epoch = now(&whole) - 1;
            vote(&mut whole, &[validator], block, epoch);
        }
        let head = whole.get_head();
        let mut pruned = copy(&whole);
        let dropped = pruned.prune_sides(&head, bounds(slots, wanted));
        prop_assert_eq!(pruned.nodes().len() + dropped.len(), whole.nodes().len());
        prop_assert_eq!(pruned.get_head(), head);
        for node in pruned.nodes() {
            prop_assert_eq!(node.weight, whole.node(&node.root).unwrap().weight);
            prop_assert!(node.root == anchor_root(&whole) || pruned.contains(&node.parent_root));
        }
        let tip_slot = whole.node(&head).unwrap().slot;
        for root in &dropped {
            prop_assert!(!whole.is_ancestor(&head, root));
            prop_assert!(whole.node(root).unwrap().slot + slots <= tip_slot);
        }
        let kept: Vec<_> = pruned.nodes().iter().map(|node| node.root).collect();
        for (number, (validator, choice)) in (5000u16..).zip(later) {
            let on = kept[choice as usize % kept.len()];
            for store in [&mut whole, &mut pruned] {
                let (slot, epoch) = (store.get_current_slot(), now(store));
                vote(store, &[validator], on, epoch);
                add(store, number, on, slot);
            }
            let (head, head_of_pruned) = (whole.get_head(), pruned.get_head());
            prop_assert!(head == head_of_pruned || !pruned.contains(&head));
            for node in pruned.nodes() {
                prop_assert_eq!(node.weight, whole.node(&node.root).unwrap().weight);
            }
        }
    }
}
