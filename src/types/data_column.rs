//! Columns of the extended data matrix (PeerDAS).
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/das-core.md#containers>

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::{BitList, FixedVector, VariableList};
use tree_hash_derive::TreeHash;
use typenum as t;

use super::{basic::SignedBeaconBlockHeader, block::BlobKZGCommitments, primitives::*};

/// 64 field elements of 32 bytes.
pub type Cell = FixedVector<u8, t::U2048>;
/// One cell per blob.
pub type DataColumn = VariableList<Cell, t::U4096>;
/// Branch from `blob_kzg_commitments` to the body's root.
pub type KZGCommitmentsInclusionProof = FixedVector<Hash256, t::U4>;

/// A column with the proof that it belongs to its block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct DataColumnSidecar {
    /// Index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: ColumnIndex,
    /// Column.
    #[serde(with = "ssz_types::serde_utils::list_of_hex_fixed_vec")]
    pub column: DataColumn,
    /// Kzg commitments.
    pub kzg_commitments: BlobKZGCommitments,
    /// Kzg proofs.
    pub kzg_proofs: VariableList<KZGProof, t::U4096>,
    /// Signed block header.
    pub signed_block_header: SignedBeaconBlockHeader,
    /// Kzg commitments inclusion proof.
    pub kzg_commitments_inclusion_proof: KZGCommitmentsInclusionProof,
}

/// One cell of the matrix with its place.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct MatrixEntry {
    /// Cell.
    #[serde(with = "ssz_types::serde_utils::hex_fixed_vec")]
    pub cell: Cell,
    /// Kzg proof.
    pub kzg_proof: KZGProof,
    /// Column index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub column_index: ColumnIndex,
    /// Row index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub row_index: u64,
}

/// Which columns of which block are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct DataColumnsByRootIdentifier {
    /// Block root.
    pub block_root: Hash256,
    /// Columns.
    #[serde(with = "ssz_types::serde_utils::quoted_u64_var_list")]
    pub columns: VariableList<u64, t::U128>,
}

/// The part of a column that is the same for all of a block's columns.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PartialDataColumnHeader {
    /// Kzg commitments.
    pub kzg_commitments: BlobKZGCommitments,
    /// Signed block header.
    pub signed_block_header: SignedBeaconBlockHeader,
    /// Kzg commitments inclusion proof.
    pub kzg_commitments_inclusion_proof: KZGCommitmentsInclusionProof,
}

/// Some cells of a column.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PartialDataColumnSidecar {
    /// Cells present bitmap.
    pub cells_present_bitmap: BitList<t::U4096>,
    /// Partial column.
    #[serde(with = "ssz_types::serde_utils::list_of_hex_fixed_vec")]
    pub partial_column: DataColumn,
    /// Kzg proofs.
    pub kzg_proofs: VariableList<KZGProof, t::U4096>,
    /// Sent only with eager pushes.
    pub header: VariableList<PartialDataColumnHeader, t::U1>,
}

/// Cells that a peer has and wants.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PartialDataColumnPartsMetadata {
    /// Available.
    pub available: BitList<t::U4096>,
    /// Requests.
    pub requests: BitList<t::U4096>,
}

/// What partial messages of a block have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PartialDataColumnGroupID {
    /// Beacon block root.
    pub beacon_block_root: Hash256,
}
