//! A block without its payload's lists: all that is to be kept of it where the execution client has them.
//! <https://github.com/ethereum/builder-specs/blob/v0.6.0/specs/electra/builder.md#blindedbeaconblockbody>

use ssz::{BYTES_PER_LENGTH_OFFSET, DecodeError, SszEncoder};
use ssz_types::VariableList;
use tree_hash::TreeHash as _;

use super::{
    BeaconBlockBody, BodyLayout, SignedBeaconBlock,
    codec::{body_root, fork_of_slot},
    layout::Field,
};
use crate::types::{preset::MaxWithdrawalsPerPayload, *};

/// Bytes of a block's fields of fixed length, and of its body's offset.
const MESSAGE_FIXED: usize = 8 + 8 + 32 + 32 + BYTES_PER_LENGTH_OFFSET;
/// Those of the signature and of the message's offset.
const SIGNED_FIXED: usize = BYTES_PER_LENGTH_OFFSET + 96;

/// A signed block whose body has the payload's header in the place of the payload. It has the root of the whole block, and the
/// signature under that is good for both. Before Bellatrix it is the whole block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBlindedBeaconBlock {
    /// The block, with an empty payload.
    shell: SignedBeaconBlock,
    /// What stands for the payload.
    header: ExecutionPayloadHeader,
}

/// Lists that are not those of which a payload's header has the roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these are not the {0} of the block's payload")]
pub struct WrongPayloadBody(pub &'static str);

impl BeaconBlockBody {
    /// The payload with its lists replaced by their roots; those that its fork does not have stay zero.
    pub fn execution_payload_header(&self) -> ExecutionPayloadHeader {
        let payload = &self.execution_payload;
        let has_withdrawals = self.layout >= BodyLayout::Capella;
        ExecutionPayloadHeader {
            parent_hash: payload.parent_hash,
            fee_recipient: payload.fee_recipient,
            state_root: payload.state_root,
            receipts_root: payload.receipts_root,
            logs_bloom: payload.logs_bloom.clone(),
            prev_randao: payload.prev_randao,
            block_number: payload.block_number,
            gas_limit: payload.gas_limit,
            gas_used: payload.gas_used,
            timestamp: payload.timestamp,
            extra_data: payload.extra_data.clone(),
            base_fee_per_gas: payload.base_fee_per_gas,
            block_hash: payload.block_hash,
            transactions_root: payload.transactions.tree_hash_root(),
            withdrawals_root: if has_withdrawals { payload.withdrawals.tree_hash_root() } else { Hash256::ZERO },
            blob_gas_used: payload.blob_gas_used,
            excess_blob_gas: payload.excess_blob_gas,
        }
    }

    fn has_payload_field(&self) -> bool {
        self.layout >= BodyLayout::Bellatrix
    }
}

impl SignedBeaconBlock {
    /// The block without its payload's lists. Hashes them.
    pub fn into_blinded(mut self) -> SignedBlindedBeaconBlock {
        let body = &mut self.message.body;
        let header =
            if body.has_payload_field() { body.execution_payload_header() } else { ExecutionPayloadHeader::default() };
        body.execution_payload = ExecutionPayload::default();
        SignedBlindedBeaconBlock { shell: self, header }
    }
}

impl SignedBlindedBeaconBlock {
    /// Decodes a block of the fork that its own slot is in.
    ///
    /// # Errors
    /// When the bytes are not such a block, or of a fork that this program does not know.
    pub fn from_ssz_bytes_by_slot(config: &Config, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_ssz_bytes(fork_of_slot(config, bytes)?, bytes)
    }

    /// Decodes `fork`'s block.
    ///
    /// # Errors
    /// When the bytes are not its encoding.
    pub fn from_ssz_bytes(fork: ForkName, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut header = ExecutionPayloadHeader::default();
        let shell = SignedBeaconBlock::decode_with(bytes, |bytes| {
            BeaconBlockBody::decode_with(fork, bytes, |_, bytes| {
                header = ExecutionPayloadHeader::decode_as(fork, bytes)?;
                Ok(())
            })
        })?;
        Ok(SignedBlindedBeaconBlock { shell, header })
    }

    /// Its slot.
    pub fn slot(&self) -> Slot {
        self.shell.message.slot
    }

    /// Root of its parent.
    pub fn parent_root(&self) -> Hash256 {
        self.shell.message.parent_root
    }

    /// The hash of its payload; zero if there is none, as before the merge. Then its lists are empty.
    pub fn block_hash(&self) -> Hash256 {
        self.header.block_hash
    }

    /// Commitments to its blobs.
    pub fn commitments(&self) -> &BlobKZGCommitments {
        &self.shell.message.body.blob_kzg_commitments
    }

    /// The root of the whole block, without its signature.
    pub fn root(&self) -> Hash256 {
        self.signed_header().message.tree_hash_root()
    }

    /// The header of the whole block, with the same signature.
    pub fn signed_header(&self) -> SignedBeaconBlockHeader {
        let SignedBeaconBlock { message, signature } = &self.shell;
        let mut roots = message.body.field_roots();
        let fields = message.body.layout.fields();
        if let Some(at) = fields.iter().position(|(field, _)| *field == Field::ExecutionPayload) {
            roots[at] = self.header.root_as(message.body.layout.first_fork());
        }
        let header = BeaconBlockHeader {
            slot: message.slot,
            proposer_index: message.proposer_index,
            parent_root: message.parent_root,
            state_root: message.state_root,
            body_root: body_root(roots),
        };
        SignedBeaconBlockHeader { message: header, signature: *signature }
    }

    /// The whole block.
    ///
    /// # Errors
    /// When these are not the payload's lists, as their roots tell.
    pub fn into_whole(
        self,
        transactions: Transactions,
        withdrawals: VariableList<Withdrawal, MaxWithdrawalsPerPayload>,
    ) -> Result<SignedBeaconBlock, WrongPayloadBody> {
        let SignedBlindedBeaconBlock { mut shell, header } = self;
        let body = &mut shell.message.body;
        if !body.has_payload_field() {
            let is_empty = transactions.is_empty() && withdrawals.is_empty();
            return if is_empty { Ok(shell) } else { Err(WrongPayloadBody("lists")) };
        }
        let has_withdrawals = body.layout >= BodyLayout::Capella;
        let withdrawals_root = if has_withdrawals { withdrawals.tree_hash_root() } else { Hash256::ZERO };
        if withdrawals_root != header.withdrawals_root || !has_withdrawals && !withdrawals.is_empty() {
            return Err(WrongPayloadBody("withdrawals"));
        }
        if transactions.tree_hash_root() != header.transactions_root {
            return Err(WrongPayloadBody("transactions"));
        }
        body.execution_payload = ExecutionPayload {
            parent_hash: header.parent_hash,
            fee_recipient: header.fee_recipient,
            state_root: header.state_root,
            receipts_root: header.receipts_root,
            logs_bloom: header.logs_bloom,
            prev_randao: header.prev_randao,
            block_number: header.block_number,
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            extra_data: header.extra_data,
            base_fee_per_gas: header.base_fee_per_gas,
            block_hash: header.block_hash,
            transactions,
            withdrawals,
            blob_gas_used: header.blob_gas_used,
            excess_blob_gas: header.excess_blob_gas,
        };
        Ok(shell)
    }

    /// Its SSZ.
    pub fn as_ssz_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let SignedBeaconBlock { message, signature } = &self.shell;
        let mut signed = SszEncoder::container(&mut out, SIGNED_FIXED);
        signed.append_parameterized(false, |out| {
            let mut block = SszEncoder::container(out, MESSAGE_FIXED);
            block.append(&message.slot);
            block.append(&message.proposer_index);
            block.append(&message.parent_root);
            block.append(&message.state_root);
            block.append_parameterized(false, |out| message.body.append_with(out, |out| self.append_header(out)));
            block.finalize();
        });
        signed.append(signature);
        signed.finalize();
        out
    }

    fn append_header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header.encode_as(self.shell.message.body.layout.first_fork()));
    }
}

#[cfg(test)]
mod tests {
    use ssz::Encode as _;

    use super::*;

    fn block(fork: ForkName) -> SignedBeaconBlock {
        let mut block = SignedBeaconBlock::default();
        let config = Config::default().in_fork_from_genesis(fork);
        assert_eq!(config.fork_name(0), Some(fork));
        (block.message.slot, block.message.proposer_index) = (7, 9);
        block.message.parent_root = Hash256::repeat_byte(3);
        block.signature = G2_POINT_AT_INFINITY;
        block.message.body = BeaconBlockBody { layout: fork.into(), ..Default::default() };
        if fork >= ForkName::Bellatrix {
            let payload = &mut block.message.body.execution_payload;
            payload.block_hash = Hash256::repeat_byte(5);
            payload.extra_data = VariableList::new(vec![1, 2, 3]).unwrap();
            payload.base_fee_per_gas = U256::from(7);
            payload.transactions =
                VariableList::new(vec![VariableList::new(vec![2, 0xf8]).unwrap(), Default::default()]).unwrap();
        }
        if fork >= ForkName::Capella {
            let withdrawal = Withdrawal { index: 1, validator_index: 2, address: Address::repeat_byte(4), amount: 5 };
            block.message.body.execution_payload.withdrawals = VariableList::new(vec![withdrawal]).unwrap();
        }
        if fork >= ForkName::Deneb {
            block.message.body.execution_payload.blob_gas_used = 131_072;
            block.message.body.blob_kzg_commitments = VariableList::new(vec![KZGCommitment::ZERO; 2]).unwrap();
        }
        block
    }

    #[test]
    fn a_blinded_block_has_the_blocks_root_and_becomes_whole_again_in_every_fork() {
        for fork in ForkName::ALL {
            let whole = block(fork);
            let payload = whole.message.body.execution_payload.clone();
            let blinded = whole.clone().into_blinded();
            assert_eq!((blinded.root(), blinded.signed_header()), (whole.root(), whole.signed_header()), "{fork}");
            assert_eq!((blinded.slot(), blinded.block_hash()), (7, payload.block_hash), "{fork}");
            let ssz = blinded.as_ssz_bytes();
            assert_eq!(SignedBlindedBeaconBlock::from_ssz_bytes(fork, &ssz).as_ref(), Ok(&blinded), "{fork}");
            let config = Config::default().in_fork_from_genesis(fork);
            assert_eq!(SignedBlindedBeaconBlock::from_ssz_bytes_by_slot(&config, &ssz), Ok(blinded.clone()), "{fork}");
            if fork < ForkName::Bellatrix {
                assert_eq!(ssz, whole.as_ssz_bytes(), "{fork}");
            }
            assert_eq!(blinded.into_whole(payload.transactions, payload.withdrawals), Ok(whole), "{fork}");
        }
    }

    #[test]
    fn other_lists_are_refused() {
        for fork in [ForkName::Phase0, ForkName::Bellatrix, ForkName::Capella, ForkName::Fulu] {
            let whole = block(fork);
            let ExecutionPayload { transactions, withdrawals, .. } = whole.message.body.execution_payload.clone();
            let blinded = whole.into_blinded();
            let refused = |transactions: &Transactions, withdrawals: &VariableList<_, _>| {
                assert!(blinded.clone().into_whole(transactions.clone(), withdrawals.clone()).is_err(), "{fork}");
            };
            let mut more = transactions.clone();
            more.push(Default::default()).unwrap();
            refused(&more, &withdrawals);
            let mut more = withdrawals.clone();
            more.push(Withdrawal::default()).unwrap();
            refused(&transactions, &more);
            if fork >= ForkName::Bellatrix {
                refused(&Default::default(), &withdrawals);
            }
        }
    }
}
