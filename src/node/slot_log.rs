//! One line a slot that a person can read, and the gauges that go with it.

use tracing::{info, warn};

use crate::{
    chain::Snapshot,
    metrics::{self, CLOCK_SLOT, FINALIZED_EPOCH, HEAD_SLOT, JUSTIFIED_EPOCH},
    types::Hash256,
};

/// Slots behind the clock at which the node is no longer "at the head", and says so.
const BEHIND: u64 = 4;

/// The line of a slot.
pub fn line(snapshot: &Snapshot, peers: usize, memory: Option<u64>) -> String {
    let memory = memory.map_or_else(String::new, |bytes| format!("  mem {} MiB", bytes >> 20));
    let sync = if snapshot.is_syncing { "  syncing" } else { "" };
    format!(
        "slot {}  head {} {}  distance {}  peers {peers}  justified {}  finalized {}{memory}{sync}",
        snapshot.slot,
        snapshot.head_slot,
        short(snapshot.head_root),
        snapshot.distance(),
        snapshot.justified.epoch,
        snapshot.finalized.epoch,
    )
}

/// Logs a slot's line, with a warning where somebody should do something.
pub fn log(snapshot: &Snapshot, peers: usize) {
    metrics::set(&CLOCK_SLOT, &[], snapshot.slot as f64);
    metrics::set(&HEAD_SLOT, &[], snapshot.head_slot as f64);
    metrics::set(&JUSTIFIED_EPOCH, &[], snapshot.justified.epoch as f64);
    metrics::set(&FINALIZED_EPOCH, &[], snapshot.finalized.epoch as f64);
    info!("{}", line(snapshot, peers, metrics::resident_bytes()));
    if peers == 0 {
        warn!("no peers: check the connection, and --no-discovery and --boot-nodes if they are set");
    } else if snapshot.distance() >= BEHIND && !snapshot.is_syncing {
        warn!(
            "the head is {} slots behind the clock: peers may be behind too, or the clock is wrong",
            snapshot.distance()
        );
    }
}

/// A root's first bytes, enough for a person to tell blocks apart.
pub fn short(root: Hash256) -> String {
    format!("0x{}", hex::encode(&root[..4]))
}
