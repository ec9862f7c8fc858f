//! The recorded chain: a devnet of 16 validators with interop keys.

use std::{fs, path::Path};

use hornero::types::{BeaconState, Config, ForkName, Hash256, SignedBeaconBlock, Slot};
use serde_json::Value;

/// The first block after the state that is called justified.
pub const FIRST_SLOT: Slot = 249;
/// The last recorded block; each slot has one.
pub const LAST_SLOT: Slot = 260;

const HOW_TO_GET: &str = "It is a recorded devnet (minimal preset, Fulu, interop keys): the states finalized, justified and \
    head, the blocks by slot, and the answers of the Beacon API of any client as `<path>.json`.";

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures/minimal-fulu-ethrex").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}. {HOW_TO_GET}", path.display()))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&read(name)).expect("an answer of the Beacon API")
}

/// What `config/spec` says, as a `config.yaml`.
pub fn config() -> Config {
    let spec = json("config_spec.json");
    let mut yaml = String::from("BLOB_SCHEDULE: []\n");
    for (key, value) in spec["data"].as_object().expect("an object") {
        if let Some(value) = value.as_str() {
            yaml += &format!("{key}: {value}\n");
        }
    }
    Config::from_yaml(&yaml).expect("the recorded configuration")
}

/// `state_<name>.ssz`.
pub fn state(name: &str) -> BeaconState {
    BeaconState::from_ssz_bytes(ForkName::Fulu, &read(&format!("state_{name}.ssz"))).expect("a state")
}

/// The block of a slot.
pub fn block(slot: Slot) -> SignedBeaconBlock {
    SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, &read(&format!("blocks/{slot}.ssz"))).expect("a block")
}

/// The root that the other client gave the block of a slot.
pub fn root(slot: Slot) -> Hash256 {
    let root = &json(&format!("blocks/{slot}.root.json"))["data"]["root"];
    root.as_str().and_then(|root| root.parse().ok()).expect("a root")
}
