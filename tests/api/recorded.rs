//! The same questions as a Lodestar node was asked, on the chain that it had: our answers are its answers.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use hornero::{
    chain::{BlockSource, Clock},
    types::{BeaconState, Config, ForkName, SignedBeaconBlock},
};
use serde_json::Value;

use super::support::Node;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/captures/minimal-fulu-ethrex"))
}

fn read(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; record a chain with `../shared/peers/capture.sh`, or see docs/testing.md", path.display())
    })
}

fn recorded(name: &str) -> Value {
    serde_json::from_slice(&read(name)).unwrap()
}

/// The configuration that the recorded node said it had.
fn config() -> Config {
    let spec = recorded("config_spec.json");
    let lines = spec["data"].as_object().unwrap().iter().filter_map(|(key, value)| {
        let wanted = key != "SECONDS_PER_SLOT" && value.is_string();
        wanted.then(|| format!("{key}: {}\n", value.as_str().unwrap()))
    });
    Config::from_yaml(&lines.collect::<String>()).unwrap()
}

/// The blocks by slot.
fn blocks() -> BTreeMap<u64, SignedBeaconBlock> {
    let files = fs::read_dir(folder().join("blocks")).expect("the recorded blocks").map(|entry| entry.unwrap().path());
    let ssz = files.filter(|path| path.extension().is_some_and(|ending| ending == "ssz"));
    ssz.map(|path| SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, &fs::read(path).unwrap()).unwrap())
        .map(|block| (block.message.slot, block))
        .collect()
}

/// A node that started from a recorded state and imported the blocks after it. Of slot 246 the recording has no block.
fn node(state: &str) -> Node {
    let (config, blocks) = (config(), blocks());
    let state = BeaconState::from_ssz_bytes(ForkName::Fulu, &read(state)).unwrap();
    let anchor = state.latest_block_header.slot;
    let (last, _) = blocks.last_key_value().unwrap();
    let now_ms = state.genesis_time * 1000 + (last + 1) * config.slot_duration_ms;
    let clock = Clock::manual(state.genesis_time, &config, now_ms);
    let node = Node::start(config, state, blocks[&anchor].clone(), clock, Default::default());
    let mut parent = blocks[&anchor].root();
    for block in blocks.range(anchor + 1..).map(|(_, block)| block).take_while(|block| {
        let follows = block.message.parent_root == parent;
        parent = block.root();
        follows
    }) {
        smol::block_on(node.chain.import_block(Arc::new(block.clone()), BlockSource::Stored)).unwrap();
    }
    node
}

#[test]
fn answers_are_those_of_the_recorded_node() {
    let (node, blocks) = (node("state_justified.ssz"), blocks());
    let (head, last) = blocks.last_key_value().unwrap();
    let events = node.chain.subscribe();
    // A block is imported before the head is chosen again.
    while node.chain.snapshot().head_root != last.root() {
        smol::block_on(events.recv()).unwrap();
    }
    for (path, name) in [
        ("/eth/v1/beacon/genesis", "beacon_genesis.json"),
        ("/eth/v1/beacon/headers/248", "beacon_headers_finalized.json"),
        ("/eth/v1/beacon/states/head/fork", "beacon_states_head_fork.json"),
        ("/eth/v1/beacon/states/head/finality_checkpoints", "beacon_states_head_finality_checkpoints.json"),
        ("/eth/v1/config/deposit_contract", "config_deposit_contract.json"),
    ] {
        assert_eq!(node.data(path), recorded(name)["data"], "{path}");
    }
    assert!(node.get("/eth/v2/debug/beacon/states/head").body == read("state_head.ssz"));
    let schedule = node.data("/eth/v1/config/fork_schedule");
    for (n, fork) in schedule.as_array().unwrap().iter().enumerate() {
        assert_eq!(*fork, recorded("config_fork_schedule.json")["data"][n]);
    }
    for (slot, block) in blocks.range(248..=*head) {
        let expected = recorded(&format!("blocks/{slot}.root.json"));
        assert_eq!(node.data(&format!("/eth/v1/beacon/blocks/{slot}/root")), expected["data"]);
        let again = node.data(&format!("/eth/v2/beacon/blocks/{slot}"));
        let again: SignedBeaconBlock = serde_json::from_value(again).unwrap();
        assert_eq!(again, *block, "slot {slot}, by way of JSON");
    }
}

#[test]
fn the_configuration_is_the_recorded_nodes() {
    let node = node("state_finalized.ssz");
    let theirs = recorded("config_spec.json");
    let ours = node.data("/eth/v1/config/spec");
    let mut shared = 0;
    for (key, value) in ours.as_object().unwrap() {
        // That node has slots of 2 s and says 6.
        let Some(theirs) = theirs["data"].get(key).filter(|_| key != "SECONDS_PER_SLOT") else { continue };
        assert_eq!(value, theirs, "{key}");
        shared += 1;
    }
    assert!(shared > 140, "only {shared} keys are shared");
}

#[test]
fn validators_are_those_of_the_recorded_node() {
    // The chain went on while the answers were recorded: `finalized` was one of these two states.
    let answers = ["state_finalized.ssz", "state_justified.ssz"]
        .map(|state| node(state).data("/eth/v1/beacon/states/finalized/validators"));
    assert!(answers.contains(&recorded("beacon_states_finalized_validators.json")["data"]));
}
