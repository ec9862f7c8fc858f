//! Blocks as the Beacon API carries them to and from validator clients: with their blobs and the cells' proofs.
//! <https://github.com/ethereum/beacon-APIs/blob/master/types/fulu/block_contents.yaml>

use serde::{Deserialize, Serialize};
use ssz::{Decode, DecodeError, SszDecoderBuilder};
use ssz_derive::Encode;
use ssz_types::{FixedVector, VariableList};
use typenum as t;

use super::{BeaconBlock, ForkName, KZGProof, SignedBeaconBlock};

/// A blob: 4,096 field elements of 32 bytes.
pub type Blob = FixedVector<u8, t::U131072>;
/// Proofs of all cells of all blobs.
pub type CellKZGProofs = VariableList<KZGProof, t::U33554432>;
/// A block's blobs, in the order of their commitments.
pub type Blobs = VariableList<Blob, t::U4096>;

/// An unsigned block with its blobs.
#[derive(Clone, Debug, Encode, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Encode, Serialize, Deserialize)]
pub struct SignedBlockContents {
    /// The block.
    pub signed_block: SignedBeaconBlock,
    /// Proofs of the blobs' cells.
    pub kzg_proofs: CellKZGProofs,
    /// The blobs.
    #[serde(with = "ssz_types::serde_utils::list_of_hex_fixed_vec")]
    pub blobs: Blobs,
}

impl BlockContents {
    /// Decodes `fork`'s contents.
    ///
    /// # Errors
    /// When the bytes are not their encoding.
    pub fn from_ssz_bytes(fork: ForkName, bytes: &[u8]) -> Result<Self, DecodeError> {
        let (block, kzg_proofs, blobs) = three(bytes, |bytes| BeaconBlock::from_ssz_bytes(fork, bytes))?;
        Ok(BlockContents { block, kzg_proofs, blobs })
    }
}

impl SignedBlockContents {
    /// Decodes `fork`'s contents.
    ///
    /// # Errors
    /// When the bytes are not their encoding.
    pub fn from_ssz_bytes(fork: ForkName, bytes: &[u8]) -> Result<Self, DecodeError> {
        let (signed_block, kzg_proofs, blobs) = three(bytes, |bytes| SignedBeaconBlock::from_ssz_bytes(fork, bytes))?;
        Ok(SignedBlockContents { signed_block, kzg_proofs, blobs })
    }
}

/// Decodes a block, which needs to know its fork, and the two lists that follow.
fn three<B, P: Decode, L: Decode>(
    bytes: &[u8],
    block: impl FnOnce(&[u8]) -> Result<B, DecodeError>,
) -> Result<(B, P, L), DecodeError> {
    let mut builder = SszDecoderBuilder::new(bytes);
    for _ in 0..3 {
        builder.register_anonymous_variable_length_item()?;
    }
    let mut decoder = builder.build()?;
    Ok((decoder.decode_next_with(block)?, decoder.decode_next()?, decoder.decode_next()?))
}
