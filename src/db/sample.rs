//! Blocks for tests, also for `tests/db_kill.rs`.

use crate::types::{
    BLSSignature, BeaconBlock, BeaconBlockBody, Eth1Data, ExecutionPayload, ExecutionRequests, G2_POINT_AT_INFINITY,
    Hash256, SignedBeaconBlock, SyncAggregate, U256,
};

/// A block of `slot` whose content follows from `seed`, with a transaction of `size` bytes that does not compress.
pub fn block(slot: u64, seed: u64, size: usize) -> SignedBeaconBlock {
    let message = BeaconBlock {
        slot,
        proposer_index: seed,
        parent_root: Hash256::repeat_byte(seed as u8),
        state_root: Hash256::repeat_byte(slot as u8),
        body: body(noise(slot ^ (seed << 32), size)),
    };
    SignedBeaconBlock { message, signature: G2_POINT_AT_INFINITY }
}

fn body(transaction: Vec<u8>) -> BeaconBlockBody {
    BeaconBlockBody {
        randao_reveal: BLSSignature::ZERO,
        eth1_data: Eth1Data::default(),
        graffiti: Hash256::ZERO,
        proposer_slashings: Default::default(),
        attester_slashings: Default::default(),
        attestations: Default::default(),
        deposits: Default::default(),
        voluntary_exits: Default::default(),
        sync_aggregate: SyncAggregate {
            sync_committee_bits: Default::default(),
            sync_committee_signature: G2_POINT_AT_INFINITY,
        },
        execution_payload: payload(transaction),
        bls_to_execution_changes: Default::default(),
        blob_kzg_commitments: Default::default(),
        execution_requests: ExecutionRequests::default(),
    }
}

fn payload(transaction: Vec<u8>) -> ExecutionPayload {
    let transaction = transaction.try_into().expect("shorter than a transaction may be");
    ExecutionPayload {
        parent_hash: Hash256::ZERO,
        fee_recipient: Default::default(),
        state_root: Hash256::ZERO,
        receipts_root: Hash256::ZERO,
        logs_bloom: Default::default(),
        prev_randao: Hash256::ZERO,
        block_number: 0,
        gas_limit: 0,
        gas_used: 0,
        timestamp: 0,
        extra_data: Default::default(),
        base_fee_per_gas: U256::ZERO,
        block_hash: Hash256::ZERO,
        transactions: vec![transaction].try_into().expect("one is not too many"),
        withdrawals: Default::default(),
        blob_gas_used: 0,
        excess_blob_gas: 0,
    }
}

/// Bytes without a pattern that snappy could find (xorshift).
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}
