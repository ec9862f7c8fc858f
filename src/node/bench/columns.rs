//! Columns of blobs: what a node that samples has to verify for each block.

use super::{doing, recorder::Recorder};
use crate::{
    crypto::{
        kzg::{blob_to_kzg_commitment, compute_cells_and_kzg_proofs, prepare},
        verify_data_columns_kzg_proofs,
    },
    types::{
        BLSSignature, BeaconBlockHeader, Blob, Config, DataColumnSidecar, Epoch, KZGProof, SignedBeaconBlockHeader,
    },
};

/// Columns of each block that a node verifies at least.
const COLUMNS: u64 = 8;
/// Bytes of a field element, and of a blob.
const ELEMENT: usize = 32;
const BYTES_PER_BLOB: usize = 4096 * ELEMENT;

/// Measures the verification of a block's columns, in one batch as a node does that with gossip's, with as many blobs as `epoch`
/// allows. The blobs are all the same, as proving takes far longer than verifying; each of their proofs is verified.
///
/// # Errors
/// When our own proofs are refused.
pub fn measure(recorder: &mut Recorder, config: &Config, epoch: Epoch) -> Result<(), String> {
    let setup = |(): &mut ()| {
        prepare();
        Ok::<_, String>(())
    };
    recorder.time_once("kzg_setup", "columns: the trusted setup, once at the start", || Ok(()), setup)?;
    recorder.step("making columns");
    let blobs = config.get_blob_parameters(epoch).max_blobs_per_block as usize;
    let columns = columns(blobs)?;
    let verify = |columns: &mut &Vec<DataColumnSidecar>| {
        let all: Vec<_> = columns.iter().collect();
        if verify_data_columns_kzg_proofs(&all) { Ok(()) } else { Err("our own columns were refused") }
    };
    recorder.time("columns", "columns: eight of a block, with as many blobs as allowed", || Ok(&columns), verify)?;
    Ok(())
}

fn columns(blobs: usize) -> Result<Vec<DataColumnSidecar>, String> {
    // Elements below the field's order, of which the highest byte is above zero.
    let bytes: Vec<u8> = (0..BYTES_PER_BLOB).map(|at| if at % ELEMENT == 0 { 0 } else { (at * 7 / 3) as u8 }).collect();
    let blob = Blob::new(bytes).map_err(|error| format!("a blob: {error:?}"))?;
    let commitment = blob_to_kzg_commitment(&blob).map_err(doing("a commitment"))?;
    let (cells, proofs) = compute_cells_and_kzg_proofs(&blob).map_err(doing("cells"))?;
    let header = BeaconBlockHeader::default();
    let signed_block_header = SignedBeaconBlockHeader { message: header, signature: BLSSignature::ZERO };
    let too_many = |_| format!("{blobs} blobs are too many for a column");
    let column = |index: u64| {
        let (cell, proof): (_, KZGProof) = (cells[index as usize].clone(), proofs[index as usize]);
        Ok(DataColumnSidecar {
            index,
            column: vec![cell; blobs].try_into().map_err(too_many)?,
            kzg_commitments: vec![commitment; blobs].try_into().map_err(too_many)?,
            kzg_proofs: vec![proof; blobs].try_into().map_err(too_many)?,
            signed_block_header: signed_block_header.clone(),
            kzg_commitments_inclusion_proof: Default::default(),
        })
    };
    (0..COLUMNS).map(column).collect()
}
