//! Fills the file of decompressed keys behind the chain, so that no block has to wait for a square root.
//!
//! A checkpoint brings compressed keys only, and decompressing a million takes half a minute of a fast processor and minutes of a
//! slow one. After a restart, this is a check: what the disk lost is found and filled in again.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{Shared, TaskError};
use crate::{
    metrics::{self, KEYS_CHECKED},
    ssz::CHUNK,
    types::{BeaconState, compute_start_slot_at_epoch},
};

/// How long to wait while a block is imported before looking again.
const WHILE_IMPORTING: Duration = Duration::from_millis(20);
/// Time between two lines of progress in the log.
const LOG_PROGRESS: Duration = Duration::from_secs(15);

/// Fills the file from front to end, then, once an epoch, what the registry has grown by.
pub(super) async fn run(shared: Arc<Shared>) -> Result<(), TaskError> {
    if !shared.keys.has_file() {
        return std::future::pending().await;
    }
    let mut next = 0;
    loop {
        next = fill_from(&shared, next).await;
        let next_epoch = compute_start_slot_at_epoch(shared.clock.epoch() + 1);
        shared.clock.until(shared.clock.start_of(next_epoch)).await;
    }
}

/// Fills chunk after chunk of the head's registry, from the one with the number `next` on, resting as long as it has worked.
/// Returns the last chunk's number: it may still grow.
async fn fill_from(shared: &Arc<Shared>, mut next: usize) -> usize {
    let (began, mut logged, mut decompressed) = (Instant::now(), Instant::now(), 0);
    loop {
        while shared.blocks_running.load(Ordering::Relaxed) > 0 {
            smol::Timer::after(WHILE_IMPORTING).await;
        }
        let slice_began = Instant::now();
        let filling = shared.clone();
        let (filled, total) = smol::unblock(move || {
            let state = filling.snapshot.load().head_state.clone();
            (fill_chunk(&filling, &state, next), state.validators.len())
        })
        .await;
        decompressed += filled;
        next += 1;
        let checked = total.min(next * CHUNK);
        shared.keys_checked.store(checked, Ordering::Relaxed);
        metrics::set(&KEYS_CHECKED, &[], checked as f64);
        if checked == total {
            if decompressed > 0 {
                tracing::info!(decompressed, took = ?began.elapsed(), "public keys are decompressed");
            }
            return total / CHUNK;
        }
        if filled > 0 {
            smol::Timer::after(slice_began.elapsed()).await;
            if logged.elapsed() >= LOG_PROGRESS {
                logged = Instant::now();
                tracing::info!(done = checked, of = total, "decompressing public keys; blocks go first");
            }
        }
    }
}

/// Fills in the keys of those in a chunk of the registry who have not left. Says how many were missing.
fn fill_chunk(shared: &Shared, state: &BeaconState, number: usize) -> usize {
    let (validators, epoch) = (&state.validators, state.current_epoch());
    let first = number * CHUNK;
    let wanted = |index| (validators.exit_epoch(index) > epoch).then(|| validators.pubkey(index));
    let wanted: Vec<_> = (first..validators.len().min(first + CHUNK)).map(wanted).collect();
    if wanted.iter().all(Option::is_none) { 0 } else { shared.keys.fill(first, &wanted) }
}

impl Shared {
    /// Whether the keys of the state's active validators need not be decompressed any more, or never stop to be.
    pub fn are_keys_ready(&self, state: &BeaconState) -> bool {
        // Newcomers of the last epoch are few.
        !self.keys.has_file() || self.keys_checked.load(Ordering::Relaxed) + CHUNK > state.validators.len()
    }
}
