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
