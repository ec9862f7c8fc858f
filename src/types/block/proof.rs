//! Branches from what is in a block's body to the body's root.

use tree_hash::TreeHash;

use super::BeaconBlockBody;
use crate::{
    ssz::proof::{field_branch, list_branch},
    types::{Hash256, preset::MAX_BLOB_COMMITMENTS_PER_BLOCK},
};

/// Position of `blob_kzg_commitments` among the fields, since Deneb.
const COMMITMENTS_FIELD: usize = 11;

impl BeaconBlockBody {
    /// The branch of the body's commitments as a whole, which comes with each column's sidecar.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/validator.md#get_data_column_sidecars_from_block>
    pub fn blob_kzg_commitments_branch(&self) -> Vec<Hash256> {
        field_branch(&self.field_roots(), COMMITMENTS_FIELD)
    }

    /// The branch of one of the body's commitments, which comes with the blob's sidecar.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/validator.md#sidecar>
    pub fn blob_kzg_commitment_branch(&self, index: usize) -> Vec<Hash256> {
        let roots: Vec<_> = self.blob_kzg_commitments.iter().map(TreeHash::tree_hash_root).collect();
        let in_list = list_branch(&roots, MAX_BLOB_COMMITMENTS_PER_BLOCK.ilog2() as usize, index);
        [in_list, field_branch(&self.field_roots(), COMMITMENTS_FIELD)].concat()
    }
}
