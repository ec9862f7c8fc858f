//! The topics `data_column_sidecar_{subnet_id}`.

use tree_hash::TreeHash as _;

use super::{
    Mark, Refusal, View, ensure,
    header::{self, Words},
    reject,
};
use crate::{
    chain::availability::verify_data_column_sidecar_inclusion_proof,
    crypto::{verify_data_column_sidecar, verify_data_column_sidecar_kzg_proofs, verify_data_columns_kzg_proofs},
    types::{DataColumnSidecar, Hash256, compute_subnet_for_data_column_sidecar},
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

/// Whether a column was refused only because its block's parent is not known yet.
pub fn is_early(refusal: &Refusal) -> bool {
    refusal.reason == WORDS.parent_unknown
}

/// Whether a column was refused because one for its place was seen.
pub fn is_repeated(refusal: &Refusal) -> bool {
    refusal.reason == Mark::DataColumn(0, 0, 0).repeated().reason
}

/// A column that passed all checks but that of its proofs.
pub struct CheckedColumn<'a> {
    /// Root of its block.
    pub block_root: Hash256,
    sidecar: &'a DataColumnSidecar,
    mark: Mark,
}

/// Checks a gossiped column, and remembers a good one.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#new-data_column_sidecar_subnet_id>
pub fn validate_data_column_sidecar_gossip(
    view: &View,
    sidecar: &DataColumnSidecar,
    subnet_id: u64,
) -> Result<(), Refusal> {
    let checked = check_data_column_sidecar_gossip(view, sidecar, subnet_id);
    finish_data_column_sidecars(view, vec![checked]).into_iter().try_for_each(|result| result.map(|_| ()))
}

/// The checks of [`validate_data_column_sidecar_gossip`] but that of the proofs, which is cheaper for many at once.
pub fn check_data_column_sidecar_gossip<'a>(
    view: &View,
    sidecar: &'a DataColumnSidecar,
    subnet_id: u64,
) -> Result<CheckedColumn<'a>, Refusal> {
    let header = &sidecar.signed_block_header;
    let mark = Mark::DataColumn(header.message.slot, header.message.proposer_index, sidecar.index);
    view.seen.check(&mark)?;
    ensure(verify_data_column_sidecar(view.config, sidecar), reject("invalid sidecar"))?;
    let subnet = compute_subnet_for_data_column_sidecar(view.config, sidecar.index);
    ensure(subnet == subnet_id, reject("sidecar is for wrong subnet"))?;
    header::check(view, header, &WORDS)?;
    ensure(verify_data_column_sidecar_inclusion_proof(sidecar), reject("invalid sidecar inclusion proof"))?;
    Ok(CheckedColumn { block_root: header.message.tree_hash_root(), sidecar, mark })
}

/// As [`validate_data_column_sidecar_gossip`], for a column that we made of our execution client's blobs: it counts like one that
/// came by gossip, but its proofs are not looked at. Whether it may be published, which is then remembered.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#distributed-blob-publishing-using-blobs-retrieved-from-local-execution-layer-client>
pub fn claim_data_column_sidecar(view: &View, sidecar: &DataColumnSidecar) -> Result<(), Refusal> {
    let subnet = compute_subnet_for_data_column_sidecar(view.config, sidecar.index);
    let checked = check_data_column_sidecar_gossip(view, sidecar, subnet)?;
    view.seen.remember(checked.mark)
}

/// Checks the proofs of columns, those of all at once, and one by one only where something is wrong; and remembers the good
/// ones. For each the root of its block, or what is wrong.
pub fn finish_data_column_sidecars(
    view: &View,
    checked: Vec<Result<CheckedColumn, Refusal>>,
) -> Vec<Result<Hash256, Refusal>> {
    let left: Vec<&DataColumnSidecar> = checked.iter().flatten().map(|column| column.sidecar).collect();
    let all_proven = verify_data_columns_kzg_proofs(&left);
    let finish = |column: CheckedColumn| {
        let is_proven = all_proven || (left.len() > 1 && verify_data_column_sidecar_kzg_proofs(column.sidecar));
        ensure(is_proven, reject("invalid sidecar kzg proofs"))?;
        // Of two in one batch for the same place, the first counts.
        view.seen.remember(column.mark)?;
        Ok(column.block_root)
    };
    checked.into_iter().map(|result| result.and_then(finish)).collect()
}
