//! Columns that were asked for, against what their block promises.

use std::sync::Arc;

use super::Promise;
use crate::{
    chain::availability::{is_data_available, verify_data_column_sidecar_inclusion_proof},
    types::{Config, DataColumnSidecar, Hash256},
};

/// What became of columns that somebody gave.
#[derive(Default)]
pub(super) struct Judged {
    /// Those that are valid, with the root of their block.
    pub good: Vec<(Hash256, Arc<DataColumnSidecar>)>,
    /// How many are not.
    pub bad: usize,
}

/// Judges columns of blocks whose promises are known, all proofs at once; one by one only where something is wrong. Costs
/// milliseconds for each: call it on the blocking pool.
pub(super) fn judge_promised(config: &Config, columns: Vec<(Hash256, &Promise, Arc<DataColumnSidecar>)>) -> Judged {
    let mut judged = Judged::default();
    for (root, promise, mut column) in columns {
        if !keeps(promise, &column) {
            judged.bad += 1;
            continue;
        }
        if column.signed_block_header.signature != promise.signature {
            // The block's own signature is verified with the block. Who gave another one may not have made it.
            Arc::make_mut(&mut column).signed_block_header.signature = promise.signature;
        }
        judged.good.push((root, column));
    }
    let all: Vec<&DataColumnSidecar> = judged.good.iter().map(|(_, column)| column.as_ref()).collect();
    if !is_data_available(config, &all) {
        let before = judged.good.len();
        judged.good.retain(|(_, column)| is_data_available(config, &[column]));
        judged.bad += before - judged.good.len();
    }
    judged
}

/// Whether a column is of the block that promised it; its proofs aside.
fn keeps(promise: &Promise, column: &DataColumnSidecar) -> bool {
    column.signed_block_header.message == promise.header
        && column.kzg_commitments == promise.commitments
        && verify_data_column_sidecar_inclusion_proof(column)
}
