//! The execution payload and its parts.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/beacon-chain.md#executionpayload>

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::{FixedVector, VariableList};
use tree_hash_derive::TreeHash;
use typenum as t;

use super::{operations::*, preset, primitives::*};

/// A transaction, opaque to the consensus layer.
pub type Transaction = VariableList<u8, t::U1073741824>;
/// A block's transactions.
pub type Transactions = VariableList<Transaction, t::U1048576>;

/// A withdrawal that the execution layer pays out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: u64,
    /// Validator index.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: ValidatorIndex,
    /// Address.
    pub address: Address,
    /// Amount.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
}

/// A block of the execution layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ExecutionPayload {
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
    /// Blob gas used.
    #[serde(with = "serde_utils::quoted_u64")]
    pub blob_gas_used: u64,
    /// Excess blob gas.
    #[serde(with = "serde_utils::quoted_u64")]
    pub excess_blob_gas: u64,
}

/// A payload with its lists replaced by their roots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ExecutionPayloadHeader {
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
    /// Blob gas used.
    #[serde(with = "serde_utils::quoted_u64")]
    pub blob_gas_used: u64,
    /// Excess blob gas.
    #[serde(with = "serde_utils::quoted_u64")]
    pub excess_blob_gas: u64,
}

/// Requests that the execution layer passes on with a payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ExecutionRequests {
    /// Deposits.
    pub deposits: VariableList<DepositRequest, t::U8192>,
    /// Withdrawals.
    pub withdrawals: VariableList<WithdrawalRequest, t::U16>,
    /// Consolidations.
    pub consolidations: VariableList<ConsolidationRequest, t::U2>,
}
