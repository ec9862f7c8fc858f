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
    Scatter(u64, usize),
    DropFront(usize),
    Root,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        8 => (any::<usize>(), any::<u64>()).prop_map(|(i, v)| Edit::Set(i, v)),
        4 => any::<u64>().prop_map(Edit::Push),
        2 => (any::<u64>(), 1usize..6000).prop_map(|(v, n)| Edit::Fill(v, n)),
        1 => any::<u64>().prop_map(Edit::UpdateEach),
        2 => (any::<u64>(), 1usize..400).prop_map(|(v, n)| Edit::Scatter(v, n)),
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
            Edit::Scatter(v, n) if !model.is_empty() => {
                let mut state = v;
                let indices: Vec<u32> = std::iter::repeat_with(|| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 33) as u32 % model.len() as u32
                })
                .take(n)
                .collect();
                let before = column.clone();
                column.update_scattered(&indices, |old| if *old == from(v) { old.clone() } else { from(v) });
                assert!(before.iter().eq(&model), "a copy keeps what it had");
                indices.iter().for_each(|index| model[*index as usize] = from(v));
            }
            Edit::Scatter(..) => {}
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
    assert_eq!(chunks.unshared_pieces(&before), 0);
    assert!(chunks.set(CHUNK + 1, 0));
    assert_eq!(chunks.unshared_pieces(&before), 1);
    assert_eq!(before.get(CHUNK + 1), Some(&(CHUNK as u64 + 1)), "the copy keeps its value");
}

#[test]
fn update_each_leaves_untouched_chunks_shared() {
    let mut column: Column<u64> = (0..5 * CHUNK as u64).collect();
    let before = column.items().clone();
    column.update_each(|i, v| if i == 3 * CHUNK { v + 1 } else { *v });
    assert_eq!(column.items().unshared_pieces(&before), 1);
}

#[test]
fn equal_neighbours_share_their_memory_until_one_is_written() {
    let mut chunks: Chunks<u64> = std::iter::repeat_n(7, 3 * CHUNK).collect();
    assert_eq!(chunks, Chunks::filled(7, 3 * CHUNK));
    assert!(std::ptr::eq(chunks.slice(0), chunks.slice(2)), "one piece in memory");
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
fn a_write_costs_its_piece_and_the_table() {
    let mut column: Column<u64> = (0..10 * CHUNK as u64).collect();
    let before = column.clone();
    assert!(column.bytes_beside(&Column::default()) > 10 * CHUNK * 8);
    assert_eq!(column.bytes_beside(&before), 0);
    column.set(5, u64::MAX);
    let one_piece = column.bytes_beside(&before);
    assert!((CHUNK * 8..2 * CHUNK * 8).contains(&one_piece), "{one_piece}");
}

fn noise(count: usize) -> Vec<Hash256> {
    let number = |n: usize| Hash256::from(alloy_primitives::U256::from(n + 1));
    (0..count).map(|n| hash_pair(&number(n), &number(count))).collect()
}

fn as_nodes(hashes: &[Hash256]) -> Vec<Node> {
    hashes.iter().map(|hash| hash.0).collect()
}

#[test]
fn many_pairs_at_once_hash_as_one_by_one() {
    for count in 0..=70 {
        let nodes = noise(2 * count);
        let mut parents = vec![[7; 32]; count];
        hash_pairs(&as_nodes(&nodes), &mut parents);
        let expected: Vec<Hash256> = nodes.chunks(2).map(|pair| hash_pair(&pair[0], &pair[1])).collect();
        assert_eq!(parents, as_nodes(&expected), "{count} pairs");
    }
}

#[test]
fn any_number_of_nodes_has_the_root_that_hashing_one_by_one_gives() {
    for count in 0..=300 {
        let nodes = noise(count);
        let mut level = nodes.clone();
        for depth in 0..10 {
            level.resize(level.len().next_multiple_of(2), ZERO_HASHES[depth]);
            level = level.chunks(2).map(|pair| hash_pair(&pair[0], &pair[1])).collect();
        }
        let expected = level.first().copied().unwrap_or(ZERO_HASHES[10]);
        assert_eq!(merkleize(nodes, 0, 10), expected, "{count} nodes");
    }
}

#[test]
#[should_panic(expected = "two nodes have one parent")]
fn pairs_without_room_for_their_parents_are_refused() {
    hash_pairs(&[[0; 32]; 3], &mut [[0; 32]; 1]);
}

#[test]
fn a_list_grows_and_shrinks_by_any_length() {
    let mut chunks = Chunks::<u8>::default();
    let mut model = Vec::new();
    for (len, value) in
        [(1, 1), (100, 2), (1024, 3), (5000, 4), (4999, 5), (4096, 6), (4096, 7), (9000, 4), (3, 8), (0, 9)]
    {
        chunks.resize(len, value);
        model.resize(len, value);
        chunks.extend_from_slice(&[value; 7]);
        model.extend([value; 7]);
        assert_eq!(chunks.iter().copied().collect::<Vec<u8>>(), model);
        assert_eq!(chunks, model.iter().copied().collect());
        let slices: Vec<&[u8]> = chunks.slices().collect();
        assert_eq!(slices, model.chunks(CHUNK).collect::<Vec<_>>());
        assert!((0..slices.len()).all(|number| chunks.slice(number) == slices[number]));
    }
}

#[test]
fn a_chunk_that_is_replaced_leaves_copies_alone() {
    let mut chunks: Chunks<u8> = (0..20 * CHUNK).map(|n| (n / CHUNK) as u8).collect();
    let before = chunks.clone();
    chunks.replace_chunk(9, &[77; CHUNK]);
    let differing: Vec<usize> = (0..20).filter(|number| !chunks.is_same_chunk(&before, *number)).collect();
    assert_eq!(differing, [9], "its neighbours in the same piece are the same");
    assert_eq!((chunks.get(9 * CHUNK), before.get(9 * CHUNK)), (Some(&77), Some(&9)));
    assert_eq!(chunks.unshared_pieces(&before), 1);
    assert!(!chunks.is_same_chunk(&before, 20), "there is none");
}

#[test]
fn equal_chunks_share_their_hashes_too() {
    const ITEMS: usize = 1 << 17; // eight blocks of groups
    let mut zeros = Column::filled(0u64, ITEMS);
    let mut numbers: Column<u64> = (0..ITEMS as u64).collect();
    zeros.list_root(LIMIT);
    numbers.list_root(LIMIT);
    let [zeros, numbers] = [zeros, numbers].map(|column| column.bytes_beside(&Column::default()));
    assert!(numbers > ITEMS * 8 + ITEMS / 4, "{numbers}: items, and a hash for 128 of them");
    assert!(zeros < numbers / 40, "{zeros}: one piece of items, one of hashes, and the tables");
}

#[test]
fn a_copy_of_a_hashed_column_costs_nothing_until_it_is_written() {
    let mut column: Column<u64> = (0..100_000).collect();
    column.list_root(LIMIT);
    let mut copy = column.clone();
    assert_eq!(copy.list_root(LIMIT), column.list_root(LIMIT));
    assert_eq!(copy.bytes_beside(&column), 0);
    copy.set(77, 0);
    assert_ne!(copy.list_root(LIMIT), column.list_root(LIMIT));
    assert!(copy.bytes_beside(&column) > CHUNK * 8);
}
