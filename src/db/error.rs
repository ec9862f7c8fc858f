//! What can go wrong with the data directory, in words that say what to do.

use std::{io, path::PathBuf, time::Duration};

/// An error of the database. After any of them, what was stored before can still be read.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Another process holds the directory.
    #[error(
        "{} is in use by another process (waited {} s): stop the other node, or choose another --datadir",
        path.display(),
        waited.as_secs()
    )]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The directory belongs to another network or preset.
    #[error(
        "{} holds the data of another network ({found}), this node is for {expected}: choose another --datadir",
        path.display()
    )]
    WrongNetwork {
        /// The data directory.
        path: PathBuf,
        /// The network that the directory was made for.
        found: String,
        /// The network that was asked for.
        expected: String,
    },
    /// The directory was written by a version with another layout.
    #[error(
        "{} has layout version {found}, this program reads {supported}: use the version of hornero that wrote it, or an empty --datadir",
        path.display()
    )]
    Schema {
        /// The data directory.
        path: PathBuf,
        /// The layout's version on disk.
        found: String,
        /// The layout's version that this program reads.
        supported: u32,
    },
    /// The operating system refused.
    #[error("could not {doing} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// What was tried: a verb.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Too little room is left to write anything, except to prune.
    #[error(
        "the disk of {} has {} MiB left and {} MiB must stay free: make room, blocks are not stored until then",
        path.display(),
        left >> 20,
        reserve >> 20
    )]
    DiskFull {
        /// The data directory.
        path: PathBuf,
        /// Free bytes.
        left: u64,
        /// Bytes that must stay free.
        reserve: u64,
    },
    /// The index refused.
    #[error("the index of the database failed: {0}{advice}", advice = index_advice(.0))]
    Index(#[from] sled::Error),
    /// The index failed earlier, and takes no more changes until the directory is opened again.
    #[error(
        "the database only reads since its index failed: see the earlier error, check the disk, and start hornero again"
    )]
    ReadOnly,
    /// What was read is not what was written. Other records are not affected.
    #[error("{} is damaged at byte {offset}: {reason}", file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// Where the damaged record starts.
        offset: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// A block whose payload only the execution client has.
    #[error("the block of slot {slot} is stored without its payload, which the execution client has to give")]
    Blinded {
        /// Its slot.
        slot: u64,
    },
    /// A value beyond its limit. Nothing was written.
    #[error("{what} has {len} bytes, the limit is {max}")]
    TooLarge {
        /// What was to be stored or asked for.
        what: &'static str,
        /// Its length.
        len: u64,
        /// The limit.
        max: u64,
    },
}

/// The one I/O error that its reader can do something about.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ". Free some space on this disk and start again",
        io::ErrorKind::PermissionDenied => ". The user that runs hornero must own the data directory",
        io::ErrorKind::ReadOnlyFilesystem => ". The disk is mounted read-only; a failing SD card does that too",
        _ => "",
    }
}

fn index_advice(error: &sled::Error) -> &'static str {
    match error {
        sled::Error::Io(e) => advice(e),
        sled::Error::Corruption { .. } => {
            ". Remove its folder `index`: blocks and states are found again, the rest is not"
        }
        _ => "",
    }
}

/// Adds what was tried, and on what, to an I/O error.
pub(super) trait Context<T> {
    /// `doing` is a verb: "write", "sync".
    fn doing(self, doing: &'static str, path: &std::path::Path) -> Result<T, DbError>;
}

impl<T> Context<T> for io::Result<T> {
    fn doing(self, doing: &'static str, path: &std::path::Path) -> Result<T, DbError> {
        self.map_err(|source| DbError::Io { doing, path: path.to_path_buf(), source })
    }
}
