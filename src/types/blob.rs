//! Blobs as they travelled before columns: whole, one by one (Deneb and Electra).
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/p2p-interface.md#containers>

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::FixedVector;
use tree_hash_derive::TreeHash;
use typenum as t;

use super::{basic::SignedBeaconBlockHeader, block_contents::Blob, primitives::*};

/// Branch from one of a block's commitments to the body's root.
pub type KZGCommitmentInclusionProof = FixedVector<Hash256, t::U17>;

/// A blob with the proof that it belongs to its block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct BlobSidecar {
    /// Place among the block's blobs.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: u64,
    /// Blob.
    #[serde(with = "ssz_types::serde_utils::hex_fixed_vec")]
    pub blob: Blob,
    /// Kzg commitment.
    pub kzg_commitment: KZGCommitment,
    /// Kzg proof.
    pub kzg_proof: KZGProof,
    /// Signed block header.
    pub signed_block_header: SignedBeaconBlockHeader,
    /// Kzg commitment inclusion proof.
    pub kzg_commitment_inclusion_proof: KZGCommitmentInclusionProof,
}

/// Which blob of which block is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct BlobIdentifier {
    /// Block root.
    pub block_root: Hash256,
    /// Index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: u64,
}
