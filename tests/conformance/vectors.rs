//! Finds the vectors, unpacking their archives if need be.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

const HOW_TO_GET: &str = "Unpack the archives of the consensus specification's reference tests (general, minimal and \
    mainnet, published with the releases of ethereum/consensus-specs) into one folder, and set HORNERO_VECTORS to it.";

/// The folders that hold `<preset>/<fork>/<runner>/...`.
pub fn find() -> Vec<PathBuf> {
    if let Ok(folder) = std::env::var("HORNERO_VECTORS") {
        let tests = Path::new(&folder).join("tests");
        assert!(
            tests.is_dir(),
            "HORNERO_VECTORS is {folder}, but there is no folder {}. {HOW_TO_GET}",
            tests.display()
        );
        return vec![tests];
    }
    let archives = archives();
    assert!(
        !archives.is_empty(),
        "No vectors: no archives in ../shared/conformance, HORNERO_VECTORS unset. {HOW_TO_GET}"
    );
    archives.iter().map(|archive| unpacked(archive).join("tests")).collect()
}

fn archives() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut archives: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    archives.retain(|path| path.to_string_lossy().ends_with(".tar.zst"));
    archives.sort();
    archives
}

/// The folder under `target` that has the content of `archive`. Its name carries the archive's size and time, so that
/// another archive is unpacked anew; it appears under that name only when it is whole.
fn unpacked(archive: &Path) -> PathBuf {
    let metadata = fs::metadata(archive).expect("the archive was just listed");
    let seconds =
        metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_secs());
    let name = archive.file_name().expect("a file has a name").to_string_lossy();
    let stem = name.trim_end_matches(".tar.zst");
    let vectors = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vectors");
    let target = vectors.join(format!("{stem}@{}-{seconds}", metadata.len()));
    if !target.is_dir() {
        fs::create_dir_all(&vectors).expect("the target folder can be written");
        remove_old(&vectors, stem);
        let partial = tempfile::tempdir_in(&vectors).expect("the target folder can be written");
        unpack(archive, partial.path()).unwrap_or_else(|error| panic!("cannot unpack {}: {error}", archive.display()));
        // Another run may have been faster; what counts is that the folder is there.
        let renamed = fs::rename(partial.path(), &target);
        assert!(target.is_dir(), "cannot create {}: {renamed:?}", target.display());
    }
    target
}

fn remove_old(vectors: &Path, stem: &str) {
    for entry in fs::read_dir(vectors).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&format!("{stem}@")) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn unpack(archive: &Path, target: &Path) -> io::Result<()> {
    let file = io::BufReader::new(fs::File::open(archive)?);
    let decoder = ruzstd::decoding::StreamingDecoder::new(file).map_err(io::Error::other)?;
    tar::Archive::new(decoder).unpack(target)
}
