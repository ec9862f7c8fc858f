//! Gossip messages of every topic: raw snappy within the topic's limits, then SSZ as in `containers`. The first byte
//! chooses the topic, the second the fork.
#![no_main]

use hornero::{
    p2p::{Topic, wire},
    types::{DataColumnSidecar, GossipMessage},
};
use hornero_fuzz::{check_ssz, table, within};

/// Snappy's densest element makes 64 bytes of 3.
const SNAPPY_RATIO: usize = 22;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [topic, fork, message @ ..] = data else { return };
    let topic = Topic::KINDS[usize::from(*topic) % Topic::KINDS.len()];
    let read = || wire::read_gossip(topic, message);
    let Ok(ssz) = within(message.len(), SNAPPY_RATIO, table::MEMORY_BESIDES, read) else { return };
    check_ssz(&ssz, table::MEMORY_BESIDES_A_BLOCK, |ssz| match topic {
        Topic::BeaconBlock => table::block(table::fork(*fork), ssz),
        Topic::DataColumnSidecar(_) => table::again::<DataColumnSidecar>(ssz),
        _ => Some(GossipMessage::from_ssz_bytes(topic, table::fork(*fork), ssz).ok()?.to_ssz_bytes()),
    });
});
