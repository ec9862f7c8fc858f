//! One line a slot that a person can read, and the gauges that go with it.

use tracing::{info, warn};

use crate::{
    chain::{Snapshot, produce::NO_CLIENT},
    metrics::{self, CLOCK_SLOT, FINALIZED_EPOCH, HEAD_SLOT, JUSTIFIED_EPOCH},
    types::{Hash256, preset::SLOTS_PER_EPOCH},
};

/// Slots behind the clock at which the node is no longer "at the head", and says so.
const BEHIND: u64 = 4;
/// What is wrong was said when it went.
const CLIENT_AWAY: &str = "the execution client is still away: new blocks stay unverified, and nothing is done for validators on \
    them; start it, and look for why it went";

/// The line of a slot.
pub fn line(snapshot: &Snapshot, peers: usize, memory: Option<u64>) -> String {
    let memory = memory.map_or_else(String::new, |bytes| format!("  mem {} MiB", bytes >> 20));
    let sync = if snapshot.is_syncing { "  syncing" } else { "" };
    let unverified = if snapshot.is_optimistic { "  unverified" } else { "" };
    format!(
        "slot {}  head {} {}  distance {}  peers {peers}  justified {}  finalized {}{memory}{sync}{unverified}",
        snapshot.slot,
        snapshot.head_slot,
        short(snapshot.head_root),
        snapshot.distance(),
        snapshot.justified.epoch,
        snapshot.finalized.epoch,
    )
}

/// Logs a slot's line, with a warning where somebody should do something.
pub fn log(snapshot: &Snapshot, has_client: bool, peers: usize) {
    metrics::set(&CLOCK_SLOT, &[], snapshot.slot as f64);
    metrics::set(&HEAD_SLOT, &[], snapshot.head_slot as f64);
    metrics::set(&JUSTIFIED_EPOCH, &[], snapshot.justified.epoch as f64);
    metrics::set(&FINALIZED_EPOCH, &[], snapshot.finalized.epoch as f64);
    info!("{}", line(snapshot, peers, metrics::resident_bytes()));
    if let Some(reminder) = reminder(snapshot, has_client) {
        warn!("{reminder}");
    }
    if peers == 0 {
        warn!("no peers: check the connection, and --no-discovery and --boot-nodes if they are set");
    } else if snapshot.distance() >= BEHIND && !snapshot.is_syncing {
        warn!(
            "the head is {} slots behind the clock: peers may be behind too, or the clock is wrong",
            snapshot.distance()
        );
    }
}

/// What is said once an epoch of a node whose payloads nobody checks.
fn reminder(snapshot: &Snapshot, has_client: bool) -> Option<&'static str> {
    let is_due = snapshot.slot.is_multiple_of(SLOTS_PER_EPOCH) && snapshot.el_offline;
    is_due.then_some(if has_client { CLIENT_AWAY } else { NO_CLIENT })
}

/// A root's first bytes, enough for a person to tell blocks apart.
pub fn short(root: Hash256) -> String {
    format!("0x{}", hex::encode(&root[..4]))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        chain::BlockInfo,
        node::genesis::{devnet_config, interop_genesis},
    };

    #[test]
    fn what_nobody_checks_is_said_once_an_epoch() {
        let genesis = interop_genesis(&devnet_config(0, 12_000), 8).unwrap();
        let info = BlockInfo { slot: 0, parent_root: Hash256::ZERO, state_root: Hash256::ZERO };
        let mut snapshot = Snapshot::of_anchor(Hash256::ZERO, info, Arc::new(genesis.state));
        let mut said = |el_offline, is_optimistic, has_client| {
            (snapshot.el_offline, snapshot.is_optimistic) = (el_offline, is_optimistic);
            let slots = SLOTS_PER_EPOCH..3 * SLOTS_PER_EPOCH;
            let said: Vec<_> = slots
                .filter_map(|slot| {
                    snapshot.slot = slot;
                    reminder(&snapshot, has_client)
                })
                .collect();
            (said, line(&snapshot, 1, None).ends_with("unverified"))
        };
        assert_eq!(said(true, true, false), (vec![NO_CLIENT; 2], true));
        assert_eq!(said(true, true, true), (vec![CLIENT_AWAY; 2], true));
        assert_eq!(said(false, true, true), (vec![], true));
        assert_eq!(said(false, false, true), (vec![], false));
        assert!(NO_CLIENT.contains("--execution-endpoint"));
    }
}
