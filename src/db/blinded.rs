//! Blocks without their payloads' lists, which the execution client has: segment files of their own. A file of whole blocks is
//! deleted when all of its range's canonical blocks are blinded.

use std::{collections::BTreeSet, ops::Range, sync::atomic::Ordering};

use super::{
    Database, Inner, META_SCHEMA,
    error::DbError,
    prune::PruneReport,
    schema::{BlockEntry, Form, SCHEMA_WITH_BLINDED, first_slot_of, range_of},
    segment::Append,
};
use crate::types::{
    BlobKZGCommitments, Hash256, SignedBeaconBlock, SignedBeaconBlockHeader, SignedBlindedBeaconBlock, Slot,
};

/// A block as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // one is made, and taken apart at once
pub enum StoredBlock {
    /// With its payload.
    Whole(SignedBeaconBlock),
    /// With its payload's header.
    Blinded(SignedBlindedBeaconBlock),
}

impl StoredBlock {
    /// Its slot.
    pub fn slot(&self) -> Slot {
        match self {
            StoredBlock::Whole(block) => block.message.slot,
            StoredBlock::Blinded(block) => block.slot(),
        }
    }

    /// Root of its parent.
    pub fn parent_root(&self) -> Hash256 {
        match self {
            StoredBlock::Whole(block) => block.message.parent_root,
            StoredBlock::Blinded(block) => block.parent_root(),
        }
    }

    /// Its header, with the same signature.
    pub fn signed_header(&self) -> SignedBeaconBlockHeader {
        match self {
            StoredBlock::Whole(block) => block.signed_header(),
            StoredBlock::Blinded(block) => block.signed_header(),
        }
    }

    /// Commitments to its blobs.
    pub fn commitments(&self) -> &BlobKZGCommitments {
        match self {
            StoredBlock::Whole(block) => &block.message.body.blob_kzg_commitments,
            StoredBlock::Blinded(block) => block.commitments(),
        }
    }
}

/// Blinded blocks.
impl Database {
    /// The block with this root in the form in which it is stored; none if it is not. [`DbError::Corrupt`] if it is damaged.
    pub fn stored_block(&self, root: Hash256) -> Result<Option<StoredBlock>, DbError> {
        let Some((entry, ssz)) = self.inner.entry(root)? else { return Ok(None) };
        let config = &self.inner.config;
        let block = match entry.form {
            Form::Whole => SignedBeaconBlock::from_ssz_bytes_by_slot(config, &ssz).map(StoredBlock::Whole),
            Form::Blinded => SignedBlindedBeaconBlock::from_ssz_bytes_by_slot(config, &ssz).map(StoredBlock::Blinded),
        };
        block.map(Some).map_err(|_| {
            self.inner.unreadable(&entry, "the record is not a block of this network and of this build's preset")
        })
    }

    /// Whether the block with this root is stored without its payload. Does not read it.
    pub fn is_blinded(&self, root: Hash256) -> Result<bool, DbError> {
        Ok(self.inner.index.block(&root)?.is_some_and(|entry| entry.form == Form::Blinded))
    }

    /// Stores blocks blinded, under their roots, in the place of the whole ones. Those whose block is not stored whole are
    /// passed over. When this returns they are durable; on an error the blocks are what they were.
    pub fn put_blinded(&self, blocks: &[(Hash256, SignedBlindedBeaconBlock)]) -> Result<(), DbError> {
        let inner = &self.inner;
        let _guard = inner.write();
        inner.check_writable()?;
        let mut entries: Vec<(Hash256, BlockEntry)> = Vec::with_capacity(blocks.len());
        let mut append = inner.blinded.append();
        for (root, block) in blocks {
            let Some(whole) = inner.index.block(root)?.filter(|entry| entry.form == Form::Whole) else { continue };
            let location = append.put(whole.slot, *root, &block.as_ssz_bytes())?;
            entries.push((*root, BlockEntry { form: Form::Blinded, location, ..whole }));
        }
        if entries.is_empty() {
            return Ok(());
        }
        // Durable before the first of them is.
        let version = SCHEMA_WITH_BLINDED.to_string();
        if inner.index.meta(META_SCHEMA)?.is_none_or(|found| found != version.as_bytes()) {
            self.put_meta(META_SCHEMA, version.as_bytes())?;
        }
        inner.commit_blocks(Form::Blinded, append, &entries)
    }

    /// The canonical blocks of these slots that are stored whole, oldest first.
    pub fn whole_blocks(&self, slots: Range<Slot>) -> Result<Vec<Hash256>, DbError> {
        let mut roots = Vec::new();
        for (_, root) in self.canonical_roots(slots)? {
            if self.inner.index.block(&root)?.is_some_and(|entry| entry.form == Form::Whole) {
                roots.push(root);
            }
        }
        Ok(roots)
    }

    /// The ranges of [`super::SLOTS_PER_SEGMENT`] slots within `slots` that have files of whole blocks, newest first.
    pub fn whole_ranges(&self, slots: Range<Slot>) -> Vec<Range<Slot>> {
        let ranges: BTreeSet<u64> = self.inner.blocks.list().iter().map(|(id, _)| id.range).collect();
        let slots_of = |range: &u64| first_slot_of(*range)..first_slot_of(range + 1);
        let is_within = |range: &Range<Slot>| slots.start <= range.start && range.end <= slots.end;
        ranges.iter().rev().map(slots_of).filter(is_within).collect()
    }

    /// Deletes the files of whole blocks of the range that begins with `slot`, if all of its canonical blocks are blinded. The
    /// range must be finalized: blocks that are not canonical are forgotten.
    pub fn drop_whole(&self, slot: Slot) -> Result<PruneReport, DbError> {
        let inner = &self.inner;
        let (_guard, range) = (inner.write(), range_of(slot));
        let mut report = PruneReport::default();
        let mut aside = Vec::new();
        for item in inner.index.blocks_in(first_slot_of(range)..first_slot_of(range + 1)) {
            let (slot, root) = item?;
            if inner.index.block(&root)?.is_some_and(|entry| entry.form == Form::Blinded) {
                continue;
            }
            if inner.index.canonical(slot)? == Some(root) {
                return Ok(report);
            }
            aside.push((slot, root));
        }
        report.blocks = aside.len() as u64;
        for (slot, root) in aside {
            inner.index.remove_block(&root, slot)?;
        }
        inner.remove_files(Form::Whole, range, &mut report)?;
        Ok(report)
    }
}

impl Inner {
    /// Makes what was appended durable, and then known. The caller holds [`Inner::write`].
    pub(super) fn commit_blocks(
        &self,
        form: Form,
        append: Append<'_>,
        entries: &[(Hash256, BlockEntry)],
    ) -> Result<(), DbError> {
        let ends = append.new_ends();
        append.commit()?;
        let indexed = self.index.put_blocks(entries).and_then(|()| self.index.flush());
        // sled does not recover from a failed write: without this, every further try would make the segment longer.
        self.index_failed.store(indexed.is_err(), Ordering::Relaxed);
        indexed?;
        // Not flushed: should these be lost, the next opening reads a little more than it needs to.
        ends.iter().try_for_each(|(id, end)| self.index.set_mark(form, *id, *end))
    }
}
