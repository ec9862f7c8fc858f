//! Runs the consensus specification's official vectors against this build's preset.
//!
//! The vectors come from the folder that `HORNERO_VECTORS` names, or from the archives in `../shared/conformance`. While
//! working on something, `HORNERO_CASES=fulu/operations/attestation` runs the cases whose path has that in it.
//! What passed is compared with `docs/conformance.md`; `HORNERO_WRITE_CONFORMANCE=1` writes this build's part of it.

mod conformance {
    pub mod blocks;
    pub mod bls;
    pub mod case;
    pub mod config;
    pub mod epoch_processing;
    pub mod fork;
    pub mod fork_choice;
    pub mod genesis;
    pub mod kzg;
    pub mod light_client;
    pub mod light_client_data;
    pub mod merkle_proof;
    pub mod networking;
    pub mod operations;
    pub mod pool;
    pub mod report;
    pub mod rewards;
    pub mod sanity;
    pub mod sets;
    pub mod shuffling;
    pub mod ssz_generic;
    pub mod ssz_static;
    pub mod state_text;
    pub mod states;
    mod tests;
    pub mod vectors;
}
use conformance::{pool, report, sets, vectors};

/// Failures that are printed; the rest is counted.
const FAILURES_SHOWN: usize = 20;

#[test]
fn official_vectors() {
    let found = vectors::find();
    let only = std::env::var("HORNERO_CASES").ok();
    let plan = sets::plan(&found, only.as_deref()).unwrap_or_else(|error| panic!("{error}"));
    let outcome = pool::run(&plan.cases);
    print!("{}", report::table(&outcome.passed));
    for (path, reason) in outcome.failed.iter().take(FAILURES_SHOWN) {
        println!("FAILED {path}: {reason}");
    }
    let (failed, passed) = (outcome.failed.len(), outcome.passed.values().sum::<usize>());
    assert_eq!(failed, 0, "{failed} cases failed, {passed} passed");
    match only {
        Some(filter) => assert!(passed > 0, "no case has {filter} in its path"),
        None => report::check_committed(&outcome.passed, &plan.gaps),
    }
}
