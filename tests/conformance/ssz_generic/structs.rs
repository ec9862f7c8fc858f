//! The containers of the `containers` cases, with the specification's names.

use serde::Serialize;
use ssz::{BitList, BitVector};
use ssz_derive::{Decode, Encode};
use ssz_types::{FixedVector, VariableList};
use tree_hash_derive::TreeHash;
use typenum as t;

use super::progressive::{ProgressiveList, bytes};

#[derive(Encode, Decode, TreeHash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct SingleFieldTestStruct {
    a: u8,
}

#[derive(Encode, Decode, TreeHash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct SmallTestStruct {
    a: u16,
    b: u16,
}

#[derive(Encode, Decode, TreeHash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct FixedTestStruct {
    a: u8,
    b: u64,
    c: u32,
}

#[derive(Encode, Decode, TreeHash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct VarTestStruct {
    a: u16,
    b: VariableList<u16, t::U1024>,
    c: u8,
}

#[derive(Encode, Decode, TreeHash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct ComplexTestStruct {
    a: u16,
    b: VariableList<u16, t::U128>,
    c: u8,
    #[serde(with = "ssz_types::serde_utils::hex_var_list")]
    d: VariableList<u8, t::U256>,
    e: VarTestStruct,
    f: FixedVector<FixedTestStruct, t::U4>,
    g: FixedVector<VarTestStruct, t::U2>,
}

#[derive(Encode, Decode, TreeHash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct BitsStruct {
    a: BitList<t::U5>,
    b: BitVector<t::U2>,
    c: BitVector<t::U1>,
    d: BitList<t::U6>,
    e: BitVector<t::U8>,
}

#[derive(Encode, Decode, TreeHash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct ProgressiveTestStruct {
    #[serde(serialize_with = "bytes")]
    a: ProgressiveList<u8>,
    b: ProgressiveList<u64>,
    c: ProgressiveList<SmallTestStruct>,
    d: ProgressiveList<ProgressiveList<VarTestStruct>>,
}
