//! Verdicts of the execution client.

use super::*;

/// The anchor, then blocks 1, 2, 3 in a row, and 4 beside 2.
fn chain() -> Store {
    let mut store = new_store(vec![32 * ETH; 4]);
    late_in(&mut store, 5);
    let mut tip = anchor_root(&store);
    for number in 1..=3 {
        tip = add(&mut store, number, tip, number.into());
    }
    add(&mut store, 4, root(1), 4);
    vote(&mut store, &[0, 1], root(3), 0);
    vote(&mut store, &[2], root(4), 0);
    assert_eq!(store.get_head(), root(3));
    store
}

fn status(store: &Store, number: u16) -> PayloadStatus {
    store.node(&root(number)).unwrap().payload_status
}

#[test]
fn a_valid_payload_makes_its_ancestors_valid() {
    let mut store = chain();
    store.on_valid_payload(&root(2)).unwrap();
    let expected =
        [PayloadStatus::Valid, PayloadStatus::Valid, PayloadStatus::NotValidated, PayloadStatus::NotValidated];
    assert_eq!([1, 2, 3, 4].map(|number| status(&store, number)), expected);
}

#[test]
fn an_invalid_payload_moves_the_head() {
    let mut store = chain();
    store.on_invalid_payload(&root(2), None).unwrap();
    assert_eq!(store.get_head(), root(4));
    assert_eq!((status(&store, 1), status(&store, 3)), (PayloadStatus::NotValidated, PayloadStatus::Invalid));
    assert_eq!(store.node(&root(1)).unwrap().weight, 32 * ETH, "votes for invalid blocks do not count");
    store.on_invalid_payload(&root(4), None).unwrap();
    assert_eq!(store.get_head(), root(1), "a block whose children are all invalid is a leaf");
    let above = block(&store, 5, root(3), 5);
    assert_eq!(store.on_block(above), Err(OnBlockError::InvalidParent(root(3))));
}

#[test]
fn the_latest_valid_hash_says_where_the_trouble_began() {
    let mut store = chain();
    let latest_valid = store.node(&root(1)).unwrap().execution_block_hash;
    store.on_invalid_payload(&root(3), Some(latest_valid)).unwrap();
    let statuses = [1, 2, 3, 4].map(|number| status(&store, number));
    let (valid, invalid) = (PayloadStatus::Valid, PayloadStatus::Invalid);
    assert_eq!(statuses, [valid, invalid, invalid, PayloadStatus::NotValidated]);
    assert_eq!(store.get_head(), root(4));
}

#[test]
fn a_refused_block_may_condemn_its_ancestors() {
    let mut store = chain();
    let hash = |store: &Store, number| Some(store.node(&root(number)).unwrap().execution_block_hash);
    let unknown = Some(Hash256::repeat_byte(0xee));
    let (parent, first) = (hash(&store, 3), hash(&store, 1));
    for latest_valid in [None, unknown] {
        store.on_invalid_child(&root(3), latest_valid).unwrap();
        assert_eq!(status(&store, 3), PayloadStatus::NotValidated, "only the refused block is condemned");
    }
    let mut other = chain();
    other.on_invalid_child(&root(3), parent).unwrap();
    assert_eq!((status(&other, 3), other.get_head()), (PayloadStatus::Valid, root(3)));
    store.on_invalid_child(&root(3), first).unwrap();
    let statuses = [1, 2, 3].map(|number| status(&store, number));
    assert_eq!(statuses, [PayloadStatus::Valid, PayloadStatus::Invalid, PayloadStatus::Invalid]);
    assert_eq!(store.get_head(), root(4));
}

#[test]
fn an_unknown_latest_valid_hash_condemns_one_block_only() {
    for hash in [Hash256::ZERO, Hash256::repeat_byte(0xee)] {
        let mut store = chain();
        store.on_invalid_payload(&root(3), Some(hash)).unwrap();
        assert_eq!((status(&store, 2), status(&store, 3)), (PayloadStatus::NotValidated, PayloadStatus::Invalid));
    }
}

#[test]
fn a_client_that_contradicts_itself_is_not_believed() {
    let mut store = chain();
    store.on_valid_payload(&root(3)).unwrap();
    assert_eq!(store.on_invalid_payload(&root(2), None), Err(PayloadError::WasValid(root(2))));
    assert_eq!(store.on_valid_payload(&root(9)), Err(PayloadError::UnknownBlock(root(9))));
    assert_eq!(store.get_head(), root(3));
}
