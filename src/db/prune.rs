//! Deleting what is old: whole files, and what the index says of them.

use std::collections::BTreeSet;

use super::{
    Database, Inner,
    error::DbError,
    schema::{Form, first_slot_of, range_of},
};
use crate::types::{Hash256, Slot};

/// What a prune removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Blocks.
    pub blocks: u64,
    /// Segment files.
    pub files: u64,
    /// Bytes of segment files.
    pub bytes: u64,
    /// States.
    pub states: u64,
    /// Data columns.
    pub columns: u64,
}

impl Database {
    /// Removes the blocks of all ranges that end at or before `before`, and the states of older slots.
    ///
    /// `keep` names block roots and state roots. A state in it stays; a block in it stays, and with it its whole range of
    /// [`super::SLOTS_PER_SEGMENT`] slots. Writers wait for one range at a time, not for the whole prune. Interrupted, it
    /// goes on where it was when it is called again.
    pub fn prune_before(&self, before: Slot, keep: &[Hash256]) -> Result<PruneReport, DbError> {
        let inner = &self.inner;
        let end = range_of(before);
        let mut kept = BTreeSet::new();
        for root in keep {
            kept.extend(inner.index.block(root)?.map(|e| range_of(e.slot)));
        }
        let mut ranges: BTreeSet<u64> = inner.index.ranges_before(end)?.into_iter().collect();
        for form in Form::BOTH {
            ranges.extend(inner.segments(form).list().iter().map(|(id, _)| id.range).filter(|range| *range < end));
        }
        let mut report = PruneReport::default();
        for range in ranges.difference(&kept) {
            inner.prune_range(*range, &mut report)?;
        }
        inner.prune_canonical(end, &kept)?;
        inner.prune_states(before, keep, &mut report)?;
        if self.earliest_slot()?.is_none_or(|slot| slot < first_slot_of(end)) {
            self.set_earliest_slot(first_slot_of(end))?;
        }
        inner.index.flush()?;
        Ok(report)
    }

    /// Removes all stored states but these.
    pub fn keep_states(&self, keep: &[Hash256]) -> Result<PruneReport, DbError> {
        let mut report = PruneReport::default();
        self.inner.prune_states(Slot::MAX, keep, &mut report)?;
        Ok(report)
    }
}

impl Inner {
    fn prune_range(&self, range: u64, report: &mut PruneReport) -> Result<(), DbError> {
        let _guard = self.write();
        // The index first: it never names what is not there. After a crash in between, the files are found, indexed and
        // pruned again.
        report.blocks += self.index.remove_range(range)?;
        Form::BOTH.into_iter().try_for_each(|form| self.remove_files(form, range, report))
    }

    /// Removes the files of a range, which the index must not name any more. The caller holds [`Inner::write`].
    pub(super) fn remove_files(&self, form: Form, range: u64, report: &mut PruneReport) -> Result<(), DbError> {
        let segments = self.segments(form);
        let files: Vec<_> = segments.list().into_iter().filter(|(id, _)| id.range == range).collect();
        for (id, _) in &files {
            self.index.remove_mark(form, *id)?;
        }
        self.index.flush()?;
        for (id, _) in files {
            report.bytes += segments.remove(id)?;
            report.files += 1;
        }
        segments.sync_dir()
    }

    /// Removes the canonical roots before range `end`, but for the ranges that are kept.
    fn prune_canonical(&self, end: u64, kept: &BTreeSet<u64>) -> Result<(), DbError> {
        let mut first = 0;
        for range in kept.range(..end).copied().chain([end]) {
            let next = first_slot_of(range);
            if first < next {
                self.index.remove_canonical(first, next - 1)?;
            }
            first = first_slot_of(range + 1);
        }
        Ok(())
    }

    fn prune_states(&self, before: Slot, keep: &[Hash256], report: &mut PruneReport) -> Result<(), DbError> {
        for (slot, root) in self.index.states()? {
            if slot < before && !keep.contains(&root) {
                self.index.remove_state(&root)?;
                self.index.flush()?;
                self.states.remove(slot, &root)?;
                report.states += 1;
            }
        }
        Ok(())
    }
}
