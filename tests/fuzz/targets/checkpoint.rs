//! A checkpoint whose block and state do belong together, but whose state is made up: it is refused or becomes an anchor.
//! As for `state`, the first bytes choose the fork and the pieces.
#![no_main]

use hornero::{
    chain::checkpoint::{self, Expectations},
    types::{preset::SLOTS_PER_EPOCH, *},
};
use hornero_fuzz::table;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [fork, _, ssz @ ..] = data else { return };
    let fork = table::fork(*fork);
    let Ok(mut state) = BeaconState::from_ssz_bytes(fork, ssz) else { return };
    let mut message = BeaconBlock {
        slot: state.slot,
        proposer_index: 0,
        parent_root: Hash256::ZERO,
        state_root: Hash256::ZERO,
        body: BeaconBlockBody::empty(fork),
    };
    state.latest_block_header = message.header();
    message.state_root = state.hash_tree_root();
    let block = SignedBeaconBlock { message, signature: BLSSignature::ZERO };
    let config = Config::default();
    let slots_since = state.slot.saturating_add(SLOTS_PER_EPOCH);
    let now = state.genesis_time.saturating_add(slots_since.saturating_mul(config.slot_duration_ms / 1000));
    let expected = Expectations {
        config: &config,
        genesis_validators_root: None,
        block_root: None,
        now,
        ignore_weak_subjectivity: ssz.len() % 2 == 0,
    };
    let _ = checkpoint::check(state, block, &expected);
});
