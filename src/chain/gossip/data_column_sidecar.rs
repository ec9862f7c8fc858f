//! The topics `data_column_sidecar_{subnet_id}`.

use super::{
    Mark, Refusal, View, ensure,
    header::{self, Words},
    reject,
};
use crate::{
    chain::availability::verify_data_column_sidecar_inclusion_proof,
    crypto::{verify_data_column_sidecar, verify_data_column_sidecar_kzg_proofs},
    types::{DataColumnSidecar, compute_subnet_for_data_column_sidecar},
};

const WORDS: Words = Words {
    future: "sidecar is from a future slot",
    finalized: "sidecar is not from a slot greater than the latest finalized slot",
    signature: "invalid proposer signature on sidecar block header",
    parent_unknown: "sidecar's parent has not been seen",
    parent_invalid: "sidecar's parent failed validation",
    slot: "sidecar is not from a higher slot than its parent",
    ancestor: "finalized checkpoint is not an ancestor of sidecar's block",
    proposer: "sidecar proposer_index does not match expected proposer",
};

/// Checks a gossiped column, and remembers a good one.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#new-data_column_sidecar_subnet_id>
pub fn validate_data_column_sidecar_gossip(
    view: &View,
    sidecar: &DataColumnSidecar,
    subnet_id: u64,
) -> Result<(), Refusal> {
    let header = &sidecar.signed_block_header;
    let mark = Mark::DataColumn(header.message.slot, header.message.proposer_index, sidecar.index);
    view.seen.check(&mark)?;
    ensure(verify_data_column_sidecar(view.config, sidecar), reject("invalid sidecar"))?;
    let subnet = compute_subnet_for_data_column_sidecar(view.config, sidecar.index);
    ensure(subnet == subnet_id, reject("sidecar is for wrong subnet"))?;
    header::check(view, header, &WORDS)?;
    ensure(verify_data_column_sidecar_inclusion_proof(sidecar), reject("invalid sidecar inclusion proof"))?;
    ensure(verify_data_column_sidecar_kzg_proofs(sidecar), reject("invalid sidecar kzg proofs"))?;
    view.seen.remember(mark)
}
