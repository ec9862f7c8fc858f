//! What the index knows of data columns.

use sled::Batch;

use super::{Index, PRUNE_BATCH};
use crate::{
    db::{
        error::DbError,
        schema::{ColumnPlace, ColumnsEntry, SegmentId, first_slot_of, range_of, slot_root, slot_root_key, u64_at},
    },
    types::{Hash256, Slot},
};

impl Index {
    /// Which columns of a block are stored, and where.
    pub fn columns(&self, root: &Hash256) -> Result<Option<ColumnsEntry>, DbError> {
        Ok(self.columns.get(root.as_slice())?.and_then(|value| ColumnsEntry::decode(&value)))
    }

    /// Adds columns, or moves them; durable after [`Index::flush`]. There must be one writer at a time.
    pub fn add_columns(&self, found: &[(Hash256, Slot, ColumnPlace)]) -> Result<(), DbError> {
        for of_block in found.chunk_by(|a, b| a.0 == b.0) {
            let Some((root, slot, _)) = of_block.first() else { continue };
            let mut entry = self.columns(root)?.unwrap_or(ColumnsEntry { slot: *slot, places: Vec::new() });
            for (_, _, place) in of_block {
                entry.places.retain(|other| other.column != place.column);
                entry.places.push(*place);
            }
            self.column_slots.insert(slot_root_key(*slot, root), &[])?;
            self.columns.insert(root.as_slice(), entry.encode())?;
        }
        Ok(())
    }

    /// Forgets those columns of a block for which `which` is true.
    pub fn remove_columns(&self, root: &Hash256, which: impl Fn(&ColumnPlace) -> bool) -> Result<(), DbError> {
        let Some(mut entry) = self.columns(root)? else { return Ok(()) };
        entry.places.retain(|place| !which(place));
        if entry.places.is_empty() {
            self.columns.remove(root.as_slice())?;
            self.column_slots.remove(slot_root_key(entry.slot, root))?;
        } else {
            self.columns.insert(root.as_slice(), entry.encode())?;
        }
        Ok(())
    }

    /// Forgets the columns of segment `id` that lie at or beyond `end`, and says how many there were.
    pub fn forget_columns_beyond(&self, id: SegmentId, end: u64) -> Result<u64, DbError> {
        let mut forgotten = 0;
        let slots = first_slot_of(id.range).to_be_bytes()..first_slot_of(id.range + 1).to_be_bytes();
        for key in self.column_slots.range(slots).keys() {
            let Some((_, root)) = slot_root(&key?) else { continue };
            let is_beyond = |place: &ColumnPlace| place.part == id.part && place.offset >= end;
            let count = self.columns(&root)?.map_or(0, |entry| entry.places.iter().filter(|at| is_beyond(at)).count());
            if count > 0 {
                self.remove_columns(&root, is_beyond)?;
                forgotten += count as u64;
            }
        }
        Ok(forgotten)
    }

    /// The ranges before `end` that have columns, oldest first.
    pub fn column_ranges_before(&self, end: u64) -> Result<Vec<u64>, DbError> {
        let (mut ranges, mut next) = (Vec::new(), 0);
        while next < end {
            let slots = first_slot_of(next).to_be_bytes()..first_slot_of(end).to_be_bytes();
            let Some(key) = self.column_slots.range(slots).keys().next() else { break };
            let Some((slot, _)) = slot_root(&key?) else { break };
            ranges.push(range_of(slot));
            next = range_of(slot) + 1;
        }
        Ok(ranges)
    }

    /// Removes the columns of a range from the index, and says how many there were. Durable after [`Index::flush`].
    pub fn remove_columns_of_range(&self, range: u64) -> Result<u64, DbError> {
        let mut removed = 0;
        loop {
            let slots = first_slot_of(range).to_be_bytes()..first_slot_of(range + 1).to_be_bytes();
            let keys = self.column_slots.range(slots).keys().take(PRUNE_BATCH).collect::<Result<Vec<_>, _>>()?;
            if keys.is_empty() {
                return Ok(removed);
            }
            let (mut columns, mut listed) = (Batch::default(), Batch::default());
            for key in keys {
                if let Some((_, root)) = slot_root(&key) {
                    removed += self.columns(&root)?.map_or(0, |entry| entry.places.len() as u64);
                    columns.remove(root.as_slice());
                }
                listed.remove(key);
            }
            // The slots go last: they are how a prune that was interrupted finds the rest.
            self.columns.apply_batch(columns)?;
            self.column_slots.apply_batch(listed)?;
        }
    }

    /// Up to which length the index knows a file of columns.
    pub fn column_mark(&self, id: SegmentId) -> Result<u64, DbError> {
        Ok(self.column_marks.get(id.key())?.and_then(|value| u64_at(&value, 0)).unwrap_or(0))
    }

    pub fn set_column_mark(&self, id: SegmentId, end: u64) -> Result<(), DbError> {
        self.column_marks.insert(id.key(), &end.to_be_bytes())?;
        Ok(())
    }

    pub fn remove_column_mark(&self, id: SegmentId) -> Result<(), DbError> {
        self.column_marks.remove(id.key())?;
        Ok(())
    }

    /// The files of columns that the index knows.
    pub fn column_marks(&self) -> Result<Vec<SegmentId>, DbError> {
        let mut ids = Vec::new();
        for key in self.column_marks.iter().keys() {
            ids.extend(SegmentId::from_key(&key?));
        }
        Ok(ids)
    }
}
