//! Opening a data directory: whose it is, what a crash tore, and what it left unindexed.

use std::{fs, path::Path, path::PathBuf, sync::Arc, time::Duration};

use tracing::{info, warn};

use super::{
    BLINDED_DIR, BLOCKS_DIR, COLUMNS_DIR, DIFFERENCES_DIR, Database, INDEX_DIR, Inner, META_NETWORK, META_SCHEMA,
    STATES_DIR,
    error::{Context, DbError},
    files,
    index::Index,
    record::{Header, Kind},
    scan::{Damaged, Scan, scan},
    schema::{BlockEntry, Form, Location, Network, SCHEMA_VERSION, SCHEMA_WITH_BLINDED, SegmentId, peek_block},
    segment::Segments,
    state::StateFiles,
};
use crate::types::{Config, Hash256};

/// Blocks indexed in one go while a segment is read again; bounds the memory of opening.
const REINDEX_BATCH: usize = 1024;

/// How to open a data directory.
#[derive(Clone, Debug)]
pub struct DbConfig {
    /// The network that the directory must belong to; a new directory is made for it.
    pub network: Network,
    /// The network's configuration: it tells the fork of a slot.
    pub config: Arc<Config>,
    /// How long a lock is waited for that another process holds. A node that was told to stop needs a few seconds.
    pub lock_wait: Duration,
    /// Bytes that must stay free on the disk. sled does not recover from a full disk before it is opened again, and even
    /// pruning needs some room.
    pub reserve: u64,
}

/// Room for the index to grow by some hundred thousand blocks and to be rewritten.
const DEFAULT_RESERVE: u64 = 128 << 20;

impl DbConfig {
    /// For the network of this genesis and configuration, waiting 30 s for a lock and leaving 128 MiB of the disk free.
    pub fn new(genesis_validators_root: Hash256, config: Arc<Config>) -> DbConfig {
        let network = Network { genesis_validators_root, config_name: config.config_name.clone() };
        DbConfig { network, config, lock_wait: Duration::from_secs(30), reserve: DEFAULT_RESERVE }
    }
}

/// A file whose end was cut off, because a crash had left it unfinished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub file: PathBuf,
    /// Bytes that were cut off.
    pub bytes: u64,
}

/// What opening found. After a clean shutdown everything is empty.
#[derive(Debug, Default)]
pub struct OpenReport {
    /// How long opening took because another process held the lock, and for the index to load.
    pub index_opened_after: Duration,
    /// Files with a torn end.
    pub torn: Vec<TornTail>,
    /// Damaged records among whole ones, each as [`DbError::Corrupt`].
    pub damaged: Vec<DbError>,
    /// Blocks that a crash had left out of the index, and that are in it again.
    pub reindexed_blocks: u64,
    /// Blocks that the index named and the files do not have (any more).
    pub lost_blocks: u64,
    /// States that a crash had left out of the index, and that are in it again.
    pub reindexed_states: u64,
    /// Differences of states that the index named and the files do not have.
    pub lost_differences: u64,
    /// Data columns that a crash had left out of the index, and that are in it again.
    pub reindexed_columns: u64,
    /// Data columns that the index named and the files do not have (any more).
    pub lost_columns: u64,
}

impl Database {
    /// Opens the data directory at `path`, and makes it if it is not there. Waits for a lock that another process holds.
    pub fn open(path: &Path, config: &DbConfig) -> Result<(Database, OpenReport), DbError> {
        fs::create_dir_all(path).doing("create", path)?;
        // The index comes first: its lock guards all the rest.
        let (index, waited) = Index::open(&path.join(INDEX_DIR), config.lock_wait)?;
        check_identity(path, &index, &config.network)?;
        files::list_finished(path)?;
        let inner = Inner {
            path: path.to_path_buf(),
            config: config.config.clone(),
            reserve: config.reserve,
            index,
            blocks: Segments::open(&path.join(BLOCKS_DIR), Kind::Block)?,
            blinded: Segments::open(&path.join(BLINDED_DIR), Kind::Blinded)?,
            states: StateFiles::open(&path.join(STATES_DIR))?,
            differences: Segments::open(&path.join(DIFFERENCES_DIR), Kind::Difference)?,
            columns: Segments::open(&path.join(COLUMNS_DIR), Kind::Column)?,
            write: Default::default(),
            write_columns: Default::default(),
            index_failed: Default::default(),
            write_state: Default::default(),
        };
        let mut report = OpenReport { index_opened_after: waited, ..OpenReport::default() };
        for form in Form::BOTH {
            for (id, len) in inner.segments(form).list() {
                inner.check_segment(form, id, len, &mut report)?;
            }
            inner.forget_missing_segments(form, &mut report)?;
        }
        inner.check_columns(&mut report)?;
        inner.find_states(&mut report)?;
        report.lost_differences = inner.check_differences()?;
        inner.index.flush()?;
        report.log();
        Ok((Database { inner: Arc::new(inner) }, report))
    }
}

/// Refuses another network's directory, or another layout's; puts our name on a new one.
fn check_identity(path: &Path, index: &Index, network: &Network) -> Result<(), DbError> {
    let path = path.to_path_buf();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if let Some(found) = index.meta(META_SCHEMA)?.map(text)
        && ![SCHEMA_VERSION, SCHEMA_WITH_BLINDED].iter().any(|known| found == known.to_string())
    {
        return Err(DbError::Schema { path, found, supported: SCHEMA_WITH_BLINDED });
    }
    let expected = network.describe();
    match index.meta(META_NETWORK)?.map(text) {
        Some(found) if found != expected => Err(DbError::WrongNetwork { path, found, expected }),
        Some(_) => Ok(()),
        None => {
            index.put_meta(META_SCHEMA, SCHEMA_VERSION.to_string().as_bytes())?;
            index.put_meta(META_NETWORK, expected.as_bytes())?;
            index.flush()
        }
    }
}

impl Inner {
    /// Reads what the index does not know of a file, which after a clean shutdown is nothing.
    fn check_segment(&self, form: Form, id: SegmentId, len: u64, report: &mut OpenReport) -> Result<(), DbError> {
        let mark = self.index.mark(form, id)?;
        if mark == len {
            return Ok(());
        }
        // A file that is shorter than it was is read from the start: the index may name what is not there.
        let from = if mark < len { mark } else { 0 };
        let scan = self.reindex(form, id, from, len, report)?;
        let files = self.segments(form);
        if scan.end < len {
            report.torn.push(TornTail { file: files.path(id), bytes: len - scan.end });
            files.cut(id, scan.end)?;
        }
        if scan.end < len || mark > len {
            report.lost_blocks += self.index.forget_beyond(form, id, scan.end)?;
        }
        for damaged in scan.damaged {
            self.forget_damaged(form, id, &damaged)?;
            report.damaged.push(DbError::Corrupt {
                file: files.path(id),
                offset: damaged.offset,
                reason: "the checksum does not match; the records around it are whole",
            });
        }
        self.index.flush()?;
        self.index.set_mark(form, id, scan.end)
    }

    /// Puts the blocks between `from` and `len` into the index.
    fn reindex(
        &self,
        form: Form,
        id: SegmentId,
        from: u64,
        len: u64,
        report: &mut OpenReport,
    ) -> Result<Scan, DbError> {
        let file = self.segments(form).file(id)?;
        let mut batch = Vec::new();
        let mut failed = None;
        let scanned = scan(&file, from, len, |offset, header, stored| {
            batch.extend(block_entry(form, id, offset, header, stored));
            if batch.len() >= REINDEX_BATCH && failed.is_none() {
                failed = self.index_found(&mut batch, report).err();
            }
        });
        let scanned = scanned.doing("read", &self.segments(form).path(id))?;
        self.index_found(&mut batch, report)?;
        failed.map_or(Ok(scanned), Err)
    }

    fn index_found(&self, batch: &mut Vec<(Hash256, BlockEntry)>, report: &mut OpenReport) -> Result<(), DbError> {
        let mut new = Vec::new();
        for (root, entry) in batch.drain(..) {
            let known = self.index.block(&root)?;
            // A file of whole blocks that should have been deleted: they are blinded already.
            let is_superseded =
                known.as_ref().is_some_and(|known| known.form == Form::Blinded) && entry.form == Form::Whole;
            if !is_superseded && known.as_ref() != Some(&entry) {
                report.reindexed_blocks += 1;
                new.push((root, entry));
            }
        }
        self.index.put_blocks(&new)
    }

    /// A damaged block is no longer had, so that it can be asked for again.
    fn forget_damaged(&self, form: Form, id: SegmentId, damaged: &Damaged) -> Result<(), DbError> {
        let Some(header) = &damaged.header else { return Ok(()) };
        let is_it =
            |at: BlockEntry| at.form == form && at.location.segment == id && at.location.offset == damaged.offset;
        if self.index.block(&header.root)?.is_some_and(is_it) {
            self.index.remove_block(&header.root, header.slot)?;
        }
        Ok(())
    }

    fn forget_missing_segments(&self, form: Form, report: &mut OpenReport) -> Result<(), DbError> {
        let there = self.segments(form).list();
        for id in self.index.marked(form)? {
            if there.binary_search_by_key(&id, |(id, _)| *id).is_err() {
                report.lost_blocks += self.index.forget_beyond(form, id, 0)?;
                self.index.remove_mark(form, id)?;
            }
        }
        Ok(())
    }

    /// Indexes states whose file was finished just before a crash.
    fn find_states(&self, report: &mut OpenReport) -> Result<(), DbError> {
        for (slot, root) in self.states.list()? {
            if self.index.state(&root)?.is_none() {
                self.index.put_state(&root, slot)?;
                report.reindexed_states += 1;
            }
        }
        Ok(())
    }
}

/// None for a record whose payload is not a block, which only another program could have written.
fn block_entry(
    form: Form,
    id: SegmentId,
    offset: u64,
    header: &Header,
    stored: &[u8],
) -> Option<(Hash256, BlockEntry)> {
    let ssz = header.unpack(stored).ok()?;
    let (slot, parent_root) = peek_block(&ssz)?;
    let location = Location { segment: id, offset, stored_len: header.stored_len };
    (slot == header.slot).then_some((header.root, BlockEntry { form, location, slot, parent_root }))
}

impl OpenReport {
    /// Whether nothing had to be repaired.
    pub fn is_clean(&self) -> bool {
        self.torn.is_empty()
            && self.damaged.is_empty()
            && self.reindexed_blocks == 0
            && self.lost_blocks == 0
            && self.reindexed_states == 0
            && self.lost_differences == 0
            && self.reindexed_columns == 0
            && self.lost_columns == 0
    }

    fn log(&self) {
        for torn in &self.torn {
            warn!("cut {} unfinished bytes off the end of {}", torn.bytes, torn.file.display());
        }
        for error in &self.damaged {
            warn!("{error}; it will be fetched again if it is needed");
        }
        if self.lost_blocks > 0 {
            warn!("{} blocks are no longer in their files; they will be fetched again if needed", self.lost_blocks);
        }
        if self.lost_differences > 0 {
            warn!("{} stored states are no longer in their files; more blocks are replayed", self.lost_differences);
        }
        if self.lost_columns > 0 {
            warn!("{} data columns are no longer in their files", self.lost_columns);
        }
        if self.reindexed_blocks + self.reindexed_states + self.reindexed_columns > 0 {
            info!(
                "found {} blocks, {} states and {} data columns again that were not in the index",
                self.reindexed_blocks, self.reindexed_states, self.reindexed_columns
            );
        }
    }
}
