//! A stand-in for an execution client, for devnets in one process. It executes nothing.
//!
//! Its payloads are valid for the consensus layer and carry no transaction, no blob and no request. Block hashes are made
//! up: the hash of a label and of the payload's SSZ root, where Ethereum has Keccak of an RLP header. So a payload of the
//! stand-in can't be taken for a real one, nor a real one for the stand-in's.

use ethereum_hashing::hash_fixed;
use ssz_types::VariableList;
use tree_hash::TreeHash as _;

use super::{BuiltPayload, EngineError, PayloadAttributes};
use crate::types::{ExecutionPayload, ExecutionPayloadHeader, Hash256, U256};

/// What is hashed before a payload's root.
const LABEL: &[u8; 32] = b"hornero stand-in execution block";
/// What the payloads say of who made them.
const EXTRA_DATA: &[u8] = b"hornero stand-in";
const GAS_LIMIT: u64 = 30_000_000;
/// In wei: the smallest that a real chain gets to.
const BASE_FEE: u64 = 7;

/// The empty payload on top of `parent`. The same input gives the same payload.
pub(super) fn build_payload(
    parent: &ExecutionPayloadHeader,
    attributes: PayloadAttributes,
) -> Result<BuiltPayload, EngineError> {
    let count = attributes.withdrawals.len();
    let mut payload = ExecutionPayload {
        parent_hash: parent.block_hash,
        fee_recipient: attributes.suggested_fee_recipient,
        state_root: parent.state_root,
        receipts_root: Hash256::ZERO,
        logs_bloom: Default::default(),
        prev_randao: attributes.prev_randao,
        block_number: parent.block_number + 1,
        gas_limit: GAS_LIMIT,
        gas_used: 0,
        timestamp: attributes.timestamp,
        extra_data: VariableList::new(EXTRA_DATA.to_vec()).expect("at most 32 bytes"),
        base_fee_per_gas: U256::from(BASE_FEE),
        block_hash: Hash256::ZERO,
        transactions: Default::default(),
        withdrawals: VariableList::new(attributes.withdrawals).map_err(|_| EngineError::TooManyWithdrawals(count))?,
        blob_gas_used: 0,
        excess_blob_gas: 0,
    };
    payload.block_hash = block_hash(&payload);
    Ok(BuiltPayload { payload, ..Default::default() })
}

/// What is wrong with a payload, if it is not the stand-in's.
pub(super) fn judge_payload(payload: &ExecutionPayload) -> Option<String> {
    if !payload.transactions.is_empty() {
        return Some("the stand-in can't execute transactions".into());
    }
    (payload.block_hash != block_hash(payload)).then(|| "the block hash is not the one that the stand-in gives".into())
}

/// The made-up hash: of the label and of the payload's root with an empty hash.
fn block_hash(payload: &ExecutionPayload) -> Hash256 {
    let unhashed = ExecutionPayload { block_hash: Hash256::ZERO, ..payload.clone() };
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(LABEL);
    bytes[32..].copy_from_slice(unhashed.tree_hash_root().as_slice());
    hash_fixed(&bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::Engine,
        types::{Address, Withdrawal, preset::MAX_WITHDRAWALS_PER_PAYLOAD},
    };

    fn attributes(withdrawals: usize) -> PayloadAttributes {
        PayloadAttributes {
            timestamp: 1_700_000_012,
            prev_randao: Hash256::repeat_byte(3),
            suggested_fee_recipient: Address::repeat_byte(4),
            withdrawals: vec![Withdrawal::default(); withdrawals],
        }
    }

    #[test]
    fn a_payload_has_what_it_was_asked_for_and_is_judged_valid() {
        let parent =
            ExecutionPayloadHeader { block_hash: Hash256::repeat_byte(9), block_number: 41, ..Default::default() };
        let payload = Engine::StandIn.build_payload(&parent, attributes(2)).unwrap().payload;
        assert_eq!(payload.parent_hash, parent.block_hash);
        assert_eq!((payload.block_number, payload.timestamp, payload.withdrawals.len()), (42, 1_700_000_012, 2));
        assert_eq!(payload, Engine::StandIn.build_payload(&parent, attributes(2)).unwrap().payload);
        assert_eq!(Engine::StandIn.judge_payload(&payload), None);
    }

    #[test]
    fn a_payload_that_was_changed_is_refused() {
        let mut payload = Engine::StandIn.build_payload(&Default::default(), attributes(0)).unwrap().payload;
        payload.timestamp += 1;
        assert!(Engine::StandIn.judge_payload(&payload).unwrap().contains("hash"));
        payload.transactions = VariableList::new(vec![Default::default()]).unwrap();
        payload.block_hash = block_hash(&payload);
        assert!(Engine::StandIn.judge_payload(&payload).unwrap().contains("transactions"));
    }

    #[test]
    fn what_cannot_be_made_is_said() {
        let none = Engine::None.build_payload(&Default::default(), attributes(0));
        assert_eq!(none, Err(EngineError::NoEngine));
        let count = MAX_WITHDRAWALS_PER_PAYLOAD + 1;
        let many = Engine::StandIn.build_payload(&Default::default(), attributes(count));
        assert_eq!(many, Err(EngineError::TooManyWithdrawals(count)));
    }
}
