//! How long it takes from no peers to the head: what a person waits for after each start.

use std::time::{Duration, Instant};

use tracing::info;

use crate::{
    chain::{ChainHandle, Snapshot},
    metrics::{self, FIRST_HEAD_SECONDS},
    p2p::{P2pHandle, PeerInfo, Status},
};

/// How often it is looked at, until it is so: the figure is for a person.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Says once when the node has come to the head for the first time. `started` is when it began to look for peers.
pub async fn tell(chain: ChainHandle, network: P2pHandle, started: Instant) {
    let began_at = chain.snapshot().head_slot;
    let mut first_peer = None;
    loop {
        let peers = network.peers().await;
        let now = Instant::now();
        let told: Vec<Status> = peers.iter().filter_map(|PeerInfo { status, .. }| *status).collect();
        if !told.is_empty() {
            let since_peer: Duration = now - *first_peer.get_or_insert(now);
            let snapshot = chain.snapshot();
            if is_at_head(&snapshot, &told) {
                let since_start = now - started;
                metrics::set(&FIRST_HEAD_SECONDS, &[("since", "start")], since_start.as_secs_f64());
                metrics::set(&FIRST_HEAD_SECONDS, &[("since", "first_peer")], since_peer.as_secs_f64());
                return info!(
                    "at the head {:.1} s after the start and {:.1} s after the first peer, {} slots on",
                    since_start.as_secs_f64(),
                    since_peer.as_secs_f64(),
                    snapshot.head_slot - began_at.min(snapshot.head_slot),
                );
            }
        }
        smol::Timer::after(LOOK_EVERY).await;
    }
}

/// Nothing is being fetched, and our head is the slot's or no peer but a few knows of a later one.
fn is_at_head(snapshot: &Snapshot, told: &[Status]) -> bool {
    let ahead = told.iter().filter(|status| status.head_slot > snapshot.head_slot).count();
    !snapshot.is_syncing && (snapshot.distance() <= 1 || ahead * 2 < told.len())
}
