//! Blocks for tests, also for `tests/db_kill.rs`.

use crate::types::{
    BeaconBlock, BeaconBlockBody, BeaconBlockHeader, DataColumnSidecar, ExecutionPayload, ForkName,
    G2_POINT_AT_INFINITY, Hash256, SignedBeaconBlock, SignedBeaconBlockHeader,
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

/// A column of a block of `slot` with this many blobs, whose cells follow from `seed` and do not compress.
pub fn column(slot: u64, seed: u64, index: u64, blobs: usize) -> DataColumnSidecar {
    let cell =
        |blob: usize| noise(seed ^ (index << 32) ^ ((blob as u64) << 48), 2048).try_into().expect("a cell's size");
    let message = BeaconBlockHeader { slot, proposer_index: seed, ..BeaconBlockHeader::default() };
    DataColumnSidecar {
        index,
        column: (0..blobs).map(cell).collect::<Vec<_>>().try_into().expect("not too many"),
        kzg_commitments: vec![Default::default(); blobs].try_into().expect("not too many"),
        kzg_proofs: vec![Default::default(); blobs].try_into().expect("not too many"),
        signed_block_header: SignedBeaconBlockHeader { message, signature: G2_POINT_AT_INFINITY },
        kzg_commitments_inclusion_proof: vec![Hash256::ZERO; 4].try_into().expect("the tree's depth"),
    }
}

fn body(transaction: Vec<u8>) -> BeaconBlockBody {
    let transaction = transaction.try_into().expect("shorter than a transaction may be");
    let transactions = vec![transaction].try_into().expect("one is not too many");
    let execution_payload = ExecutionPayload { transactions, ..ExecutionPayload::default() };
    BeaconBlockBody { execution_payload, ..BeaconBlockBody::empty(ForkName::Fulu) }
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
