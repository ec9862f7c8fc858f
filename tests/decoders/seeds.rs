//! Writes the seeds of the fuzz targets from the official vectors. Seeds of text are written by hand.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use hornero::{
    fork_choice::Store,
    p2p::{Forks, MetaData, Status, Topic, wire},
    types::*,
};
use serde::Serialize;
use ssz::{Decode, Encode};

use super::{samples::CORPUS, table};

/// Larger ones say nothing more, and would make the corpus large.
const LARGEST: usize = 12 << 10;

/// Writes all of them; `HORNERO_VECTORS` names the folder of the unpacked vectors.
pub fn write() {
    let vectors = PathBuf::from(std::env::var_os("HORNERO_VECTORS").expect("HORNERO_VECTORS names the vectors"));
    let minimal = vectors.join("tests/minimal");
    let cases = |fork: ForkName, name: &str| smallest(&minimal.join(format!("{fork}/ssz_static/{name}")));
    for (name, _) in table::CONTAINERS {
        for (n, ssz) in cases(ForkName::Fulu, name).into_iter().enumerate() {
            put("containers", &format!("{name}-{n}"), &[line_of(name)], &ssz);
        }
    }
    put("containers", "MetaData-0", &[line_of("MetaData")], &MetaData::default().as_ssz_bytes());
    put("containers", "Status-0", &[line_of("Status")], &Status::default().as_ssz_bytes());
    for fork in ForkName::ALL {
        let n = (0..7).find(|n| table::fork(*n) == fork).expect("every fork has a byte");
        let blocks = cases(fork, "SignedBeaconBlock");
        for (i, ssz) in blocks.iter().enumerate() {
            put("block", &format!("{fork}-{i}"), &[n], ssz);
        }
        let state = &cases(fork, "BeaconState")[0];
        put("state", &format!("{fork}-0"), &[n, 0xff], state);
        if [ForkName::Phase0, ForkName::Fulu].contains(&fork) {
            put("checkpoint", &format!("{fork}-0"), &[n, 0xff], state);
        }
        put("gossip", &format!("block-{fork}"), &[topic(Topic::BeaconBlock), n], &pack(&blocks[0]));
        put("api_body", &format!("block-{fork}.ssz"), &[8, n], &contents(fork, &blocks[0]).as_ssz_bytes());
        put_json(&format!("block-{fork}"), 9, &contents(fork, &blocks[0]));
    }
    write_wire(&cases);
    bodies::<SingleAttestation>("attestations", 0, &cases(ForkName::Fulu, "SingleAttestation"));
    bodies::<SignedAggregateAndProof>("aggregates", 2, &cases(ForkName::Fulu, "SignedAggregateAndProof"));
    bodies::<SyncCommitteeMessage>("sync_messages", 4, &cases(ForkName::Fulu, "SyncCommitteeMessage"));
    bodies::<SignedContributionAndProof>("contributions", 6, &cases(ForkName::Fulu, "SignedContributionAndProof"));
    put("fork_choice_snapshot", "anchor", &[], &snapshot(&minimal.join("fulu/fork_choice/get_head")));
}

/// Gossip of the other topics, requests and answers.
fn write_wire(cases: &impl Fn(ForkName, &str) -> Vec<Vec<u8>>) {
    let aggregates = cases(ForkName::Fulu, "SignedAggregateAndProof");
    put("gossip", "aggregate", &[topic(Topic::BeaconAggregateAndProof), 6], &pack(&aggregates[0]));
    let ssz = &cases(ForkName::Fulu, "SignedBeaconBlock")[0];
    let mut block = SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, ssz).expect("a vector");
    // Within the range that the fuzz target asks for.
    block.message.slot = 1;
    let block = wire::write_payload(&block.as_ssz_bytes());
    // As in the fuzz target: a fork's digest is its place's number.
    let digest = ForkDigest::repeat_byte(ForkName::ALL.len() as u8);
    let forks = Forks { known: vec![(digest, ForkName::Fulu)], ..Forks::only(ForkDigest::ZERO, Version::ZERO) };
    for n in 0..wire::PROTOCOLS {
        // The lengths of all requests and one-chunk answers; a range must not be empty, roots are two.
        let bodies = [8, 17, 24, 25, 64, 84, 92].map(|len| wire::write_payload(&vec![1; len]));
        let none = Vec::new();
        let request = bodies.iter().chain([&none]).find(|stream| wire::read_request(n, stream).is_some());
        put("request", &n.to_string(), &[n as u8], request.expect("one of them fits"));
        let chunks = bodies.iter().map(|body| [&[0], body.as_slice()].concat());
        let blocks = [&[0], digest.as_slice(), &block].concat();
        for answer in chunks.chain([blocks]).filter(|answer| wire::read_answer(n, &forks, answer).1) {
            put("answer", &n.to_string(), &[n as u8], &answer);
        }
        let refusal = [&[2][..], &wire::write_payload(b"no")].concat();
        put("answer", &format!("{n}-refused"), &[n as u8], &refusal);
    }
}

/// A list of one in both encodings.
fn bodies<T: Decode + Encode + Serialize>(name: &str, kind: u8, values: &[Vec<u8>]) {
    let list = vec![T::from_ssz_bytes(&values[0]).expect("a vector")];
    put("api_body", &format!("{name}.ssz"), &[kind, 0], &list.as_ssz_bytes());
    put_json(name, kind + 1, &list);
}

fn contents(fork: ForkName, block: &[u8]) -> SignedBlockContents {
    let signed_block = SignedBeaconBlock::from_ssz_bytes(fork, block).expect("a vector");
    SignedBlockContents { signed_block, kzg_proofs: Default::default(), blobs: Default::default() }
}

/// The store of a chain that has only its first block.
fn snapshot(cases: &Path) -> Vec<u8> {
    let case = fs::read_dir(cases.join("pyspec_tests")).expect("the vectors").next().expect("a case").unwrap().path();
    let mut state =
        BeaconState::from_ssz_bytes(ForkName::Fulu, &unpack(&case.join("anchor_state.ssz_snappy"))).unwrap();
    let block = BeaconBlock::from_ssz_bytes(ForkName::Fulu, &unpack(&case.join("anchor_block.ssz_snappy"))).unwrap();
    Store::from_anchor(&mut state, &block.header(), Arc::default()).unwrap().to_snapshot()
}

fn line_of(name: &str) -> u8 {
    table::CONTAINERS.iter().position(|(line, _)| *line == name).expect("a line of the table") as u8
}

fn topic(topic: Topic) -> u8 {
    Topic::KINDS.iter().position(|one| *one == topic).expect("all topics are there") as u8
}

fn pack(ssz: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(ssz).unwrap()
}

fn unpack(path: &Path) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(&fs::read(path).unwrap()).unwrap()
}

fn put_json(name: &str, kind: u8, value: &impl Serialize) {
    put("api_body", &format!("{name}.json"), &[kind, 0], &serde_json::to_vec(value).unwrap());
}

fn put(target: &str, name: &str, head: &[u8], seed: &[u8]) {
    let folder = Path::new(CORPUS).join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), [head, seed].concat()).unwrap();
}

/// The smallest case of a type, and the middle one by size of those that are not too large.
fn smallest(folder: &Path) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for suite in fs::read_dir(folder).into_iter().flatten() {
        for case in fs::read_dir(suite.unwrap().path()).unwrap() {
            found.push(unpack(&case.unwrap().path().join("serialized.ssz_snappy")));
        }
    }
    found.sort_by_key(|ssz| (ssz.len(), ssz.iter().filter(|byte| **byte == 0).count()));
    found.dedup();
    found.retain(|ssz| ssz.len() <= LARGEST);
    let middle = found.len() / 2;
    found.into_iter().enumerate().filter(|(n, _)| *n == 0 || *n == middle).map(|(_, ssz)| ssz).collect()
}
