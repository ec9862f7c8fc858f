//! A payload's lists: what remains of a payload when its header is known.

use serde::{Deserialize, Serialize};
use ssz_types::VariableList;

use crate::types::{Transactions, Withdrawal, preset::MaxWithdrawalsPerPayload};

/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/shanghai.md#executionpayloadbodyv1>
#[derive(Debug, Serialize, Deserialize)]
pub struct BodyJson {
    #[serde(with = "transactions")]
    pub transactions: Transactions,
    /// None before Capella.
    #[serde(default, with = "optional_withdrawals")]
    pub withdrawals: Option<Withdrawals>,
}

/// A payload's withdrawals.
pub type Withdrawals = VariableList<Withdrawal, MaxWithdrawalsPerPayload>;

/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/shanghai.md#withdrawalv1>
#[derive(Serialize, Deserialize)]
#[serde(remote = "Withdrawal", rename_all = "camelCase")]
struct WithdrawalV1 {
    #[serde(with = "serde_utils::u64_hex_be")]
    index: u64,
    #[serde(with = "serde_utils::u64_hex_be")]
    validator_index: u64,
    address: crate::types::Address,
    #[serde(with = "serde_utils::u64_hex_be")]
    amount: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct WithdrawalJson(#[serde(with = "WithdrawalV1")] Withdrawal);

/// A list of byte strings.
pub mod transactions {
    use serde::{Deserializer, Serializer};

    use super::super::Data;
    use crate::types::Transactions;

    /// Writes each transaction straight into the output.
    pub fn serialize<S: Serializer>(transactions: &Transactions, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(transactions.iter().map(|transaction| Data(transaction)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Transactions, D::Error> {
        ssz_types::serde_utils::list_of_hex_var_list::deserialize(deserializer)
    }
}

/// A list of withdrawals.
pub mod withdrawals {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::{Withdrawal, WithdrawalJson, Withdrawals};

    pub fn serialize<S: Serializer>(withdrawals: &[Withdrawal], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(withdrawals.iter().map(|withdrawal| WithdrawalJson(*withdrawal)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Withdrawals, D::Error> {
        let list = Vec::<WithdrawalJson>::deserialize(deserializer)?;
        let count = list.len();
        let list = list.into_iter().map(|withdrawal| withdrawal.0).collect::<Vec<_>>();
        Withdrawals::new(list).map_err(|_| D::Error::custom(format!("{count} withdrawals are too many")))
    }
}

/// A list of withdrawals, or null.
mod optional_withdrawals {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Withdrawals, withdrawals};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct List(#[serde(with = "withdrawals")] Withdrawals);

    pub fn serialize<S: Serializer>(list: &Option<Withdrawals>, serializer: S) -> Result<S::Ok, S::Error> {
        match list {
            Some(list) => withdrawals::serialize(list, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Withdrawals>, D::Error> {
        Option::<List>::deserialize(deserializer).map(|list| list.map(|list| list.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_with_withdrawals_and_without() {
        let text = r#"[{"transactions":["0x01ff"],"withdrawals":null}, null,
            {"transactions":[],"withdrawals":[{"index":"0x1","validatorIndex":"0x2",
             "address":"0x0303030303030303030303030303030303030303","amount":"0x0"}]}]"#;
        let bodies: Vec<Option<BodyJson>> = serde_json::from_str(text).unwrap();
        let [Some(first), None, Some(last)] = &bodies[..] else { panic!("{bodies:?}") };
        assert_eq!((first.transactions[0].to_vec(), first.withdrawals.is_none()), (vec![1, 255], true));
        let withdrawal = last.withdrawals.as_ref().unwrap()[0];
        assert_eq!((withdrawal.index, withdrawal.validator_index, withdrawal.amount), (1, 2, 0));
        let back = serde_json::to_string(&bodies).unwrap();
        assert_eq!(back, text.replace(['\n', ' '], ""));
    }
}
