//! Votes, ties, boost, equivocation, checkpoints, pruning.

use super::*;

/// Blocks 1 and 2 of slot 1 on the anchor, in slot 3.
fn fork(validators: usize) -> (Store, Hash256, Hash256) {
    let mut store = new_store(vec![32 * ETH; validators]);
    late_in(&mut store, 3);
    let anchor = anchor_root(&store);
    let (one, two) = (add(&mut store, 1, anchor, 1), add(&mut store, 2, anchor, 1));
    (store, one, two)
}

#[test]
fn the_head_of_a_chain_is_its_tip() {
    let mut store = new_store([32 * ETH]);
    assert_eq!(store.get_head(), anchor_root(&store));
    late_in(&mut store, 9);
    let mut tip = anchor_root(&store);
    for slot in 1..=9 {
        tip = add(&mut store, slot, tip, slot.into());
        assert_eq!(store.get_head(), tip);
    }
}

#[test]
fn of_equal_blocks_the_higher_root_wins() {
    let (mut store, one, two) = fork(4);
    assert_eq!(store.get_head(), two);
    vote(&mut store, &[0], two, 0);
    vote(&mut store, &[1], one, 0);
    assert_eq!(store.get_head(), two);
    vote(&mut store, &[2], one, 0);
    assert_eq!(store.get_head(), one);
}

#[test]
fn a_vote_moves_only_with_a_later_epoch() {
    let (mut store, one, two) = fork(1);
    late_in(&mut store, 3 * SLOTS_PER_EPOCH);
    vote(&mut store, &[0], one, 0);
    vote(&mut store, &[0], two, 0);
    assert_eq!((store.get_head(), store.node(&one).unwrap().weight), (one, 32 * ETH));
    vote(&mut store, &[0], two, 1);
    assert_eq!(store.get_head(), two);
    assert_eq!((store.node(&one).unwrap().weight, store.node(&two).unwrap().weight), (0, 32 * ETH));
    vote(&mut store, &[0], one, 0);
    assert_eq!(store.latest_message(0), Some(two));
}

#[test]
fn equivocating_validators_lose_their_vote_for_ever() {
    let (mut store, one, two) = fork(2);
    late_in(&mut store, 3 * SLOTS_PER_EPOCH);
    vote(&mut store, &[0], one, 0);
    assert_eq!(store.get_head(), one);
    let indexed = |indices: &[u64]| IndexedAttestation {
        attesting_indices: indices.to_vec().try_into().unwrap(),
        data: AttestationData::default(),
        signature: BLSSignature::ZERO,
    };
    let slashing = AttesterSlashing { attestation_1: indexed(&[0, 1, 7]), attestation_2: indexed(&[0, 7, 9]) };
    store.on_attester_slashing(&slashing);
    assert_eq!(store.get_head(), two);
    vote(&mut store, &[0, 7], one, 1);
    assert_eq!((store.get_head(), store.node(&one).unwrap().weight), (two, 0));
    assert!(store.is_equivocating(7) && !store.is_equivocating(1) && !store.is_equivocating(9));
    vote(&mut store, &[1], one, 1);
    assert_eq!(store.get_head(), one);
}

#[test]
fn the_first_timely_block_is_boosted_until_the_slot_ends() {
    let mut store = new_store(vec![32 * ETH; 64]);
    let anchor = anchor_root(&store);
    start_of(&mut store, 1);
    let first = add(&mut store, 1, anchor, 1);
    let second = add(&mut store, 2, anchor, 1);
    assert_eq!((store.proposer_boost_root(), store.get_head()), (first, first));
    assert_eq!(store.node(&first).unwrap().weight, 0, "the boost is no vote");
    start_of(&mut store, 2);
    assert_eq!((store.proposer_boost_root(), store.get_head()), (Hash256::ZERO, second));
}

#[test]
fn a_late_block_is_not_boosted() {
    let mut store = new_store(vec![32 * ETH; 64]);
    let anchor = anchor_root(&store);
    store.on_tick(store.genesis_time() * 1000 + 12_000 + 3_999);
    let late = add(&mut store, 9, anchor, 1);
    assert_eq!(store.proposer_boost_root(), Hash256::ZERO, "3.333 of 10 parts of 12 s are 3,999 ms");
    assert!(!store.node(&late).unwrap().is_timely);
    store.on_tick(store.genesis_time() * 1000 + 24_000 + 3_998);
    let timely = add(&mut store, 3, anchor, 2);
    assert_eq!((store.proposer_boost_root(), store.get_head()), (timely, timely));
}

#[test]
fn a_block_of_another_shuffling_is_not_boosted() {
    let mut store = new_store(vec![32 * ETH; 64]);
    let anchor = anchor_root(&store);
    let epoch = SLOTS_PER_EPOCH;
    late_in(&mut store, 2 * epoch - 1);
    // The shuffling of epoch 2 hangs on the last block of epoch 0.
    let (ours, theirs) = (add(&mut store, 1, anchor, 1), add(&mut store, 2, anchor, 2));
    vote(&mut store, &[0], ours, 0);
    start_of(&mut store, 2 * epoch);
    add(&mut store, 3, theirs, 2 * epoch);
    assert_eq!(store.proposer_boost_root(), Hash256::ZERO);
    let same = add(&mut store, 4, ours, 2 * epoch);
    assert_eq!(store.proposer_boost_root(), same);
}

#[test]
fn a_known_block_changes_nothing() {
    let (mut store, one, _) = fork(1);
    let mut again = block(&store, 1, anchor_root(&store), 1);
    again.equivocating_indices = vec![0];
    store.on_block(again).unwrap();
    assert!(!store.is_equivocating(0));
    assert_eq!((store.nodes().len(), store.contains(&one)), (3, true));
}

#[test]
fn blocks_that_do_not_fit_are_refused() {
    let (mut store, one, _) = fork(1);
    let unknown = block(&store, 5, root(99), 2);
    assert_eq!(store.on_block(unknown), Err(OnBlockError::UnknownParent(root(99))));
    let early = block(&store, 5, one, 4);
    assert_eq!(store.on_block(early), Err(OnBlockError::FutureSlot { slot: 4, current: 3 }));
    let old = block(&store, 5, one, 0);
    assert_eq!(store.on_block(old), Err(OnBlockError::NotAfterFinalized { slot: 0, finalized: 0 }));
    assert_eq!(store.nodes().len(), 3);
}

#[test]
fn attestations_that_do_not_fit_are_refused() {
    let (mut store, one, two) = fork(1);
    let good = vote_data(&store, one, 0);
    let mut check = |data: AttestationData, is_from_block| store.on_attestation(&data, &[0], is_from_block);
    let unknown = AttestationData { beacon_block_root: root(9), ..good };
    assert_eq!(check(unknown, false), Err(OnAttestationError::UnknownBlock(root(9))));
    let target = AttestationData { target: Checkpoint { epoch: 0, root: root(9) }, ..good };
    assert_eq!(check(target, false), Err(OnAttestationError::UnknownTarget(root(9))));
    let beside = AttestationData { target: Checkpoint { epoch: 0, root: two }, ..good };
    assert_eq!(check(beside, false), Err(OnAttestationError::TargetNotOfBlock));
    let early = AttestationData { slot: 0, ..good };
    assert_eq!(check(early, false), Err(OnAttestationError::BlockAfterSlot { block: 1, slot: 0 }));
    let now = AttestationData { slot: 3, ..good };
    assert_eq!(check(now, false), Err(OnAttestationError::SlotNotOver { slot: 3, current: 3 }));
    let outside = AttestationData { slot: SLOTS_PER_EPOCH, ..good };
    let error = OnAttestationError::SlotOutsideTarget { slot: SLOTS_PER_EPOCH, target: 0 };
    assert_eq!(check(outside, false), Err(error));
    assert_eq!(check(good, false), Ok(()));
    late_in(&mut store, 2 * SLOTS_PER_EPOCH);
    let error = OnAttestationError::TargetNotNear { target: 0, current: 2 };
    assert_eq!(store.on_attestation(&good, &[0], false), Err(error));
    assert_eq!(store.on_attestation(&good, &[0], true), Ok(()));
}

#[test]
fn votes_are_weighed_anew_when_another_checkpoint_is_justified() {
    let mut store = new_store([ETH, 2 * ETH, 0]);
    let anchor = anchor_root(&store);
    let epoch = SLOTS_PER_EPOCH;
    late_in(&mut store, epoch + 2);
    let base = add(&mut store, 1, anchor, epoch);
    let (left, right) = (add(&mut store, 2, base, epoch + 1), add(&mut store, 3, base, epoch + 1));
    vote(&mut store, &[0, 2], left, 1);
    vote(&mut store, &[1], right, 1);
    assert_eq!(store.get_head(), right);
    let checkpoint = Checkpoint { epoch: 1, root: base };
    let records = [(ETH, true, false), (2 * ETH, true, true), (5 * ETH, true, false)];
    let mut justifying = block(&store, 4, left, epoch + 2);
    justifying.checkpoint_balances = vec![(checkpoint, Balances::collect(records.into_iter()))];
    justifying.unrealized_justified_checkpoint = checkpoint;
    store.on_block(justifying).unwrap();
    assert_eq!(store.justified_checkpoint().epoch, 0, "not before the epoch ends");
    late_in(&mut store, 2 * epoch);
    assert_eq!((store.justified_checkpoint(), store.missing_balances()), (checkpoint, None));
    assert_eq!(store.get_head(), root(4));
    assert_eq!(store.node(&left).unwrap().weight, 6 * ETH);
    assert_eq!(store.node(&right).unwrap().weight, 0, "slashed");
}

#[test]
fn balances_that_are_missing_can_be_brought_later() {
    let mut store = new_store([ETH]);
    let anchor = anchor_root(&store);
    late_in(&mut store, 3 * SLOTS_PER_EPOCH);
    let checkpoint = Checkpoint { epoch: 1, root: anchor };
    let mut justifying = block(&store, 1, anchor, SLOTS_PER_EPOCH + 1);
    justifying.unrealized_justified_checkpoint = checkpoint;
    store.on_block(justifying).unwrap();
    vote(&mut store, &[0], root(1), 1);
    assert_eq!(store.missing_balances(), Some(checkpoint));
    store.get_head();
    assert_eq!(store.node(&root(1)).unwrap().weight, ETH, "by the balances before");
    store.provide_balances(checkpoint, Balances::collect([(3 * ETH, true, false)].into_iter()));
    store.get_head();
    assert_eq!((store.missing_balances(), store.node(&root(1)).unwrap().weight), (None, 3 * ETH));
}

/// Finalizes block 2 of epoch 1 with a side branch (block 3) beside it; block 5 is the tip.
fn finalized() -> (Store, Hash256) {
    let mut store = new_store(vec![32 * ETH; 4]);
    let (anchor, epoch) = (anchor_root(&store), SLOTS_PER_EPOCH);
    late_in(&mut store, 4 * epoch);
    let one = add(&mut store, 1, anchor, 1);
    let two = add(&mut store, 2, one, epoch);
    let side = add(&mut store, 3, one, epoch + 1);
    vote(&mut store, &[0], side, 1);
    let justified = Checkpoint { epoch: 2, root: two };
    let mut finalizing = block(&store, 4, two, 2 * epoch + 1);
    finalizing.justified_checkpoint = justified;
    finalizing.unrealized_justified_checkpoint = justified;
    finalizing.finalized_checkpoint = Checkpoint { epoch: 1, root: two };
    finalizing.unrealized_finalized_checkpoint = Checkpoint { epoch: 1, root: two };
    finalizing.checkpoint_balances = vec![(justified, Balances::collect([(ETH, true, false); 4].into_iter()))];
    let mut tip = finalizing.clone();
    store.on_block(finalizing).unwrap();
    (tip.root, tip.header.parent_root, tip.header.slot) = (root(5), root(4), 2 * epoch + 2);
    store.on_block(tip).unwrap();
    vote(&mut store, &[1], root(5), 2);
    (store, two)
}

#[test]
fn pruning_keeps_the_finalized_block_and_what_is_above_it() {
    let (mut store, two) = finalized();
    let head = store.get_head();
    assert_eq!(head, root(5));
    assert!(store.prune().is_empty(), "below the threshold");
    let mut dropped = store.prune_from(1);
    dropped.sort();
    assert_eq!(dropped.len(), 3);
    assert_eq!(dropped[..2], [root(1), root(3)].map(|r| dropped[dropped.iter().position(|d| *d == r).unwrap()]));
    let kept: Vec<_> = store.nodes().iter().map(|node| node.root).collect();
    assert_eq!(kept, [two, root(4), root(5)]);
    assert_eq!((store.latest_message(0), store.latest_message(1)), (None, Some(root(5))));
    assert_eq!((store.get_head(), store.node(&two).unwrap().weight), (head, ETH));
    assert_eq!(store.get_ancestor(&head, 0), Some(two), "the oldest block stands for all before it");
    vote(&mut store, &[0], root(4), 2);
    let tip = add_above(&mut store, 6, root(5));
    assert_eq!((store.get_head(), store.node(&two).unwrap().weight), (tip, 2 * ETH));
}

fn add_above(store: &mut Store, number: u16, parent: Hash256) -> Hash256 {
    let below = store.node(&parent).unwrap().clone();
    let mut next = block(store, number, parent, below.slot + 1);
    next.justified_checkpoint = below.justified_checkpoint;
    next.unrealized_justified_checkpoint = below.unrealized_justified_checkpoint;
    next.finalized_checkpoint = store.finalized_checkpoint();
    store.on_block(next).unwrap();
    root(number)
}

#[test]
fn a_block_beside_the_finalized_one_is_refused() {
    let (mut store, two) = finalized();
    let beside = block(&store, 9, root(3), SLOTS_PER_EPOCH + 2);
    assert_eq!(store.on_block(beside), Err(OnBlockError::NotOnFinalized(two)));
}

#[test]
fn an_anchor_needs_its_own_block() {
    let mut state = BeaconState::default();
    state.latest_block_header.state_root = Hash256::repeat_byte(1);
    let other = BeaconBlockHeader { slot: 1, ..state.latest_block_header };
    let error = Store::from_anchor(&mut state, &other, Arc::new(Config::default())).err().unwrap();
    assert!(error.to_string().contains("fetch both again"));
}

#[test]
fn an_anchor_may_have_empty_slots_up_to_its_epoch() {
    let mut state = BeaconState { slot: 2 * SLOTS_PER_EPOCH, ..Default::default() };
    state.latest_block_header.state_root = Hash256::repeat_byte(1);
    state.latest_block_header.slot = 2 * SLOTS_PER_EPOCH - 3;
    let header = state.latest_block_header;
    let mut store = Store::from_anchor(&mut state, &header, Arc::new(Config::default())).unwrap();
    let anchor = anchor_root(&store);
    assert_eq!(store.finalized_checkpoint(), Checkpoint { epoch: 2, root: anchor });
    late_in(&mut store, 2 * SLOTS_PER_EPOCH + 1);
    let inside = block(&store, 1, anchor, 2 * SLOTS_PER_EPOCH - 1);
    assert!(store.on_block(inside).is_err());
    let tip = add(&mut store, 2, anchor, 2 * SLOTS_PER_EPOCH + 1);
    assert_eq!(store.get_head(), tip);
}
