//! Payloads of every fork.

use serde::{Deserialize, Serialize, Serializer, ser::Error as _};
use serde_json::{Value, json};
use ssz_types::{FixedVector, VariableList};
use typenum as t;

use super::{BlobsBundleJson, RequestsList, body};
use crate::types::*;

/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/cancun.md#executionpayloadv3>
#[derive(Serialize, Deserialize)]
#[serde(remote = "ExecutionPayload", rename_all = "camelCase")]
struct ExecutionPayloadV3 {
    parent_hash: Hash256,
    fee_recipient: Address,
    state_root: Hash256,
    receipts_root: Hash256,
    #[serde(with = "ssz_types::serde_utils::hex_fixed_vec")]
    logs_bloom: FixedVector<u8, t::U256>,
    prev_randao: Hash256,
    #[serde(with = "serde_utils::u64_hex_be")]
    block_number: u64,
    #[serde(with = "serde_utils::u64_hex_be")]
    gas_limit: u64,
    #[serde(with = "serde_utils::u64_hex_be")]
    gas_used: u64,
    #[serde(with = "serde_utils::u64_hex_be")]
    timestamp: u64,
    #[serde(with = "ssz_types::serde_utils::hex_var_list")]
    extra_data: VariableList<u8, t::U32>,
    base_fee_per_gas: U256,
    block_hash: Hash256,
    #[serde(with = "body::transactions")]
    transactions: Transactions,
    #[serde(with = "body::withdrawals")]
    withdrawals: VariableList<Withdrawal, preset::MaxWithdrawalsPerPayload>,
    #[serde(with = "serde_utils::u64_hex_be")]
    blob_gas_used: u64,
    #[serde(with = "serde_utils::u64_hex_be")]
    excess_blob_gas: u64,
}

/// A payload with the fields that it has since Deneb.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PayloadV3(#[serde(with = "ExecutionPayloadV3")] pub ExecutionPayload);

/// A payload with the fields of its fork.
pub struct PayloadOf<'a> {
    pub fork: ForkName,
    pub payload: &'a ExecutionPayload,
}

impl Serialize for PayloadOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let later = later_fields(self.fork);
        if later.is_empty() {
            return ExecutionPayloadV3::serialize(self.payload, serializer);
        }
        // Only who follows a chain from long ago comes here: a copy is no matter.
        let mut fields =
            ExecutionPayloadV3::serialize(self.payload, serde_json::value::Serializer).map_err(S::Error::custom)?;
        if let Some(fields) = fields.as_object_mut() {
            later.iter().for_each(|(name, _)| drop(fields.remove(*name)));
        }
        fields.serialize(serializer)
    }
}

/// Fields that a fork's payloads do not have yet, with what stands for them.
fn later_fields(fork: ForkName) -> Vec<(&'static str, Value)> {
    let mut later = Vec::new();
    if fork < ForkName::Capella {
        later.push(("withdrawals", json!([])));
    }
    if fork < ForkName::Deneb {
        later.push(("blobGasUsed", json!("0x0")));
        later.push(("excessBlobGas", json!("0x0")));
    }
    later
}

/// Reads a payload with the fields of `fork`.
///
/// # Errors
/// When a field is missing, is of a later fork or is not what it should be.
pub fn payload_from_value(fork: ForkName, mut value: Value) -> Result<ExecutionPayload, serde_json::Error> {
    if let Some(fields) = value.as_object_mut() {
        for (name, default) in later_fields(fork) {
            if fields.insert(name.into(), default).is_some_and(|field| !field.is_null()) {
                return Err(serde::de::Error::custom(format!("{fork} payloads have no {name}")));
            }
        }
    }
    serde_json::from_value::<PayloadV3>(value).map(|payload| payload.0)
}

/// What `engine_getPayloadV3` and later ones answer.
/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/osaka.md#engine_getpayloadv5>
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayloadEnvelope {
    pub execution_payload: PayloadV3,
    /// In wei.
    pub block_value: U256,
    pub blobs_bundle: BlobsBundleJson,
    /// For builders, of which we have none.
    #[serde(default)]
    pub should_override_builder: bool,
    /// Since Electra.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_requests: Option<RequestsList>,
}

/// What `engine_getPayloadV2` answers.
/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/shanghai.md#engine_getpayloadv2>
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayloadEnvelopeV2 {
    pub execution_payload: Value,
    /// In wei.
    pub block_value: U256,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> ExecutionPayload {
        ExecutionPayload {
            parent_hash: Hash256::repeat_byte(1),
            fee_recipient: Address::repeat_byte(0xab),
            block_number: 0x1234,
            gas_limit: 30_000_000,
            timestamp: 1_700_000_000,
            extra_data: VariableList::new(vec![1, 2]).unwrap(),
            base_fee_per_gas: U256::from(7),
            transactions: VariableList::new(vec![VariableList::new(vec![2, 0xf8, 0]).unwrap()]).unwrap(),
            ..Default::default()
        }
    }

    fn with_later_fields() -> ExecutionPayload {
        let withdrawal =
            Withdrawal { index: 240, validator_index: 61_936, address: Address::repeat_byte(0xcd), amount: 256 };
        ExecutionPayload {
            withdrawals: VariableList::new(vec![withdrawal]).unwrap(),
            blob_gas_used: 131_072,
            excess_blob_gas: 262_144,
            ..payload()
        }
    }

    #[test]
    fn a_payload_is_written_as_the_api_says_and_read_back() {
        let payload = with_later_fields();
        let value = serde_json::to_value(PayloadOf { fork: ForkName::Fulu, payload: &payload }).unwrap();
        let expected = json!({
            "parentHash": Hash256::repeat_byte(1),
            "feeRecipient": "0xabababababababababababababababababababab",
            "stateRoot": Hash256::ZERO,
            "receiptsRoot": Hash256::ZERO,
            "logsBloom": format!("0x{}", "00".repeat(256)),
            "prevRandao": Hash256::ZERO,
            "blockNumber": "0x1234",
            "gasLimit": "0x1c9c380",
            "gasUsed": "0x0",
            "timestamp": "0x6553f100",
            "extraData": "0x0102",
            "baseFeePerGas": "0x7",
            "blockHash": format!("0x{}", "00".repeat(32)),
            "transactions": ["0x02f800"],
            "withdrawals": [{
                "index": "0xf0",
                "validatorIndex": "0xf1f0",
                "address": "0xcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
                "amount": "0x100",
            }],
            "blobGasUsed": "0x20000",
            "excessBlobGas": "0x40000",
        });
        assert_eq!(value, expected);
        assert_eq!(payload_from_value(ForkName::Fulu, value).unwrap(), payload);
    }

    #[test]
    fn each_fork_has_its_fields_and_no_other() {
        for (fork, count) in [(ForkName::Bellatrix, 14), (ForkName::Capella, 15), (ForkName::Electra, 17)] {
            let value = serde_json::to_value(PayloadOf { fork, payload: &payload() }).unwrap();
            assert_eq!(value.as_object().unwrap().len(), count, "{fork}");
            assert_eq!(payload_from_value(fork, value).unwrap(), payload(), "{fork}");
        }
        let of = |fork| serde_json::to_value(PayloadOf { fork, payload: &payload() }).unwrap();
        assert!(payload_from_value(ForkName::Bellatrix, of(ForkName::Capella)).is_err());
        assert!(payload_from_value(ForkName::Fulu, of(ForkName::Capella)).is_err());
        let mut long = of(ForkName::Fulu);
        long["extraData"] = json!(format!("0x{}", "00".repeat(33)));
        assert!(payload_from_value(ForkName::Fulu, long).is_err());
    }
}
