//! Data columns: segment files of their own, and one entry of the index for all columns of a block.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
};

use ssz::{Decode, Encode};

use super::{
    Database, Inner,
    error::{Context, DbError},
    open::{OpenReport, TornTail},
    prune::PruneReport,
    record::Header,
    scan::{Damaged, scan},
    schema::{self, ColumnPlace, SegmentId, range_of},
};
use crate::types::{ColumnIndex, DataColumnSidecar, Hash256, Slot, preset::NUMBER_OF_COLUMNS};

/// Columns indexed in one go while a segment is read again; bounds the memory of opening.
const REINDEX_BATCH: usize = 1024;
const META_EARLIEST: &str = "db/earliest_column_slot";

/// Columns on their way into the index: which block, its slot, and where each is.
type Found = Vec<(Hash256, Slot, ColumnPlace)>;

/// Data columns. They need not be of a block that is stored.
impl Database {
    /// Stores columns under their blocks' roots. When this returns they are durable; on an error none of them is seen (a
    /// later opening may still find those that reached the disk). What is stored already is not written again.
    pub fn put_columns(&self, columns: &[(Hash256, Arc<DataColumnSidecar>)]) -> Result<(), DbError> {
        let inner = &self.inner;
        let _guard = inner.write_columns();
        inner.check_writable()?;
        let mut found = Found::new();
        let mut append = inner.columns.append();
        for (root, sidecar) in columns {
            let index = column_byte(sidecar.index)?;
            let is_new = !found.iter().any(|(other, _, place)| other == root && place.column == index);
            if !is_new || inner.index.columns(root)?.is_some_and(|entry| entry.place(index).is_some()) {
                continue;
            }
            let slot = sidecar.signed_block_header.message.slot;
            let at = append.put(slot, *root, &sidecar.as_ssz_bytes())?;
            let place =
                ColumnPlace { column: index, part: at.segment.part, offset: at.offset, stored_len: at.stored_len };
            found.push((*root, slot, place));
        }
        if found.is_empty() {
            return Ok(());
        }
        let ends = append.new_ends();
        append.commit()?;
        let indexed = inner.index.add_columns(&found).and_then(|()| inner.index.flush());
        inner.index_failed.store(indexed.is_err(), Ordering::Relaxed);
        indexed?;
        // Not flushed, as with blocks.
        ends.iter().try_for_each(|(id, end)| inner.index.set_column_mark(*id, *end))
    }

    /// A column of the block with this root; none if it is not stored. [`DbError::Corrupt`] if it is damaged.
    pub fn column(&self, root: Hash256, column: ColumnIndex) -> Result<Option<DataColumnSidecar>, DbError> {
        let Some((_, ssz)) = self.column_ssz(root, column)? else { return Ok(None) };
        let sidecar = DataColumnSidecar::from_ssz_bytes(&ssz);
        sidecar.map(Some).map_err(|_| self.inner.bad_column(root, column, "the record is not a column"))
    }

    /// The block's slot and the column's SSZ, for serving it.
    pub fn column_ssz(&self, root: Hash256, column: ColumnIndex) -> Result<Option<(Slot, Vec<u8>)>, DbError> {
        let Ok(index) = column_byte(column) else { return Ok(None) };
        let Some(entry) = self.inner.index.columns(&root)? else { return Ok(None) };
        let Some(at) = entry.place(index).map(|place| place.location(entry.slot)) else { return Ok(None) };
        let Some(ssz) = self.inner.columns.read(at, root)? else { return Ok(None) };
        if schema::peek_column(&ssz) != Some(column) {
            return Err(self.inner.bad_column(root, column, "another column is in this place"));
        }
        Ok(Some((entry.slot, ssz)))
    }

    /// The stored columns of the block with this root, ascending. Does not read them.
    pub fn columns_of(&self, root: Hash256) -> Result<Vec<ColumnIndex>, DbError> {
        let places = self.inner.index.columns(&root)?.map(|entry| entry.places).unwrap_or_default();
        let mut columns: Vec<ColumnIndex> = places.iter().map(|place| place.column.into()).collect();
        columns.sort_unstable();
        Ok(columns)
    }

    /// Forgets a damaged column, so that it can be stored again.
    pub fn forget_column(&self, root: Hash256, column: ColumnIndex) -> Result<(), DbError> {
        let _guard = self.inner.write_columns();
        match column_byte(column) {
            Ok(index) => self.inner.index.remove_columns(&root, |place| place.column == index),
            Err(_) => Ok(()),
        }
    }

    /// Removes the columns of all ranges of [`super::SLOTS_PER_SEGMENT`] slots that end at or before `before`. Writers wait
    /// for one range at a time. Interrupted, it goes on where it was when it is called again.
    pub fn prune_columns_before(&self, before: Slot) -> Result<PruneReport, DbError> {
        let inner = &self.inner;
        let end = range_of(before);
        let mut ranges: BTreeSet<u64> = inner.index.column_ranges_before(end)?.into_iter().collect();
        ranges.extend(inner.columns.list().iter().map(|(id, _)| id.range).filter(|range| *range < end));
        let mut report = PruneReport::default();
        for range in ranges {
            inner.prune_columns_of(range, &mut report)?;
        }
        let first = schema::first_slot_of(end);
        if self.earliest_column_slot()?.is_some_and(|slot| slot < first) {
            self.set_earliest_column_slot(first)?;
        }
        Ok(report)
    }

    /// Notes the first slot from which on all columns of our custody are stored. Pruning raises it.
    pub fn set_earliest_column_slot(&self, slot: Slot) -> Result<(), DbError> {
        self.inner.index.put_meta(META_EARLIEST, &slot.to_be_bytes())?;
        self.inner.index.flush()
    }

    /// The slot of [`Self::set_earliest_column_slot`].
    pub fn earliest_column_slot(&self) -> Result<Option<Slot>, DbError> {
        Ok(self.meta(META_EARLIEST)?.and_then(|value| schema::u64_at(&value, 0)))
    }
}

/// Columns are numbered in a byte.
fn column_byte(column: ColumnIndex) -> Result<u8, DbError> {
    let all = NUMBER_OF_COLUMNS as u64;
    let byte = u8::try_from(column).ok().filter(|_| column < all);
    byte.ok_or(DbError::TooLarge { what: "a column's index", len: column, max: all - 1 })
}

impl Inner {
    pub(super) fn write_columns(&self) -> MutexGuard<'_, ()> {
        self.write_columns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bad_column(&self, root: Hash256, column: ColumnIndex, reason: &'static str) -> DbError {
        let entry = self.index.columns(&root).ok().flatten();
        let place = entry.as_ref().and_then(|entry| entry.place(column as u8).map(|it| it.location(entry.slot)));
        let (file, offset) = place.map_or_else(Default::default, |at| (self.columns.path(at.segment), at.offset));
        DbError::Corrupt { file, offset, reason }
    }

    fn prune_columns_of(&self, range: u64, report: &mut PruneReport) -> Result<(), DbError> {
        let _guard = self.write_columns();
        // The index first, as with blocks.
        report.columns += self.index.remove_columns_of_range(range)?;
        let files: Vec<_> = self.columns.list().into_iter().filter(|(id, _)| id.range == range).collect();
        for (id, _) in &files {
            self.index.remove_column_mark(*id)?;
        }
        self.index.flush()?;
        for (id, _) in files {
            report.bytes += self.columns.remove(id)?;
            report.files += 1;
        }
        self.columns.sync_dir()
    }

    /// Reads what the index does not know of the columns' files, and forgets what they do not have.
    pub(super) fn check_columns(&self, report: &mut OpenReport) -> Result<(), DbError> {
        let files: BTreeMap<SegmentId, u64> = self.columns.list().into_iter().collect();
        for (id, len) in &files {
            self.check_column_file(*id, *len, report)?;
        }
        for id in self.index.column_marks()? {
            if !files.contains_key(&id) {
                report.lost_columns += self.index.forget_columns_beyond(id, 0)?;
                self.index.remove_column_mark(id)?;
            }
        }
        Ok(())
    }

    fn check_column_file(&self, id: SegmentId, len: u64, report: &mut OpenReport) -> Result<(), DbError> {
        let mark = self.index.column_mark(id)?;
        if mark == len {
            return Ok(());
        }
        // A file that is shorter than it was is read from the start: the index may name what is not there.
        let from = if mark < len { mark } else { 0 };
        let path = self.columns.path(id);
        let (mut batch, mut failed) = (Found::new(), None);
        let scanned = scan(&*self.columns.file(id)?, from, len, |offset, header, stored| {
            batch.extend(found_column(id, offset, header, stored));
            if batch.len() >= REINDEX_BATCH && failed.is_none() {
                failed = self.index_columns(&mut batch, report).err();
            }
        });
        let scanned = scanned.doing("read", &path)?;
        self.index_columns(&mut batch, report)?;
        if let Some(error) = failed {
            return Err(error);
        }
        if scanned.end < len {
            report.torn.push(TornTail { file: path.clone(), bytes: len - scanned.end });
            self.columns.cut(id, scanned.end)?;
        }
        if scanned.end < len || mark > len {
            report.lost_columns += self.index.forget_columns_beyond(id, scanned.end)?;
        }
        for Damaged { offset, header } in scanned.damaged {
            if let Some(header) = header {
                let is_it = |place: &ColumnPlace| place.part == id.part && place.offset == offset;
                self.index.remove_columns(&header.root, is_it)?;
            }
            let reason = "the checksum does not match; the records around it are whole";
            report.damaged.push(DbError::Corrupt { file: path.clone(), offset, reason });
        }
        self.index.flush()?;
        self.index.set_column_mark(id, scanned.end)
    }

    fn index_columns(&self, batch: &mut Found, report: &mut OpenReport) -> Result<(), DbError> {
        for (root, _, place) in batch.iter() {
            if self.index.columns(root)?.and_then(|entry| entry.place(place.column)).as_ref() != Some(place) {
                report.reindexed_columns += 1;
            }
        }
        self.index.add_columns(batch)?;
        batch.clear();
        Ok(())
    }
}

/// None for a record whose payload is not a column, or not of this range, which only another program could have written.
fn found_column(id: SegmentId, offset: u64, header: &Header, stored: &[u8]) -> Option<(Hash256, Slot, ColumnPlace)> {
    let column = column_byte(schema::peek_column(&header.unpack(stored).ok()?)?).ok()?;
    let place = ColumnPlace { column, part: id.part, offset, stored_len: header.stored_len };
    (range_of(header.slot) == id.range).then_some((header.root, header.slot, place))
}
