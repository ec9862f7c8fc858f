//! What a change of the fork choice is told with.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body;
use crate::{
    engine::PayloadAttributes,
    types::{Address, ForkName, Hash256, Withdrawal},
};

/// Hashes of payloads that the fork choice points to; zero for what has no payload yet.
/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/paris.md#forkchoicestatev1>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForkchoiceState {
    /// Of the head.
    #[serde(rename = "headBlockHash")]
    pub head: Hash256,
    /// Of the block that is safe from re-orgs under good conditions.
    #[serde(rename = "safeBlockHash")]
    pub safe: Hash256,
    /// Of the finalized block.
    #[serde(rename = "finalizedBlockHash")]
    pub finalized: Hash256,
}

/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/cancun.md#payloadattributesv3>
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttributesOf {
    #[serde(with = "serde_utils::u64_hex_be")]
    timestamp: u64,
    prev_randao: Hash256,
    suggested_fee_recipient: Address,
    /// Since Capella.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    withdrawals: Option<Withdrawals>,
    /// Since Deneb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent_beacon_block_root: Option<Hash256>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Withdrawals(#[serde(with = "body::withdrawals")] body::Withdrawals);

impl AttributesOf {
    /// With the fields of `fork`. None if there are more withdrawals than a payload has room for.
    pub fn new(fork: ForkName, attributes: PayloadAttributes) -> Option<Self> {
        let withdrawals = body::Withdrawals::new(attributes.withdrawals).ok()?;
        Some(AttributesOf {
            timestamp: attributes.timestamp,
            prev_randao: attributes.prev_randao,
            suggested_fee_recipient: attributes.suggested_fee_recipient,
            withdrawals: (fork >= ForkName::Capella).then_some(Withdrawals(withdrawals)),
            parent_beacon_block_root: (fork >= ForkName::Deneb).then_some(attributes.parent_beacon_block_root),
        })
    }

    /// Reads attributes that have exactly the fields of `fork`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(fork: ForkName, value: Value) -> Result<PayloadAttributes, String> {
        let read: AttributesOf = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let has = (read.withdrawals.is_some(), read.parent_beacon_block_root.is_some());
        if has != (fork >= ForkName::Capella, fork >= ForkName::Deneb) {
            return Err(format!("these are not the fields of {fork}"));
        }
        let withdrawals: Option<Vec<Withdrawal>> = read.withdrawals.map(|Withdrawals(list)| list.to_vec());
        Ok(PayloadAttributes {
            timestamp: read.timestamp,
            prev_randao: read.prev_randao,
            suggested_fee_recipient: read.suggested_fee_recipient,
            withdrawals: withdrawals.unwrap_or_default(),
            parent_beacon_block_root: read.parent_beacon_block_root.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attributes_have_the_fields_of_their_fork() {
        let attributes = PayloadAttributes {
            timestamp: 16,
            prev_randao: Hash256::repeat_byte(1),
            suggested_fee_recipient: Address::repeat_byte(2),
            withdrawals: Vec::new(),
            parent_beacon_block_root: Hash256::repeat_byte(3),
        };
        let write = |fork| serde_json::to_value(AttributesOf::new(fork, attributes.clone()).unwrap()).unwrap();
        let newest = json!({
            "timestamp": "0x10",
            "prevRandao": Hash256::repeat_byte(1),
            "suggestedFeeRecipient": "0x0202020202020202020202020202020202020202",
            "withdrawals": [],
            "parentBeaconBlockRoot": Hash256::repeat_byte(3),
        });
        assert_eq!(write(ForkName::Fulu), newest);
        assert_eq!(AttributesOf::read(ForkName::Fulu, newest).unwrap(), attributes);
        assert_eq!(write(ForkName::Bellatrix).as_object().unwrap().len(), 3);
        assert!(AttributesOf::read(ForkName::Fulu, write(ForkName::Capella)).is_err());
    }
}
