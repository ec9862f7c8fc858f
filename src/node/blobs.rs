//! Blobs for a chain without users: made up, but with true commitments and proofs.

use ethereum_hashing::hash_fixed;

use crate::{
    crypto::kzg::{KzgError, blob_to_kzg_commitment, compute_cells_and_kzg_proofs},
    engine::BlobsBundle,
    types::{Blob, preset::FIELD_ELEMENTS_PER_BLOB},
};

/// What the noise begins with.
const LABEL: &[u8; 16] = b"hornero's blobs ";

/// As many different blobs, full of noise as compressed data is, with the proofs of their cells. The same ones each time. A
/// quarter of a second for each: call it once, on the blocking pool.
///
/// # Errors
/// Never, if the library of the commitments works.
pub fn made_up_blobs(count: usize) -> Result<BlobsBundle, KzgError> {
    let mut bundle = BlobsBundle::default();
    for number in 0..count {
        let blob = noise(number as u64);
        let (_, proofs) = compute_cells_and_kzg_proofs(&blob)?;
        bundle.commitments.push(blob_to_kzg_commitment(&blob)?);
        bundle.proofs.extend(proofs);
        bundle.blobs.push(blob);
    }
    Ok(bundle)
}

/// Field elements that are hashes of their place, made small enough by a first byte of zero.
fn noise(number: u64) -> Blob {
    let element = |place: u64| {
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(LABEL);
        seed[16..24].copy_from_slice(&number.to_be_bytes());
        seed[24..].copy_from_slice(&place.to_be_bytes());
        let mut element = hash_fixed(&seed);
        element[0] = 0;
        element
    };
    let bytes: Vec<u8> = (0..FIELD_ELEMENTS_PER_BLOB as u64).flat_map(element).collect();
    // The length is a blob's.
    Blob::new(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crypto::kzg::verify_cell_kzg_proof_batch, types::preset::NUMBER_OF_COLUMNS};

    #[test]
    fn blobs_differ_and_their_proofs_are_true() {
        let BlobsBundle { commitments, proofs, blobs } = made_up_blobs(2).unwrap();
        assert_eq!((commitments.len(), proofs.len(), blobs.len()), (2, 2 * NUMBER_OF_COLUMNS, 2));
        assert_ne!(commitments[0], commitments[1]);
        let (cells, _) = compute_cells_and_kzg_proofs(&blobs[1]).unwrap();
        let last = NUMBER_OF_COLUMNS - 1;
        let verify = |proof: usize| {
            verify_cell_kzg_proof_batch(&[commitments[1]], &[last as u64], &[&cells[last]], &[proofs[proof]]).unwrap()
        };
        assert!(verify(NUMBER_OF_COLUMNS + last));
        assert!(!verify(last), "the other blob's");
    }
}
