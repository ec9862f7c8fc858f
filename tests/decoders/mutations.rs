//! What a stranger might do to an encoding.

use proptest::{prelude::*, sample::Index};

/// One change.
#[derive(Clone, Debug)]
pub enum Mutation {
    Flip(Index, u8),
    /// Puts a number where an offset may be.
    Number(Index, Number),
    Cut(Index),
    Extend(Vec<u8>),
    Remove(Index, Index),
    Repeat(Index, Index),
}

/// Numbers that offsets are confused with.
#[derive(Clone, Debug)]
pub enum Number {
    Plain(u32),
    /// The length of everything, and so much more or less.
    Length(i8),
    /// What stands there, and so much more or less.
    Added(i8),
}

pub fn any_mutation() -> impl Strategy<Value = Mutation> {
    let number = prop_oneof![
        prop_oneof![Just(0), Just(1), Just(4), Just(u32::MAX), 0u32..4096].prop_map(Number::Plain),
        (-5i8..5).prop_map(Number::Length),
        any::<i8>().prop_map(Number::Added),
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        (any::<Index>(), number).prop_map(|(at, number)| Mutation::Number(at, number)),
        any::<Index>().prop_map(Mutation::Cut),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(Mutation::Extend),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Remove(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ]
}

impl Mutation {
    /// The changed bytes.
    pub fn apply(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if bytes.is_empty() {
            return bytes;
        }
        let len = bytes.len();
        let range = |from: &Index, to: &Index| {
            let (from, to) = (from.index(len), to.index(len));
            from.min(to)..from.max(to)
        };
        match self {
            Mutation::Flip(at, bits) => bytes[at.index(len)] ^= bits,
            Mutation::Number(at, number) => put(&mut bytes, at, number),
            Mutation::Cut(at) => bytes.truncate(at.index(len)),
            Mutation::Extend(tail) => bytes.extend_from_slice(tail),
            Mutation::Remove(from, to) => drop(bytes.drain(range(from, to))),
            Mutation::Repeat(from, to) => bytes.extend_from_within(range(from, to)),
        }
        bytes
    }
}

fn put(bytes: &mut [u8], at: &Index, number: &Number) {
    let len = bytes.len();
    let at = at.index(len) & !3;
    let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) else { return };
    let number = match number {
        Number::Plain(number) => *number,
        Number::Length(more) => (len as u32).wrapping_add_signed((*more).into()),
        Number::Added(more) => u32::from_le_bytes(*place).wrapping_add_signed((*more).into()),
    };
    *place = number.to_le_bytes();
}
