//! KZG proofs of blob cells, on c-kzg.
//!
//! The trusted setup is part of the program. It is prepared at the first use, or by [`prepare`], without precomputed
//! tables: those cost 100 MB for a third of the proving time, and a node verifies far more than it proves.

use c_kzg::{Bytes48, KzgSettings, ethereum_kzg_settings};

use crate::types::{Cell, KZGCommitment, KZGProof};

/// Why a verification could not be done: lists that do not match, an index out of range, or bytes that are no point or
/// no field element. Whoever sent such bytes sent something invalid.
#[derive(Debug, thiserror::Error)]
#[error("malformed KZG input: {0}")]
pub struct KzgError(String);

/// Prepares the setup, which takes seconds on a small board. Call it off the main path when the node starts.
pub fn prepare() {
    settings();
}

fn settings() -> &'static KzgSettings {
    const NO_PRECOMPUTATION: u64 = 0;
    ethereum_kzg_settings(NO_PRECOMPUTATION)
}

/// Whether each cell (with its index among the 128 of its extended blob) belongs to its commitment. All lists have the
/// same length; several columns in one call are cheaper than one call each (8 columns: 3 times).
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/das-core.md>, `verify_cell_kzg_proof_batch`.
pub fn verify_cell_kzg_proof_batch(
    commitments: &[KZGCommitment],
    cell_indices: &[u64],
    cells: &[&Cell],
    proofs: &[KZGProof],
) -> Result<bool, KzgError> {
    let commitments: Vec<_> = commitments.iter().map(|bytes| Bytes48::new(bytes.0)).collect();
    let proofs: Vec<_> = proofs.iter().map(|bytes| Bytes48::new(bytes.0)).collect();
    let cells: Vec<_> = cells.iter().map(|cell| to_c_kzg(cell)).collect::<Result<_, _>>()?;
    settings()
        .verify_cell_kzg_proof_batch(&commitments, cell_indices, &cells, &proofs)
        .map_err(|error| KzgError(format!("{error:?}")))
}

fn to_c_kzg(cell: &Cell) -> Result<c_kzg::Cell, KzgError> {
    let bytes = <[u8; c_kzg::BYTES_PER_CELL]>::try_from(&cell[..]).map_err(|error| KzgError(error.to_string()))?;
    Ok(c_kzg::Cell::new(bytes))
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
