//! Snapshots that are good, and those that are not. The model's test restarts from good ones all the time.

use super::*;

fn some_store() -> Store {
    let mut store = new_store(vec![32 * ETH; 2000]);
    late_in(&mut store, 2 * SLOTS_PER_EPOCH);
    let anchor = anchor_root(&store);
    let one = add(&mut store, 1, anchor, 1);
    add(&mut store, 2, one, 2);
    add(&mut store, 3, one, 2);
    store.on_valid_payload(&root(1)).unwrap();
    store.on_invalid_payload(&root(3), None).unwrap();
    vote(&mut store, &[0, 5, 1999], root(2), 0);
    store.discard_votes(&[5]);
    let balances = Balances::collect([(32 * ETH, true, false); 2000].into_iter());
    store.provide_balances(Checkpoint { epoch: 1, root: root(2) }, balances);
    store
}

fn restart(bytes: &[u8]) -> Result<Store, SnapshotError> {
    Store::from_snapshot(bytes, Arc::new(Config::default()))
}

#[test]
fn a_restarted_store_is_the_same() {
    let mut store = some_store();
    let mut again = restart(&store.to_snapshot()).unwrap();
    assert_eq!((again.get_head(), again.nodes.len()), (store.get_head(), 4));
    assert_eq!(again.nodes, store.nodes);
    assert_eq!((&again.votes, &again.balances), (&store.votes, &store.balances));
    assert_eq!(again.checkpoint_balances, store.checkpoint_balances);
    assert_eq!(again.fast_confirmation, store.fast_confirmation);
    assert_eq!(again.to_snapshot(), store.to_snapshot());
}

#[test]
fn equal_chunks_of_balances_are_kept_and_written_once() {
    let store = some_store();
    let (_, other) = &store.checkpoint_balances[0];
    assert!(Arc::ptr_eq(&store.balances.chunks[0], &other.chunks[0]));
    let votes_and_balances = 2000 * (1 + 1 + 1);
    assert!(store.to_snapshot().len() < votes_and_balances + 2000);
}

#[test]
fn damaged_snapshots_are_refused() {
    let bytes = some_store().to_snapshot();
    assert_eq!(restart(b"").err(), Some(SnapshotError::Mark));
    let mut other_version = bytes.clone();
    other_version[7] += 1;
    assert_eq!(restart(&other_version).err(), Some(SnapshotError::Mark));
    for len in [8, 9, 16, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(restart(&bytes[..len]).is_err(), "{len} of {} bytes", bytes.len());
    }
    assert!(restart(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn no_damage_makes_it_panic() {
    let mut store = some_store();
    let facts = fast_confirmation::facts(&mut store);
    let bytes = store.to_snapshot();
    // Every byte of the fixed part and the blocks, then some of the long lists.
    let places = (8..1500).chain((1500..bytes.len()).step_by(97));
    for at in places {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            if let Ok(mut store) = restart(&damaged) {
                store.get_head();
                store.update_fast_confirmation_variables();
                let _ = store.update_confirmed_root(&facts);
                store.on_tick(store.time_ms().saturating_add(12_000));
                store.prune_from(1);
                store.get_head();
            }
        }
    }
}

#[test]
fn contradictions_are_found() {
    let broken = |break_it: fn(&mut Store)| {
        let mut store = some_store();
        break_it(&mut store);
        restart(&store.to_snapshot()).err()
    };
    assert_eq!(broken(|_| ()), None);
    let all: [fn(&mut Store); 6] = [
        |store| store.nodes.clear(),
        |store| store.nodes[2].parent = Some(2),
        |store| store.nodes[2].parent = None,
        |store| store.nodes[2].slot = 0,
        |store| store.votes.all[7].node = 4,
        |store| store.finalized_checkpoint.root = root(77),
    ];
    for break_it in all {
        assert!(matches!(broken(break_it), Some(SnapshotError::Inconsistent(_))));
    }
}
