//! The execution payload before Deneb.

use serde::{Deserialize, Serialize};
use ssz::{Decode, DecodeError, Encode};
use ssz_derive::{Decode, Encode};
use ssz_types::{FixedVector, VariableList};
use tree_hash::TreeHash;
use tree_hash_derive::TreeHash;
use typenum as t;

use crate::types::{execution::*, fork::ForkName, preset, primitives::*};

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/beacon-chain.md#executionpayload>
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ExecutionPayloadBellatrix {
    /// Parent hash.
    pub parent_hash: Hash256,
    /// Fee recipient.
    pub fee_recipient: Address,
    /// State root.
    pub state_root: Hash256,
    /// Receipts root.
    pub receipts_root: Hash256,
    /// Logs bloom.
    #[serde(with = "ssz_types::serde_utils::hex_fixed_vec")]
    pub logs_bloom: FixedVector<u8, t::U256>,
    /// Prev randao.
    pub prev_randao: Hash256,
    /// Block number.
    #[serde(with = "serde_utils::quoted_u64")]
    pub block_number: u64,
    /// Gas limit.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_limit: u64,
    /// Gas used.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_used: u64,
    /// Seconds since 1970.
    #[serde(with = "serde_utils::quoted_u64")]
    pub timestamp: u64,
    /// Extra data.
    #[serde(with = "ssz_types::serde_utils::hex_var_list")]
    pub extra_data: VariableList<u8, t::U32>,
    /// Base fee per gas.
    #[serde(with = "serde_utils::quoted_u256")]
    pub base_fee_per_gas: U256,
    /// Block hash.
    pub block_hash: Hash256,
    /// Transactions.
    #[serde(with = "ssz_types::serde_utils::list_of_hex_var_list")]
    pub transactions: Transactions,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#executionpayload>
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ExecutionPayloadCapella {
    /// Parent hash.
    pub parent_hash: Hash256,
    /// Fee recipient.
    pub fee_recipient: Address,
    /// State root.
    pub state_root: Hash256,
    /// Receipts root.
    pub receipts_root: Hash256,
    /// Logs bloom.
    #[serde(with = "ssz_types::serde_utils::hex_fixed_vec")]
    pub logs_bloom: FixedVector<u8, t::U256>,
    /// Prev randao.
    pub prev_randao: Hash256,
    /// Block number.
    #[serde(with = "serde_utils::quoted_u64")]
    pub block_number: u64,
    /// Gas limit.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_limit: u64,
    /// Gas used.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_used: u64,
    /// Seconds since 1970.
    #[serde(with = "serde_utils::quoted_u64")]
    pub timestamp: u64,
    /// Extra data.
    #[serde(with = "ssz_types::serde_utils::hex_var_list")]
    pub extra_data: VariableList<u8, t::U32>,
    /// Base fee per gas.
    #[serde(with = "serde_utils::quoted_u256")]
    pub base_fee_per_gas: U256,
    /// Block hash.
    pub block_hash: Hash256,
    /// Transactions.
    #[serde(with = "ssz_types::serde_utils::list_of_hex_var_list")]
    pub transactions: Transactions,
    /// Withdrawals.
    pub withdrawals: VariableList<Withdrawal, preset::MaxWithdrawalsPerPayload>,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/bellatrix/beacon-chain.md#executionpayloadheader>
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ExecutionPayloadHeaderBellatrix {
    /// Parent hash.
    pub parent_hash: Hash256,
    /// Fee recipient.
    pub fee_recipient: Address,
    /// State root.
    pub state_root: Hash256,
    /// Receipts root.
    pub receipts_root: Hash256,
    /// Logs bloom.
    #[serde(with = "ssz_types::serde_utils::hex_fixed_vec")]
    pub logs_bloom: FixedVector<u8, t::U256>,
    /// Prev randao.
    pub prev_randao: Hash256,
    /// Block number.
    #[serde(with = "serde_utils::quoted_u64")]
    pub block_number: u64,
    /// Gas limit.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_limit: u64,
    /// Gas used.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_used: u64,
    /// Seconds since 1970.
    #[serde(with = "serde_utils::quoted_u64")]
    pub timestamp: u64,
    /// Extra data.
    #[serde(with = "ssz_types::serde_utils::hex_var_list")]
    pub extra_data: VariableList<u8, t::U32>,
    /// Base fee per gas.
    #[serde(with = "serde_utils::quoted_u256")]
    pub base_fee_per_gas: U256,
    /// Block hash.
    pub block_hash: Hash256,
    /// Transactions root.
    pub transactions_root: Hash256,
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/capella/beacon-chain.md#executionpayloadheader>
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ExecutionPayloadHeaderCapella {
    /// Parent hash.
    pub parent_hash: Hash256,
    /// Fee recipient.
    pub fee_recipient: Address,
    /// State root.
    pub state_root: Hash256,
    /// Receipts root.
    pub receipts_root: Hash256,
    /// Logs bloom.
    #[serde(with = "ssz_types::serde_utils::hex_fixed_vec")]
    pub logs_bloom: FixedVector<u8, t::U256>,
    /// Prev randao.
    pub prev_randao: Hash256,
    /// Block number.
    #[serde(with = "serde_utils::quoted_u64")]
    pub block_number: u64,
    /// Gas limit.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_limit: u64,
    /// Gas used.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_used: u64,
    /// Seconds since 1970.
    #[serde(with = "serde_utils::quoted_u64")]
    pub timestamp: u64,
    /// Extra data.
    #[serde(with = "ssz_types::serde_utils::hex_var_list")]
    pub extra_data: VariableList<u8, t::U32>,
    /// Base fee per gas.
    #[serde(with = "serde_utils::quoted_u256")]
    pub base_fee_per_gas: U256,
    /// Block hash.
    pub block_hash: Hash256,
    /// Transactions root.
    pub transactions_root: Hash256,
    /// Withdrawals root.
    pub withdrawals_root: Hash256,
}

impl From<ExecutionPayloadBellatrix> for ExecutionPayload {
    fn from(earlier: ExecutionPayloadBellatrix) -> ExecutionPayload {
        let ExecutionPayloadBellatrix {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions,
        } = earlier;
        ExecutionPayload {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions,
            ..Default::default()
        }
    }
}

impl From<ExecutionPayloadCapella> for ExecutionPayload {
    fn from(earlier: ExecutionPayloadCapella) -> ExecutionPayload {
        let ExecutionPayloadCapella {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions,
            withdrawals,
        } = earlier;
        ExecutionPayload {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions,
            withdrawals,
            ..Default::default()
        }
    }
}

impl From<ExecutionPayloadHeaderBellatrix> for ExecutionPayloadHeader {
    fn from(earlier: ExecutionPayloadHeaderBellatrix) -> ExecutionPayloadHeader {
        let ExecutionPayloadHeaderBellatrix {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions_root,
        } = earlier;
        ExecutionPayloadHeader {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions_root,
            ..Default::default()
        }
    }
}

impl From<ExecutionPayloadHeaderCapella> for ExecutionPayloadHeader {
    fn from(earlier: ExecutionPayloadHeaderCapella) -> ExecutionPayloadHeader {
        let ExecutionPayloadHeaderCapella {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions_root,
            withdrawals_root,
        } = earlier;
        ExecutionPayloadHeader {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions_root,
            withdrawals_root,
            ..Default::default()
        }
    }
}

impl From<&ExecutionPayload> for ExecutionPayloadBellatrix {
    fn from(later: &ExecutionPayload) -> ExecutionPayloadBellatrix {
        let ExecutionPayload {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions,
            ..
        } = later.clone();
        ExecutionPayloadBellatrix {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions,
        }
    }
}

impl From<&ExecutionPayload> for ExecutionPayloadCapella {
    fn from(later: &ExecutionPayload) -> ExecutionPayloadCapella {
        let ExecutionPayload {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions,
            withdrawals,
            ..
        } = later.clone();
        ExecutionPayloadCapella {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions,
            withdrawals,
        }
    }
}

impl From<&ExecutionPayloadHeader> for ExecutionPayloadHeaderBellatrix {
    fn from(later: &ExecutionPayloadHeader) -> ExecutionPayloadHeaderBellatrix {
        let ExecutionPayloadHeader {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions_root,
            ..
        } = later.clone();
        ExecutionPayloadHeaderBellatrix {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions_root,
        }
    }
}

impl From<&ExecutionPayloadHeader> for ExecutionPayloadHeaderCapella {
    fn from(later: &ExecutionPayloadHeader) -> ExecutionPayloadHeaderCapella {
        let ExecutionPayloadHeader {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions_root,
            withdrawals_root,
            ..
        } = later.clone();
        ExecutionPayloadHeaderCapella {
            parent_hash,
            fee_recipient,
            state_root,
            receipts_root,
            logs_bloom,
            prev_randao,
            block_number,
            gas_limit,
            gas_used,
            timestamp,
            extra_data,
            base_fee_per_gas,
            block_hash,
            transactions_root,
            withdrawals_root,
        }
    }
}

impl ExecutionPayloadHeader {
    /// Decodes `fork`'s shape.
    ///
    /// # Errors
    /// When the bytes are not a header of that fork.
    pub fn decode_as(fork: ForkName, bytes: &[u8]) -> Result<Self, DecodeError> {
        match fork {
            ForkName::Phase0 | ForkName::Altair | ForkName::Bellatrix => {
                ExecutionPayloadHeaderBellatrix::from_ssz_bytes(bytes).map(Self::from)
            }
            ForkName::Capella => ExecutionPayloadHeaderCapella::from_ssz_bytes(bytes).map(Self::from),
            ForkName::Deneb | ForkName::Electra | ForkName::Fulu => Self::from_ssz_bytes(bytes),
        }
    }

    /// The SSZ of `fork`'s shape.
    pub fn encode_as(&self, fork: ForkName) -> Vec<u8> {
        match fork {
            ForkName::Phase0 | ForkName::Altair | ForkName::Bellatrix => {
                ExecutionPayloadHeaderBellatrix::from(self).as_ssz_bytes()
            }
            ForkName::Capella => ExecutionPayloadHeaderCapella::from(self).as_ssz_bytes(),
            ForkName::Deneb | ForkName::Electra | ForkName::Fulu => self.as_ssz_bytes(),
        }
    }

    /// The root of `fork`'s shape.
    pub fn root_as(&self, fork: ForkName) -> Hash256 {
        match fork {
            ForkName::Phase0 | ForkName::Altair | ForkName::Bellatrix => {
                ExecutionPayloadHeaderBellatrix::from(self).tree_hash_root()
            }
            ForkName::Capella => ExecutionPayloadHeaderCapella::from(self).tree_hash_root(),
            ForkName::Deneb | ForkName::Electra | ForkName::Fulu => self.tree_hash_root(),
        }
    }
}
