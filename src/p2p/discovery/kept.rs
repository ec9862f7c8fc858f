//! The peers to come back to after a restart, in a file with one record a line.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
};

use tracing::warn;

use crate::p2p::identity::Enr;

/// Records that are kept: some that are gone by the next start leave enough others. 40 KB.
pub const MAX_KEPT: usize = 128;
/// A record in text has 400 characters at most.
const MAX_FILE_BYTES: u64 = 512 * MAX_KEPT as u64;

/// The records in the file; what is not one is passed over.
pub fn read(path: &Path) -> Vec<Enr> {
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            warn!("{} cannot be read ({error}): peers of earlier are not tried first", path.display());
        }
        _ => {}
    }
    text.lines().filter_map(|line| line.parse().ok()).take(MAX_KEPT).collect()
}

/// Writes records, whole or not at all.
pub fn write(path: &Path, records: &[Enr]) -> io::Result<()> {
    let text: String = records.iter().take(MAX_KEPT).map(|record| record.to_base64() + "\n").collect();
    let temporary = path.with_extension("new");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::{
        super::record::tests::{forks, record},
        *,
    };
    use crate::p2p::messages::MetaData;

    #[test]
    fn what_was_written_is_read_and_the_rest_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peers");
        assert!(read(&path).is_empty());
        let records: Vec<Enr> = (1..=3).map(|n| record(n, "3.3.3.3", &forks(), &MetaData::default())).collect();
        write(&path, &records).unwrap();
        assert_eq!(read(&path), records);
        fs::write(&path, format!("nonsense\n{}\nenr:-broken\n", records[1].to_base64())).unwrap();
        assert_eq!(read(&path), records[1..2]);
        let many: Vec<Enr> = std::iter::repeat_n(records[0].clone(), 2 * MAX_KEPT).collect();
        write(&path, &many).unwrap();
        assert_eq!(read(&path).len(), MAX_KEPT);
    }
}
