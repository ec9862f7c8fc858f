//! The data directory: an index in sled, bulk data in segment files.
//!
//! | path | |
//! |---|---|
//! | `index/` | sled: where each block is, the canonical chain, small values; its lock guards the whole directory |
//! | `blocks/<range>-<part>.seg` | blocks of [`SLOTS_PER_SEGMENT`] slots, appended as they come, deleted as a whole |
//! | `blinded/<range>-<part>.seg` | the same blocks, once the execution client is known to keep their payloads, without these |
//! | `columns/<range>-<part>.seg` | data columns, in the same way |
//! | `states/<slot>-<root>.ssz_snappy` | a state each |
//! | `differences/<range>-<part>.seg` | states as differences against one of `states/`, in pieces, deleted as a whole |
//! | `fork_choice` | the latest snapshot of the fork-choice store |
//! | `pubkeys` | decompressed keys, 96 bytes each by validator index; may be deleted (`crypto::PubkeyCache`) |
//!
//! Bulk data is synced before the index names it, so the index never names what is not there; what a crash left out of the
//! index is found when the directory is opened. All calls block: from a task, use `smol::unblock`.

mod blinded;
mod columns;
mod difference;
mod error;
mod files;
mod handles;
mod index;
mod open;
mod prune;
mod record;
#[cfg(test)]
mod sample;
mod scan;
mod schema;
mod segment;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    ops::Range,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use ssz::Encode;

use crate::{
    metrics,
    types::{Config, Hash256, SignedBeaconBlock, Slot},
};
pub use blinded::StoredBlock;
pub use difference::{Difference, DifferenceReader};
pub use error::DbError;
use index::Index;
pub use open::{DbConfig, OpenReport, TornTail};
pub use prune::PruneReport;
pub use schema::{Anchor, Network, SLOTS_PER_SEGMENT};
use schema::{BlockEntry, Form};
use segment::Segments;
use state::StateFiles;
pub use state::StateReader;

const INDEX_DIR: &str = "index";
const BLOCKS_DIR: &str = "blocks";
const BLINDED_DIR: &str = "blinded";
const COLUMNS_DIR: &str = "columns";
const STATES_DIR: &str = "states";
const DIFFERENCES_DIR: &str = "differences";
const SNAPSHOT_FILE: &str = "fork_choice";
const PUBKEYS_FILE: &str = "pubkeys";

const META_SCHEMA: &str = "db/schema";
const META_NETWORK: &str = "db/network";
const META_ANCHOR: &str = "db/anchor";
const META_EARLIEST: &str = "db/earliest_slot";

/// Slots that one call of [`Database::canonical_roots`] may span: some nine days, 3 MB of roots.
const MAX_CANONICAL_SPAN: u64 = 1 << 16;

/// The data directory of one node. Clones share it.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    /// Tells the fork of a block's slot, and so how it is encoded.
    config: Arc<Config>,
    /// Bytes of the disk that must stay free.
    reserve: u64,
    index: Index,
    blocks: Segments,
    blinded: Segments,
    columns: Segments,
    states: StateFiles,
    differences: Segments,
    /// Held by who changes blocks and their index entries.
    write: Mutex<()>,
    /// Held by who changes columns and their index entries: blocks need not wait for it.
    write_columns: Mutex<()>,
    /// Whether a change of the index failed.
    index_failed: AtomicBool,
    /// Held by who writes a state, a difference or a snapshot: one at a time, and blocks need not wait for it.
    write_state: Mutex<()>,
}

impl Inner {
    fn write(&self) -> MutexGuard<'_, ()> {
        self.write.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether more can be written: the index works, and the disk has space to spare.
    fn check_writable(&self) -> Result<(), DbError> {
        if self.index_failed.load(Ordering::Relaxed) {
            return Err(DbError::ReadOnly);
        }
        files::check_space(&self.path, self.reserve)
    }

    fn write_state(&self) -> MutexGuard<'_, ()> {
        self.write_state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn segments(&self, form: Form) -> &Segments {
        match form {
            Form::Whole => &self.blocks,
            Form::Blinded => &self.blinded,
        }
    }

    fn entry(&self, root: Hash256) -> Result<Option<(BlockEntry, Vec<u8>)>, DbError> {
        // A second time, should the block have been blinded in between: then it is elsewhere.
        for _ in 0..2 {
            let Some(entry) = self.index.block(&root)? else { return Ok(None) };
            if let Some(ssz) = self.segments(entry.form).read(entry.location, root)? {
                return Ok(Some((entry, ssz)));
            }
        }
        Ok(None)
    }

    fn unreadable(&self, entry: &BlockEntry, reason: &'static str) -> DbError {
        let at = entry.location;
        DbError::Corrupt { file: self.segments(entry.form).path(at.segment), offset: at.offset, reason }
    }
}

/// Bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Segment files of blocks.
    pub blocks: u64,
    /// Segment files of blocks without their payloads.
    pub blinded: u64,
    /// Segment files of data columns.
    pub columns: u64,
    /// State files.
    pub states: u64,
    /// Segment files of states' differences.
    pub differences: u64,
    /// The index.
    pub index: u64,
}

impl DiskUsage {
    /// All of it, but for the fork-choice snapshot.
    pub fn total(&self) -> u64 {
        self.blocks + self.blinded + self.columns + self.states + self.differences + self.index
    }
}

/// Blocks.
impl Database {
    /// Stores blocks under their roots. When this returns they are durable; on an error none of them is seen (a later
    /// opening may still find those that reached the disk). Blocks that are stored already are not written again.
    pub fn put_blocks(&self, blocks: &[(Hash256, &SignedBeaconBlock)]) -> Result<(), DbError> {
        let inner = &self.inner;
        let _guard = inner.write();
        inner.check_writable()?;
        let mut entries: Vec<(Hash256, BlockEntry)> = Vec::with_capacity(blocks.len());
        let mut append = inner.blocks.append();
        for (root, block) in blocks {
            if inner.index.has_block(root)? || entries.iter().any(|(other, _)| other == root) {
                continue;
            }
            let (slot, parent_root) = (block.message.slot, block.message.parent_root);
            let location = append.put(slot, *root, &block.as_ssz_bytes())?;
            entries.push((*root, BlockEntry { form: Form::Whole, location, slot, parent_root }));
        }
        if entries.is_empty() {
            return Ok(());
        }
        inner.commit_blocks(Form::Whole, append, &entries)
    }

    /// The block with this root; none if it is not stored. [`DbError::Corrupt`] if it is damaged: [`Self::forget_block`]
    /// makes room for another copy. [`DbError::Blinded`] if its payload is only with the execution client, as may be long
    /// after the block is finalized.
    pub fn block(&self, root: Hash256) -> Result<Option<SignedBeaconBlock>, DbError> {
        match self.stored_block(root)? {
            None => Ok(None),
            Some(StoredBlock::Whole(block)) => Ok(Some(block)),
            Some(StoredBlock::Blinded(block)) => Err(DbError::Blinded { slot: block.slot() }),
        }
    }

    /// Slot and SSZ of the block with this root, for serving it. [`DbError::Blinded`] as [`Self::block`] has it.
    pub fn block_ssz(&self, root: Hash256) -> Result<Option<(Slot, Vec<u8>)>, DbError> {
        match self.inner.entry(root)? {
            Some((entry, _)) if entry.form == Form::Blinded => Err(DbError::Blinded { slot: entry.slot }),
            found => Ok(found.map(|(entry, ssz)| (entry.slot, ssz))),
        }
    }

    /// Whether the index knows the block. Does not read it.
    pub fn has_block(&self, root: Hash256) -> Result<bool, DbError> {
        self.inner.index.has_block(&root)
    }

    /// Slot and parent root of a stored block, without reading it.
    pub fn block_parent(&self, root: Hash256) -> Result<Option<(Slot, Hash256)>, DbError> {
        Ok(self.inner.index.block(&root)?.map(|e| (e.slot, e.parent_root)))
    }

    /// Takes a damaged block out of the index, so that it can be stored again.
    pub fn forget_block(&self, root: Hash256) -> Result<(), DbError> {
        let _guard = self.inner.write();
        match self.inner.index.block(&root)? {
            Some(entry) => self.inner.index.remove_block(&root, entry.slot),
            None => Ok(()),
        }
    }
}

/// The canonical chain. Changes are durable after the next [`Database::put_blocks`] or [`Database::flush`]: after a crash
/// the chain follows the parents of its head to repair the last few.
impl Database {
    /// Sets canonical roots, all or none.
    pub fn set_canonical(&self, roots: &[(Slot, Hash256)]) -> Result<(), DbError> {
        self.inner.index.set_canonical(roots)
    }

    /// Removes the canonical roots of all slots after `slot`.
    pub fn clear_canonical_above(&self, slot: Slot) -> Result<(), DbError> {
        slot.checked_add(1).map_or(Ok(()), |first| self.inner.index.remove_canonical(first, Slot::MAX))
    }

    /// Root of the canonical block of exactly this slot; none if the slot was skipped or is not known.
    pub fn canonical_root(&self, slot: Slot) -> Result<Option<Hash256>, DbError> {
        self.inner.index.canonical(slot)
    }

    /// The first canonical block at or after `slot`, with its slot.
    pub fn first_canonical_from(&self, slot: Slot) -> Result<Option<(Slot, Hash256)>, DbError> {
        self.inner.index.first_canonical_from(slot)
    }

    /// The canonical blocks of a range of at most 65,536 slots, oldest first, without the skipped slots.
    pub fn canonical_roots(&self, slots: Range<Slot>) -> Result<Vec<(Slot, Hash256)>, DbError> {
        let span = slots.end.saturating_sub(slots.start);
        if span > MAX_CANONICAL_SPAN {
            return Err(DbError::TooLarge { what: "a range of slots", len: span, max: MAX_CANONICAL_SPAN });
        }
        if span == 0 {
            return Ok(Vec::new());
        }
        self.inner.index.canonical_in(slots)
    }
}

/// States and the fork-choice snapshot.
impl Database {
    /// Stores a state under a root of the caller's choice. `write` streams its SSZ, which is compressed on the way. When this
    /// returns the state is durable; on an error there is no trace of it.
    pub fn put_state(
        &self,
        root: Hash256,
        slot: Slot,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), DbError> {
        let _guard = self.inner.write_state();
        self.inner.states.write(slot, &root, self.inner.reserve, write)?;
        self.inner.index.put_state(&root, slot)?;
        self.inner.index.flush()
    }

    /// Streams a stored state's SSZ; none if it is not stored.
    pub fn state_reader(&self, root: Hash256) -> Result<Option<StateReader>, DbError> {
        match self.inner.index.state(&root)? {
            Some(slot) => self.inner.states.reader(slot, &root),
            None => Ok(None),
        }
    }

    /// Slots and roots of the stored states, oldest first.
    pub fn states(&self) -> Result<Vec<(Slot, Hash256)>, DbError> {
        self.inner.index.states()
    }

    /// Replaces the fork-choice snapshot: after a crash there is the old one or the new one.
    pub fn put_snapshot(&self, content: &[u8]) -> Result<(), DbError> {
        let _guard = self.inner.write_state();
        files::check_space(&self.inner.path, self.inner.reserve)?;
        snapshot::write(&self.inner.path.join(SNAPSHOT_FILE), content)
    }

    /// The latest fork-choice snapshot, if there is one. [`DbError::Corrupt`] if it is damaged.
    pub fn snapshot(&self) -> Result<Option<Vec<u8>>, DbError> {
        snapshot::read(&self.inner.path.join(SNAPSHOT_FILE))
    }
}

/// Small values, and the directory as a whole.
impl Database {
    /// Stores a small value (6 KiB at most). Durable when this returns. Names that begin with `db/` are the database's own.
    pub fn put_meta(&self, name: &str, value: &[u8]) -> Result<(), DbError> {
        self.inner.index.put_meta(name, value)?;
        self.inner.index.flush()
    }

    /// A small value.
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, DbError> {
        self.inner.index.meta(name)
    }

    /// Notes where this directory was started from.
    pub fn put_anchor(&self, anchor: &Anchor) -> Result<(), DbError> {
        self.put_meta(META_ANCHOR, &anchor.encode())
    }

    /// Where this directory was started from; none while it is empty.
    pub fn anchor(&self) -> Result<Option<Anchor>, DbError> {
        Ok(self.meta(META_ANCHOR)?.and_then(|v| Anchor::decode(&v)))
    }

    /// Notes the first slot from which on all canonical blocks are stored. Pruning raises it.
    pub fn set_earliest_slot(&self, slot: Slot) -> Result<(), DbError> {
        self.put_meta(META_EARLIEST, &slot.to_be_bytes())
    }

    /// The slot of [`Self::set_earliest_slot`].
    pub fn earliest_slot(&self) -> Result<Option<Slot>, DbError> {
        Ok(self.meta(META_EARLIEST)?.and_then(|v| schema::u64_at(&v, 0)))
    }

    /// Bytes on disk; also sets the gauges.
    pub fn disk_usage(&self) -> Result<DiskUsage, DbError> {
        let usage = DiskUsage {
            blocks: self.inner.blocks.list().iter().map(|(_, len)| len).sum(),
            blinded: self.inner.blinded.list().iter().map(|(_, len)| len).sum(),
            columns: self.inner.columns.list().iter().map(|(_, len)| len).sum(),
            states: self.inner.states.size()?,
            differences: self.inner.differences.list().iter().map(|(_, len)| len).sum(),
            index: self.inner.index.size_on_disk()?,
        };
        let parts = [
            ("blocks", usage.blocks),
            ("blinded", usage.blinded),
            ("columns", usage.columns),
            ("states", usage.states),
            ("differences", usage.differences),
            ("index", usage.index),
        ];
        for (part, bytes) in parts {
            metrics::set(&metrics::DB_BYTES, &[("part", part)], bytes as f64);
        }
        Ok(usage)
    }

    /// Bytes of memory that the index takes, at most. Bulk data takes none but while it is read or written.
    pub fn memory_bytes(&self) -> Result<u64, DbError> {
        self.inner.index.memory_bytes()
    }

    /// Where the decompressed keys are, a file that this room does not look into.
    pub fn pubkeys_path(&self) -> PathBuf {
        self.inner.path.join(PUBKEYS_FILE)
    }

    /// Makes everything durable.
    pub fn flush(&self) -> Result<(), DbError> {
        self.inner.index.flush()
    }

    /// Makes everything durable, so that the next opening has nothing to repair, and lets go of this handle. The lock goes
    /// with the last clone.
    pub fn close(self) -> Result<(), DbError> {
        let _writers_are_done = (self.inner.write(), self.inner.write_columns(), self.inner.write_state());
        self.inner.index.flush()
    }
}
