//! Requests of the execution layer, as a list of byte strings.

use serde::{Deserialize, Serialize};
use ssz::{Decode, Encode};

use super::Bytes;
use crate::types::ExecutionRequests;

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#constants>
const DEPOSIT_REQUEST_TYPE: u8 = 0;
const WITHDRAWAL_REQUEST_TYPE: u8 = 1;
const CONSOLIDATION_REQUEST_TYPE: u8 = 2;

/// A byte of type and the SSZ of the requests of that type, in the order of types, without the empty ones.
/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/prague.md#engine_newpayloadv4>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestsList(Vec<Bytes>);

impl From<&ExecutionRequests> for RequestsList {
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#new-get_execution_requests_list>
    fn from(requests: &ExecutionRequests) -> Self {
        let lists = [
            (DEPOSIT_REQUEST_TYPE, requests.deposits.as_ssz_bytes()),
            (WITHDRAWAL_REQUEST_TYPE, requests.withdrawals.as_ssz_bytes()),
            (CONSOLIDATION_REQUEST_TYPE, requests.consolidations.as_ssz_bytes()),
        ];
        let filled = lists.into_iter().filter(|(_, data)| !data.is_empty());
        RequestsList(filled.map(|(kind, data)| Bytes([vec![kind], data].concat())).collect())
    }
}

impl RequestsList {
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/validator.md#execution-requests>
    ///
    /// # Errors
    /// When a type is unknown, out of order or empty, or its requests are not SSZ or are too many.
    pub fn decode(&self) -> Result<ExecutionRequests, String> {
        let mut requests = ExecutionRequests::default();
        let mut last = None;
        for Bytes(bytes) in &self.0 {
            let [kind, data @ ..] = &bytes[..] else { return Err("a list of requests has no type".into()) };
            if data.is_empty() || last.is_some_and(|last| last >= *kind) {
                return Err(format!("requests of type {kind} are empty or out of order"));
            }
            last = Some(*kind);
            match *kind {
                DEPOSIT_REQUEST_TYPE => requests.deposits = decode(*kind, data)?,
                WITHDRAWAL_REQUEST_TYPE => requests.withdrawals = decode(*kind, data)?,
                CONSOLIDATION_REQUEST_TYPE => requests.consolidations = decode(*kind, data)?,
                kind => return Err(format!("requests of type {kind} are not known")),
            }
        }
        Ok(requests)
    }
}

fn decode<T: Decode>(kind: u8, data: &[u8]) -> Result<T, String> {
    T::from_ssz_bytes(data).map_err(|error| format!("requests of type {kind} are not SSZ: {error:?}"))
}

#[cfg(test)]
mod tests {
    use ssz_types::VariableList;

    use super::*;
    use crate::types::{Address, BLSPubkey, ConsolidationRequest, WithdrawalRequest};

    fn requests() -> ExecutionRequests {
        let withdrawal = WithdrawalRequest {
            source_address: Address::repeat_byte(1),
            validator_pubkey: BLSPubkey::repeat_byte(2),
            amount: 3,
        };
        let consolidation = ConsolidationRequest {
            source_address: Address::repeat_byte(4),
            source_pubkey: BLSPubkey::repeat_byte(5),
            target_pubkey: BLSPubkey::repeat_byte(6),
        };
        ExecutionRequests {
            withdrawals: VariableList::new(vec![withdrawal]).unwrap(),
            consolidations: VariableList::new(vec![consolidation]).unwrap(),
            ..Default::default()
        }
    }

    #[test]
    fn empty_lists_are_left_out_and_the_rest_comes_back() {
        let list = RequestsList::from(&requests());
        let text = serde_json::to_string(&list).unwrap();
        let withdrawal = format!("0x01{}{}0300000000000000", "01".repeat(20), "02".repeat(48));
        let consolidation = format!("0x02{}{}{}", "04".repeat(20), "05".repeat(48), "06".repeat(48));
        assert_eq!(text, format!("[\"{withdrawal}\",\"{consolidation}\"]"));
        assert_eq!(serde_json::from_str::<RequestsList>(&text).unwrap().decode().unwrap(), requests());
        assert_eq!(serde_json::to_string(&RequestsList::from(&ExecutionRequests::default())).unwrap(), "[]");
    }

    #[test]
    fn lists_that_are_out_of_order_empty_or_unknown_are_refused() {
        let RequestsList(list) = RequestsList::from(&requests());
        let swapped = vec![list[1].clone(), list[0].clone()];
        let twice = vec![list[0].clone(), list[0].clone()];
        let long = [vec![2], list[1].0[1..].repeat(3)].concat();
        let short = list[0].0[..40].to_vec();
        for wrong in [swapped, twice, vec![Bytes(vec![])], vec![Bytes(vec![1])], vec![Bytes(vec![7, 1])]] {
            assert!(RequestsList(wrong.clone()).decode().is_err(), "{wrong:?}");
        }
        assert!(RequestsList(vec![Bytes(long)]).decode().is_err());
        assert!(RequestsList(vec![Bytes(short)]).decode().is_err());
    }
}
