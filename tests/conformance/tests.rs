//! The harness must not let anything slip.

use std::fs;

use super::{case::Case, pool, sets};

const MANIFEST: &str = "preset: general\nfork: phase0\nrunner: bls\nhandler: verify\nsuite: bls\ncase: one\n";
const PATH: [&str; 6] = ["general", "phase0", "bls", "verify", "bls", "one"];
/// A signature that is none.
const DATA: &str = "{input: {pubkey: '0x00', message: '0x0000000000000000000000000000000000000000000000000000000000000000', \
    signature: '0x00'}, output: false}";

/// What running one case says, whose folder has these files.
fn outcome(files: &[(&str, &str)]) -> Result<(), String> {
    let root = tempfile::tempdir().unwrap();
    let case = Case::new(root.path(), PATH);
    let folder = root.path().join(case.path());
    fs::create_dir_all(&folder).unwrap();
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
    pool::run(&[case]).failed.remove("general/phase0/bls/verify/bls/one").map_or(Ok(()), Err)
}

#[test]
fn a_case_passes() {
    assert_eq!(outcome(&[("manifest.yaml", MANIFEST), ("data.yaml", DATA)]), Ok(()));
}

#[test]
fn another_result_fails() {
    let data = DATA.replace("false", "true");
    assert!(outcome(&[("manifest.yaml", MANIFEST), ("data.yaml", &data)]).unwrap_err().contains("instead of"));
}

#[test]
fn a_file_that_is_never_opened_fails() {
    let result = outcome(&[("manifest.yaml", MANIFEST), ("data.yaml", DATA), ("post.ssz_snappy", "")]);
    assert_eq!(result.unwrap_err(), "passed, but never opened post.ssz_snappy");
}

#[test]
fn a_manifest_of_another_case_fails() {
    let manifest = MANIFEST.replace("one", "two");
    assert!(outcome(&[("manifest.yaml", &manifest), ("data.yaml", DATA)]).unwrap_err().contains("the manifest says"));
}

#[test]
fn a_set_that_nobody_decided_on_fails() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("minimal/fulu/new_runner/handler/suite/case")).unwrap();
    let error = sets::plan(&[root.path().to_owned()], None).err().unwrap();
    assert!(error.contains("minimal/fulu/new_runner"), "{error}");
}

#[test]
fn a_file_outside_of_any_case_fails() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("general/phase0/bls/verify/bls/one")).unwrap();
    fs::write(root.path().join("general/phase0/bls/stray.yaml"), "").unwrap();
    let error = sets::plan(&[root.path().to_owned()], None).err().unwrap();
    assert!(error.contains("stray.yaml belongs to no case"), "{error}");
}
