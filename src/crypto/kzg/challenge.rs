//! The challenges of KZG proofs, as hashes of everything that the proof is about.
//!
//! c-kzg computes them inside of its own verification and offers them to callers only as unsafe functions. They are
//! stated here once more so that the official cases that pin them, byte by byte, hold for this node too; nothing in the
//! node needs them on their own.

use ethereum_hashing::{Context, Sha256Context};

use super::KzgError;
use crate::types::{Blob, Cell, Hash256, KZGCommitment, KZGProof, U256};

const FIAT_SHAMIR_PROTOCOL_DOMAIN: &[u8; 16] = b"FSBLOBVERIFY_V1_";
const RANDOM_CHALLENGE_KZG_CELL_BATCH_DOMAIN: &[u8; 16] = b"RCKZGCBATCH__V1_";
/// 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001, the order of the curve's groups.
const BLS_MODULUS: U256 =
    U256::from_limbs([0xffff_ffff_0000_0001, 0x53bd_a402_fffe_5bfe, 0x3339_d808_09a1_d805, 0x73ed_a753_299d_7d48]);

/// Where the polynomial of a blob is evaluated to check its proof.
/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/deneb/polynomial-commitments.md#compute_challenge>
pub fn compute_challenge(blob: &Blob, commitment: &KZGCommitment) -> Hash256 {
    let mut hash = Context::new();
    hash.update(FIAT_SHAMIR_PROTOCOL_DOMAIN);
    hash.update(&(c_kzg::FIELD_ELEMENTS_PER_BLOB as u128).to_be_bytes());
    hash.update(blob);
    hash.update(commitment.as_slice());
    to_field_element(hash.finalize())
}

/// The factor that combines the cells of a batch. `commitment_indices` says for each cell which of the commitments, each
/// of which is given once, is its own. Errors if the lists of cells have unequal lengths.
/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/fulu/polynomial-commitments-sampling.md#compute_verify_cell_kzg_proof_batch_challenge>
pub fn compute_verify_cell_kzg_proof_batch_challenge(
    commitments: &[KZGCommitment],
    commitment_indices: &[u64],
    cell_indices: &[u64],
    cells: &[&Cell],
    proofs: &[KZGProof],
) -> Result<Hash256, KzgError> {
    if [commitment_indices.len(), cell_indices.len(), proofs.len()] != [cells.len(); 3] {
        return Err(KzgError("lists of unequal lengths".into()));
    }
    let mut hash = Context::new();
    hash.update(RANDOM_CHALLENGE_KZG_CELL_BATCH_DOMAIN);
    let counts = [c_kzg::FIELD_ELEMENTS_PER_BLOB, c_kzg::FIELD_ELEMENTS_PER_CELL, commitments.len(), cells.len()];
    for count in counts {
        hash.update(&(count as u64).to_be_bytes());
    }
    for commitment in commitments {
        hash.update(commitment.as_slice());
    }
    for (k, cell) in cells.iter().enumerate() {
        hash.update(&commitment_indices[k].to_be_bytes());
        hash.update(&cell_indices[k].to_be_bytes());
        hash.update(cell);
        hash.update(proofs[k].as_slice());
    }
    Ok(to_field_element(hash.finalize()))
}

/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/deneb/polynomial-commitments.md#hash_to_bls_field>
fn to_field_element(hash: [u8; 32]) -> Hash256 {
    Hash256::new((U256::from_be_bytes(hash) % BLS_MODULUS).to_be_bytes())
}
