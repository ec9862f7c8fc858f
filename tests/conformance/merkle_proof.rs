//! `merkle_proof` and `light_client/single_merkle_proof`: branches to the root of a body or state.

use hornero::{
    chain::light_client::{compute_merkle_proof, get_subtree_index},
    ssz::proof::{field_branch, is_valid_merkle_branch},
    types::{BeaconBlockBody, Hash256},
};
use tree_hash::TreeHash;

use super::case::Case;

/// Place of the first commitment in a body's tree, as a generalized index.
const BLOB_KZG_COMMITMENTS_GINDEX: u64 = 221_184;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    leaf: Hash256,
    leaf_index: u64,
    branch: Vec<Hash256>,
}

pub fn run(case: &Case) -> Result<(), String> {
    let proof: Proof = case.yaml("proof")?;
    match (case.handler.as_str(), case.suite.as_str()) {
        ("single_merkle_proof", "BeaconBlockBody") => {
            let bytes = case.ssz_bytes("object")?;
            let body = BeaconBlockBody::from_ssz_bytes(case.fork()?, &bytes).map_err(|error| format!("{error:?}"))?;
            let branch = match proof.leaf_index.checked_sub(BLOB_KZG_COMMITMENTS_GINDEX) {
                Some(blob) => body.blob_kzg_commitment_branch(blob as usize),
                None => field_branch(&body.field_roots(), get_subtree_index(proof.leaf_index) as usize),
            };
            check(&proof, &branch, body.tree_hash_root())
        }
        ("single_merkle_proof", "BeaconState") => {
            let mut state = case.state("object")?;
            let branch = compute_merkle_proof(&mut state, proof.leaf_index).ok_or("we have no branch of that")?;
            check(&proof, &branch, state.hash_tree_root())
        }
        (handler, suite) => Err(format!("unknown handler or type: {handler}, {suite}")),
    }
}

/// Our branch is theirs, and valid for our root.
fn check(proof: &Proof, branch: &[Hash256], root: Hash256) -> Result<(), String> {
    let Proof { leaf, leaf_index, branch: expected } = proof;
    if branch != expected {
        return Err("our branch differs".into());
    }
    let depth = leaf_index.ilog2() as usize;
    if !is_valid_merkle_branch(*leaf, branch, depth, get_subtree_index(*leaf_index), root) {
        return Err("the branch is not valid for our root".into());
    }
    Ok(())
}
