//! `merkle_proof`: branches from a field to its container's root.

use hornero::{
    ssz::proof::{field_branch, is_valid_merkle_branch},
    types::{BeaconBlockBody, Hash256},
};
use tree_hash::TreeHash;

use super::case::Case;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    leaf: Hash256,
    leaf_index: u64,
    branch: Vec<Hash256>,
}

pub fn run(case: &Case) -> Result<(), String> {
    match (case.handler.as_str(), case.suite.as_str()) {
        ("single_merkle_proof", "BeaconBlockBody") => {
            let bytes = case.ssz_bytes("object")?;
            let body = BeaconBlockBody::from_ssz_bytes(case.fork()?, &bytes).map_err(|error| format!("{error:?}"))?;
            check(case, &body.field_roots(), body.tree_hash_root())
        }
        (handler, suite) => Err(format!("unknown handler or type: {handler}, {suite}")),
    }
}

/// Their proof is valid for our root, and ours is the same.
fn check(case: &Case, field_roots: &[Hash256], root: Hash256) -> Result<(), String> {
    let proof: Proof = case.yaml("proof")?;
    // A generalized index is the leaf's index with a one in front of it, `depth` bits up.
    let depth = proof.leaf_index.ilog2();
    let index = proof.leaf_index - (1 << depth);
    if !is_valid_merkle_branch(proof.leaf, &proof.branch, depth as usize, index, root) {
        return Err("the vector's branch is not valid for our root".into());
    }
    if field_roots.get(index as usize) != Some(&proof.leaf) {
        return Err("our leaf differs".into());
    }
    if field_branch(field_roots, index as usize) != proof.branch {
        return Err("our branch differs".into());
    }
    Ok(())
}
