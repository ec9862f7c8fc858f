//! Columns against milhouse as oracle: the same root after any sequence of edits.

use milhouse::{List, Value};
use proptest::prelude::*;
use tree_hash::TreeHash;

use super::*;

type Limit = typenum::U1099511627776;
const LIMIT: u64 = 1 << 40;

#[derive(Clone, Debug)]
enum Edit {
    Set(usize, u64),
    Push(u64),
    Fill(u64, usize),
    UpdateEach(u64),
    DropFront(usize),
    Root,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        8 => (any::<usize>(), any::<u64>()).prop_map(|(i, v)| Edit::Set(i, v)),
        4 => any::<u64>().prop_map(Edit::Push),
        2 => (any::<u64>(), 1usize..6000).prop_map(|(v, n)| Edit::Fill(v, n)),
        1 => any::<u64>().prop_map(Edit::UpdateEach),
        1 => (0usize..3000).prop_map(Edit::DropFront),
        3 => Just(Edit::Root),
    ]
}

fn check<T: Element + Value + Send + Sync + std::fmt::Debug>(edits: Vec<Edit>, from: impl Fn(u64) -> T) {
    let mut column = Column::<T>::default();
    let mut model: Vec<T> = Vec::new();
    for edit in edits {
        match edit {
            Edit::Set(i, v) if !model.is_empty() => {
                let i = i % model.len();
                column.set(i, from(v));
                model[i] = from(v);
            }
            Edit::Set(..) => {}
            Edit::Push(v) => {
                column.push(from(v));
                model.push(from(v));
            }
            Edit::Fill(v, n) => {
                for k in 0..n as u64 {
                    column.push(from(v ^ k));
                    model.push(from(v ^ k));
                }
            }
            Edit::UpdateEach(v) => {
                let new = |i: usize, old: &T| if i.is_multiple_of(7) { from(v ^ i as u64) } else { old.clone() };
                column.update_each(new);
                model = model.iter().enumerate().map(|(i, old)| new(i, old)).collect();
            }
            Edit::DropFront(n) => {
                column.drop_front(n);
                model.drain(..n.min(model.len()));
            }
            Edit::Root => {
                // A copy that is hashed first must not disturb the one that goes on.
                let mut copy = column.clone();
                let oracle = List::<T, Limit>::new(model.clone()).unwrap().tree_hash_root();
                assert_eq!(copy.list_root(LIMIT), oracle);
                assert_eq!(column.list_root(LIMIT), oracle);
            }
        }
    }
    assert_eq!(column.list_root(LIMIT), List::<T, Limit>::new(model.clone()).unwrap().tree_hash_root());
    let mut bytes = Vec::new();
    column.write_to(&mut bytes).unwrap();
    assert_eq!(bytes.len(), column.ssz_len());
    let again = Column::<T>::read_list(&mut bytes.as_slice(), None, LIMIT).unwrap();
    assert_eq!(again, column);
    assert_eq!(again.iter().cloned().collect::<Vec<_>>(), model);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn numbers_hash_as_milhouse(edits in prop::collection::vec(edit(), 1..24)) {
        check::<u64>(edits, |v| v);
    }

    #[test]
    fn bytes_hash_as_milhouse(edits in prop::collection::vec(edit(), 1..24)) {
        check::<u8>(edits, |v| v as u8);
    }

    #[test]
    fn hashes_hash_as_milhouse(edits in prop::collection::vec(edit(), 1..24)) {
        check::<Hash256>(edits, |v| Hash256::from(alloy_primitives::U256::from(v)));
    }
}

#[test]
fn a_copy_shares_what_is_not_written() {
    let mut chunks: Chunks<u64> = (0..10 * CHUNK as u64).collect();
    let before = chunks.clone();
    assert!(!chunks.set(5, 5), "writing the same value changes nothing");
    assert_eq!(chunks.unshared_chunks(&before), 0);
    assert!(chunks.set(CHUNK + 1, 0));
    assert_eq!(chunks.unshared_chunks(&before), 1);
    assert_eq!(before.get(CHUNK + 1), Some(&(CHUNK as u64 + 1)), "the copy keeps its value");
}

#[test]
fn update_each_leaves_untouched_chunks_shared() {
    let mut column: Column<u64> = (0..5 * CHUNK as u64).collect();
    let before = column.items().clone();
    column.update_each(|i, v| if i == 3 * CHUNK { v + 1 } else { *v });
    assert_eq!(column.items().unshared_chunks(&before), 1);
}

#[test]
fn equal_neighbours_share_their_memory_until_one_is_written() {
    let mut chunks: Chunks<u64> = std::iter::repeat_n(7, 3 * CHUNK).collect();
    assert_eq!(chunks, Chunks::filled(7, 3 * CHUNK));
    assert!(std::ptr::eq(chunks.slice(0), chunks.slice(2)), "one chunk in memory");
    chunks.set(CHUNK, 8);
    assert_eq!((chunks.get(0), chunks.get(CHUNK), chunks.get(2 * CHUNK)), (Some(&7), Some(&8), Some(&7)));
    assert_eq!(Chunks::filled(7, CHUNK + 1).iter().count(), CHUNK + 1);
}

#[test]
fn a_short_source_is_an_error_and_costs_little() {
    let error = Column::<u64>::read_list(&mut [0u8; 16].as_slice(), Some(8 << 40), 1 << 40).unwrap_err();
    assert!(matches!(error, ColumnError::Io(_)), "{error}");
    let error = Column::<u64>::read_list(&mut [0u8; 9].as_slice(), None, 100).unwrap_err();
    assert!(matches!(error, ColumnError::Remainder { .. }), "{error}");
    let error = Column::<u64>::read_list(&mut [0u8; 16].as_slice(), None, 1).unwrap_err();
    assert!(matches!(error, ColumnError::TooLong { limit: 1 }), "{error}");
}

#[test]
fn what_is_shared_costs_only_its_pointers() {
    let mut column: Column<u64> = (0..10 * CHUNK as u64).collect();
    column.list_root(1 << 40);
    let alone = column.bytes_beside(&Column::default());
    assert!(alone > 10 * CHUNK * 8, "{alone}");
    let before = column.clone();
    let pointers = column.bytes_beside(&before);
    assert!(pointers < 1024, "{pointers}");
    column.set(5, u64::MAX);
    let one_chunk = column.bytes_beside(&before);
    assert!((CHUNK * 8..2 * CHUNK * 8).contains(&(one_chunk - pointers)), "{one_chunk}");
}
