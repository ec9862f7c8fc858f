//! The topics `blob_sidecar_{subnet_id}`, up to Electra.

use super::{
    Mark, Refusal, View, ensure,
    header::{self, Words},
    reject,
};
use crate::{
    chain::availability::verify_blob_sidecar_inclusion_proof,
    crypto::kzg::verify_blob_kzg_proof,
    types::{BlobSidecar, compute_subnet_for_blob_sidecar},
};

const WORDS: Words = Words {
    future: "blob sidecar is from a future slot",
    finalized: "blob sidecar is not from a slot greater than the latest finalized slot",
    signature: "invalid proposer signature on blob sidecar block header",
    parent_unknown: "blob sidecar's parent has not been seen",
    parent_invalid: "blob sidecar's parent failed validation",
    slot: "blob sidecar is not from a higher slot than its parent",
    ancestor: "finalized checkpoint is not an ancestor of blob sidecar's block",
    proposer: "blob sidecar proposer_index does not match expected proposer",
};

/// Checks a gossiped blob, and remembers a good one.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/p2p-interface.md#modified-blob_sidecar_subnet_id>
pub fn validate_blob_sidecar_gossip(view: &View, sidecar: &BlobSidecar, subnet_id: u64) -> Result<(), Refusal> {
    let header = &sidecar.signed_block_header;
    ensure(sidecar.index < view.config.max_blobs_per_block_electra, reject("blob index out of range"))?;
    let subnet = compute_subnet_for_blob_sidecar(view.config, sidecar.index);
    ensure(subnet == subnet_id, reject("blob sidecar is for wrong subnet"))?;
    let mark = Mark::Blob(header.message.slot, header.message.proposer_index, sidecar.index);
    view.seen.check(&mark)?;
    header::check(view, header, &WORDS)?;
    ensure(verify_blob_sidecar_inclusion_proof(sidecar), reject("invalid blob sidecar inclusion proof"))?;
    let proof = verify_blob_kzg_proof(&sidecar.blob, &sidecar.kzg_commitment, &sidecar.kzg_proof);
    ensure(proof.unwrap_or(false), reject("invalid blob kzg proof"))?;
    view.seen.remember(mark)
}
