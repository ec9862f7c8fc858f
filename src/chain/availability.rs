//! Whether a block's data can be had.

use tree_hash::TreeHash;

use crate::{
    crypto::{kzg::verify_blob_kzg_proof_batch, verify_data_column_sidecar, verify_data_columns_kzg_proofs},
    ssz::proof::is_valid_merkle_branch,
    types::{
        Blob, BlobKZGCommitments, BlobSidecar, Config, DataColumnSidecar, Hash256, KZGCommitment, KZGProof,
        PartialDataColumnHeader, SignedBeaconBlockHeader,
        preset::{KZG_COMMITMENT_INCLUSION_PROOF_DEPTH, KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH},
    },
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
pub fn is_data_available(config: &Config, column_sidecars: &[&DataColumnSidecar]) -> bool {
    column_sidecars.iter().all(|sidecar| verify_data_column_sidecar(config, sidecar))
        && verify_data_columns_kzg_proofs(column_sidecars)
}

/// Whether the commitments of a column are those of the block whose header comes with it.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#new-verify_data_column_sidecar_inclusion_proof>
pub fn verify_data_column_sidecar_inclusion_proof(sidecar: &DataColumnSidecar) -> bool {
    let DataColumnSidecar { kzg_commitments, kzg_commitments_inclusion_proof, signed_block_header, .. } = sidecar;
    are_commitments_of(kzg_commitments, kzg_commitments_inclusion_proof, signed_block_header)
}

/// Whether the commitments of a partial column's header are those of the block's header that comes with it.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/partial-columns/p2p-interface.md#new-verify_partial_data_column_header_inclusion_proof>
pub fn verify_partial_data_column_header_inclusion_proof(header: &PartialDataColumnHeader) -> bool {
    let PartialDataColumnHeader { kzg_commitments, kzg_commitments_inclusion_proof, signed_block_header } = header;
    are_commitments_of(kzg_commitments, kzg_commitments_inclusion_proof, signed_block_header)
}

fn are_commitments_of(commitments: &BlobKZGCommitments, branch: &[Hash256], block: &SignedBeaconBlockHeader) -> bool {
    let (depth, root) = (KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH, block.message.body_root);
    is_valid_merkle_branch(commitments.tree_hash_root(), branch, depth, COMMITMENTS_FIELD, root)
}

/// Whether a blob's commitment is the one at its place in the block whose header comes with it.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/p2p-interface.md#verify_blob_sidecar_inclusion_proof>
pub fn verify_blob_sidecar_inclusion_proof(sidecar: &BlobSidecar) -> bool {
    let depth = KZG_COMMITMENT_INCLUSION_PROOF_DEPTH as usize;
    // Below the field are the list's length, to the right, and its places.
    let first = COMMITMENTS_FIELD << (depth - KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH);
    is_valid_merkle_branch(
        sidecar.kzg_commitment.tree_hash_root(),
        &sidecar.kzg_commitment_inclusion_proof,
        depth,
        first.saturating_add(sidecar.index),
        sidecar.signed_block_header.message.body_root,
    )
}
