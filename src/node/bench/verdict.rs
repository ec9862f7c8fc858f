//! Whether what was measured fits into a slot.

use std::fmt;

use serde::Serialize;

use super::{block::BATCH, report::Recorder, stopwatch::Time};
use crate::types::preset::{MAX_COMMITTEES_PER_SLOT, SLOTS_PER_EPOCH, TARGET_AGGREGATORS_PER_COMMITTEE};

/// A slot on mainnet, in milliseconds.
const SLOT_MS: f64 = 12_000.0;
/// Signatures of an aggregate on gossip: the aggregator's two, and the attesters' joint one.
const SIGNATURES_PER_AGGREGATE: u64 = 3;

/// The work of a slot, in milliseconds of one core, against the slot.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Verdict {
    /// A block's import.
    pub block_ms: f64,
    /// A slot's share of the epoch's end.
    pub epoch_share_ms: f64,
    /// The signatures of the aggregates that gossip brings in a slot of mainnet, in batches.
    pub aggregates_ms: f64,
    /// Of a slot, what all that leaves, in percent; negative when it does not fit.
    pub spare_percent: f64,
    /// The longest single wait: the import of an epoch's first block when nothing was prepared.
    pub first_block_of_epoch_ms: f64,
}

impl Verdict {
    /// From the figures of `measured`.
    pub fn new(measured: &Recorder) -> Verdict {
        let cost = |name| {
            let Time { cpu_ms, .. } = measured.of(name);
            cpu_ms
        };
        let block_ms = cost("block_import");
        let epoch_ms = cost("epoch") + cost("epoch_root") + cost("shuffling");
        let aggregates = MAX_COMMITTEES_PER_SLOT as u64 * TARGET_AGGREGATORS_PER_COMMITTEE;
        let aggregates_ms = (aggregates * SIGNATURES_PER_AGGREGATE) as f64 * cost("signature_batch") / f64::from(BATCH);
        let epoch_share_ms = epoch_ms / SLOTS_PER_EPOCH as f64;
        let spare_percent = 100.0 * (1.0 - (block_ms + epoch_share_ms + aggregates_ms) / SLOT_MS);
        Verdict { block_ms, epoch_share_ms, aggregates_ms, spare_percent, first_block_of_epoch_ms: block_ms + epoch_ms }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Verdict { block_ms, epoch_share_ms, aggregates_ms, spare_percent, first_block_of_epoch_ms } = self;
        let work = format!(
            "{block_ms:.0} ms for the block, {epoch_share_ms:.0} ms of the epoch's end, {aggregates_ms:.0} ms for \
             gossip's aggregates, of 12 s on one core; an epoch's first block takes {first_block_of_epoch_ms:.0} ms"
        );
        if *spare_percent > 0.0 {
            write!(f, "this board follows mainnet with {spare_percent:.0}% of each slot to spare ({work})")
        } else {
            write!(f, "this board does not follow mainnet: a slot's work takes longer than the slot ({work})")
        }
    }
}
