//! Whether what was measured fits into a slot.

use std::fmt;

use serde::Serialize;

use super::{
    block::BATCH,
    board::{Board, Disk},
};
use crate::types::preset::{MAX_COMMITTEES_PER_SLOT, SLOTS_PER_EPOCH, TARGET_AGGREGATORS_PER_COMMITTEE};

/// A slot on mainnet, in milliseconds.
const SLOT_MS: f64 = 12_000.0;
/// Active validators on mainnet. Fewer were measured in a quick run, and count for as many.
const MAINNET_ACTIVE: f64 = 950_000.0;
/// Waits for the disk in a slot, for the data and its index: of a block, and of eight columns.
const BLOCK_SYNCS: f64 = 2.0;
const COLUMN_SYNCS: f64 = 16.0;

/// The work of a slot, in milliseconds, against the slot.
///
/// Blocks, votes and columns each have a task that does one thing after the other; the three share the cores.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Whether this board follows mainnet.
    pub follows: bool,
    /// Of a slot, what its work leaves, in percent; negative when it does not fit.
    pub spare_percent: f64,
    /// What that work takes: the longest of the three tasks, or all of it divided by the cores when that is more.
    pub busy_ms: f64,
    /// A block's import.
    pub block_ms: f64,
    /// A slot's share of the epoch's end, its committees and its root.
    pub epoch_share_ms: f64,
    /// Verifying the aggregates that gossip brings in a slot of mainnet, in batches.
    pub aggregates_ms: f64,
    /// Proofs of the eight columns that a node samples, of as many blobs as a block may have; none when that was left out.
    pub columns_ms: Option<f64>,
    /// Waiting until a block and its columns are safe on the disk.
    pub disk_ms: f64,
    /// The longest single wait: the import of an epoch's first block when nothing was prepared.
    pub first_block_of_epoch_ms: f64,
    /// What measured times were multiplied by, because fewer validators were measured than mainnet has.
    pub scaled_by: f64,
    /// What takes most of the slot: `hashing`, `signatures`, `columns`, `disk`, or `processing` for all else.
    pub limited_by: &'static str,
    /// What else stands in the way: `memory`, `heat`, `power`.
    pub warnings: Vec<&'static str>,
}

impl Verdict {
    /// From the processor time of each figure, measured on a state with as many `active` validators, on this `board`.
    ///
    /// # Panics
    /// When a figure that it needs was not measured: a mistake in this folder.
    pub fn new(cpu_ms: impl Fn(&str) -> Option<f64>, active: usize, board: &Board) -> Verdict {
        let scaled_by = (MAINNET_ACTIVE / active.max(1) as f64).max(1.0);
        let fixed = |name| cpu_ms(name).unwrap_or_else(|| panic!("{name} was not measured"));
        let scaled = |name| scaled_by * fixed(name);
        let block_ms = scaled("block_import");
        let epoch_ms = scaled("epoch") + scaled("epoch_root") + scaled("shuffling");
        let epoch_share_ms = epoch_ms / SLOTS_PER_EPOCH as f64;
        let aggregates = MAX_COMMITTEES_PER_SLOT as u64 * TARGET_AGGREGATORS_PER_COMMITTEE;
        let aggregates_ms = aggregates as f64 * fixed("aggregate_batch") / f64::from(BATCH);
        let columns_ms = cpu_ms("columns");
        let Disk { sync_p50_ms, .. } = board.disk;
        let (block_disk_ms, column_disk_ms) = (BLOCK_SYNCS * sync_p50_ms, COLUMN_SYNCS * sync_p50_ms);
        let disk_ms = block_disk_ms + column_disk_ms;
        let computed_ms = block_ms + epoch_share_ms + aggregates_ms + columns_ms.unwrap_or(0.0);
        let block_task_ms = block_ms + epoch_share_ms + block_disk_ms;
        let column_task_ms = columns_ms.unwrap_or(0.0) + column_disk_ms;
        let longest_ms = block_task_ms.max(aggregates_ms).max(column_task_ms);
        let busy_ms = longest_ms.max((computed_ms + disk_ms) / board.cores as f64);
        let spare_percent = 100.0 * (1.0 - busy_ms / SLOT_MS);

        let hashing_ms = scaled("block_root") + scaled("epoch_root") / SLOTS_PER_EPOCH as f64;
        let signatures_ms = aggregates_ms + scaled("block_signatures");
        let parts = [
            ("hashing", hashing_ms),
            ("signatures", signatures_ms),
            ("columns", columns_ms.unwrap_or(0.0)),
            ("disk", disk_ms),
            ("processing", block_ms + epoch_share_ms + aggregates_ms - hashing_ms - signatures_ms),
        ];
        let largest = parts.into_iter().reduce(|most, part| if part.1 > most.1 { part } else { most });
        let warnings = warnings(board);
        Verdict {
            follows: spare_percent > 0.0 && !warnings.contains(&"memory"),
            spare_percent,
            busy_ms,
            block_ms,
            epoch_share_ms,
            aggregates_ms,
            columns_ms,
            disk_ms,
            first_block_of_epoch_ms: block_ms + epoch_ms,
            scaled_by,
            limited_by: largest.map_or("processing", |(name, _)| name),
            warnings,
        }
    }

    /// What limits it, in a user's words.
    fn limit(&self) -> &'static str {
        match self.limited_by {
            "hashing" => "hashing the state",
            "signatures" => "verifying signatures",
            "columns" => "verifying columns of blobs",
            "disk" => "waiting for the disk",
            _ => "processing blocks and epochs",
        }
    }
}

fn warnings(board: &Board) -> Vec<&'static str> {
    let told = [
        ("memory", board.memory.fits_one_gib.map(|fits| !fits)),
        ("heat", board.heat.was_slowed),
        ("power", board.heat.was_under_voltage),
    ];
    told.into_iter().filter(|(_, is_bad)| *is_bad == Some(true)).map(|(name, _)| name).collect()
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Verdict { spare_percent, warnings, .. } = self;
        if self.follows {
            write!(f, "this board follows mainnet with {spare_percent:.0}% of each slot to spare")?;
            write!(f, "; {} takes most of the rest", self.limit())?;
        } else {
            write!(f, "this board does not follow mainnet: ")?;
            if *spare_percent <= 0.0 {
                write!(f, "a slot's work takes longer than the slot, most of it {}", self.limit())?;
            } else {
                write!(f, "1 GiB of memory is not free, though {spare_percent:.0}% of each slot would be to spare")?;
            }
        }
        for warning in warnings {
            match *warning {
                "memory" if *spare_percent <= 0.0 => write!(f, "; nor is 1 GiB of memory free")?,
                "heat" => write!(f, "; it was slowed down while measuring: cool it better")?,
                "power" => write!(f, "; its power supply is too weak")?,
                _ => {}
            }
        }
        let Verdict { busy_ms, block_ms, epoch_share_ms, aggregates_ms, disk_ms, first_block_of_epoch_ms, .. } = self;
        write!(
            f,
            ".\nOf 12 s its tasks need {busy_ms:.0} ms at once: {block_ms:.0} ms for the block, {epoch_share_ms:.0} ms of the epoch's end, \
             {aggregates_ms:.0} ms for gossip's aggregates, "
        )?;
        match self.columns_ms {
            Some(columns_ms) => write!(f, "{columns_ms:.0} ms for columns of blobs, ")?,
            None => write!(f, "columns of blobs left out, ")?,
        }
        write!(
            f,
            "{disk_ms:.0} ms for the disk. An epoch's first block, unprepared: {first_block_of_epoch_ms:.0} ms."
        )?;
        if self.scaled_by > 1.01 {
            write!(f, " Scaled up {:.1} times to mainnet's size.", self.scaled_by)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
