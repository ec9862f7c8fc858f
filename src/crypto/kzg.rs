//! KZG commitments and proofs of whole blobs (Deneb) and of their cells (Fulu), on c-kzg.
//!
//! The trusted setup is part of the program. It is prepared at the first use, or by [`prepare`], without precomputed
//! tables: those cost 100 MB for a third of the proving time, and a node verifies far more than it proves.
//!
//! A function errs where the specification asserts: on lists of unequal lengths, an index out of range, and bytes that
//! are no point or no field element. Whoever sent such bytes sent something invalid. The specification leaves the
//! arithmetic to c-kzg; links go to its last version that spelled it out.

mod challenge;

use c_kzg::{Bytes32, Bytes48, KzgSettings, ethereum_kzg_settings};

pub use self::challenge::{compute_challenge, compute_verify_cell_kzg_proof_batch_challenge};
use crate::types::{Blob, Cell, Hash256, KZGCommitment, KZGProof};

/// Input that is not what it should be: the function has no answer for it.
#[derive(Debug, thiserror::Error)]
#[error("malformed KZG input: {0}")]
pub struct KzgError(String);

impl From<c_kzg::Error> for KzgError {
    fn from(error: c_kzg::Error) -> Self {
        KzgError(error.to_string())
    }
}

/// The 128 cells of an extended blob, each with its proof.
pub type CellsAndProofs = (Vec<Cell>, Vec<KZGProof>);

/// Prepares the setup, which takes seconds on a small board. Call it off the main path when the node starts.
pub fn prepare() {
    settings();
}

fn settings() -> &'static KzgSettings {
    const NO_PRECOMPUTATION: u64 = 0;
    ethereum_kzg_settings(NO_PRECOMPUTATION)
}

/// The commitment to a blob.
/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/deneb/polynomial-commitments.md#blob_to_kzg_commitment>
pub fn blob_to_kzg_commitment(blob: &Blob) -> Result<KZGCommitment, KzgError> {
    Ok(settings().blob_to_kzg_commitment(&to_blobs(&[blob])[0])?.to_bytes().into_inner().into())
}

/// The value `y` of the blob's polynomial at `z`, with the proof of it.
/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/deneb/polynomial-commitments.md#compute_kzg_proof>
pub fn compute_kzg_proof(blob: &Blob, z: Hash256) -> Result<(KZGProof, Hash256), KzgError> {
    let (proof, y) = settings().compute_kzg_proof(&to_blobs(&[blob])[0], &Bytes32::new(z.0))?;
    Ok((proof.to_bytes().into_inner().into(), Hash256::new(*y)))
}

/// The proof that travels with a blob. That `commitment` is the blob's is not checked.
/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/deneb/polynomial-commitments.md#compute_blob_kzg_proof>
pub fn compute_blob_kzg_proof(blob: &Blob, commitment: &KZGCommitment) -> Result<KZGProof, KzgError> {
    let proof = settings().compute_blob_kzg_proof(&to_blobs(&[blob])[0], &Bytes48::new(commitment.0))?;
    Ok(proof.to_bytes().into_inner().into())
}

/// Whether the polynomial behind `commitment` has the value `y` at `z`.
/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/deneb/polynomial-commitments.md#verify_kzg_proof>
pub fn verify_kzg_proof(
    commitment: &KZGCommitment,
    z: Hash256,
    y: Hash256,
    proof: &KZGProof,
) -> Result<bool, KzgError> {
    let (z, y) = (Bytes32::new(z.0), Bytes32::new(y.0));
    Ok(settings().verify_kzg_proof(&Bytes48::new(commitment.0), &z, &y, &Bytes48::new(proof.0))?)
}

/// Whether a blob belongs to its commitment.
/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/deneb/polynomial-commitments.md#verify_blob_kzg_proof>
pub fn verify_blob_kzg_proof(blob: &Blob, commitment: &KZGCommitment, proof: &KZGProof) -> Result<bool, KzgError> {
    let (commitment, proof) = (Bytes48::new(commitment.0), Bytes48::new(proof.0));
    Ok(settings().verify_blob_kzg_proof(&to_blobs(&[blob])[0], &commitment, &proof)?)
}

/// Whether each blob belongs to its commitment. All lists have the same length.
/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/deneb/polynomial-commitments.md#verify_blob_kzg_proof_batch>
pub fn verify_blob_kzg_proof_batch(
    blobs: &[&Blob],
    commitments: &[KZGCommitment],
    proofs: &[KZGProof],
) -> Result<bool, KzgError> {
    Ok(settings().verify_blob_kzg_proof_batch(&to_blobs(blobs), &to_points(commitments), &to_points(proofs))?)
}

/// The 128 cells of a blob's extension; the first half is the blob itself.
/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/fulu/polynomial-commitments-sampling.md#compute_cells>
pub fn compute_cells(blob: &Blob) -> Result<Vec<Cell>, KzgError> {
    let cells = settings().compute_cells(&to_blobs(&[blob])[0])?;
    cells.iter().map(from_cell).collect()
}

/// As [`compute_cells`], with the cells' proofs: by far the dearest function here.
/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/fulu/polynomial-commitments-sampling.md#compute_cells_and_kzg_proofs>
pub fn compute_cells_and_kzg_proofs(blob: &Blob) -> Result<CellsAndProofs, KzgError> {
    let (cells, proofs) = settings().compute_cells_and_kzg_proofs(&to_blobs(&[blob])[0])?;
    from_cells_and_proofs(&cells[..], &proofs[..])
}

/// All 128 cells and proofs, from at least half of the cells, in ascending order of their indices.
/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/fulu/polynomial-commitments-sampling.md#recover_cells_and_kzg_proofs>
pub fn recover_cells_and_kzg_proofs(cell_indices: &[u64], cells: &[&Cell]) -> Result<CellsAndProofs, KzgError> {
    let cells: Vec<_> = cells.iter().map(|cell| to_cell(cell)).collect::<Result<_, _>>()?;
    let (cells, proofs) = settings().recover_cells_and_kzg_proofs(cell_indices, &cells)?;
    from_cells_and_proofs(&cells[..], &proofs[..])
}

/// Whether each cell (with its index among the 128 of its extended blob) belongs to its commitment. All lists have the
/// same length; several columns in one call are cheaper than one call each (8 columns: 3 times).
/// <https://github.com/ethereum/consensus-specs/blob/8a3df1d79/specs/fulu/polynomial-commitments-sampling.md#verify_cell_kzg_proof_batch>
pub fn verify_cell_kzg_proof_batch(
    commitments: &[KZGCommitment],
    cell_indices: &[u64],
    cells: &[&Cell],
    proofs: &[KZGProof],
) -> Result<bool, KzgError> {
    let cells: Vec<_> = cells.iter().map(|cell| to_cell(cell)).collect::<Result<_, _>>()?;
    Ok(settings().verify_cell_kzg_proof_batch(&to_points(commitments), cell_indices, &cells, &to_points(proofs))?)
}

fn to_points(points: &[KZGCommitment]) -> Vec<Bytes48> {
    points.iter().map(|point| Bytes48::new(point.0)).collect()
}

/// Copies, filled in place: a blob has 128 KiB, and a stack has room for few of them.
fn to_blobs(blobs: &[&Blob]) -> Vec<c_kzg::Blob> {
    let mut copies = vec![c_kzg::Blob::default(); blobs.len()];
    for (copy, blob) in copies.iter_mut().zip(blobs) {
        copy.copy_from_slice(blob);
    }
    copies
}

fn to_cell(cell: &Cell) -> Result<c_kzg::Cell, KzgError> {
    Ok(c_kzg::Cell::from_bytes(cell)?)
}

fn from_cell(cell: &c_kzg::Cell) -> Result<Cell, KzgError> {
    Cell::new(cell.to_bytes().to_vec()).map_err(|error| KzgError(format!("{error:?}")))
}

fn from_cells_and_proofs(cells: &[c_kzg::Cell], proofs: &[c_kzg::KzgProof]) -> Result<CellsAndProofs, KzgError> {
    let cells = cells.iter().map(from_cell).collect::<Result<_, _>>()?;
    Ok((cells, proofs.iter().map(|proof| proof.to_bytes().into_inner().into()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The zero polynomial: its commitment, its proofs and its cells are all trivial.
    #[test]
    fn cells_of_a_zero_blob_verify_and_others_do_not() {
        let mut infinity = KZGCommitment::ZERO;
        infinity[0] = 0xc0;
        let (zero, mut other) = (Cell::default(), Cell::default());
        let verify = |cells: &[&Cell], indices: &[u64]| {
            let points = vec![infinity; cells.len()];
            verify_cell_kzg_proof_batch(&points, indices, cells, &points)
        };
        assert!(verify(&[], &[]).unwrap());
        assert!(verify(&[&zero, &zero], &[0, 127]).unwrap());
        other[31] = 1;
        assert!(!verify(&[&zero, &other], &[0, 127]).unwrap());
        assert!(verify(&[&zero], &[128]).is_err());
        assert!(verify(&[&zero], &[0, 1]).is_err());
        other[0] = 0xff;
        assert!(verify(&[&other], &[0]).is_err());
    }
}
