//! Bodies of API requests: JSON comes back from its own text, SSZ from its own bytes. The first byte chooses the type.
#![no_main]

use hornero::{
    api::wire,
    types::{
        SignedAggregateAndProof, SignedBlockContents, SignedContributionAndProof, SingleAttestation,
        SyncCommitteeMessage,
    },
};
use hornero_fuzz::{check_ssz, table, within};
use serde::{Serialize, de::DeserializeOwned};
use ssz::{Decode, Encode};

/// A list of one-digit numbers has four bytes an item, which are eight in memory, in a vector that doubles.
const MEMORY_PER_BYTE: usize = 16;
/// A number or a hexadecimal text may be quoted in the error.
const MEMORY_BESIDES: usize = 64 << 10;
/// As many items as a request may have, of which offsets of four bytes announce hundreds: room is made for all at once.
const MEMORY_OF_A_LIST: usize = 4096 * 1024;

fn json<T: DeserializeOwned + Serialize>(body: &[u8]) {
    let read = || serde_json::from_slice::<T>(body);
    let Ok(value) = within(body.len(), MEMORY_PER_BYTE, MEMORY_BESIDES, read) else { return };
    let text = serde_json::to_vec(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(&text).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("as before"), text);
}

fn list<T: Decode + Encode + DeserializeOwned + Serialize + 'static>(is_json: bool, body: &[u8]) {
    if is_json {
        return json::<Vec<T>>(body);
    }
    check_ssz(body, MEMORY_OF_A_LIST, |ssz| Some(wire::read_ssz_list::<T>(ssz)?.as_ssz_bytes()));
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [kind, fork, body @ ..] = data else { return };
    let is_json = kind & 1 == 1;
    match kind >> 1 {
        0 => list::<SingleAttestation>(is_json, body),
        1 => list::<SignedAggregateAndProof>(is_json, body),
        2 => list::<SyncCommitteeMessage>(is_json, body),
        3 => list::<SignedContributionAndProof>(is_json, body),
        _ if is_json => json::<SignedBlockContents>(body),
        _ => check_ssz(body, table::MEMORY_BESIDES_A_BLOCK, |ssz| {
            Some(SignedBlockContents::from_ssz_bytes(table::fork(*fork), ssz).ok()?.as_ssz_bytes())
        }),
    }
});
