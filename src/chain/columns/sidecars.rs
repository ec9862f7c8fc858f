//! Columns made of blobs: of our own validators' blocks, and of what our execution client has in its pool.
//!
//! Only columns that we keep or publish are made; to complete others' columns for the network would be the work of a
//! supernode, which this is not.

use std::sync::Arc;

use super::{ColumnSource, exists};
use crate::{
    chain::{
        ChainHandle, Shared,
        availability::is_data_available,
        network::{NetworkCommand, Publication},
    },
    crypto::kzg::{CellsAndProofs, KzgError, compute_cells},
    types::{
        Blob, BlobKZGCommitments, Config, DataColumnSidecar, Hash256, KZGCommitmentsInclusionProof, KZGProof,
        SignedBeaconBlock, SignedBeaconBlockHeader, preset::NUMBER_OF_COLUMNS,
    },
};

/// Why blobs are not a block's.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// Not one blob for each commitment, or not one proof for each cell.
    #[error(
        "{commitments} commitments need as many blobs and {NUMBER_OF_COLUMNS} proofs each, not {blobs} and {proofs}"
    )]
    Count {
        /// The block's commitments.
        commitments: usize,
        /// Blobs.
        blobs: usize,
        /// Proofs.
        proofs: usize,
    },
    /// The bytes of a blob are no field elements.
    #[error(transparent)]
    Kzg(#[from] KzgError),
    /// The cells are not what the block commits to.
    #[error("the blobs or their proofs do not belong to the block's commitments")]
    Invalid,
}

/// All columns of a block, from the cells of its blobs; none if there are not as many blobs as commitments.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/validator.md#get_data_column_sidecars>
pub fn get_data_column_sidecars(
    signed_block_header: SignedBeaconBlockHeader,
    kzg_commitments: BlobKZGCommitments,
    kzg_commitments_inclusion_proof: KZGCommitmentsInclusionProof,
    cells_and_kzg_proofs: &[CellsAndProofs],
) -> Vec<DataColumnSidecar> {
    if cells_and_kzg_proofs.len() != kzg_commitments.len() {
        return Vec::new();
    }
    let column = |index: usize| {
        let column =
            cells_and_kzg_proofs.iter().map(|(cells, _)| cells.get(index).cloned()).collect::<Option<Vec<_>>>()?;
        let proofs = cells_and_kzg_proofs.iter().map(|(_, proofs)| proofs.get(index).copied());
        Some(DataColumnSidecar {
            index: index as u64,
            column: column.try_into().ok()?,
            kzg_commitments: kzg_commitments.clone(),
            kzg_proofs: proofs.collect::<Option<Vec<KZGProof>>>()?.try_into().ok()?,
            signed_block_header: signed_block_header.clone(),
            kzg_commitments_inclusion_proof: kzg_commitments_inclusion_proof.clone(),
        })
    };
    (0..NUMBER_OF_COLUMNS).filter_map(column).collect()
}

/// As [`get_data_column_sidecars`], for a block at hand.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/validator.md#get_data_column_sidecars_from_block>
pub fn get_data_column_sidecars_from_block(
    signed_block: &SignedBeaconBlock,
    cells_and_kzg_proofs: &[CellsAndProofs],
) -> Vec<DataColumnSidecar> {
    let body = &signed_block.message.body;
    let Ok(branch) = KZGCommitmentsInclusionProof::new(body.blob_kzg_commitments_branch()) else { return Vec::new() };
    let commitments = body.blob_kzg_commitments.clone();
    get_data_column_sidecars(signed_block.signed_header(), commitments, branch, cells_and_kzg_proofs)
}

/// All columns of a block from its blobs and the proofs of their cells, as an execution client gives them. The cells are
/// computed, the proofs only checked. Tenths of a second for many blobs: call it on the blocking pool.
///
/// # Errors
/// When the blobs are not the block's.
pub fn columns_of_blobs(
    config: &Config,
    block: &SignedBeaconBlock,
    blobs: &[Blob],
    proofs: &[KZGProof],
) -> Result<Vec<DataColumnSidecar>, SidecarError> {
    let commitments = block.message.body.blob_kzg_commitments.len();
    if blobs.len() != commitments || proofs.len() != commitments * NUMBER_OF_COLUMNS {
        return Err(SidecarError::Count { commitments, blobs: blobs.len(), proofs: proofs.len() });
    }
    if commitments == 0 {
        return Ok(Vec::new());
    }
    let cells = blobs.iter().zip(proofs.chunks(NUMBER_OF_COLUMNS));
    let cells = cells.map(|(blob, proofs)| Ok((compute_cells(blob)?, proofs.to_vec())));
    let columns = get_data_column_sidecars_from_block(block, &cells.collect::<Result<Vec<_>, KzgError>>()?);
    // One cell of each blob tells whether it is the one that was committed to; the proofs are their maker's affair, and the
    // columns' receivers check them all.
    let is_good = columns.first().is_none_or(|first| is_data_available(config, &[first]));
    if is_good { Ok(columns) } else { Err(SidecarError::Invalid) }
}

impl ChainHandle {
    /// Takes in columns of a block that were computed from blobs: of our own validators, or those that our execution client
    /// gave (`engine_getBlobs`). They must be valid. With `publish`, all of them are gossiped; in any case those that we
    /// sample are stored, and the block's import waits for them no longer.
    pub async fn provide_columns(&self, block_root: Hash256, columns: Vec<Arc<DataColumnSidecar>>, publish: bool) {
        if publish {
            self.shared.publish_columns(columns.clone());
        }
        let columns = columns.into_iter().filter(|column| exists(column.index)).map(|column| (block_root, column));
        self.shared.take_columns(columns.collect(), ColumnSource::Blobs).await;
    }
}

impl Shared {
    /// Gossips columns, each in its subnet.
    pub(in crate::chain) fn publish_columns(&self, columns: Vec<Arc<DataColumnSidecar>>) {
        if !columns.is_empty() {
            self.tell_network(NetworkCommand::Publish(Publication::Columns(columns)));
        }
    }
}
