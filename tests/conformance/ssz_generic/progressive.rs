//! Progressive lists and containers, and compatible unions of them: types of the next forks, on the node's merkleizer.

use std::marker::PhantomData;

use hornero::{
    ssz::{hash_pair, merkleize_progressive, mix_in_length},
    types::Hash256,
};
use serde::{Serialize, Serializer};
use ssz::{BitList, Decode, DecodeError, Encode};
use ssz_derive::{Decode, Encode};
use ssz_types::VariableList;
use tree_hash::{PackedEncoding, TreeHash, TreeHashType};
use tree_hash_derive::TreeHash;
use typenum as t;

/// What a list can hold.
pub trait Item: Encode + Decode + TreeHash {}
impl<T: Encode + Decode + TreeHash> Item for T {}

/// Encoded as a list without a limit.
#[derive(Encode, Decode, Serialize)]
#[ssz(struct_behaviour = "transparent")]
#[serde(transparent)]
pub struct ProgressiveList<T: Encode + Decode>(pub Vec<T>);

/// Encoded as a bit list without a limit; this one is never reached.
#[derive(Encode, Decode, Serialize)]
#[ssz(struct_behaviour = "transparent")]
#[serde(transparent)]
pub struct ProgressiveBitlist(BitList<t::U1048576>);

/// A list of bytes as text.
pub fn bytes<S: Serializer>(list: &ProgressiveList<u8>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("0x{}", hex::encode(&list.0)))
}

#[derive(Encode, Decode, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct ProgressiveSingleFieldContainerTestStruct {
    a: u8,
}

#[derive(Encode, Decode, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct ProgressiveSingleListContainerTestStruct {
    c: ProgressiveBitlist,
}

#[derive(Encode, Decode, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct ProgressiveVarTestStruct {
    a: u8,
    b: VariableList<u16, t::U123>,
    c: ProgressiveBitlist,
}

/// What is hashed as a container of composite type, by its root alone.
macro_rules! hashed_by {
    ($type: ty, $root: expr $(, $parameter: ident: $bound: path)?) => {
        impl $(<$parameter: $bound>)? TreeHash for $type {
            fn tree_hash_type() -> TreeHashType {
                TreeHashType::Container
            }

            fn tree_hash_packed_encoding(&self) -> PackedEncoding {
                unreachable!("not packed")
            }

            fn tree_hash_packing_factor() -> usize {
                unreachable!("not packed")
            }

            fn tree_hash_root(&self) -> Hash256 {
                let root: fn(&Self) -> Hash256 = $root;
                root(self)
            }
        }
    };
}

hashed_by!(ProgressiveList<T>, |list| list_root(&list.0), T: Item);
hashed_by!(ProgressiveBitlist, |list| bitlist_root(&list.0));
hashed_by!(ProgressiveSingleFieldContainerTestStruct, |it| container_root(&[1], &[it.a.tree_hash_root()]));
hashed_by!(ProgressiveSingleListContainerTestStruct, |it| {
    container_root(&[0, 0, 0, 0, 1], &[it.c.tree_hash_root()])
});
hashed_by!(CompatibleUnion<O>, |it| hash_pair(&it.data.tree_hash_root(), &Hash256::right_padding_from(&[it.selector])), O: Sized);
hashed_by!(ProgressiveVarTestStruct, |it| {
    container_root(&[1, 0, 1, 0, 1], &[it.a.tree_hash_root(), it.b.tree_hash_root(), it.c.tree_hash_root()])
});

fn list_root<T: TreeHash>(items: &[T]) -> Hash256 {
    let chunks = match T::tree_hash_type() {
        TreeHashType::Basic => to_chunks(items.iter().flat_map(TreeHash::tree_hash_packed_encoding)),
        _ => items.iter().map(TreeHash::tree_hash_root).collect(),
    };
    mix_in_length(&merkleize_progressive(&chunks), items.len())
}

fn bitlist_root(bits: &BitList<t::U1048576>) -> Hash256 {
    // An empty list keeps a byte, which is no chunk.
    let bytes = if bits.is_empty() { &[] } else { bits.as_slice() };
    mix_in_length(&merkleize_progressive(&to_chunks(bytes.iter().copied())), bits.len())
}

/// A field that is not active has a leaf of zero.
fn container_root(active_fields: &[u8], fields: &[Hash256]) -> Hash256 {
    let mut fields = fields.iter();
    let mut leaf = |active: &u8| if *active == 1 { *fields.next().expect("an active field") } else { Hash256::ZERO };
    let leaves: Vec<_> = active_fields.iter().map(&mut leaf).collect();
    let mut bits = Hash256::ZERO;
    for (i, active) in active_fields.iter().enumerate() {
        bits[i / 8] |= active << (i % 8);
    }
    hash_pair(&merkleize_progressive(&leaves), &bits)
}

fn to_chunks(bytes: impl Iterator<Item = u8>) -> Vec<Hash256> {
    let bytes: Vec<u8> = bytes.collect();
    bytes.chunks(32).map(Hash256::right_padding_from).collect()
}

/// The value of any of the unions.
#[derive(Encode, TreeHash, Serialize)]
#[ssz(enum_behaviour = "transparent")]
#[tree_hash(enum_behaviour = "transparent")]
#[serde(untagged)]
pub enum Data {
    A(ProgressiveSingleFieldContainerTestStruct),
    B(ProgressiveSingleListContainerTestStruct),
    C(ProgressiveVarTestStruct),
}

/// Decodes the value that a selector announces, or says that there is no such selector.
pub trait Options {
    fn decode(selector: u8, bytes: &[u8]) -> Result<Data, DecodeError>;
}

pub enum UnionA {}
pub enum UnionBC {}
pub enum UnionABCA {}

impl Options for UnionA {
    fn decode(selector: u8, bytes: &[u8]) -> Result<Data, DecodeError> {
        match selector {
            1 => Decode::from_ssz_bytes(bytes).map(Data::A),
            _ => Err(DecodeError::UnionSelectorInvalid(selector)),
        }
    }
}

impl Options for UnionBC {
    fn decode(selector: u8, bytes: &[u8]) -> Result<Data, DecodeError> {
        match selector {
            2 => Decode::from_ssz_bytes(bytes).map(Data::B),
            3 => Decode::from_ssz_bytes(bytes).map(Data::C),
            _ => Err(DecodeError::UnionSelectorInvalid(selector)),
        }
    }
}

impl Options for UnionABCA {
    fn decode(selector: u8, bytes: &[u8]) -> Result<Data, DecodeError> {
        match selector {
            1 | 4 => Decode::from_ssz_bytes(bytes).map(Data::A),
            2 => Decode::from_ssz_bytes(bytes).map(Data::B),
            3 => Decode::from_ssz_bytes(bytes).map(Data::C),
            _ => Err(DecodeError::UnionSelectorInvalid(selector)),
        }
    }
}

/// A selector and the value of the type that it names.
#[derive(Serialize)]
pub struct CompatibleUnion<O> {
    selector: u8,
    data: Data,
    #[serde(skip)]
    options: PhantomData<O>,
}

impl<O: Options> Decode for CompatibleUnion<O> {
    fn is_ssz_fixed_len() -> bool {
        false
    }

    fn from_ssz_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (selector, rest) = bytes.split_first().ok_or(DecodeError::OutOfBoundsByte { i: 0 })?;
        Ok(CompatibleUnion { selector: *selector, data: O::decode(*selector, rest)?, options: PhantomData })
    }
}

impl<O> Encode for CompatibleUnion<O> {
    fn is_ssz_fixed_len() -> bool {
        false
    }

    fn ssz_bytes_len(&self) -> usize {
        1 + self.data.ssz_bytes_len()
    }

    fn ssz_append(&self, buf: &mut Vec<u8>) {
        buf.push(self.selector);
        self.data.ssz_append(buf);
    }
}
