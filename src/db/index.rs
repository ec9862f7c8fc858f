//! The index: small keys and values in sled. Bulk data never goes here (docs/decisions/0003-storage.md says why).

mod columns;

use std::{
    io,
    ops::Range,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use sled::{Batch, Db, Tree};
use tracing::info;

use super::{
    error::DbError,
    schema::{
        BlockEntry, DifferenceEntry, Form, SegmentId, first_slot_of, range_of, root_from, slot_root, slot_root_key,
        u64_at,
    },
};
use crate::types::{Hash256, Slot};

/// sled's page cache. The whole index of five months of mainnet is some 200 MB, but a node works in a small part of it.
const CACHE_BYTES: u64 = 16 << 20;
/// sled splits its leaves by count, not by size, and moves large values to files that it never syncs.
const MAX_VALUE_BYTES: usize = 6 << 10;
/// Keys removed in one batch: bounds the memory of pruning.
const PRUNE_BATCH: usize = 1024;
/// How often a held lock is tried again.
const LOCK_RETRY: Duration = Duration::from_millis(100);

/// The trees of the index.
pub(super) struct Index {
    db: Db,
    /// Block root to [`BlockEntry`].
    blocks: Tree,
    /// Slot and block root to nothing: what pruning walks.
    slots: Tree,
    /// Slot to the root of the canonical block.
    canonical: Tree,
    /// State root to slot.
    states: Tree,
    /// State root to [`DifferenceEntry`].
    differences: Tree,
    /// Segment file to the length up to which the index knows it. Written after what it vouches for is durable.
    marks: Tree,
    /// The same for the files of blinded blocks.
    blinded_marks: Tree,
    /// Block root to [`super::schema::ColumnsEntry`].
    columns: Tree,
    /// Slot and block root of each entry of `columns` to nothing.
    column_slots: Tree,
    /// As `marks`, for the files of columns.
    column_marks: Tree,
    /// Name to value.
    meta: Tree,
}

impl Index {
    /// Opens the index; a lock that another process holds is waited for. Also returns how long it was waited for.
    pub(super) fn open(path: &Path, lock_wait: Duration) -> Result<(Index, Duration), DbError> {
        let start = Instant::now();
        let mut said = false;
        let db = loop {
            // `flush_every_ms(None)`: what is durable, and when, is decided here.
            let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
            match config.open() {
                Ok(db) => break db,
                Err(error) if !is_locked(&error) => return Err(error.into()),
                Err(_) if start.elapsed() >= lock_wait => {
                    let path = path.parent().unwrap_or(path).to_path_buf();
                    return Err(DbError::Locked { path, waited: start.elapsed() });
                }
                Err(_) if !said => {
                    info!("{} is still in use by another process, waiting for it to end", path.display());
                    said = true;
                }
                Err(_) => {}
            }
            thread::sleep(LOCK_RETRY.min(lock_wait));
        };
        let index = Index {
            blocks: db.open_tree("blocks")?,
            slots: db.open_tree("slots")?,
            canonical: db.open_tree("canonical")?,
            states: db.open_tree("states")?,
            differences: db.open_tree("differences")?,
            marks: db.open_tree("marks")?,
            blinded_marks: db.open_tree("blinded_marks")?,
            columns: db.open_tree("columns")?,
            column_slots: db.open_tree("column_slots")?,
            column_marks: db.open_tree("column_marks")?,
            meta: db.open_tree("meta")?,
            db,
        };
        Ok((index, start.elapsed()))
    }

    /// Makes everything durable.
    pub(super) fn flush(&self) -> Result<(), DbError> {
        self.db.flush()?;
        Ok(())
    }

    /// Bytes of memory at most: sled does not tell what its cache holds, but holds no more than it may or has.
    pub(super) fn memory_bytes(&self) -> Result<u64, DbError> {
        Ok(CACHE_BYTES.min(self.size_on_disk()?))
    }

    pub(super) fn size_on_disk(&self) -> Result<u64, DbError> {
        Ok(self.db.size_on_disk()?)
    }

    // Blocks.

    pub(super) fn block(&self, root: &Hash256) -> Result<Option<BlockEntry>, DbError> {
        Ok(self.blocks.get(root.as_slice())?.and_then(|v| BlockEntry::decode(&v)))
    }

    pub(super) fn has_block(&self, root: &Hash256) -> Result<bool, DbError> {
        Ok(self.blocks.contains_key(root.as_slice())?)
    }

    /// Adds blocks, or moves them; durable after [`Index::flush`].
    pub(super) fn put_blocks(&self, entries: &[(Hash256, BlockEntry)]) -> Result<(), DbError> {
        let (mut blocks, mut slots) = (Batch::default(), Batch::default());
        for (root, entry) in entries {
            blocks.insert(root.as_slice(), entry.encode());
            slots.insert(slot_root_key(entry.slot, root).as_slice(), &[]);
        }
        self.slots.apply_batch(slots)?;
        self.blocks.apply_batch(blocks)?;
        Ok(())
    }

    pub(super) fn remove_block(&self, root: &Hash256, slot: Slot) -> Result<(), DbError> {
        self.blocks.remove(root.as_slice())?;
        self.slots.remove(slot_root_key(slot, root))?;
        Ok(())
    }

    /// Roots of the blocks stored for `slots`, in the order of their slots.
    pub(super) fn blocks_in(&self, slots: Range<Slot>) -> impl Iterator<Item = Result<(Slot, Hash256), DbError>> {
        let range = slots.start.to_be_bytes()..slots.end.to_be_bytes();
        self.slots
            .range(range)
            .filter_map(|item| item.map(|(key, _)| slot_root(&key)).map_err(DbError::from).transpose())
    }

    /// Forgets the blocks of segment `id` that lie at or beyond `end`, and says how many there were.
    pub(super) fn forget_beyond(&self, form: Form, id: SegmentId, end: u64) -> Result<u64, DbError> {
        let mut forgotten = 0;
        for item in self.blocks_in(first_slot_of(id.range)..first_slot_of(id.range + 1)) {
            let (slot, root) = item?;
            let is_beyond = |at: BlockEntry| at.form == form && at.location.segment == id && at.location.offset >= end;
            if self.block(&root)?.is_none_or(is_beyond) {
                self.remove_block(&root, slot)?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    /// The ranges before `end` that have blocks, oldest first.
    pub(super) fn ranges_before(&self, end: u64) -> Result<Vec<u64>, DbError> {
        let mut ranges = Vec::new();
        let mut next = 0;
        while let Some(item) = self.blocks_in(first_slot_of(next)..first_slot_of(end)).next() {
            let range = range_of(item?.0);
            ranges.push(range);
            next = range + 1;
        }
        Ok(ranges)
    }

    /// Removes the blocks of a range from the index, and says how many there were. Durable after [`Index::flush`].
    pub(super) fn remove_range(&self, range: u64) -> Result<u64, DbError> {
        let mut removed = 0;
        loop {
            let slots = first_slot_of(range)..first_slot_of(range + 1);
            let found = self.blocks_in(slots).take(PRUNE_BATCH).collect::<Result<Vec<_>, _>>()?;
            if found.is_empty() {
                return Ok(removed);
            }
            let (mut blocks, mut keys) = (Batch::default(), Batch::default());
            for (slot, root) in &found {
                blocks.remove(root.as_slice());
                keys.remove(slot_root_key(*slot, root).as_slice());
            }
            // The slots go last: they are how a prune that was interrupted finds the rest.
            self.blocks.apply_batch(blocks)?;
            self.slots.apply_batch(keys)?;
            removed += found.len() as u64;
        }
    }

    // Marks.

    fn marks(&self, form: Form) -> &Tree {
        match form {
            Form::Whole => &self.marks,
            Form::Blinded => &self.blinded_marks,
        }
    }

    pub(super) fn mark(&self, form: Form, id: SegmentId) -> Result<u64, DbError> {
        Ok(self.marks(form).get(id.key())?.and_then(|v| u64_at(&v, 0)).unwrap_or(0))
    }

    pub(super) fn set_mark(&self, form: Form, id: SegmentId, end: u64) -> Result<(), DbError> {
        self.marks(form).insert(id.key(), &end.to_be_bytes())?;
        Ok(())
    }

    pub(super) fn remove_mark(&self, form: Form, id: SegmentId) -> Result<(), DbError> {
        self.marks(form).remove(id.key())?;
        Ok(())
    }

    /// The files that the index knows.
    pub(super) fn marked(&self, form: Form) -> Result<Vec<SegmentId>, DbError> {
        let mut ids = Vec::new();
        for item in self.marks(form).iter().keys() {
            ids.extend(SegmentId::from_key(&item?));
        }
        Ok(ids)
    }

    // The canonical chain.

    pub(super) fn set_canonical(&self, roots: &[(Slot, Hash256)]) -> Result<(), DbError> {
        let mut batch = Batch::default();
        for (slot, root) in roots {
            batch.insert(&slot.to_be_bytes(), root.as_slice());
        }
        Ok(self.canonical.apply_batch(batch)?)
    }

    pub(super) fn canonical(&self, slot: Slot) -> Result<Option<Hash256>, DbError> {
        Ok(self.canonical.get(slot.to_be_bytes())?.and_then(|v| root_from(&v)))
    }

    pub(super) fn first_canonical_from(&self, slot: Slot) -> Result<Option<(Slot, Hash256)>, DbError> {
        let first = self.canonical.range(slot.to_be_bytes()..).next().transpose()?;
        Ok(first.and_then(|(key, value)| u64_at(&key, 0).zip(root_from(&value))))
    }

    pub(super) fn canonical_in(&self, slots: Range<Slot>) -> Result<Vec<(Slot, Hash256)>, DbError> {
        let mut found = Vec::new();
        for item in self.canonical.range(slots.start.to_be_bytes()..slots.end.to_be_bytes()) {
            let (key, value) = item?;
            found.extend(u64_at(&key, 0).zip(root_from(&value)));
        }
        Ok(found)
    }

    /// Removes the canonical roots from `first` to `last`, both included.
    pub(super) fn remove_canonical(&self, first: Slot, last: Slot) -> Result<(), DbError> {
        loop {
            let mut batch = Batch::default();
            let mut count = 0;
            for key in self.canonical.range(first.to_be_bytes()..=last.to_be_bytes()).keys().take(PRUNE_BATCH) {
                batch.remove(key?);
                count += 1;
            }
            if count == 0 {
                return Ok(());
            }
            self.canonical.apply_batch(batch)?;
        }
    }

    // States.

    pub(super) fn put_state(&self, root: &Hash256, slot: Slot) -> Result<(), DbError> {
        self.states.insert(root.as_slice(), &slot.to_be_bytes())?;
        Ok(())
    }

    pub(super) fn state(&self, root: &Hash256) -> Result<Option<Slot>, DbError> {
        Ok(self.states.get(root.as_slice())?.and_then(|v| u64_at(&v, 0)))
    }

    pub(super) fn remove_state(&self, root: &Hash256) -> Result<(), DbError> {
        self.states.remove(root.as_slice())?;
        Ok(())
    }

    /// All states, by slot.
    pub(super) fn states(&self) -> Result<Vec<(Slot, Hash256)>, DbError> {
        let mut found = Vec::new();
        for item in self.states.iter() {
            let (key, value) = item?;
            found.extend(u64_at(&value, 0).zip(root_from(&key)));
        }
        found.sort();
        Ok(found)
    }

    // Differences of states.

    /// Adds a difference; durable after [`Index::flush`].
    pub(super) fn put_difference(&self, entry: &DifferenceEntry) -> Result<(), DbError> {
        let value = entry.encode();
        check_len(&value)?;
        self.differences.insert(entry.difference.root.as_slice(), value)?;
        Ok(())
    }

    pub(super) fn difference(&self, root: &Hash256) -> Result<Option<DifferenceEntry>, DbError> {
        Ok(self.differences.get(root.as_slice())?.and_then(|v| DifferenceEntry::decode(*root, &v)))
    }

    pub(super) fn remove_difference(&self, root: &Hash256) -> Result<(), DbError> {
        self.differences.remove(root.as_slice())?;
        Ok(())
    }

    /// All differences, in no order.
    pub(super) fn differences(&self) -> Result<Vec<DifferenceEntry>, DbError> {
        let mut found = Vec::new();
        for item in self.differences.iter() {
            let (key, value) = item?;
            found.extend(root_from(&key).and_then(|root| DifferenceEntry::decode(root, &value)));
        }
        Ok(found)
    }

    // Small values.

    pub(super) fn put_meta(&self, name: &str, value: &[u8]) -> Result<(), DbError> {
        check_len(value)?;
        self.meta.insert(name, value)?;
        Ok(())
    }

    pub(super) fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, DbError> {
        Ok(self.meta.get(name)?.map(|v| v.to_vec()))
    }
}

fn check_len(value: &[u8]) -> Result<(), DbError> {
    let (len, max) = (value.len() as u64, MAX_VALUE_BYTES as u64);
    if len > max { Err(DbError::TooLarge { what: "a value for the index", len, max }) } else { Ok(()) }
}

/// sled has no variant for it.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(e) if e.kind() == io::ErrorKind::WouldBlock
        || e.to_string().contains("could not acquire lock"))
}
