//! What an execution client makes for a block.

use ethereum_hashing::hash_fixed;

use crate::types::{Blob, ExecutionPayload, ExecutionRequests, Hash256, KZGCommitment, KZGProof, U256};

/// The first byte of a blob's versioned hash.
const VERSIONED_HASH_VERSION_KZG: u8 = 1;

/// A payload and what else of its block comes from the execution layer.
/// <https://github.com/ethereum/execution-apis/blob/main/src/engine/osaka.md#engine_getpayloadv5>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuiltPayload {
    /// The payload.
    pub payload: ExecutionPayload,
    /// What it earns its fee recipient, in wei.
    pub value: U256,
    /// The blobs of its transactions.
    pub blobs: BlobsBundle,
    /// What the execution layer asks of the consensus layer; empty before Electra.
    pub requests: ExecutionRequests,
}

/// The blobs of a payload's transactions, in their order.
/// <https://github.com/ethereum/execution-apis/blob/main/src/engine/osaka.md#blobsbundlev2>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobsBundle {
    /// One for each blob.
    pub commitments: Vec<KZGCommitment>,
    /// Since Fulu 128 for each blob: those of its cells. Before, one.
    pub proofs: Vec<KZGProof>,
    /// The blobs.
    pub blobs: Vec<Blob>,
}

/// How the execution layer names a blob.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/beacon-chain.md#kzg_commitment_to_versioned_hash>
pub fn kzg_commitment_to_versioned_hash(kzg_commitment: &KZGCommitment) -> Hash256 {
    let mut hash = hash_fixed(kzg_commitment.as_slice());
    hash[0] = VERSIONED_HASH_VERSION_KZG;
    hash.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash of 48 zero bytes by `sha256sum`, with its first byte replaced.
    #[test]
    fn a_versioned_hash_is_the_commitments_hash_with_a_version() {
        let hash = kzg_commitment_to_versioned_hash(&KZGCommitment::ZERO);
        assert_eq!(hash.to_string(), "0x01b0761f87b081d5cf10757ccc89f12be355c70e2e29df288b65b30710dcbcd1");
    }
}
