//! The recorded chain: a devnet of another client with 16 validators, all of them with interop keys.

use std::{fs, path::Path, sync::Arc};

use alloy_primitives::{U256, uint};
use ethereum_hashing::hash_fixed;

use crate::{
    crypto::SecretKey,
    types::{BeaconState, Config, ForkName, Hash256, SignedBeaconBlock, Slot},
};

/// The slot of the state that the tests start from; its block is recorded too.
pub const ANCHOR: Slot = 248;
/// The last recorded block. Every slot from the anchor on has one.
pub const LAST: Slot = 260;

const HOW_TO_GET: &str = "It is a recorded devnet (minimal preset, Fulu, interop keys): states, blocks by slot, and the \
    answers of the Beacon API of any client as `<path>.json`.";

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures/minimal-fulu-ethrex").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}. {HOW_TO_GET}", path.display()))
}

/// What `config/spec` said.
pub fn config() -> Config {
    let spec: serde_json::Value = serde_json::from_slice(&read("config_spec.json")).unwrap();
    let values = spec["data"].as_object().unwrap().iter().filter_map(|(key, value)| Some((key, value.as_str()?)));
    Config::from_yaml(&values.map(|(key, value)| format!("{key}: {value}\n")).collect::<String>()).unwrap()
}

/// The state after the anchor's block.
pub fn anchor_state() -> BeaconState {
    BeaconState::from_ssz_bytes(ForkName::Fulu, &read("state_justified.ssz")).unwrap()
}

/// A state before that: after the block of slot 240. Every slot between it and the first recorded block has one.
pub fn finalized_state() -> BeaconState {
    BeaconState::from_ssz_bytes(ForkName::Fulu, &read("state_finalized.ssz")).unwrap()
}

/// The block of a slot.
pub fn block(slot: Slot) -> Arc<SignedBeaconBlock> {
    Arc::new(SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, &read(&format!("blocks/{slot}.ssz"))).unwrap())
}

/// Its root.
pub fn root(slot: Slot) -> Hash256 {
    block(slot).root()
}

/// What the other client served light clients when the anchor was its head's parent.
pub fn finality_update() -> serde_json::Value {
    serde_json::from_slice(&read("lc_finality_update.json")).unwrap()
}

/// The secret key of a validator of the devnet.
pub fn secret_key(index: u64) -> SecretKey {
    const ORDER: U256 = uint!(0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001_U256);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&index.to_le_bytes());
    let number = U256::from_le_bytes(hash_fixed(&bytes)) % ORDER;
    SecretKey::from_bytes(&number.to_be_bytes()).unwrap()
}
