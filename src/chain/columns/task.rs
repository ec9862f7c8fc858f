//! The task of missing columns: on a timer it asks peers for what blocks wait for, and keeps our custody announced.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use smol::lock::Semaphore;

use super::{
    fetch::{Promises, fetch_by_root},
    peers::choose,
    wanted::Due,
};
use crate::{
    chain::{
        Shared, TaskError,
        limits::{COLUMN_INTERVAL_MS, COLUMN_REQUESTS_AT_ONCE, ROOTS_PER_COLUMN_REQUEST},
        network::Peer,
    },
    metrics::{self, BLOCKS_WANTING_COLUMNS},
    types::compute_start_slot_at_epoch,
};

/// Runs for ever.
pub(in crate::chain) async fn run(shared: Arc<Shared>) -> Result<(), TaskError> {
    let requests = Arc::new(Semaphore::new(COLUMN_REQUESTS_AT_ONCE));
    let mut epoch = None;
    loop {
        let now = shared.clock.epoch();
        if epoch != Some(now) {
            epoch = Some(now);
            shared.announce_custody();
            let shared = shared.clone();
            smol::unblock(move || shared.reconsider_custody()).await;
        }
        shared.clock.sleep(COLUMN_INTERVAL_MS).await;
        let finalized = compute_start_slot_at_epoch(shared.snapshot.load().finalized.epoch);
        shared.columns.wanted.forget(finalized);
        metrics::set(&BLOCKS_WANTING_COLUMNS, &[], shared.columns.wanted.len() as f64);
        ask(&shared, &requests);
    }
}

/// Asks for what is due, each peer once, as far as requests may run.
fn ask(shared: &Arc<Shared>, requests: &Arc<Semaphore>) {
    let now = shared.clock.now_ms();
    let mut by_peer: HashMap<Peer, Promises> = HashMap::new();
    for Due { root, promise, missing, asked } in shared.columns.wanted.due(now, ROOTS_PER_COLUMN_REQUEST) {
        let has_it = |known: &crate::chain::KnownPeer| known.status.earliest_available_slot <= promise.header.slot;
        let mut chosen = choose(shared, missing, &asked, has_it);
        // Once all were asked, they are asked again: a column may have come to them since.
        let is_again = chosen.is_empty();
        if is_again {
            chosen = choose(shared, missing, &HashSet::new(), has_it);
        }
        shared.columns.wanted.asked(&root, now, chosen.iter().map(|(peer, _)| peer.clone()), is_again);
        for (peer, columns) in chosen {
            by_peer.entry(peer).or_default().insert(root, (promise.clone(), columns));
        }
    }
    for (peer, promises) in by_peer {
        // The rest is due again after its pause.
        let Some(permit) = requests.try_acquire_arc() else { return };
        let shared = shared.clone();
        smol::spawn(async move {
            fetch_by_root(shared, peer, promises).await;
            drop(permit);
        })
        .detach();
    }
}
