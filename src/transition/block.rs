//! Block processing: <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#block-processing>.
//!
//! One file per heading. What a block brings is checked before it is used as an index or in a sum: a bad block is refused,
//! never a panic. The signatures of a block are collected on the way and verified in one batch at the end.

mod attestation;
mod attester_slashing;
mod bls_to_execution_change;
mod consolidation_request;
mod deposit;
mod deposit_request;
mod execution_payload;
mod operations;
mod proposer_slashing;
mod sync_aggregate;
mod voluntary_exit;
mod withdrawal_request;
mod withdrawals;

use ethereum_hashing::hash_fixed;
use tree_hash::TreeHash as _;

pub use attestation::process_attestation;
pub use attester_slashing::process_attester_slashing;
pub use bls_to_execution_change::process_bls_to_execution_change;
pub use consolidation_request::process_consolidation_request;
pub use deposit::process_deposit;
pub use deposit_request::process_deposit_request;
pub use execution_payload::{check_execution_payload, process_execution_payload};
pub use operations::process_operations;
pub use proposer_slashing::process_proposer_slashing;
pub use sync_aggregate::process_sync_aggregate;
pub use voluntary_exit::process_voluntary_exit;
pub use withdrawal_request::process_withdrawal_request;
pub use withdrawals::{ExpectedWithdrawals, get_expected_withdrawals, process_withdrawals};

use super::*;
use crate::types::{preset::*, *};

/// Everything that a block does, but for its own signature and its state root.
///
/// The execution client's verdict is not asked for here: the caller has it in parallel.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#block-processing>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/beacon-chain.md#block-processing>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/beacon-chain.md#block-processing>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#block-processing>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#block-processing>
///
/// # Errors
/// The first rule that the block breaks. The state is then half changed and to be thrown away.
pub fn process_block(
    state: &mut BeaconState,
    block: &BeaconBlock,
    ctx: &Context,
    signatures: &mut SignatureCollector,
) -> Result<(), TransitionError> {
    process_block_header(state, &block.header())?;
    process_block_body(state, &block.body, ctx, signatures)
}

/// The rest of [`process_block`], for a caller that made the block's header (and so hashed its body) itself.
pub(super) fn process_block_body(
    state: &mut BeaconState,
    body: &BeaconBlockBody,
    ctx: &Context,
    signatures: &mut SignatureCollector,
) -> Result<(), TransitionError> {
    let is_of_state = body.layout == state.fork_name.into();
    ensure(is_of_state, "block", "its body must have the fields of the state's fork")?;
    if state.fork_name >= ForkName::Capella {
        process_withdrawals(state, &body.execution_payload)?;
    }
    if is_execution_enabled(state, body) {
        process_execution_payload(state, body, ctx)?;
    }
    process_randao(state, body, ctx, signatures)?;
    process_eth1_data(state, body);
    process_operations(state, body, ctx, signatures)?;
    if state.fork_name >= ForkName::Altair {
        process_sync_aggregate(state, &body.sync_aggregate, ctx, signatures)?;
    }
    Ok(())
}

/// Checks a block's place in the chain and its proposer. Takes the block's header, so that the body is hashed once.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#block-header>
///
/// # Errors
/// Wrong slot, proposer or parent; a slashed proposer.
pub fn process_block_header(state: &mut BeaconState, header: &BeaconBlockHeader) -> Result<(), TransitionError> {
    let rule = |holds, rule| ensure(holds, "block header", rule);
    rule(header.slot == state.slot, "the block's slot must be the state's")?;
    rule(header.slot > state.latest_block_header.slot, "the block must be newer than its parent")?;
    let proposer = get_beacon_proposer_index(state)?;
    rule(header.proposer_index == proposer, "the block must be by the proposer of its slot")?;
    rule(
        header.parent_root == state.latest_block_header.tree_hash_root(),
        "the parent must be the latest block of the state",
    )?;
    // The state root is filled in by the next `process_slot`.
    state.latest_block_header = BeaconBlockHeader { state_root: Hash256::ZERO, ..*header };
    rule(!get_validator(state, proposer)?.slashed, "the proposer must not be slashed")
}

/// Mixes the proposer's reveal into the randomness.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#randao>
///
/// # Errors
/// Only when the proposer's key can't be had; the reveal itself is checked with the batch.
pub fn process_randao(
    state: &mut BeaconState,
    body: &BeaconBlockBody,
    ctx: &Context,
    signatures: &mut SignatureCollector,
) -> Result<(), TransitionError> {
    signatures.add("randao reveal", || randao_signature_set(state, &body.randao_reveal, ctx))?;
    let epoch = state.current_epoch();
    let mix = get_randao_mix(state, epoch) ^ Hash256::from(hash_fixed(body.randao_reveal.as_slice()));
    state.randao_mixes.set((epoch % EPOCHS_PER_HISTORICAL_VECTOR as u64) as usize, mix);
    Ok(())
}

/// Counts the block's vote on the deposit contract.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#eth1-data>
pub fn process_eth1_data(state: &mut BeaconState, body: &BeaconBlockBody) {
    state.eth1_data_votes.push(body.eth1_data);
    let votes = state.eth1_data_votes.iter().filter(|vote| **vote == body.eth1_data).count() as u64;
    if votes * 2 > EPOCHS_PER_ETH1_VOTING_PERIOD * SLOTS_PER_EPOCH {
        state.eth1_data = body.eth1_data;
    }
}

#[cfg(test)]
mod tests;
