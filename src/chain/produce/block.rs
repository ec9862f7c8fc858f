//! Making a block: pure, on a state at the block's slot.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/validator.md#block-proposal>

use ssz_types::VariableList;
use tree_hash::TreeHash as _;

use super::{ProduceError, ProducedBlock, operations::choose_operations};
use crate::{
    chain::pools::{ForBlock, choose_attestations},
    engine::{BuiltPayload, Engine, EngineError, PayloadAttributes},
    transition::{
        Context, SignatureCollector, TransitionError, compute_time_at_slot, get_balance, get_beacon_proposer_index,
        get_expected_withdrawals, get_randao_mix, process_block,
    },
    types::*,
};

/// What a block is made of, besides the state.
#[derive(Clone, Debug)]
pub struct BlockInputs {
    /// The proposer's reveal, for the state's epoch. It is not verified here: the block's own check will.
    pub randao_reveal: BLSSignature,
    /// 32 bytes of the proposer's choice.
    pub graffiti: Hash256,
    /// What the pools have.
    pub pooled: Option<ForBlock>,
    /// Who makes the payload.
    pub engine: Engine,
}

/// A block on top of `state`, which was advanced to the block's slot.
pub fn build_block(mut state: BeaconState, inputs: BlockInputs, ctx: &Context) -> Result<ProducedBlock, ProduceError> {
    let proposer_index = get_beacon_proposer_index(&state)?;
    // Advancing the state filled in the state root of its latest header, so this is the parent block's root.
    let parent_root = state.latest_block_header.tree_hash_root();
    let BuiltPayload { payload, value, blobs, requests } = build_payload(&state, proposer_index, &inputs, ctx)?;
    let body = BeaconBlockBody {
        execution_payload: payload,
        blob_kzg_commitments: VariableList::new(blobs.commitments.clone())
            .map_err(|_| EngineError::TooManyBlobs(blobs.commitments.len()))?,
        execution_requests: requests,
        ..consensus_body(&state, inputs, ctx)
    };
    let mut block = BeaconBlock { slot: state.slot, proposer_index, parent_root, state_root: Hash256::ZERO, body };
    let before = get_balance(&state, proposer_index)?;
    process_block(&mut state, &block, ctx, &mut SignatureCollector::new(false))?;
    block.state_root = state.hash_tree_root();
    Ok(ProducedBlock {
        block,
        fork: state.fork_name,
        blobs,
        execution_payload_value: value,
        consensus_block_value: get_balance(&state, proposer_index)?.saturating_sub(before),
    })
}

/// What the execution layer puts into the block.
fn build_payload(
    state: &BeaconState,
    proposer_index: ValidatorIndex,
    inputs: &BlockInputs,
    ctx: &Context,
) -> Result<BuiltPayload, ProduceError> {
    let recipients = inputs.pooled.as_ref().map(|pooled| &pooled.fee_recipients);
    let fee_recipient = recipients.and_then(|recipients| recipients.get(&proposer_index).copied());
    let attributes = payload_attributes(state, fee_recipient.unwrap_or_default(), ctx)?;
    Ok(inputs.engine.build_payload(state.fork_name, &state.latest_execution_payload_header, attributes)?)
}

/// What the consensus layer decides of the payload of a block on top of `state`, which was advanced to the block's slot. Spec:
/// `prepare_execution_payload`.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/validator.md#executionpayload>
pub fn payload_attributes(
    state: &BeaconState,
    suggested_fee_recipient: Address,
    ctx: &Context,
) -> Result<PayloadAttributes, TransitionError> {
    Ok(PayloadAttributes {
        timestamp: compute_time_at_slot(state, state.slot, ctx)?,
        prev_randao: get_randao_mix(state, state.current_epoch()),
        suggested_fee_recipient,
        withdrawals: get_expected_withdrawals(state)?.withdrawals,
        parent_beacon_block_root: state.latest_block_header.tree_hash_root(),
    })
}

/// A body without what the execution layer puts into it.
fn consensus_body(state: &BeaconState, inputs: BlockInputs, ctx: &Context) -> BeaconBlockBody {
    let pooled = inputs.pooled.as_ref();
    let attestations = pooled.map(|pooled| choose_attestations(state, &pooled.attestations)).unwrap_or_default();
    let mut body = BeaconBlockBody {
        randao_reveal: inputs.randao_reveal,
        // Deposits come through the execution layer; the old vote on its deposit contract stays as it is.
        eth1_data: state.eth1_data,
        graffiti: inputs.graffiti,
        attestations,
        sync_aggregate: pooled.map_or_else(empty_sync_aggregate, |pooled| pooled.sync_aggregate.clone()),
        ..BeaconBlockBody::empty(state.fork_name)
    };
    if let Some(pooled) = pooled {
        choose_operations(state, &pooled.operations, &mut body, ctx);
    }
    body
}

/// Nobody signed the parent.
pub fn empty_sync_aggregate() -> SyncAggregate {
    SyncAggregate { sync_committee_bits: Default::default(), sync_committee_signature: G2_POINT_AT_INFINITY }
}
