//! `ssz_generic`: the rules of SSZ itself, on types that only these cases have. The codec and the hashing are the ones
//! that the node's containers use.

mod progressive;
mod structs;

use alloy_primitives::{U128, U256};
use serde::Serialize;
use serde_yaml_ng::Value;
use ssz::{BitList, BitVector, Decode, Encode};
use ssz_types::FixedVector;
use tree_hash::TreeHash;
use typenum as t;

use self::{progressive::*, structs::*};
use super::{
    case::Case,
    ssz_static::{check_text, quote_numbers},
};
use hornero::types::Hash256;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    root: Hash256,
}

pub fn run(case: &Case) -> Result<(), String> {
    // `vec_uint16_31_max`, `bitlist_5_random_0`, `VarTestStruct_nil_3`: the type comes first.
    let name: Vec<&str> = case.name.split('_').collect();
    match (case.handler.as_str(), name.as_slice()) {
        ("basic_progressive_list", [_, element, ..]) => progressive_list(case, element),
        ("basic_vector", [_, element, length, ..]) => vector(case, element, length),
        ("bitlist", [_, limit, ..]) => bitlist(case, limit),
        ("bitvector", [_, length, ..]) => bitvector(case, length),
        ("boolean", _) => check(case, |value: &bool| Value::Bool(*value)),
        ("compatible_unions", [name, ..]) => compatible_union(case, name),
        ("containers", [name, ..]) => container(case, name),
        _ => Err("no such type".into()),
    }
}

/// A valid value: binary both ways, root and text. An invalid one must be refused.
fn check<T: Decode + Encode + TreeHash>(case: &Case, text: impl Fn(&T) -> Value) -> Result<(), String> {
    let bytes = case.ssz_bytes("serialized")?;
    let value = match (case.suite.as_str(), T::from_ssz_bytes(&bytes)) {
        ("valid", Ok(value)) => value,
        ("invalid", Err(_)) => return Ok(()),
        ("valid", Err(error)) => return Err(format!("{error:?}")),
        ("invalid", Ok(_)) => return Err("was not refused".into()),
        (other, _) => return Err(format!("unknown suite {other}")),
    };
    if value.as_ssz_bytes() != bytes {
        return Err("encodes to other bytes".into());
    }
    let Meta { root } = case.yaml("meta")?;
    let ours = value.tree_hash_root();
    if ours != root {
        return Err(format!("root {ours} instead of {root}"));
    }
    check_text(&quote_numbers(text(&value)), &quote_numbers(case.yaml("value")?))
}

fn container(case: &Case, name: &str) -> Result<(), String> {
    match name {
        "BitsStruct" => check(case, as_text::<BitsStruct>),
        "ComplexTestStruct" => check(case, as_text::<ComplexTestStruct>),
        "FixedTestStruct" => check(case, as_text::<FixedTestStruct>),
        "ProgressiveTestStruct" => check(case, as_text::<ProgressiveTestStruct>),
        "SingleFieldTestStruct" => check(case, as_text::<SingleFieldTestStruct>),
        "SmallTestStruct" => check(case, as_text::<SmallTestStruct>),
        "VarTestStruct" => check(case, as_text::<VarTestStruct>),
        _ => Err(format!("no container {name}")),
    }
}

fn compatible_union(case: &Case, name: &str) -> Result<(), String> {
    match name {
        "CompatibleUnionA" => check(case, as_text::<CompatibleUnion<UnionA>>),
        "CompatibleUnionABCA" => check(case, as_text::<CompatibleUnion<UnionABCA>>),
        "CompatibleUnionBC" => check(case, as_text::<CompatibleUnion<UnionBC>>),
        _ => Err(format!("no union {name}")),
    }
}

fn as_text<T: Serialize>(value: &T) -> Value {
    serde_yaml_ng::to_value(value).expect("plain data")
}

/// Every element type of vectors and progressive lists, as text.
trait Element: Decode + Encode + TreeHash + 'static {
    fn text(&self) -> Value;
}

impl Element for bool {
    fn text(&self) -> Value {
        Value::Bool(*self)
    }
}

macro_rules! number {
    ($($number: ty),*) => {
        $(impl Element for $number {
            fn text(&self) -> Value {
                Value::String(self.to_string())
            }
        })*
    };
}
number!(u8, u16, u32, u64, U128, U256);

fn elements<'a, T: Element>(items: impl IntoIterator<Item = &'a T>) -> Value {
    items.into_iter().map(Element::text).collect::<Vec<_>>().into()
}

fn progressive_list(case: &Case, element: &str) -> Result<(), String> {
    match element {
        "bool" => check(case, |list: &ProgressiveList<bool>| elements(&list.0)),
        "uint8" => check(case, |list: &ProgressiveList<u8>| elements(&list.0)),
        "uint16" => check(case, |list: &ProgressiveList<u16>| elements(&list.0)),
        "uint32" => check(case, |list: &ProgressiveList<u32>| elements(&list.0)),
        "uint64" => check(case, |list: &ProgressiveList<u64>| elements(&list.0)),
        "uint128" => check(case, |list: &ProgressiveList<U128>| elements(&list.0)),
        "uint256" => check(case, |list: &ProgressiveList<U256>| elements(&list.0)),
        _ => Err(format!("no element {element}")),
    }
}

fn vector(case: &Case, element: &str, length: &str) -> Result<(), String> {
    match element {
        "bool" => vector_of::<bool>(case, length),
        "uint8" => vector_of::<u8>(case, length),
        "uint16" => vector_of::<u16>(case, length),
        "uint32" => vector_of::<u32>(case, length),
        "uint64" => vector_of::<u64>(case, length),
        "uint128" => vector_of::<U128>(case, length),
        "uint256" => vector_of::<U256>(case, length),
        _ => Err(format!("no element {element}")),
    }
}

fn vector_of<T: Element>(case: &Case, length: &str) -> Result<(), String> {
    fn with<T: Element, N: t::Unsigned>(case: &Case) -> Result<(), String> {
        check(case, |vector: &FixedVector<T, N>| elements(vector))
    }
    match length {
        "0" => with::<T, t::U0>(case),
        "1" => with::<T, t::U1>(case),
        "2" => with::<T, t::U2>(case),
        "3" => with::<T, t::U3>(case),
        "4" => with::<T, t::U4>(case),
        "5" => with::<T, t::U5>(case),
        "8" => with::<T, t::U8>(case),
        "16" => with::<T, t::U16>(case),
        "31" => with::<T, t::U31>(case),
        "512" => with::<T, t::U512>(case),
        "513" => with::<T, t::U513>(case),
        _ => Err(format!("no length {length}")),
    }
}

fn bitvector(case: &Case, length: &str) -> Result<(), String> {
    fn with<N: t::Unsigned + Clone>(case: &Case) -> Result<(), String> {
        check(case, as_text::<BitVector<N>>)
    }
    match length {
        "0" => with::<t::U0>(case),
        "1" => with::<t::U1>(case),
        "2" => with::<t::U2>(case),
        "3" => with::<t::U3>(case),
        "4" => with::<t::U4>(case),
        "5" => with::<t::U5>(case),
        "6" => with::<t::U6>(case),
        "7" => with::<t::U7>(case),
        "8" => with::<t::U8>(case),
        "9" => with::<t::U9>(case),
        "15" => with::<t::U15>(case),
        "16" => with::<t::U16>(case),
        "17" => with::<t::U17>(case),
        "31" => with::<t::U31>(case),
        "32" => with::<t::U32>(case),
        "33" => with::<t::U33>(case),
        "511" => with::<t::U511>(case),
        "512" => with::<t::U512>(case),
        "513" => with::<t::U513>(case),
        _ => Err(format!("no length {length}")),
    }
}

fn bitlist(case: &Case, limit: &str) -> Result<(), String> {
    fn with<N: t::Unsigned + Clone>(case: &Case) -> Result<(), String> {
        check(case, as_text::<BitList<N>>)
    }
    match limit {
        // `bitlist_no_delimiter_...`: of any limit.
        "no" => with::<t::U8>(case),
        "1" => with::<t::U1>(case),
        "2" => with::<t::U2>(case),
        "3" => with::<t::U3>(case),
        "4" => with::<t::U4>(case),
        "5" => with::<t::U5>(case),
        "6" => with::<t::U6>(case),
        "7" => with::<t::U7>(case),
        "8" => with::<t::U8>(case),
        "9" => with::<t::U9>(case),
        "15" => with::<t::U15>(case),
        "16" => with::<t::U16>(case),
        "17" => with::<t::U17>(case),
        "31" => with::<t::U31>(case),
        "32" => with::<t::U32>(case),
        "33" => with::<t::U33>(case),
        "511" => with::<t::U511>(case),
        "512" => with::<t::U512>(case),
        "513" => with::<t::U513>(case),
        _ => Err(format!("no limit {limit}")),
    }
}
