//! Whether a block's data can be had.

use tree_hash::TreeHash;

use crate::{
    crypto::{kzg::verify_blob_kzg_proof_batch, verify_data_column_sidecar, verify_data_column_sidecar_kzg_proofs},
    ssz::proof::is_valid_merkle_branch,
    types::{Blob, Config, DataColumnSidecar, KZGCommitment, KZGProof, preset::KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH},
};

/// Position of `blob_kzg_commitments` among the fields of a block's body.
const COMMITMENTS_FIELD: u64 = 11;

/// Whether these are all blobs of a block with these commitments, each with its proof; in Deneb and Electra.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/fork-choice.md#new-is_data_available>
pub fn are_blobs_available(blobs: &[Blob], proofs: &[KZGProof], blob_kzg_commitments: &[KZGCommitment]) -> bool {
    let blobs: Vec<&Blob> = blobs.iter().collect();
    // What is malformed or missing is an error there; it is no data here.
    verify_blob_kzg_proof_batch(&blobs, blob_kzg_commitments, proofs).unwrap_or(false)
}

/// Whether the columns that this node samples of a block are what they should be; the caller has fetched all of them.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/fork-choice.md#modified-is_data_available>
pub fn is_data_available(config: &Config, column_sidecars: &[DataColumnSidecar]) -> bool {
    let is_good = |sidecar: &DataColumnSidecar| {
        verify_data_column_sidecar(config, sidecar) && verify_data_column_sidecar_kzg_proofs(sidecar)
    };
    column_sidecars.iter().all(is_good)
}

/// Whether the commitments of a column are those of the block whose header comes with it.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#new-verify_data_column_sidecar_inclusion_proof>
pub fn verify_data_column_sidecar_inclusion_proof(sidecar: &DataColumnSidecar) -> bool {
    is_valid_merkle_branch(
        sidecar.kzg_commitments.tree_hash_root(),
        &sidecar.kzg_commitments_inclusion_proof,
        KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH,
        COMMITMENTS_FIELD,
        sidecar.signed_block_header.message.body_root,
    )
}
