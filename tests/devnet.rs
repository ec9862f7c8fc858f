//! The devnet as a user runs it. In the minimal preset only, where an epoch has 8 slots; with mainnet's 32 it takes over two
//! minutes (`cargo run --release -- devnet --until-finalized 2`).
#![cfg(feature = "minimal")]

use std::process::Command;

/// Runs `hornero devnet` with these arguments; its exit code and what it said.
fn devnet(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hornero")).arg("devnet").args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said)
}

#[test]
fn a_small_network_finalizes_and_one_more_node_joins() {
    let folder = tempfile::tempdir().unwrap();
    let datadir = folder.path().to_str().unwrap();
    let arguments = ["--nodes", "2", "--validators", "16", "--slot-ms", "750", "--until-finalized", "2"];
    let (succeeded, said) = devnet(&[&arguments[..], &["--datadir", datadir]].concat());
    assert!(succeeded, "{said}");
    for words in ["one more node joins by checkpoint sync", "all 3 nodes agree", "first finality"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(folder.path().join("node3").exists(), "each node has a data directory of its own");
    // The same folder again: another chain's data is not touched.
    let (succeeded, said) = devnet(&["--datadir", datadir]);
    assert!(!succeeded && said.contains("another devnet"), "{said}");
}
