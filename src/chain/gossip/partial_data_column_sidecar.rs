//! Some cells of a column, on the topics `data_column_sidecar_{subnet_id}`.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/partial-columns/p2p-interface.md>

use tree_hash::TreeHash as _;

use super::{
    Refusal, View, ensure,
    header::{self, Words},
    ignore, reject,
};
use crate::{
    chain::availability::verify_partial_data_column_header_inclusion_proof,
    crypto::verify_partial_data_column_sidecar_kzg_proofs,
    types::{ColumnIndex, PartialDataColumnGroupID, PartialDataColumnHeader, PartialDataColumnSidecar},
};

const WORDS: Words = Words {
    future: "header is from a future slot",
    finalized: "header is not from a slot greater than the latest finalized slot",
    signature: "invalid proposer signature on header",
    parent_unknown: "header's parent has not been seen",
    parent_invalid: "header's parent failed validation",
    slot: "header is not from a higher slot than its parent",
    ancestor: "finalized checkpoint is not an ancestor of header's block",
    proposer: "header proposer_index does not match expected proposer",
};

/// Checks some cells, or the header that they belong to, or both. A good header is remembered even if the cells are not.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/partial-columns/p2p-interface.md#new-data_column_sidecar_subnet_id-partial-messages>
pub fn validate_partial_data_column_sidecar_gossip(
    view: &View,
    sidecar: &PartialDataColumnSidecar,
    group_id: &PartialDataColumnGroupID,
    column_index: ColumnIndex,
) -> Result<(), Refusal> {
    let cells = sidecar.cells_present_bitmap.num_set_bits();
    ensure(!sidecar.header.is_empty() || cells > 0, reject("partial message is semantically empty"))?;
    ensure(sidecar.partial_column.len() == cells, reject("number of cells does not match number of set bits"))?;
    ensure(sidecar.kzg_proofs.len() == cells, reject("number of proofs does not match number of set bits"))?;
    if let Some(header) = sidecar.header.first() {
        check_header(view, header, group_id)?;
        view.seen.remember_partial_header(group_id.beacon_block_root, header.clone());
    }
    if cells > 0 { check_cells(view, sidecar, group_id, column_index) } else { Ok(()) }
}

fn check_header(
    view: &View,
    header: &PartialDataColumnHeader,
    group_id: &PartialDataColumnGroupID,
) -> Result<(), Refusal> {
    if let Some(prior) = view.seen.partial_header(&group_id.beacon_block_root) {
        ensure(*prior == *header, reject("header differs from previously validated header"))?;
    }
    let is_of_group = header.signed_block_header.message.tree_hash_root() == group_id.beacon_block_root;
    ensure(is_of_group, reject("header's block root does not match group id's block root"))?;
    ensure(!header.kzg_commitments.is_empty(), reject("header's kzg_commitments is empty"))?;
    header::check(view, &header.signed_block_header, &WORDS)?;
    ensure(verify_partial_data_column_header_inclusion_proof(header), reject("invalid header inclusion proof"))
}

fn check_cells(
    view: &View,
    sidecar: &PartialDataColumnSidecar,
    group_id: &PartialDataColumnGroupID,
    column_index: ColumnIndex,
) -> Result<(), Refusal> {
    let header = view.seen.partial_header(&group_id.beacon_block_root);
    let header = header.ok_or(ignore("valid corresponding header has not been seen"))?;
    let slot = header.signed_block_header.message.slot;
    ensure(!view.is_future_slot(slot), ignore("corresponding header is from a future slot"))?;
    let finalized = ignore("corresponding header is not from a slot greater than the latest finalized slot");
    ensure(view.is_after_finalized(slot), finalized)?;
    let has_all_bits = sidecar.cells_present_bitmap.len() == header.kzg_commitments.len();
    ensure(has_all_bits, reject("bitmap length does not match commitments length"))?;
    let are_proven = verify_partial_data_column_sidecar_kzg_proofs(sidecar, &header.kzg_commitments, column_index);
    ensure(are_proven, reject("invalid sidecar kzg proofs"))
}
