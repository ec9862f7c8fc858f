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
    engine::PooledBlob,
    types::{
        Blob, BlobKZGCommitments, ColumnIndex, Config, DataColumnSidecar, Hash256, KZGCommitmentsInclusionProof,
        KZGProof, SignedBeaconBlock, SignedBeaconBlockHeader, preset::NUMBER_OF_COLUMNS,
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

/// What all columns of a block have in common.
#[derive(Clone, Debug)]
pub struct ColumnFrame {
    /// The block's header with its proposer's signature.
    pub signed_block_header: SignedBeaconBlockHeader,
    /// The commitments to its blobs.
    pub kzg_commitments: BlobKZGCommitments,
    /// The proof that these are the block's.
    pub kzg_commitments_inclusion_proof: KZGCommitmentsInclusionProof,
}

impl ColumnFrame {
    /// That of a block. Hashes its body: milliseconds on a small board.
    pub fn of_block(signed_block: &SignedBeaconBlock) -> Option<ColumnFrame> {
        let body = &signed_block.message.body;
        let branch = KZGCommitmentsInclusionProof::new(body.blob_kzg_commitments_branch()).ok()?;
        Some(ColumnFrame {
            signed_block_header: signed_block.signed_header(),
            kzg_commitments: body.blob_kzg_commitments.clone(),
            kzg_commitments_inclusion_proof: branch,
        })
    }

    /// That of the block which this is a column of.
    pub fn of_column(column: &DataColumnSidecar) -> ColumnFrame {
        ColumnFrame {
            signed_block_header: column.signed_block_header.clone(),
            kzg_commitments: column.kzg_commitments.clone(),
            kzg_commitments_inclusion_proof: column.kzg_commitments_inclusion_proof.clone(),
        }
    }

    /// The columns with these indices, from their cells and proofs: for each blob as many of both, in the same order. None if
    /// those are not of as many blobs as there are commitments.
    fn columns(&self, indices: impl Iterator<Item = ColumnIndex>, cells: &[CellsAndProofs]) -> Vec<DataColumnSidecar> {
        if cells.len() != self.kzg_commitments.len() {
            return Vec::new();
        }
        let column = |(place, index): (usize, ColumnIndex)| {
            let column = cells.iter().map(|(cells, _)| cells.get(place).cloned()).collect::<Option<Vec<_>>>()?;
            let proofs = cells.iter().map(|(_, proofs)| proofs.get(place).copied());
            Some(DataColumnSidecar {
                index,
                column: column.try_into().ok()?,
                kzg_commitments: self.kzg_commitments.clone(),
                kzg_proofs: proofs.collect::<Option<Vec<KZGProof>>>()?.try_into().ok()?,
                signed_block_header: self.signed_block_header.clone(),
                kzg_commitments_inclusion_proof: self.kzg_commitments_inclusion_proof.clone(),
            })
        };
        indices.enumerate().filter_map(column).collect()
    }
}

/// All columns of a block, from the cells of its blobs; none if there are not as many blobs as commitments.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/validator.md#get_data_column_sidecars>
pub fn get_data_column_sidecars(
    signed_block_header: SignedBeaconBlockHeader,
    kzg_commitments: BlobKZGCommitments,
    kzg_commitments_inclusion_proof: KZGCommitmentsInclusionProof,
    cells_and_kzg_proofs: &[CellsAndProofs],
) -> Vec<DataColumnSidecar> {
    let frame = ColumnFrame { signed_block_header, kzg_commitments, kzg_commitments_inclusion_proof };
    frame.columns(0..NUMBER_OF_COLUMNS as ColumnIndex, cells_and_kzg_proofs)
}

/// As [`get_data_column_sidecars`], for a block at hand.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/validator.md#get_data_column_sidecars_from_block>
pub fn get_data_column_sidecars_from_block(
    signed_block: &SignedBeaconBlock,
    cells_and_kzg_proofs: &[CellsAndProofs],
) -> Vec<DataColumnSidecar> {
    let Some(frame) = ColumnFrame::of_block(signed_block) else { return Vec::new() };
    frame.columns(0..NUMBER_OF_COLUMNS as ColumnIndex, cells_and_kzg_proofs)
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

/// The `wanted` columns of a block, from its blobs as an execution client's pool has them, in the order of the commitments. The
/// cells are computed, the proofs only checked. Milliseconds for each blob: call it on the blocking pool.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#distributed-blob-publishing-using-blobs-retrieved-from-local-execution-layer-client>
///
/// # Errors
/// When the blobs are not the block's.
pub fn columns_of_pool(
    config: &Config,
    frame: &ColumnFrame,
    wanted: &[ColumnIndex],
    blobs: Vec<PooledBlob>,
) -> Result<Vec<DataColumnSidecar>, SidecarError> {
    let commitments = frame.kzg_commitments.len();
    let has_all_proofs = blobs.iter().all(|blob| blob.proofs.len() == NUMBER_OF_COLUMNS);
    if blobs.len() != commitments || !has_all_proofs {
        let proofs = blobs.iter().map(|blob| blob.proofs.len()).sum();
        return Err(SidecarError::Count { commitments, blobs: blobs.len(), proofs });
    }
    // What is not wanted of a blob is freed before the next one is extended.
    let of_blob = |PooledBlob { blob, proofs }: PooledBlob| -> Result<CellsAndProofs, KzgError> {
        let cells = compute_cells(&blob)?;
        let picked = |index: &ColumnIndex| Some((cells.get(*index as usize)?.clone(), *proofs.get(*index as usize)?));
        Ok(wanted.iter().filter_map(picked).unzip())
    };
    let cells = blobs.into_iter().map(of_blob).collect::<Result<Vec<_>, _>>()?;
    let columns = frame.columns(wanted.iter().copied(), &cells);
    // As the specification has it, not all of them are verified: the client did that when the blobs came to its pool. One
    // column tells whether these blobs, in this order, are what the block commits to.
    let is_good = columns.first().is_none_or(|first| is_data_available(config, &[first]));
    if is_good { Ok(columns) } else { Err(SidecarError::Invalid) }
}

impl ChainHandle {
    /// Takes in columns of a block that were computed from the blobs of our own validators. They must be valid. With `publish`,
    /// all of them are gossiped; in any case those that we sample are stored, and the block's import waits for them no longer.
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
