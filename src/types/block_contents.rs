//! Blocks as the Beacon API carries them to and from validator clients: with their blobs and the cells' proofs.
//! <https://github.com/ethereum/beacon-APIs/blob/master/types/fulu/block_contents.yaml>

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::{FixedVector, VariableList};
use typenum as t;

use super::{BeaconBlock, KZGProof, SignedBeaconBlock};

/// A blob: 4,096 field elements of 32 bytes.
pub type Blob = FixedVector<u8, t::U131072>;
/// Proofs of all cells of all blobs.
pub type CellKZGProofs = VariableList<KZGProof, t::U33554432>;
/// A block's blobs, in the order of their commitments.
pub type Blobs = VariableList<Blob, t::U4096>;

/// An unsigned block with its blobs.
#[derive(Clone, Debug, Encode, Decode, Serialize, Deserialize)]
pub struct BlockContents {
    /// The block.
    pub block: BeaconBlock,
    /// Proofs of the blobs' cells.
    pub kzg_proofs: CellKZGProofs,
    /// The blobs.
    #[serde(with = "ssz_types::serde_utils::list_of_hex_fixed_vec")]
    pub blobs: Blobs,
}

/// A signed block with its blobs.
#[derive(Clone, Debug, Encode, Decode, Serialize, Deserialize)]
pub struct SignedBlockContents {
    /// The block.
    pub signed_block: SignedBeaconBlock,
    /// Proofs of the blobs' cells.
    pub kzg_proofs: CellKZGProofs,
    /// The blobs.
    #[serde(with = "ssz_types::serde_utils::list_of_hex_fixed_vec")]
    pub blobs: Blobs,
}
