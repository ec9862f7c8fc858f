//! A stand-in for an execution client, for devnets in one process. It executes nothing.
//!
//! Its payloads are valid for the consensus layer; they carry no request, and two transactions at most. One stands for all
//! that bring blobs: the type byte of those and the blobs' versioned hashes, unsigned. That ties the payload to the block's
//! commitments, as with a real client. The other is noise, where blocks are to be as large as real ones. Blobs cost
//! nothing, so there is no excess of blob gas. Block hashes are made up: the hash of a label and of the payload's SSZ root,
//! where Ethereum has Keccak of an RLP header. So a payload of the stand-in can't be taken for a real one, nor a real one
//! for the stand-in's.

use std::sync::Arc;

use ethereum_hashing::hash_fixed;
use ssz_types::VariableList;
use tree_hash::TreeHash as _;

use super::{BlobsBundle, BuiltPayload, EngineError, PayloadAttributes, kzg_commitment_to_versioned_hash};
use crate::types::{
    ExecutionPayload, ExecutionPayloadHeader, Hash256, KZGCommitment, Transactions, U256, preset::NUMBER_OF_COLUMNS,
};

/// What is hashed before a payload's root.
const LABEL: &[u8; 32] = b"hornero stand-in execution block";
/// What the payloads say of who made them.
const EXTRA_DATA: &[u8] = b"hornero stand-in";
const GAS_LIMIT: u64 = 30_000_000;
/// In wei: the smallest that a real chain gets to.
const BASE_FEE: u64 = 7;
/// The type of transactions with blobs.
const BLOB_TX_TYPE: u8 = 3;
/// The type of the transaction that is noise: the last that a typed transaction may have.
const NOISE_TX_TYPE: u8 = 0x7f;
/// Gas of a blob: its bytes.
const GAS_PER_BLOB: u64 = 1 << 17;

/// The stand-in and the blobs that it puts into its payloads. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct StandIn {
    blobs: Arc<BlobsBundle>,
    noise: usize,
}

impl StandIn {
    /// Blobs as they are since Fulu, with the proofs of their cells. Payloads have none, one, two, ... and all of these
    /// blobs, in turn by their number; after all come none again.
    pub fn with_blobs(blobs: BlobsBundle) -> StandIn {
        StandIn { blobs: Arc::new(blobs), ..StandIn::default() }
    }

    /// Each payload has so many bytes of noise besides, which do not compress.
    pub fn with_noise(self, bytes: usize) -> StandIn {
        StandIn { noise: bytes, ..self }
    }

    /// The payload on top of `parent`. The same input gives the same payload.
    pub(super) fn build_payload(
        &self,
        parent: &ExecutionPayloadHeader,
        attributes: PayloadAttributes,
    ) -> Result<BuiltPayload, EngineError> {
        let block_number = parent.block_number + 1;
        let blobs = self.blobs_of(block_number);
        let count = attributes.withdrawals.len();
        let mut payload = ExecutionPayload {
            parent_hash: parent.block_hash,
            fee_recipient: attributes.suggested_fee_recipient,
            state_root: parent.state_root,
            receipts_root: Hash256::ZERO,
            logs_bloom: Default::default(),
            prev_randao: attributes.prev_randao,
            block_number,
            gas_limit: GAS_LIMIT,
            gas_used: 0,
            timestamp: attributes.timestamp,
            extra_data: VariableList::new(EXTRA_DATA.to_vec()).expect("at most 32 bytes"),
            base_fee_per_gas: U256::from(BASE_FEE),
            block_hash: Hash256::ZERO,
            transactions: transactions(&versioned_hashes(&blobs.commitments), noise(block_number, self.noise)),
            withdrawals: VariableList::new(attributes.withdrawals)
                .map_err(|_| EngineError::TooManyWithdrawals(count))?,
            blob_gas_used: blob_gas(blobs.commitments.len()),
            excess_blob_gas: 0,
        };
        payload.block_hash = block_hash(&payload);
        Ok(BuiltPayload { payload, blobs, ..BuiltPayload::default() })
    }

    /// The blobs of a payload.
    fn blobs_of(&self, block_number: u64) -> BlobsBundle {
        let BlobsBundle { commitments, proofs, blobs } = &*self.blobs;
        let count = (block_number % (blobs.len() as u64 + 1)) as usize;
        let first = |length: usize| length.min(count);
        BlobsBundle {
            commitments: commitments[..first(commitments.len())].to_vec(),
            proofs: proofs[..proofs.len().min(count * NUMBER_OF_COLUMNS)].to_vec(),
            blobs: blobs[..first(blobs.len())].to_vec(),
        }
    }
}

/// What is wrong with a payload of a block with these commitments, if it is not the stand-in's.
pub(super) fn judge_payload(payload: &ExecutionPayload, commitments: &[KZGCommitment]) -> Option<String> {
    judge_hashes(payload, &versioned_hashes(commitments))
}

/// The same, when only the blobs' versioned hashes are known.
pub(super) fn judge_hashes(payload: &ExecutionPayload, hashes: &[Hash256]) -> Option<String> {
    let is_of = |transaction: &[u8], types: &[u8]| transaction.first().is_some_and(|first| types.contains(first));
    if !payload.transactions.iter().all(|transaction| is_of(transaction, &[BLOB_TX_TYPE, NOISE_TX_TYPE])) {
        return Some("the stand-in can't execute transactions".into());
    }
    let noise = payload.transactions.iter().find(|transaction| is_of(transaction, &[NOISE_TX_TYPE]));
    let noise = noise.map(|noise| noise.to_vec()).unwrap_or_default();
    if payload.transactions != transactions(hashes, noise) || payload.blob_gas_used != blob_gas(hashes.len()) {
        return Some("the payload's blobs are not those of the block".into());
    }
    (payload.block_hash != block_hash(payload)).then(|| "the block hash is not the one that the stand-in gives".into())
}

fn versioned_hashes(commitments: &[KZGCommitment]) -> Vec<Hash256> {
    commitments.iter().map(kzg_commitment_to_versioned_hash).collect()
}

/// The one that brings the blobs with these versioned hashes, and the one of noise; none for what is empty.
fn transactions(hashes: &[Hash256], noise: Vec<u8>) -> Transactions {
    let mut blobs = Vec::new();
    if !hashes.is_empty() {
        blobs.push(BLOB_TX_TYPE);
        blobs.extend(hashes.iter().flat_map(|hash| hash.0));
    }
    let all = [blobs, noise].into_iter().filter(|bytes| !bytes.is_empty());
    // Far from the limit of a gigabyte.
    VariableList::new(all.map(|bytes| VariableList::new(bytes).unwrap_or_default()).collect()).unwrap_or_default()
}

/// So many bytes that look like chance, the same for the same number.
fn noise(block_number: u64, bytes: usize) -> Vec<u8> {
    let mut noise = Vec::with_capacity(bytes + 32);
    for counter in 0..bytes.div_ceil(32) as u64 {
        noise.extend(hash_fixed(&[block_number.to_le_bytes(), counter.to_le_bytes()].concat()));
    }
    noise.truncate(bytes);
    if let Some(first) = noise.first_mut() {
        *first = NOISE_TX_TYPE;
    }
    noise
}

fn blob_gas(blobs: usize) -> u64 {
    GAS_PER_BLOB * blobs as u64
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
        types::{Address, Blob, ForkName, KZGProof, Withdrawal, preset::MAX_WITHDRAWALS_PER_PAYLOAD},
    };

    fn attributes(withdrawals: usize) -> PayloadAttributes {
        PayloadAttributes {
            timestamp: 1_700_000_012,
            prev_randao: Hash256::repeat_byte(3),
            suggested_fee_recipient: Address::repeat_byte(4),
            withdrawals: vec![Withdrawal::default(); withdrawals],
            parent_beacon_block_root: Hash256::repeat_byte(5),
        }
    }

    fn engine() -> Engine {
        Engine::StandIn(StandIn::default())
    }

    /// Two blobs; what they say does not matter here.
    fn with_blobs() -> Engine {
        Engine::StandIn(StandIn::with_blobs(BlobsBundle {
            commitments: vec![KZGCommitment::repeat_byte(1), KZGCommitment::repeat_byte(2)],
            proofs: vec![KZGProof::repeat_byte(3); 2 * NUMBER_OF_COLUMNS],
            blobs: vec![Blob::default(); 2],
        }))
    }

    #[test]
    fn a_payload_has_what_it_was_asked_for_and_is_judged_valid() {
        let parent =
            ExecutionPayloadHeader { block_hash: Hash256::repeat_byte(9), block_number: 41, ..Default::default() };
        let payload = engine().build_payload(ForkName::Fulu, &parent, attributes(2)).unwrap().payload;
        assert_eq!(payload.parent_hash, parent.block_hash);
        assert_eq!((payload.block_number, payload.timestamp, payload.withdrawals.len()), (42, 1_700_000_012, 2));
        assert_eq!(payload, engine().build_payload(ForkName::Fulu, &parent, attributes(2)).unwrap().payload);
        assert_eq!(engine().judge_payload(&payload, &[]), None);
    }

    #[test]
    fn noise_makes_a_payload_as_large_as_wanted_and_valid() {
        let Engine::StandIn(stand_in) = with_blobs() else { unreachable!() };
        let engine = Engine::StandIn(stand_in.with_noise(5000));
        let BuiltPayload { payload, blobs, .. } =
            engine.build_payload(ForkName::Fulu, &Default::default(), attributes(0)).unwrap();
        let noise = payload.transactions.last().unwrap();
        assert_eq!((payload.transactions.len(), noise.len()), (2, 5000));
        assert!(snap::raw::Encoder::new().compress_vec(noise).unwrap().len() > 4900);
        assert_eq!(engine.judge_payload(&payload, &blobs.commitments), None);
    }

    #[test]
    fn payloads_have_more_and_more_blobs_and_then_none() {
        let engine = with_blobs();
        let mut parent = ExecutionPayloadHeader::default();
        for count in [1, 2, 0, 1] {
            let BuiltPayload { payload, blobs, .. } =
                engine.build_payload(ForkName::Fulu, &parent, attributes(0)).unwrap();
            assert_eq!((blobs.commitments.len(), blobs.blobs.len()), (count, count));
            assert_eq!(blobs.proofs.len(), count * NUMBER_OF_COLUMNS);
            assert_eq!(
                (payload.blob_gas_used, payload.transactions.is_empty()),
                (count as u64 * (1 << 17), count == 0)
            );
            assert_eq!(engine.judge_payload(&payload, &blobs.commitments), None);
            let other = [KZGCommitment::repeat_byte(9)];
            assert!(engine.judge_payload(&payload, &other).unwrap().contains("blobs"));
            parent = ExecutionPayloadHeader { block_number: payload.block_number, ..parent };
        }
    }

    #[test]
    fn a_payload_that_was_changed_is_refused() {
        let mut payload = engine().build_payload(ForkName::Fulu, &Default::default(), attributes(0)).unwrap().payload;
        payload.timestamp += 1;
        assert!(engine().judge_payload(&payload, &[]).unwrap().contains("hash"));
        payload.transactions = VariableList::new(vec![Default::default()]).unwrap();
        payload.block_hash = block_hash(&payload);
        assert!(engine().judge_payload(&payload, &[]).unwrap().contains("transactions"));
    }

    #[test]
    fn what_cannot_be_made_is_said() {
        let none = Engine::None.build_payload(ForkName::Fulu, &Default::default(), attributes(0));
        assert_eq!(none, Err(EngineError::NoEngine));
        let count = MAX_WITHDRAWALS_PER_PAYLOAD + 1;
        let many = engine().build_payload(ForkName::Fulu, &Default::default(), attributes(count));
        assert_eq!(many, Err(EngineError::TooManyWithdrawals(count)));
    }
}
