//! Whether a data column is what its block promised.

use super::kzg::verify_cell_kzg_proof_batch;
use crate::types::{
    BlobKZGCommitments, Cell, ColumnIndex, Config, DataColumnSidecar, PartialDataColumnSidecar, compute_epoch_at_slot,
    preset::NUMBER_OF_COLUMNS,
};

/// Whether the sidecar's lists fit together and its blobs are not too many. Cheap; to be asked first.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#new-verify_data_column_sidecar>
pub fn verify_data_column_sidecar(config: &Config, sidecar: &DataColumnSidecar) -> bool {
    let epoch = compute_epoch_at_slot(sidecar.signed_block_header.message.slot);
    let blobs = sidecar.kzg_commitments.len();
    sidecar.index < NUMBER_OF_COLUMNS as u64
        && blobs > 0
        && blobs as u64 <= config.get_blob_parameters(epoch).max_blobs_per_block
        && sidecar.column.len() == blobs
        && sidecar.kzg_proofs.len() == blobs
}

/// Whether the column's cells belong to the commitments. Milliseconds; the sidecar must have passed
/// [`verify_data_column_sidecar`].
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#new-verify_data_column_sidecar_kzg_proofs>
pub fn verify_data_column_sidecar_kzg_proofs(sidecar: &DataColumnSidecar) -> bool {
    let cells: Vec<&Cell> = sidecar.column.iter().collect();
    // A column's index is also the index of its cells.
    let cell_indices = vec![sidecar.index; cells.len()];
    // Malformed points and field elements make a column as invalid as a wrong proof does.
    verify_cell_kzg_proof_batch(&sidecar.kzg_commitments, &cell_indices, &cells, &sidecar.kzg_proofs).unwrap_or(false)
}

/// As [`verify_data_column_sidecar_kzg_proofs`] for several columns in one go, of one block or of many: a third of the time
/// that eight take one by one. Does not tell which one is wrong.
pub fn verify_data_columns_kzg_proofs(sidecars: &[&DataColumnSidecar]) -> bool {
    let count = sidecars.iter().map(|sidecar| sidecar.column.len()).sum();
    let (mut commitments, mut indices) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut cells, mut proofs) = (Vec::<&Cell>::with_capacity(count), Vec::with_capacity(count));
    for sidecar in sidecars {
        commitments.extend_from_slice(&sidecar.kzg_commitments);
        indices.extend(std::iter::repeat_n(sidecar.index, sidecar.column.len()));
        cells.extend(sidecar.column.iter());
        proofs.extend_from_slice(&sidecar.kzg_proofs);
    }
    verify_cell_kzg_proof_batch(&commitments, &indices, &cells, &proofs).unwrap_or(false)
}

/// Whether the cells that are there belong to their commitments among all of the block's. The bitmap must have a bit for
/// each commitment; cells and proofs that do not fit it make the sidecar invalid.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/partial-columns/p2p-interface.md#new-verify_partial_data_column_sidecar_kzg_proofs>
pub fn verify_partial_data_column_sidecar_kzg_proofs(
    sidecar: &PartialDataColumnSidecar,
    all_commitments: &BlobKZGCommitments,
    column_index: ColumnIndex,
) -> bool {
    let present = all_commitments.iter().zip(sidecar.cells_present_bitmap.iter()).filter(|(_, is_present)| *is_present);
    let commitments: Vec<_> = present.map(|(commitment, _)| *commitment).collect();
    let cells: Vec<&Cell> = sidecar.partial_column.iter().collect();
    let cell_indices = vec![column_index; cells.len()];
    verify_cell_kzg_proof_batch(&commitments, &cell_indices, &cells, &sidecar.kzg_proofs).unwrap_or(false)
}
